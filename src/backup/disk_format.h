/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Is a disk read as it was before?
 *
 * A guest that writes the header of a qcow2 image into its raw disk would have
 * the next backup read what that header says is in it. The machine's last point
 * knows how the disk was read then; a change that nobody asked for is refused.
 */
#ifndef SRC_BACKUP_DISK_FORMAT_H
#define SRC_BACKUP_DISK_FORMAT_H

#include "store/base/attrs.h"

struct backup_disk;
struct disk_source;
struct point;

/* @machine, the machine's last point with disks, may be NULL. Return 0, or -EPERM
 * (the same source had another format there, and none was said now), said in
 * words. */
MUST_CHECK int disk_format_check(const struct point *machine,
				 const struct backup_disk *o,
				 const struct disk_source *s);

#endif
