/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the command line says about disks and config files. */
#ifndef SRC_CMD_DISK_ARGS_H
#define SRC_CMD_DISK_ARGS_H

#include "src/backup/backup.h"
#include "src/cli/options.h"
#include "store/base/attrs.h"

struct context;

struct disk_args {
	struct string_list disks, configs, maps, includes, excludes;
	struct string_list keys, backing;
	const char *bitmap, *next_bitmap;
};

/* clang-format off */
#define DISK_ARGS_ROWS(s, field)                                            \
	OPT_LIST("disk", 0, "NAME=SOURCE", s, field.disks,                  \
		 "save a disk: a file, device or NBD URI; may be repeated"), \
	OPT_LIST("config", 0, "FILE", s, field.configs,                     \
		 "save a file with the machine; may be repeated"),          \
	OPT_STRING("bitmap", 0, "NAME", s, field.bitmap,                    \
		   "read only what a dirty bitmap says has changed"),       \
	OPT_STRING("next-bitmap", 0, "NAME", s, field.next_bitmap,          \
		   "the dirty bitmap that begins with this point"),         \
	OPT_LIST("map", 0, "[NAME=]FILE", s, field.maps,                    \
		 "read only what a map of the disk says has changed"),      \
	OPT_LIST("allow-backing", 0, "PATH", s, field.backing,              \
		 "images may refer to this file, or to files in this"       \
		 " directory; may be repeated"),                            \
	OPT_LIST("image-key", 0, "[NAME=]FILE", s, field.keys,              \
		 "the file with an encrypted image's password"),            \
	OPT_LIST("include-disk", 0, "PATTERN", s, field.includes,           \
		 "of the disks save only those; may be repeated"),          \
	OPT_LIST("exclude-disk", 0, "PATTERN", s, field.excludes,           \
		 "leave out such disks; may be repeated")
/* clang-format on */

/* What it says, checked and taken apart. */
struct disk_set {
	struct backup_disk *disks; /* owned, the names in them too */
	struct backup_disk_result *results; /* owned; one each */
	size_t ndisks;
	struct backup_config *configs; /* owned */
	size_t nconfigs;
};

/* Return 0, -EINVAL (said in words) or -ENOMEM. @out borrows from @a. */
MUST_CHECK int disk_args_parse(struct context *ctx, const struct disk_args *a,
			       struct disk_set *out);
void disk_set_release(struct disk_set *s);

#endif
