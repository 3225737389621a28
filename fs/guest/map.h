/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A file as ranges of its filesystem's blocks: what ext, XFS, FAT, exFAT, ISO
 * 9660 and the plain files of NTFS have in common. Built once, then read
 * without a lock.
 *
 * A file in so many pieces that its map would be large is mapped by windows
 * instead: each is found when it is read, and kept as long as there is room
 * among what was used last (lru.h).
 */
#ifndef FS_GUEST_MAP_H
#define FS_GUEST_MAP_H

#include "fs/guest/guest.h"
#include "fs/guest/lru.h"

#define MAP_RANGES_MAX (64u << 10) /* of a whole file: 1 MiB of memory */
#define MAP_WINDOW (16u << 10) /* units of a file in one window: 256 KiB */

struct map;

/* @b is held. @size: of the file. NULL: no memory. */
MUST_CHECK struct map *map_new(struct blocks *b, uint64_t size);
void map_free(struct map *m);
/*
 * The next range: bytes [@off, @off + @len) of the file lie at @at of the
 * blocks; @unwritten: allocated, but reads as zeros. Ranges come in order of
 * @off and do not overlap; what lies between is a hole; what is behind the
 * file's size is cut off. Neighbours are joined. Return 0; 1: no more are
 * wanted, the walk may end; -EBADMSG (order, overlap, or not inside the blocks;
 * silent), or -ENOMEM.
 */
MUST_CHECK int map_add(struct map *m, uint64_t off, uint64_t len, uint64_t at,
		       bool unwritten);
/* What ends before this is not wanted either: a walk may pass over it. */
uint64_t map_from(const struct map *m);

/*
 * Add the ranges of file @node again, at least those that map_from() and
 * map_add() ask for. Return what is not negative, or a negative errno, said in
 * words.
 */
typedef int map_walk_fn(struct guest *g, uint64_t node, struct map *m);
/*
 * The map becomes file @node of @g (and is taken over on success). @unit: all
 * ranges begin at multiples of it, but for a few. @walk is called for the
 * windows of a file in more than MAP_RANGES_MAX pieces; without one that is
 * -EFBIG, said.
 */
MUST_CHECK int map_file(struct map *m, struct guest *g, uint64_t node,
			uint64_t unit, map_walk_fn *walk,
			struct guest_file **out);
extern const struct lru_ops map_window_lru;

/* A file whose bytes are in memory (copied): inline data, small things. */
MUST_CHECK int map_memory_file(const void *data, size_t len, uint64_t size,
			       struct guest_file **out);

#endif
