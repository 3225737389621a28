/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Volumes and a guest filesystem of no format at all, in the place of
 * discover_volumes() and guest_*(): a program that is linked with this has not the
 * real ones. The volumes are slices of a point's first disk:
 *
 *     vda1   good     vda2   marked     vda3   does not open, for ever
 *     vda4   has a reason (swap)        vda5   fails to open when told to
 *     vda1.raw   good: a name that is also another's
 *
 * A filesystem, by inode:
 *
 *     2 /: attrs(8) bad(5) dangling(6) dir(4) dev(9) file(3) hard(3)
 *          link(7) notype(10)
 *     4 dir: 00000 ... 02999, inodes 1000...
 *
 * With fake.hostile, 4 dir holds these directories instead:
 *
 *     again(4): itself    chain(FAKE_CHAIN): holds "d", which holds "d", ...
 *     top(2): the one above    twin(FAKE_CHAIN): the same once more
 *
 * With fake.good, vda1 and vda2 are all, and / lists only dir and file.
 */
#ifndef TESTS_UNIT_FAKE_GUESTS_H
#define TESTS_UNIT_FAKE_GUESTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define FAKE_VOLUME (1u << 20) /* bytes of each */
#define FAKE_MANY 3000
#define FAKE_CHAIN (1u << 20) /* inode */

struct fake {
	atomic_uint finds, opens, closes;
	atomic_uint open, most; /* now; at once so far */
	atomic_int fail_find, fail_open; /* errno of vda5; 0: it opens */
	atomic_bool probe; /* a disk whose begin cannot be read is "vda" */
	atomic_bool
		overlook; /* but it is taken for a good one with fake.probe */
	atomic_bool two_types; /* vda3 may be what vda2 is, too */
	atomic_uint extra; /* further volumes: x0, x1... */
	atomic_size_t held; /* by each that is opened from then on */
	atomic_bool hold; /* opens wait until it is false */
	atomic_bool hostile, good;
	/* 4 dir: its names in another order than their inodes, which have no
	 * attributes */
	atomic_bool scattered;
	atomic_uint getattrs,
		back; /* asked for; of a lower inode than before */
	atomic_uint xattrs; /* asked for */
	atomic_uint_least64_t last; /* inode of the last getattr */
	atomic_bool cut; /* there were more volumes */
	atomic_bool left_out; /* attributes of inode 3 */
	const char *state; /* of vda2; NULL: "log-not-replayed" */
	atomic_size_t keys; /* that came with the last find */
};
extern struct fake fake;

#endif
