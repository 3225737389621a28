/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a dirty bitmap or a map says of a disk, and whether to believe it.
 *
 * A hint speaks of the time since some point. A bitmap is followed where the
 * parent point says that this bitmap began with it; neither is where the parent
 * has no such disk, was read from another source, or is not complete. And what
 * is claimed is tried: of all that need not be read, samples are.
 */
#ifndef SRC_BACKUP_DISK_HINTS_H
#define SRC_BACKUP_DISK_HINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "store/base/attrs.h"

struct backup;
struct backup_disk;
struct disk_map;
struct disk_source;
struct point;
struct point_disk;

struct disk_hints {
	struct disk_map *map; /* owned; NULL: none that may be followed */
	bool bitmap; /* the source's may be followed */
	bool followed; /* something that was not read is said to be zeros */
	const struct point_disk *parent; /* NULL: nothing is taken over */
	struct backup *backup; /* borrowed */
	struct disk_source *source; /* borrowed */
	uint64_t stride; /* bytes of claims from one sample to the next */
	uint64_t claimed; /* since the last sample */
	bool sampled;
	uint8_t *data; /* two cells; owned; NULL until needed */
};

/*
 * Find out which hints may be followed; what may not is said in a warning.
 * @machine, the point that the disk is compared with, may be NULL and must
 * outlive @out, as all others must. Return 0, -ENOMEM or -EINTR (the task was
 * asked to stop).
 */
MUST_CHECK int disk_hints_init(struct disk_hints *out, struct backup *b,
			       const struct backup_disk *disk,
			       struct disk_source *s,
			       const struct point *machine);
void disk_hints_release(struct disk_hints *h);

/*
 * A cell is taken over from the parent, a range is taken for zeros: is it so, where
 * it is the turn of a sample? One thread. Return 0, 1 (it is not so: no hint
 * of this disk is true), or a negative errno.
 */
MUST_CHECK int disk_hints_try_same(struct disk_hints *h, uint64_t off,
				   uint64_t len);
MUST_CHECK int disk_hints_try_zero(struct disk_hints *h, uint64_t off,
				   uint64_t len);

#endif
