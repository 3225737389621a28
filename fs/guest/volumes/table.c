/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whether a disk, or a volume that is used as one, is its partitions, or is
 * what is on all of it. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "fs/guest/volumes/internal.h"

#define SUPER_AT_END ((uint64_t)128 << 10) /* MD's, from the end at most */

static bool is_boot_sectors_own(const char *type)
{
	return strcmp(type, "vfat") == 0 || strcmp(type, "ntfs") == 0 ||
	       strcmp(type, "exfat") == 0;
}

static bool failed(int r)
{
	return r < 0 && r != -ENOENT && r != -EBADMSG;
}

/*
 * A superblock of MD RAID that lies at the end is found on a disk, and also on
 * its last partition where that ends with the disk. It is the disk's own only
 * where no partition reaches that far: then the table is what the array holds,
 * and this member may be an old one.
 */
static bool is_member(struct blocks *b, const struct table *t)
{
	uint64_t end = b->size - MIN(b->size, SUPER_AT_END);
	size_t i;

	for (i = 0; i < t->n; i++)
		if (t->parts[i].off + t->parts[i].len > end)
			return false;
	return md_find(b) == 0;
}

/*
 * A GPT is a GPT. Without one, what is known on the whole disk comes before an
 * MBR where the sector that the MBR stands in is a filesystem's own; else both
 * are shown.
 */
int table_read(struct blocks *b, uint32_t sector, struct table *t,
	       struct probe *probe_out, enum table_kind *out)
{
	int gpt, mbr, r;

	memset(probe_out, 0, sizeof(*probe_out));
	*out = TABLE_ONLY;
	gpt = gpt_read(b, sector, t);
	if (gpt == -ENOMEM)
		return gpt;
	if (gpt == 0) {
		if (!is_member(b, t))
			return 0;
		*out = TABLE_NONE;
		return probe_blocks(b, probe_out);
	}
	mbr = mbr_read(b, sector, t);
	if (failed(gpt) && (failed(mbr) || (mbr == 0 && t->n == 0)))
		return gpt;
	r = probe_blocks(b, probe_out);
	if (r < 0)
		return r;
	if (mbr < 0 && (gpt == -ENOENT || probe_out->type[0]))
		*out = TABLE_NONE;
	else if (mbr < 0 || (t->n == 0 && !probe_out->type[0]))
		*out = TABLE_DAMAGED;
	else if (is_boot_sectors_own(probe_out->type))
		*out = TABLE_NONE;
	else if (strcmp(probe_out->type, "linux_raid_member") == 0)
		*out = is_member(b, t) ? TABLE_NONE : TABLE_ONLY;
	else if (probe_out->type[0])
		*out = TABLE_BESIDE;
	return 0;
}
