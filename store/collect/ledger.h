/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What was decided in a vault: which sessions made which points, and which points
 * were removed for ever. It is read before anything is condemned, and the sessions
 * once more when those that began before are decided.
 *
 * What cannot be read might be anything: a register of a session ends the
 * collection, and a verdict lets the point stay.
 */
#ifndef STORE_COLLECT_LEDGER_H
#define STORE_COLLECT_LEDGER_H

#include "store/base/attrs.h"
#include "store/record/commit.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct point;
struct point_list;
struct vault;

/* Ids of points or sessions, sorted once they are all there. */
struct hex_ids {
	char (*items)[NAME_HEX + 1]; /* owned */
	size_t n, cap;
};

MUST_CHECK int hex_ids_add(struct hex_ids *l, const char *id);
void hex_ids_sort(struct hex_ids *l);
bool hex_ids_has(const struct hex_ids *l, const char *id);
void hex_ids_release(struct hex_ids *l);

struct ledger_row {
	char sid[NAME_HEX + 1];
	struct commit commit; /* its point is "" where it was fenced */
	/* borrowed; NULL: it is in no list, so that it has to be read */
	const struct point *point;
};

struct ledger {
	struct ledger_row *rows; /* owned; sorted by session */
	size_t n, cap;
};

/*
 * Read the registers of all sessions; @l, which stays borrowed, and was made without
 * digests (vault_distrust_digests()), spares reading those of its points. Return 0, or a negative errno, said in words, also where
 * one of them cannot be read.
 */
MUST_CHECK int ledger_read(struct vault *v, const struct point_list *l,
			   struct ledger *out);
void ledger_release(struct ledger *l);
/* The row of a session, or NULL: it is not decided. */
const struct ledger_row *ledger_find(const struct ledger *l, const char *sid);
/*
 * Look for points of sessions whose registers are lost: they are committed, and no
 * ledger names them. Those of @purged are not looked at. Return 0, -EREMCHG (there is
 * one) or another negative errno, said in words.
 */
MUST_CHECK int ledger_check_lost(struct vault *v, const struct ledger *l,
				 const struct hex_ids *purged);
/* Read the point that a row of @l names, be it that of another session, which names it
 * rightly. Return 0 and the point, to be given to point_free(), or a negative errno,
 * said in words. */
MUST_CHECK int ledger_point(struct vault *v, const struct ledger *l,
			    const struct ledger_row *row, struct point **out);
/* Add the points of which a verdict says that they are purged, and sort. One that
 * cannot be read says nothing; nor does one, which is said, whose wish has not been
 * there for 14 days when it is @now_ns by the clock of the store. Return 0 or a
 * negative errno, said in words. */
MUST_CHECK int ledger_read_purged(struct vault *v, int64_t now_ns,
				  struct hex_ids *out);

#endif
