/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A collection at work; private to store/collect. */
#ifndef STORE_COLLECT_INTERNAL_H
#define STORE_COLLECT_INTERNAL_H

#include "store/base/attrs.h"
#include "store/base/task.h"
#include "store/collect/clock.h"
#include "store/collect/collect.h"
#include "store/collect/due.h"
#include "store/collect/ledger.h"
#include "store/collect/tomb.h"
#include "store/record/pack_list.h"
#include "store/record/pack_prints.h"

struct backend_names;
struct buf;
struct mark;
struct mark_pack;
struct pack_row;

/* A pack that holds what is needed, and what is not, or with keys of before. */
struct half_pack {
	char name[PACK_NAME_MAX];
	uint64_t size, live_bytes, dead_bytes;
	bool is_old; /* its keys are of an earlier epoch than the newest */
	bool is_chosen;
};

struct half_packs {
	struct half_pack *items; /* owned */
	size_t n, cap;
};

struct cycle {
	struct vault *vault; /* borrowed */
	const struct collect_options *o; /* borrowed */
	struct collect_result *out; /* borrowed */
	struct collect_clock clock;
	struct task task; /* of the mark: the caller's, and a sign of life */
	/* What was there when the plan was made. */
	struct point_list *list; /* held */
	struct due_list due;
	struct ledger ledger;
	/* Points that were removed for ever: at first, and then for the whole
	 * collection those that were when it had removed what is due. */
	struct hex_ids purged;
	struct hex_ids dead; /* sessions that have no register, and are dead */
	/* What collections that died had decided, and did not do. */
	struct swept_tombs undone;
	struct mark *mark; /* owned */
	struct hex_ids marked; /* points whose chunks are in it */
	/* Packs that hold nothing that is marked, and are of sessions that are
	 * decided; those of them that are condemned stay in it. */
	struct pack_list condemned;
	size_t nput; /* of them: of writers that read nothing */
	struct half_packs halves;
	/* Those of them that are rewritten; condemned, too. */
	struct pack_list repacked;
	/* A pack could not be read, which may be just now, so that nobody knows
	 * whether it is needed. */
	bool has_unread;
	char repack_sid[NAME_HEX + 1]; /* the session that did; "": none */
	unsigned int next_index; /* number of the next index object */
	unsigned int next_digest; /* the same of digests */
};

/* ---- plan.c ---- */

/* Find out what can go, and note it in out->plan. Return 0 or a negative errno,
 * said in words. */
MUST_CHECK int plan_make(struct cycle *c);
/* Condemn a pack. Return 0, -ENOMEM, or 1: not now, for those that writers stored that
 * read nothing are PACK_PRINTS_MAX at most in one collection. */
MUST_CHECK int plan_condemn(struct cycle *c, const char *pack);
/* Whether the session of a pack was decided before the plan was made. */
bool plan_is_decided(const struct cycle *c, const char *pack);
/* Whether a pack holds what the index says: 1, 0 (that cannot be told) or a negative
 * errno, said in words. */
MUST_CHECK int plan_is_as_indexed(const struct cycle *c,
				  const struct mark_pack *p);
/* Of the condemned packs, add those that still hold nothing that is marked to @out,
 * sorted. Return 0 or a negative errno, said in words. */
MUST_CHECK int plan_recheck(struct cycle *c, struct pack_list *out);

/* Remember, once all is done, what was found that stays, so that the next one need
 * not look for it again. Return 0 or a negative errno. */
MUST_CHECK int plan_remember(struct cycle *c);

/* ---- marking.c ---- */

/* Mark each point of @l that is there for good, and that is not marked yet: none
 * that is in @without. One that cannot be read, and that was removed for ever since, is
 * passed over. Return 0 or a negative errno, said in words. */
MUST_CHECK int plan_mark(struct cycle *c, const struct ledger *l,
			 const struct hex_ids *without);
/* Call @fn for each pack, as mark_packs(), and again from the start, after @reset, where
 * something that is needed is in none. Return 0; -EBADMSG (it is in none still); or a
 * negative errno; said in words. */
MUST_CHECK int plan_each_pack(struct cycle *c,
			      int (*fn)(void *arg, const struct mark_pack *p),
			      void *arg, void (*reset)(void *arg));

/* ---- undone.c ---- */

/* Look whether nothing that is marked is lost with what others left undone. Return 0;
 * -EBADMSG (it is, or that cannot be known); or another negative errno; said in
 * words. */
MUST_CHECK int undone_check(struct cycle *c);
/* Once the points are removed that go: mark all that are there now, look once more, and
 * do what was left. Return as undone_check(). */
