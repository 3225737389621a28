/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The boot sector of FAT12, FAT16 and FAT32: the BIOS parameter block. What is
 * FAT12 and what is FAT16 is decided by the number of clusters alone, as it
 * must be; FAT32 is what has no 16-bit length of its tables.
 */
#include "config.h"

#include "fs/guest/fat/fat_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/base/bytes.h"

#define FAT12_MAX 4084 /* clusters */
#define FAT32_MAX 0x0ffffff5

static int boot_bad(struct buf *why, const char *text)
{
	buf_printf(why, "its boot sector is damaged: %s", text);
	return -EBADMSG;
}

static bool is_power_of_two(uint32_t v)
{
	return v && !(v & (v - 1));
}

/* The copies of the table at @pos, the one to be asked first, first. */
static void boot_tables(struct fat *f, const uint8_t *boot, uint64_t pos,
			unsigned int n)
{
	uint16_t flags = f->root_cluster ? get_le16(boot + 40) : 0;
	unsigned int i, active = flags & 0x0f;

	/* Not mirrored: the others are of no use. */
	if (flags & 0x80 && active < n) {
		f->c.tables[0] = pos + active * f->c.table_len;
		f->c.ntables = 1;
		return;
	}
	f->c.ntables = MIN(n, CLUSTERS_TABLES_MAX);
	for (i = 0; i < f->c.ntables; i++)
		f->c.tables[i] = pos + i * f->c.table_len;
}

static void boot_info(const struct fat *f, const uint8_t *boot,
		      struct guest_info *info)
{
	const uint8_t *ext = boot + (f->root_cluster ? 64 : 36);

	info->block_size = f->c.size;
	/* The extended signature: 0x28 has the number, 0x29 the label too. */
	if (ext[2] != 0x28 && ext[2] != 0x29)
		return;
	snprintf(info->uuid, sizeof(info->uuid), "%04X-%04X", get_le16(ext + 5),
		 get_le16(ext + 3));
	if (ext[2] == 0x29 && memcmp(ext + 7, "NO NAME    ", 11) != 0)
		fat_label(ext + 7, info->label, sizeof(info->label));
}

int fat_boot(struct fat *f, const uint8_t *boot, uint64_t blocks,
	     struct guest_info *info, struct buf *why)
{
	uint32_t sector = get_le16(boot + 11), per_cluster = boot[13];
	uint64_t reserved = get_le16(boot + 14), total = get_le16(boot + 19);
	uint64_t table = get_le16(boot + 22), first, count;
	unsigned int ntables = boot[16], root = get_le16(boot + 17);
	bool fat32 = !table;

	if (sector < 512 || sector > 4096 || !is_power_of_two(sector))
		return boot_bad(why, "no such size of a sector");
	if (!is_power_of_two(per_cluster))
		return boot_bad(why, "no such size of a cluster");
	if (!reserved || !ntables)
		return boot_bad(why, "there is no room for its table");
	if (!total)
		total = get_le32(boot + 32);
	if (fat32) {
		table = get_le32(boot + 36);
		f->root_cluster = get_le32(boot + 44);
		if (get_le16(boot + 42) != 0)
			return boot_bad(why, "an unknown version of FAT32");
	}
	f->c.size = sector * per_cluster;
	f->c.table_len = table * sector;
	f->root_len = (uint64_t)root * SLOT_LEN;
	f->root_pos = (reserved + ntables * table) * sector;
	first = reserved + ntables * table +
		(f->root_len + sector - 1) / sector;
	if (!table || total <= first)
		return boot_bad(why, "its parts do not fit into its size");
	f->c.heap = first * sector;
	count = (total - first) / per_cluster;
	f->c.bits = fat32 ? 28 : count > FAT12_MAX ? 16 : 12;
	/* A table that is too short, or an image that is, ends it earlier. */
	count = MIN(count, f->c.table_len * 8 / (fat32 ? 32 : f->c.bits) - 2);
	if (blocks < f->c.heap)
		return boot_bad(why, "it is longer than the volume");
	count = MIN(count, (blocks - f->c.heap + f->c.size - 1) / f->c.size);
	f->c.count = (uint32_t)MIN(count, FAT32_MAX);
	if (fat32 ? !clusters_valid(&f->c, f->root_cluster) : !root)
		return boot_bad(why, "there is no root directory");
	boot_tables(f, boot, reserved * sector, ntables);
	boot_info(f, boot, info);
	return 0;
}
