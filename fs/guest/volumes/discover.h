/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The volumes in the disks of one machine: partitions (GPT, MBR with logical
 * ones), logical volumes (LVM2), arrays of Linux MD RAID, what LUKS keeps,
 * whole-disk filesystems; and all of these in one another, as machines that run
 * machines have them, a few layers deep.
 *
 * Names: "vda1" for partition 1 of disk "vda", "vda" where the whole disk is
 * one; "nvme0n1p1" where the disk's name ends in a digit; "<vg>-<lv>" as
 * device-mapper writes it ('-' in a name doubled); "vda3_crypt" for what LUKS
 * in vda3 holds; "vda2_md" for the array of which vda2 is a member; "vg-lv1"
 * for partition 1 of a logical volume. A name that would be one already gets
 * "-2", "-3" behind.
 */
#ifndef FS_GUEST_VOLUMES_DISCOVER_H
#define FS_GUEST_VOLUMES_DISCOVER_H

#include <pthread.h>

#include "fs/guest/blocks.h"
#include "store/base/attrs.h"

struct secret;

#define VOLUME_OTHERS 3
#define VOLUMES_MAX 1024 /* of one machine; more are not shown, and said */

struct discover_disk {
	const char *name;
	struct blocks *blocks; /* borrowed; held by what is found */
	uint32_t sector; /* bytes of a logical one; 0: not known, 512 */
};

/* What opens LUKS: passphrases or key files' bytes, each tried on each. */
struct luks_keys {
	const struct secret *const *keys;
	size_t n;
	/* Held while one is tried, which may take a GiB of memory; borrowed.
	 * NULL: no other thread tries any. */
	pthread_mutex_t *lock;
};

struct volume {
	char *name; /* owned */
	struct blocks *blocks; /* held: what <name>.raw shows */
	char type[32]; /* as libblkid names it; "" where nothing is known */
	/* Further types that a reader may try where it is not @type, which
	 * their signatures speak for as well; "" where there are no more. */
	char others[VOLUME_OTHERS][32];
	char label[256];
	char uuid[64];
	/* NULL where a reader may try; else why not, a sentence: "an LVM2
	 * physical volume of group vg0: its volumes are beside it". Owned. */
	char *reason;
	/* "" or a word and a sentence for users, as in struct guest_info: of
	 * what is wrong with the volume itself, whatever its filesystem says. */
	char state[32];
	char note[256];
};

struct volume_set {
	/* In the order of disks and places, then what is put together of them:
	 * arrays, then logical volumes. */
	struct volume *volumes;
	size_t n;
	/* There are, or were, more: there are too many, or a table breaks off.
	 * It was said. */
	bool cut;
};

/*
 * Find them. A damaged table or group, or a disk that cannot be read, is a
 * reason on what it concerns, not an error. @keys may be NULL. Return 0 or
 * -ENOMEM.
 */
MUST_CHECK int discover_volumes(const struct discover_disk *disks, size_t n,
				const struct luks_keys *keys,
				struct volume_set **out);
void volume_set_free(struct volume_set *s); /* NULL is fine */

#endif
