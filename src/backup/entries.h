/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The entries of the new tree: each slot, once it is known, becomes the next of
 * them, and the point's figures add up. The main thread's.
 */
#ifndef SRC_BACKUP_ENTRIES_H
#define SRC_BACKUP_ENTRIES_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "src/backup/owners.h"

struct backup;
struct point;
struct slot;
struct tree_builder;

/* Filesystems that an entry can be told to be of; all others are one more. */
#define ENTRIES_DEVS_MAX 256

struct entries {
	struct backup *backup; /* borrowed */
	struct tree_builder *tree; /* owned; NULL: dry run, or no tree */
	dev_t devs[ENTRIES_DEVS_MAX]; /* in the order in which they were met */
	uint32_t ndevs;
	struct owners owners;
	bool has_acl;
	uint64_t files, bytes; /* regular files and their sizes */
};

/* Where the run writes and has a scan, begin a tree. Return 0 or -ENOMEM.
 * Release it after failure too, and zeroed. */
MUST_CHECK int entries_init(struct entries *e, struct backup *b);
void entries_release(struct entries *e);
/*
 * Make @s, which is not pending, the next entry. One that was dropped leaves
 * none.
 * Return 0 or a negative errno that ends the run.
 */
MUST_CHECK int entries_add(struct entries *e, struct slot *s);
/* End the tree, if there is one, and note it in @p. Return 0 or a negative
 * errno, said in words. */
MUST_CHECK int entries_finish(struct entries *e, struct point *p);

#endif
