/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A collection at work; private to store/collect. */
#ifndef STORE_COLLECT_INTERNAL_H
#define STORE_COLLECT_INTERNAL_H

#include "store/base/attrs.h"
#include "store/collect/clock.h"
#include "store/collect/collect.h"
#include "store/collect/due.h"
#include "store/collect/ledger.h"
#include "store/record/pack_list.h"

struct mark;

struct cycle {
	struct vault *vault; /* borrowed */
	const struct collect_options *o; /* borrowed */
	struct collect_result *out; /* borrowed */
	struct collect_clock clock;
	/* What was there when the plan was made. */
	struct point_list *list; /* held */
	struct due_list due;
	struct ledger ledger;
	/* Points that were removed for ever: at first, and then for the whole
	 * collection those that were when it had removed what is due. */
	struct hex_ids purged;
	struct hex_ids dead; /* sessions that have no register, and are dead */
	struct mark *mark; /* owned */
	struct hex_ids marked; /* points whose chunks are in it */
	/* Packs that hold nothing that is marked, and are of sessions that are
	 * decided; those of them that are condemned stay in it. */
	struct pack_list condemned;
};

/* ---- plan.c ---- */

/* Find out what can go, and note it in out->plan. Return 0 or a negative errno,
 * said in words. */
MUST_CHECK int plan_make(struct cycle *c);
/* Mark each point of @l that is there for good, and that is not marked yet: none
 * that is in @without. Return 0 or a negative errno, said in words. */
MUST_CHECK int plan_mark(struct cycle *c, const struct ledger *l,
			 const struct hex_ids *without);
/* Of the condemned packs, add those that still hold nothing that is marked to @out,
 * sorted, with their @bytes_out. Return 0 or a negative errno, said in words. */
MUST_CHECK int plan_recheck(struct cycle *c, struct pack_list *out,
			    uint64_t *bytes_out);

/* Remember, once all is done, what was found that stays, so that the next one need
 * not look for it again. Return 0 or a negative errno. */
MUST_CHECK int plan_remember(struct cycle *c);

/* ---- leftover.c ---- */

/* Delete objects that are of no use any more: of points that were removed or never
 * came to be, and of sessions that are decided. Return 0 or a negative errno. */
MUST_CHECK int leftover_delete(struct cycle *c);
/* Whether there is an object of a point that was removed. Return 1, 0 or a negative
 * errno. */
MUST_CHECK int leftover_any(struct cycle *c);

/* ---- reindex.c ---- */

/* Replace the index objects that name packs which were deleted. Return 0 or a
 * negative errno. */
MUST_CHECK int reindex(struct cycle *c);

#endif
