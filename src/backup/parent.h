/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The parent: an earlier point of the same sources, walked side by side with
 * the scan. What is there as it was takes over the parent's content and is not
 * opened. The main thread's.
 */
#ifndef SRC_BACKUP_PARENT_H
#define SRC_BACKUP_PARENT_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <sys/stat.h>

#include "store/tree.h"

struct backup;
struct point;
struct scan_item;

struct parent {
	struct backup *backup; /* borrowed */
	/* The points to compare with, of the tree and of the disks; NULL where
	 * there is none; borrowed from backup.points. */
	const struct point *tree, *machine;
	/* All that these refer to is in the vault: it need not be looked
	 * for. */
	bool trust_tree, trust_machine;
	struct cursor at; /* the entry of its tree that comes next */
	bool ended; /* there is none */
	bool met; /* the scan handed out the entry at the cursor */
	bool differs; /* something below the sources is not as it was */
};

/*
 * Choose the parent of machine @vm: what the options name, else the latest
 * point that has the same sources, and for disks the latest that has any; then
 * stand before its first entry. Where a point of the machine is dated in the
 * future, the latest is the one that was stored last, by the clock of the store. A
 * parent that cannot be read is said and does without.
 * Return 0; -ENOENT or -EEXIST where the options name no point; or another negative
 * errno; said in words. Release it after failure too, and zeroed.
 */
MUST_CHECK int parent_init(struct parent *p, struct backup *b, const char *vm);
void parent_release(struct parent *p);

/*
 * Step to the place of @it, which is behind the last one. True: the parent has
 * such an entry, and @out borrows from it until the next call. Where the
 * parent turns out to be damaged, all that follows is new.
 */
bool parent_find(struct parent *p, const struct scan_item *it,
		 struct entry *out);
/* The scan has ended: what the parent has behind its last entry is gone. */
void parent_end(struct parent *p);

/* Whether @st is of what @e was of, by all that stat tells. */
bool parent_looks_same(const struct stat *st, const struct entry *e);
/* Whether @st changed so short before the parent was made that its stamp may
 * not tell of a later change. */
bool parent_is_racy(const struct parent *p, const struct stat *st);
/* Whether all that the parent's entry @e refers to is still in the vault. */
bool parent_has_content(const struct parent *p, const struct entry *e);
/* Whether @new, whose tree has ended, says nothing that the point it was
 * compared with does not say. */
bool parent_equals(const struct parent *p, const struct point *new);
/* Whether the points to compare with are still points: somebody may have forgotten
 * or purged one since. Return 1, 0, or the negative errno of the listing. */
MUST_CHECK int parent_still_stands(const struct parent *p);

#endif
