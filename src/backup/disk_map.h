/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A file that says which parts of a disk changed since the parent point.
 *
 *     # comments and blank lines are passed over
 *     START LENGTH STATE      decimal or 0x..., bytes; data, zero or same
 *
 * Lines follow each other without gaps and cover the disk. It is a hint: a map
 * that is not exactly like that is not used at all.
 */
#ifndef SRC_BACKUP_DISK_MAP_H
#define SRC_BACKUP_DISK_MAP_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>

enum disk_map_state { DISK_MAP_DATA, DISK_MAP_ZERO, DISK_MAP_SAME };

struct disk_map;

#define DISK_MAP_RANGES_MAX (8u << 20) /* after neighbours are joined */

/*
 * Read the map of a disk of @size bytes. Return 0, -ENOMEM, -EINTR (@stop, which
 * may be NULL, became true), or another negative errno (unreadable, not a map of
 * such a disk), said as a warning with @name, the disk's.
 */
MUST_CHECK int disk_map_read(const char *path, const char *name, uint64_t size,
			     const volatile bool *stop, struct disk_map **out);
void disk_map_free(struct disk_map *m);
/* Return what is at @off < size, and how far it reaches. Questions in growing
 * order cost the least. */
enum disk_map_state disk_map_at(struct disk_map *m, uint64_t off,
				uint64_t *end_out);

#endif
