/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The search for volumes while it goes on: what discover.c, identify.c and
 * set.c share. */
#ifndef FS_GUEST_VOLUMES_FINDER_INTERNAL_H
#define FS_GUEST_VOLUMES_FINDER_INTERNAL_H

#include "fs/guest/volumes/internal.h"

/* How deep layers may lie in one another: LUKS in a mirror in a logical volume
 * in a partition... Each layer counts, and so do machines in machines. */
#define NEST_MAX 4
#define VOLUME_NAME_MAX 200 /* bytes; longer names are cut */

struct finder {
	struct volume_set *set;
	size_t cap; /* of set->volumes */
	const struct luks_keys *keys; /* borrowed */
	struct luks_tries tries;
	/* Members of arrays and groups that were met, and wait until all that
	 * go with them have been, too. What is put together of them may hold
	 * such members again: these are gathered in new sets, for the next
	 * round. */
	struct md_set *md; /* owned */
	struct lvm_set *lvm; /* owned */
	unsigned int md_depth, lvm_depth; /* of what will come out of them */
	unsigned int depth; /* of what comes out of those of this round */
	bool full; /* and it was said */
};

/* ---- the set (set.c) ---- */

/* Append a volume of which nothing is known yet; @b is held. Return its number,
 * -ENOSPC (the set is full; said) or -ENOMEM. */
MUST_CHECK int finder_add(struct finder *f, const char *name, struct blocks *b);
/* Say why the files of a volume cannot be shown. Return 0 or -ENOMEM. */
PRINTF(2, 3)
MUST_CHECK int volume_set_reason(struct volume *v, const char *fmt, ...);
/* The same for one that could not be read, with the error @r. */
MUST_CHECK int volume_set_error(struct volume *v, int r);
/* Mark a volume with @state, a word, and @note, a sentence (guest.h). The first
 * mark counts. */
void volume_mark(struct volume *v, const char *state, const char *note);
/* The name of partition @number of a disk, or of a volume, called @name. */
void partition_name(const char *name, unsigned int number, char *out,
		    size_t size);

/* ---- what is on a volume (identify.c) ---- */

/* Find out what volume @i, with @depth layers around it, is, and find what is
 * in it in turn. Partition tables are looked for where @tables is set. Return
 * 0 or -ENOMEM. */
MUST_CHECK int finder_identify(struct finder *f, size_t i, unsigned int depth,
			       bool tables);
/* The same where @p tells what is on it. */
MUST_CHECK int finder_identify_as(struct finder *f, size_t i,
				  unsigned int depth, const struct probe *p);
/* Add the partitions of @t, which stands on @disk, called @name. Return 0 or
 * -ENOMEM. */
MUST_CHECK int finder_add_partitions(struct finder *f, const char *name,
				     struct blocks *disk, const struct table *t,
				     unsigned int depth);

/* ---- devices of one btrfs (btrfs_stale.c) ---- */

/* Mark the devices that are older than others of their filesystem, and those of
 * which others are missing. Return 0 or -ENOMEM. */
MUST_CHECK int btrfs_mark_stale(struct volume_set *set);

#endif
