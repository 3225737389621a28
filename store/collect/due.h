/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which forgotten points are to be removed, and the verdicts that remove them.
 *
 * A point is due once the latest until_ns of all wishes that nobody answered is
 * over, and 14 days, or what the vault asks for (store/writer/window.h), have passed
 * since each of these was stored: by the clock of the store, and by that of this host,
 * for either may be wrong and no verdict is taken back. It stays where it is protected, or where anything that could speak for
 * it cannot be read.
 */
#ifndef STORE_COLLECT_DUE_H
#define STORE_COLLECT_DUE_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct point;
struct point_list;
struct vault;

struct due_point {
	const struct point *point; /* borrowed from the list */
	size_t index; /* in the list */
	int64_t due_ns; /* since 1970, by the store */
	bool is_due;
	const char *kept; /* why it stays nevertheless, static; NULL: it goes */
};

struct due_list {
	struct due_point *items; /* owned; in the order of the list of points */
	size_t n; /* points that are forgotten */
	size_t ndue; /* that go now */
};

/*
 * Find the forgotten points of @l, in which they are shown, and when each is due;
 * @now_ns is the time by the clock of the store or by that of this host, whichever is
 * behind. Return 0 or a negative errno, said
 * in words.
 */
MUST_CHECK int due_list_make(struct vault *v, const struct point_list *l,
			     int64_t now_ns, struct due_list *out);
void due_list_release(struct due_list *d);
/*
 * Remove the point @p for ever, by the verdict on its last wish. @purged_out: false
 * where somebody was faster, and the point stays. Return 0, or a negative errno,
 * said in words, after which nobody knows.
 */
MUST_CHECK int due_purge(struct vault *v, const struct point *p, const char *by,
			 bool *purged_out);

#endif
