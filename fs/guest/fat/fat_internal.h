/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the FAT reader share. */
#ifndef FS_GUEST_FAT_FAT_INTERNAL_H
#define FS_GUEST_FAT_FAT_INTERNAL_H

#include "fs/guest/fat/clusters.h"

struct fat {
	struct clusters c;
	/* The root: a place of its own (FAT12, FAT16) or a chain. */
	uint64_t root_pos, root_len;
	uint32_t root_cluster; /* 0: of its own */
};

/* Fields of the boot sector, decoded and bounded. Return 0 or -EBADMSG (why
 * is in @why). @len is at least 512. */
MUST_CHECK int fat_boot(struct fat *f, const uint8_t *boot, uint64_t blocks,
			struct guest_info *info, struct buf *why);

enum fat_attrs {
	FAT_READ_ONLY = 1 << 0,
	FAT_LABEL = 1 << 3,
	FAT_DIRECTORY = 1 << 4,
	FAT_LONG = 0x0f, /* all of these bits: a piece of a long name */
	FAT_LONG_MASK = 0x3f,
};
#define FAT_DELETED 0xe5

/* The pieces of a long name that were met, last one first. */
struct fat_long {
	uint16_t units[20 * 13];
	unsigned int pieces; /* 0: none */
	unsigned int left; /* that must still come */
	uint8_t sum;
	bool any; /* a piece came, be it of what it may */
};
void fat_long_clear(struct fat_long *l);
/* The next slot, which is a piece. */
void fat_long_add(struct fat_long *l, const uint8_t *slot);
/* Did pieces come before the file of @slot which are no whole name of it? */
bool fat_long_is_broken(const struct fat_long *l, const uint8_t *slot);
/*
 * The name of the file of @slot, with a NUL behind: the long one when @l holds
 * a whole one that belongs to it and may stand in a directory, else the short
 * one. @out has room for GUEST_NAME_MAX + 1. Return its length.
 */
size_t fat_name(const struct fat_long *l, const uint8_t *slot, char *out);
/* A volume's label: 11 bytes as a short name has them. */
void fat_label(const uint8_t label[11], char *out, size_t cap);

#endif
