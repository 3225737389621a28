/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The disks and config files of a point in the making. */
#ifndef SRC_BACKUP_DISK_H
#define SRC_BACKUP_DISK_H

#include "src/backup/internal.h"
#include "store/base/attrs.h"

struct disk_source;
struct point;
struct point_config;
struct point_disk;

/* The opened sources of all disks. */
struct backup_disks {
	struct disk_source **sources; /* owned, in the options' order */
	size_t n;
};

/* Open all of them, so that what cannot be opened is known before anything is
 * read, for a point of machine @vm made on @host. Return 0 or a negative errno,
 * said in words; close @d then. */
MUST_CHECK int backup_disks_open(struct backup *b, const char *vm,
				 const char *host, struct backup_disks *d);
void backup_disks_close(struct backup_disks *d);
/* Read all into @p; @parent (may be NULL): the point to take over from what hints
 * call unchanged. Return 0 or a negative errno, said in words. */
MUST_CHECK int backup_disks_read(struct backup *b, struct backup_disks *d,
				 const struct point *parent, struct point *p);
/* Read one disk into @out, which is empty. Return as backup_disks_read(). */
MUST_CHECK int backup_disk_read(struct backup *b, const struct backup_disk *o,
				struct disk_source *s,
				const struct point *parent,
				struct point_disk *out,
				struct backup_disk_result *result);
MUST_CHECK int backup_configs_read(struct backup *b, struct point *p);
/* Are the disks and config files of both the same, byte for byte? */
bool backup_same_disks(const struct point *a, const struct point *b);

#endif
