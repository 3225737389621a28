/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Members of Linux MD RAID, by their superblock of version 1: a mirror's
 * member holds all of the data, a little behind its begin. The other levels
 * are not put together.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "fs/guest/volumes/internal.h"
#include "store/base/bytes.h"

#define MAGIC 0xa92b4efcu
#define SECTOR 512u

/* The superblock lies at 0 (1.1), 4 KiB (1.2) or near the end (1.0). */
static int read_super(struct blocks *b, uint8_t s[256])
{
	uint64_t places[] = { 0, 4096,
			      b->size / SECTOR < 16 ? 0
						    : ((b->size / SECTOR - 16) &
						       ~(uint64_t)7) *
							      SECTOR };
	size_t i;
	int r;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		r = blocks_read(b, places[i], s, 256);
		if (r == -ERANGE)
			continue;
		if (r < 0)
			return r;
		if (get_le32(s) == MAGIC && get_le32(s + 4) == 1 &&
		    get_le64(s + 144) == places[i] / SECTOR)
			return 0;
	}
	return -ENOENT;
}

int md_open(struct blocks *b, struct buf *why, struct blocks **out)
{
	uint64_t off, len;
	uint8_t s[256];
	int32_t level;
	int r;

	*out = NULL;
	r = read_super(b, s);
	if (r == -ENOENT) {
		buf_printf(why, "a member of a RAID whose superblock is not "
				"of Linux MD version 1: use the .raw files");
		return -EOPNOTSUPP;
	}
	if (r < 0)
		return r;
	level = (int32_t)get_le32(s + 72);
	if (level != 1) {
		buf_printf(why,
			   "a member of a Linux MD RAID of level %d: only "
			   "mirrors are read: use the .raw files",
			   level);
		return -EOPNOTSUPP;
	}
	off = get_le64(s + 128);
	len = MIN(get_le64(s + 80), get_le64(s + 136));
	if (off > b->size / SECTOR || len > b->size / SECTOR - off) {
		buf_printf(why, "a member of a Linux MD RAID: its superblock "
				"is damaged");
		return -EBADMSG;
	}
	return blocks_slice(b, off * SECTOR, len * SECTOR, out);
}
