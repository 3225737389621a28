/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who holds what a vault stores: points, machines or tags, each with the bytes that
 * would go with it alone, and with those that it shares. */
#ifndef SRC_STATS_HOLDERS_H
#define SRC_STATS_HOLDERS_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct context;
struct point;
struct point_list;
struct vault;

enum holders_by { HOLDERS_BY_POINT, HOLDERS_BY_MACHINE, HOLDERS_BY_TAG };

/* Points that are looked at as one. */
struct holder {
	const char
		*name; /* of the machine or the tag; NULL: those without a tag,
			   * or the forgotten ones; borrowed from the list */
	const struct point *point; /* by point; borrowed */
	size_t index; /* by point: where it is in the list */
	bool forgotten; /* all that are, and are there still */
	size_t points;
	uint64_t bytes, disk_used; /* of all, as if each were whole */
	uint64_t exclusive; /* stored bytes of what only its points have */
	uint64_t held; /* stored bytes of all that its points have */
	uint64_t packs, pack_bytes; /* in which nothing else lives */
};

struct holders {
	enum holders_by by;
	const struct point_list *list; /* borrowed */
	struct holder *groups; /* owned */
	size_t n;
	size_t nnamed; /* of them; the others stand behind them */
	uint32_t *group_of; /* of each point, but by tag; owned */
	/* Whether held is known: with many points, it is not. */
	bool knows_held;
	uint64_t live, dead, unread; /* stored bytes of chunks, and of packs */
};

/* Read "point", "machine" or "tag". Return 0 or -EINVAL. */
MUST_CHECK int holders_parse(const char *text, enum holders_by *out);
/*
 * Count; @l has the forgotten points, too. It walks what all points reach and shows
 * how far it is. Return 0; -EBADMSG, where something cannot be read, or another
 * negative errno, said in words. Release @h in any case; it borrows from @l.
 */
MUST_CHECK int holders_count(const struct context *ctx, struct vault *v,
			     const struct point_list *l, enum holders_by by,
			     struct holders *h);
void holders_release(struct holders *h);
/* Print a table, or a message "holders" as JSON. Return 0, -ENOMEM or the error that
 * stdout has. */
MUST_CHECK int holders_print(const struct holders *h, bool json);

#endif
