/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tombs and sweeps. A tomb names packs that a collection wants to delete, so that
 * who begins to write uses none of them; its sweep is the register that says which
 * of them are deleted, or that none is. The tomb goes last.
 *
 * Whoever finds a tomb of somebody who is gone ends his work: a sweep that stands
 * is carried out, and where there is none it is put, with nothing to delete. Then
 * he who was taken for dead deletes nothing, whenever he wakes. But anybody who may
 * store objects can put a sweep, so that it is carried out only once it is known that
 * nothing which it deletes is needed.
 */
#ifndef STORE_COLLECT_TOMB_H
#define STORE_COLLECT_TOMB_H

#include "store/base/attrs.h"
#include "store/record/pack_list.h"

#include <stdbool.h>
#include <stddef.h>

struct collect_clock;
struct vault;

/* "<gid>" or "<gid>-<k>" and NUL. */
#define TOMB_SUFFIX_MAX 48

/* A tomb whose sweep stands, and has not been carried out. */
struct swept_tomb {
	char suffix[TOMB_SUFFIX_MAX]; /* "<gid>" or "<gid>-<k>" */
};

struct swept_tombs {
	struct swept_tomb *items; /* owned */
	size_t n, cap;
	struct pack_list packs; /* that all of them delete; sorted */
	/* Packs of tombs of which it cannot be read what was decided; sorted. */
	struct pack_list left;
};

void swept_tombs_release(struct swept_tombs *l);

/* How many packs a tomb names at most, for tests to change: PACK_LIST_MAX. */
extern size_t tomb_max;

/* Put the tombs of a collection, tomb/<gid>, tomb/<gid>-1 and so on, which condemn
 * the sorted @l, not empty. Return 0 when they all stand, or a negative errno, said
 * in words. */
MUST_CHECK int tomb_put(struct vault *v, const char *gid,
			const struct pack_list *l);
/*
 * Decide on each tomb of a collection that condemned @l: the sorted @deletes of it
 * go, or nothing where that is NULL. @out gets those of which it stands now that
 * they are deleted, sorted. Return 0; -ECANCELED (somebody has given the collection
 * up, all of it or a part, and @out has the rest); -EBADMSG (somebody has put another
 * sweep, and nothing may be deleted); or another negative errno, after which nobody
 * knows; said in words.
 */
MUST_CHECK int tomb_decide(struct vault *v, const char *gid,
			   const struct pack_list *l,
			   const struct pack_list *deletes,
			   struct pack_list *out);
/*
 * Delete packs that a sweep names, which stands, and what was found of them; wait
 * until no listing shows one any more. @c gives signs of life meanwhile. Return 0 or a
 * negative errno, said in words.
 */
MUST_CHECK int tomb_sweep(struct vault *v, struct collect_clock *c,
			  const struct pack_list *deletes);
/* Take away the tombs of a collection that condemned @l, whose work is done.
 * Return 0 or a negative errno, said in words. */
MUST_CHECK int tomb_remove(struct vault *v, const char *gid,
			   const struct pack_list *l);
/*
 * End the work of all who are gone, where nothing is deleted. Tombs of which a sweep says
 * that packs are deleted are added to @out: each names a part of its tomb, but whether
 * they are needed the caller has to find out. One that cannot be read stays, which is said.
 * Return 0; -EBUSY (somebody collects, and is alive); -EBADMSG (a sweep deletes what its
 * tomb does not name); or another negative errno, after which nothing may be deleted;
 * said in words.
 */
MUST_CHECK int tomb_take_over(struct vault *v, const struct collect_clock *c,
			      struct swept_tombs *out);
/* Delete what these delete, as tomb_sweep(), and take them away. Return 0 or a negative errno, said in
 * words. */
MUST_CHECK int tomb_finish(struct vault *v, struct collect_clock *c,
			   const struct swept_tombs *l);

#endif