MUST_CHECK int undone_finish(struct cycle *c);
/* What the database knows of packs that are gone goes, too. Return 0 or a negative
 * errno. */
MUST_CHECK int undone_forget_packs(struct cycle *c,
				   const struct pack_list *gone);

/* ---- repack.c ---- */

/* Decode what the database has of a pack, once that is known to be what came from the
 * vault; @dir_out and @row_out (may be NULL) get its plaintext and its row. Return 0,
 * -ESTALE (it is not, or not there) or another negative errno. */
MUST_CHECK int repack_get_dir(struct vault *v, const char *name,
			      struct pack_row *row_out, struct buf *dir_out);
/* So much that nothing needs may stay in packs of so many bytes. */
uint64_t repack_allowed(const struct cycle *c, uint64_t bytes);
/* Choose packs to be rewritten, and note it in out->plan. Return 0 or -ENOMEM. */
MUST_CHECK int repack_choose(struct cycle *c);
/*
 * Once the tombs stand, and all sessions are decided that began before: write what is
 * needed of these packs to new ones, in a session that is decided then. What could not be read or written stays where it is: that is
 * said. Return 0, or a negative errno where the collection cannot go on.
 */
MUST_CHECK int repack_copy(struct cycle *c);

/* Read all of a pack, whose row and directory repack_get_dir() gave: are these the bytes
 * that its name is of, is its own directory that one, and is each chunk in it that is
 * marked what its name says? Return 1, 0 (said in words, unless it is gone) or a negative
 * errno. */
MUST_CHECK int repack_prove(struct cycle *c, const struct pack_row *row,
			    const struct buf *dir);

/* Packs that stay, as they are once all sessions are decided. */
struct stand_ins;
/* List them: no tomb or sweep names them, the own tombs among these, and they are listed
 * after these were read. Return 0 or a negative errno, said in words; free it then,
 * too. */
MUST_CHECK int repack_stand_ins(struct cycle *c, struct stand_ins **out);
void repack_free_stand_ins(struct stand_ins *s);
/* Whether each of the @nlive chunks of pack @name that are marked is in one of them
 * that an index object names and that repack_prove() bears out. Return 1, 0 or a
 * negative errno. */
MUST_CHECK int repack_is_covered(struct cycle *c, const struct stand_ins *s,
				 const char *name, uint64_t nlive);

/* ---- parity.c ---- */

/* Delete the parity of packs that were deleted. Return 0 or a negative errno. */
MUST_CHECK int parity_delete(struct vault *v, const struct pack_list *packs);
/* Delete parity whose pack a sweep deletes and that is not there. Return 0 or a negative
 * errno. */
MUST_CHECK int parity_delete_left(struct vault *v, size_t *n_out);

/* ---- leftover.c ---- */

/* Delete objects that are of no use any more: of points that were removed or never
 * came to be, and of sessions that are decided. Return 0 or a negative errno. */
MUST_CHECK int leftover_delete(struct cycle *c);
/* Whether there is an object of a point that was removed: out->plan gets how many. Return 1, 0 or a negative
 * errno. */
MUST_CHECK int leftover_any(struct cycle *c);

/* ---- digests.c ---- */

/* Write digests anew without what was removed, and without what is not so; add those that
 * are to be deleted then to @out. Return 0 or a negative errno, said in words. */
MUST_CHECK int digests_tidy(struct cycle *c, struct backend_names *out);

/* ---- reindex.c ---- */

/* Replace the index objects that name packs which were deleted, or that will be: the
 * sorted @own, on which this collection has decided; it may be NULL. Return 0 or a
 * negative errno. */
MUST_CHECK int reindex(struct cycle *c, const struct pack_list *own);

/* ---- gone.c ---- */

/* Packs that no index object need name any more. */
struct gone_packs {
	/* Those that the database knows, or that this collection decided on; owned,
	 * sorted. */
	struct pack_list known;
	/* Others that sweeps name, and those of all that are listed, so that they
	 * are not gone; owned. */
	struct pack_prints others;
	struct pack_list standing;
};

/* Find them, once the database is as new as the index: @own, as above, and those that
 * sweeps delete, that are gone, and with which nothing was lost that is needed. Return 0
 * or a negative errno; release it then, too. */
MUST_CHECK int gone_packs_find(struct cycle *c, const struct pack_list *own,
			       struct gone_packs *out);
/* Whether it is one of those that the database knows, or that were decided on. */
MUST_CHECK bool gone_packs_has(const struct gone_packs *g, const char *name);
/* The same for one that may be named by index objects alone that are in use no more. */
MUST_CHECK bool gone_packs_has_old(const struct gone_packs *g,
				   const char *name);
void gone_packs_release(struct gone_packs *g);

#endif
