/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The boot region of exFAT: twelve sectors, the last full of a checksum of the
 * others; and behind it a copy of it all, which is taken where the first is
 * damaged.
 */
#include "config.h"

#include "fs/guest/fat/exfat_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/base/bytes.h"
#include "store/base/log.h"

#define SUMMED_SECTORS 11
#define REGION_SECTORS 12
#define SHIFT_MIN 9
#define SHIFT_MAX 12
#define CLUSTER_SHIFT_MAX 25
#define CLUSTERS_MAX 0xfffffff5u

bool exfat_trusts_checksums;

static bool boot_known(const uint8_t *boot)
{
	return memcmp(boot + 3, "EXFAT   ", 8) == 0 &&
	       get_le16(boot + 510) == 0xaa55;
}

/* Does the region at @pos, with sectors of 1 << @shift, fit its checksum?
 * Return 0, -EBADMSG or what reading returned. */
static int boot_check(struct blocks *b, uint64_t pos, unsigned int shift)
{
	size_t len = (size_t)1 << shift, i;
	uint8_t sector[1 << SHIFT_MAX];
	uint32_t sum = 0;
	unsigned int n;
	int r;

	for (n = 0; n < REGION_SECTORS; n++) {
		r = blocks_read(b, pos + n * len, sector, len);
		if (r < 0)
			return r == -ERANGE ? -EBADMSG : r;
		if (n == SUMMED_SECTORS)
			break;
		for (i = 0; i < len; i++)
			/* Not the flags and the percentage, which change. */
			if (n || (i != 106 && i != 107 && i != 112))
				sum = (sum << 31 | sum >> 1) + sector[i];
	}
	return get_le32(sector) == sum || exfat_trusts_checksums ? 0 : -EBADMSG;
}

/* The region at @pos. A copy may be looked for with any size of sectors, and
 * must say that size itself. */
static int boot_region(struct blocks *b, uint64_t pos, unsigned int shift,
		       uint8_t *boot)
{
	int r = blocks_read(b, pos, boot, 512);

	if (r < 0)
		return r == -ERANGE ? -EBADMSG : r;
	if (!boot_known(boot))
		return -EBADMSG;
	if (!shift)
		shift = boot[108];
	if (boot[108] != shift || shift < SHIFT_MIN || shift > SHIFT_MAX)
		return -EBADMSG;
	return boot_check(b, pos, shift);
}

static int boot_find(struct exfat *e, uint8_t *boot, struct buf *why)
{
	int r = boot_region(e->c.meta, 0, 0, boot), copy;
	unsigned int shift;

	for (shift = SHIFT_MIN; r < 0 && shift <= SHIFT_MAX; shift++) {
		copy = boot_region(e->c.meta, (uint64_t)REGION_SECTORS << shift,
				   shift, boot);
		if (copy < 0)
			continue;
		log_warn("exFAT: the boot region is damaged; its copy is "
			 "taken");
		return 0;
	}
	if (r < 0)
		buf_printf(why, "its boot region and the copy of it are "
				"damaged");
	return r;
}

static int boot_bad(struct buf *why, const char *text)
{
	buf_printf(why, "its boot sector is damaged: %s", text);
	return -EBADMSG;
}

static void boot_tables(struct exfat *e, const uint8_t *boot, uint64_t table)
{
	unsigned int active = get_le16(boot + 106) & 1;

	/* Two tables are of TexFAT, where only one of them is up to date. */
	e->c.ntables = 1;
	e->c.tables[0] = table;
	if (boot[110] == 2 && active)
		e->c.tables[0] += e->c.table_len;
}

int exfat_boot(struct exfat *e, uint64_t blocks, struct guest_info *info,
	       struct buf *why)
{
	uint8_t boot[512];
	unsigned int shift, cluster_shift;
	uint64_t count;
	int r;

	r = boot_find(e, boot, why);
	if (r < 0)
		return r;
	if (boot[105] != 1) {
		buf_printf(why,
			   "it is of revision %u of exFAT, which is not "
			   "known",
			   boot[105]);
		return -EOPNOTSUPP;
	}
	shift = boot[108];
	if (boot[109] > CLUSTER_SHIFT_MAX - shift)
		return boot_bad(why, "no such size of a cluster");
	if (boot[110] < 1 || boot[110] > 2)
		return boot_bad(why, "no such number of tables");
	cluster_shift = shift + boot[109];
	e->c.size = 1u << cluster_shift;
	e->c.bits = 32;
	e->c.table_len = (uint64_t)get_le32(boot + 84) << shift;
	e->c.heap = (uint64_t)get_le32(boot + 88) << shift;
	count = get_le32(boot + 92);
	if (e->c.table_len < 8 || e->c.heap < e->c.table_len ||
	    blocks < e->c.heap)
		return boot_bad(why, "its parts do not fit into its size");
	count = MIN(count, e->c.table_len / 4 - 2);
	count = MIN(count, (blocks - e->c.heap + e->c.size - 1) / e->c.size);
	e->c.count = (uint32_t)MIN(count, CLUSTERS_MAX);
	e->root_cluster = get_le32(boot + 96);
	if (!clusters_valid(&e->c, e->root_cluster))
		return boot_bad(why, "there is no root directory");
	boot_tables(e, boot, (uint64_t)get_le32(boot + 80) << shift);
	info->block_size = e->c.size;
	snprintf(info->uuid, sizeof(info->uuid), "%04X-%04X",
		 get_le16(boot + 102), get_le16(boot + 100));
	return 0;
}
