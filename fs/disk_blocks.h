/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A disk of a point as blocks that the readers of fs/guest/ read through. */
#ifndef FS_DISK_BLOCKS_H
#define FS_DISK_BLOCKS_H

#include "fs/guest/blocks.h"
#include "store/base/attrs.h"

struct point_disk;
struct vault;

/*
 * Make blocks of disk @d. What they need of it is copied; @v is borrowed for as
 * long as they live.
 * Damage of the vault comes as -EIO, so that -EBADMSG of a reader always means
 * that the guest's filesystem is malformed. Return 0 or -ENOMEM.
 */
MUST_CHECK int disk_blocks_new(struct vault *v, const struct point_disk *d,
			       struct blocks **out);
/*
 * Return how many reads of such blocks have failed so far. The reason may pass:
 * a network is up again, a missing pack is back. So what was concluded while
 * this number grew is to be concluded anew, whatever a reader made of the
 * error.
 */
uint64_t disk_blocks_failures(const struct blocks *b);

#endif
