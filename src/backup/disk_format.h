/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Is a disk read as it was before?
 *
 * A guest that writes the header of a qcow2 image into its raw disk would have
 * the next backup read what that header says is in it. The vault's points know
 * how the disk was read then; a change that nobody asked for is refused.
 */
#ifndef SRC_BACKUP_DISK_FORMAT_H
#define SRC_BACKUP_DISK_FORMAT_H

#include "store/base/attrs.h"

struct backup_disk;
struct disk_source;
struct point_list;

/* All that was backed up before, and for whom a disk is read now; borrowed. */
struct disk_past {
	const struct point_list *points;
	const char *vm, *host;
};

/*
 * Look for the latest disk that was read from the very file of @o, by whatever
 * path, under whatever name; else for the latest that the machine has under that
 * name. Return 0, or -EPERM, said in words: nobody says now what the disk is, and
 * the file was read as something else, or the name's disk as a raw one.
 */
MUST_CHECK int disk_format_check(const struct disk_past *was,
				 const struct backup_disk *o,
				 const struct disk_source *s);

#endif
