/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A file as ranges of its filesystem's blocks: what ext, XFS, FAT, exFAT, ISO
 * 9660 and the plain files of NTFS have in common. Built once, then read
 * without a lock.
 */
#ifndef FS_GUEST_MAP_H
#define FS_GUEST_MAP_H

#include "fs/guest/guest.h"

#define MAP_RANGES_MAX (4u << 20) /* of one file; more is -EFBIG */

struct map;

/* @b is held. @size: of the file. NULL: no memory. */
MUST_CHECK struct map *map_new(struct blocks *b, uint64_t size);
void map_free(struct map *m);
/*
 * The next range: bytes [@off, @off + @len) of the file lie at @at of the
 * blocks; @unwritten: allocated, but reads as zeros. Ranges come in order of
 * @off and do not overlap; what lies between is a hole; what is behind the
 * file's size is cut off. Neighbours are joined. Return 0, -EBADMSG (order,
 * overlap, or not inside the blocks; silent), -EFBIG or -ENOMEM.
 */
MUST_CHECK int map_add(struct map *m, uint64_t off, uint64_t len, uint64_t at,
		       bool unwritten);
/* The map becomes a file (and is taken over on success). */
MUST_CHECK int map_file(struct map *m, struct guest_file **out);
/* A file whose bytes are in memory (copied): inline data, small things. */
MUST_CHECK int map_memory_file(const void *data, size_t len, uint64_t size,
			       struct guest_file **out);

#endif
