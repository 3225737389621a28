/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A collection: forgotten points whose time is over are removed for ever, and packs
 * that nothing needs any more are deleted, while others write and read. The
 * protocol is that of vmbackup-vault(5), COLLECTION, and tests/model/.
 *
 *     purge/      points go, each by a register
 *     (mark)      what the others need is found
 *     tomb/       packs that nobody needs are condemned
 *     (wait)      sessions that may not have seen it end, or are fenced off
 *     (mark)      what was committed since is added
 *     sweep/      the register that says what is deleted
 *     pack/       it is deleted, and the tomb goes last
 *
 * Whatever fails, or cannot be read, ends it before anything is deleted that was
 * not decided; whoever collects next goes on from there.
 */
#ifndef STORE_COLLECT_COLLECT_H
#define STORE_COLLECT_COLLECT_H

#include "store/base/attrs.h"
#include "store/collect/due.h"
#include "store/collect/wait.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct point_list;
struct task;
struct vault;

/* What a collection would remove, and what is there. */
struct collect_plan {
	/* Borrowed by whoever is told: all points, and those that are forgotten. */
	const struct point_list *points;
	const struct due_list *due;
	size_t npoints; /* that were not removed */
	/* That were, by others or by a collection that did not end: what only they
	 * need goes now. */
	size_t npurged;
	size_t npacks; /* that are listed */
	uint64_t bytes; /* stored in them */
	/* No point is due, nothing was left by whoever died, and packs hold no more
	 * that nothing needs than they may, as far as is known: what is in them was not
	 * looked at. */
	bool is_idle;
	/* Packs that no point needs that stays, with those that collections which
	 * died had decided on. */
	size_t ndead;
	uint64_t dead_bytes;
	/* Packs that are rewritten, what they hold that is needed, and what is
	 * not. */
	size_t nrepacked;
	uint64_t repack_live_bytes, repack_dead_bytes;
	/* Packs that are needed and whose keys are of an earlier epoch than the newest,
	 * and how many of them are among those that are rewritten. */
	size_t nold, nresealed;
	uint64_t old_bytes, resealed_bytes;
	/* Bytes that no point needs in packs that stay as they are. */
	uint64_t waste_bytes;
	/* Packs of which nobody knows what is in them, or what a collection that died
	 * had decided on them, or that may be those of a
	 * backup that is at work: they stay. */
	size_t nunknown, nbusy;
	/* How many things go, points and packs: to be typed where that is more
	 * than a collection removes by itself. */
	size_t nremoved;
	bool is_much;
};

struct collect_options {
	/* Nothing is put into the vault or deleted; this host's clock counts. */
	bool is_dry_run;
	/* Nobody else writes to the vault, so that nobody sees late what another
	 * has put. */
	bool is_single_writer;
	const char *by; /* who collects ("root@web1"); borrowed, may be NULL */
	/* What is needed in packs that hold more of what is not is written to new
	 * ones, until what nothing needs is at most so many percent of all packs:
	 * 0 to 100. */
	unsigned int max_unused;
	uint64_t max_unused_bytes; /* or so many bytes, where that is more */
	uint64_t max_repack; /* packs of so many bytes at most; 0: any */
	/* Packs whose keys are of earlier epochs are rewritten as well, so many bytes
	 * of them, and at least one; 0: none. */
	uint64_t reseal;
	/* What was typed: so many things may go; -1: nothing was. */
	int64_t yes_remove;
	struct wait_options wait; /* its stop is that of all the work */
	/* Told how far the mark is (struct walk_progress, store/mark/walk.h);
	 * borrowed, may be NULL. */
	struct task *task;
	/* Told what will be done, before it is; other than 0 ends it with that.
	 * May be NULL. */
	int (*on_plan)(void *arg, const struct collect_plan *plan);
	void *arg;
};

struct collect_result {
	struct collect_plan plan; /* without what is borrowed */
	size_t purged; /* points that were removed for ever */
	size_t ntaken_back; /* that were due, and that somebody keeps after all */
	size_t packs; /* that were deleted, so far as that can be seen */
	uint64_t bytes; /* that they held */
	/* Bytes of the packs that were written anew. */
	uint64_t repacked_bytes;
	size_t fenced; /* sessions that are dead, and were fenced off */
	size_t taken_over; /* packs that a collection which died had decided on */
	/* Index objects that were replaced, and by how many. */
	size_t index_old, index_new;
	size_t leftovers; /* other objects that were deleted */
};

/*
 * Collect; @v shows forgotten points (vault_show_forgotten()), and believes no
 * digest from then on (vault_distrust_digests()). Return 0; -EBUSY
 * (somebody else collects, or the time is over in which sessions were waited for
 * that are alive: none of what it condemned was deleted then); -ECANCELED (another took this one for
 * dead); -E2BIG (more would go than a collection removes by itself: none of
 * that was done); -EREMCHG, -EBADMSG, -EOPNOTSUPP (the vault has lost something, something
 * cannot be read, or what others put may be seen late there: nothing is deleted then); -EINTR; what on_plan() returned; or a
 * negative errno of the backend; said in words. What was done until then is in
 * @out. For one thread.
 */
MUST_CHECK int collect_run(struct vault *v, const struct collect_options *o,
			   struct collect_result *out);

#endif
