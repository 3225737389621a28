/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Replay of inodes. The log has their core in the byte order of the machine
 * (here: little-endian), their forks as they are on disk; but for the root of an extent
 * tree, which is as a block of the tree in memory.
 */
#include "config.h"

#include <errno.h>

#include "fs/guest/xfs/log_internal.h"
#include "store/base/bytes.h"

enum {
	FIELD_DATA = 0x2,
	FIELD_EXTENTS = 0x4,
	FIELD_ROOT = 0x8,
	FIELD_DEV = 0x10,
	FIELDS_DATA = 0x2 | 0x4 | 0x8,
	FIELD_ATTR_ROOT = 0x100,
	FIELDS_ATTR = 0x40 | 0x80 | 0x100,
	CORE_V2 = 96, /* as it stands in the log */
	ROOT_HEADER_V2 = 24,
	ROOT_HEADER_V3 = 72,
	FLUSH_MAX = 0xffff,
	CLUSTER = 8192, /* bytes of inodes of 256 bytes in one buffer */
	INODE_MIN = 256,
	CREATED_MAX = 1 << 16, /* bytes */
};

/* The description of a logged inode. */
struct logged {
	uint32_t fields;
	uint64_t ino, blkno;
	uint32_t dev, len, off;
};

static int logged_decode(const struct xfs_region *r, struct logged *out)
{
	const uint8_t *p = r->data;
	size_t shift; /* 32-bit machines leave no gap before the number */

	if (r->len != 56 && r->len != 52)
		return -EBADMSG;
	shift = 56 - r->len;
	out->fields = get_le32(p + 4);
	out->ino = get_le64(p + 16 - shift);
	out->dev = get_le32(p + 24 - shift);
	out->blkno = get_le64(p + 40 - shift);
	out->len = get_le32(p + 48 - shift);
	out->off = get_le32(p + 52 - shift);
	return 0;
}

static void swap16(const uint8_t *from, uint8_t *to, size_t at)
{
	put_be16(to + at, get_le16(from + at));
}

static void swap32(const uint8_t *from, uint8_t *to, size_t at)
{
	put_be32(to + at, get_le32(from + at));
}

static void swap64(const uint8_t *from, uint8_t *to, size_t at)
{
	put_be64(to + at, get_le64(from + at));
}

static void swap_time(const uint8_t *from, uint8_t *to, size_t at, bool bigtime)
{
	if (bigtime) {
		swap64(from, to, at);
	} else {
		swap32(from, to, at);
		swap32(from, to, at + 4);
	}
}

/* The core of a logged inode as it is on disk. */
static void core_decode(const uint8_t *p, uint64_t lsn, uint8_t *to)
{
	bool v3 = p[4] == 3;
	uint64_t flags2 = v3 ? get_le64(p + 120) : 0;
	bool bigtime = flags2 & XFS_FLAG2_BIGTIME;
	size_t at;

	swap16(p, to, 0);
	swap16(p, to, 2);
	memcpy(to + 4, p + 4, 2);
	put_be16(to + 6, 0);
	for (at = 8; at < 20; at += 4)
		swap32(p, to, at);
	swap16(p, to, 20);
	swap16(p, to, 22);
	put_be64(to + 24, 0); /* also how often it was flushed */
	if (flags2 & XFS_FLAG2_NREXT64)
		swap64(p, to, 24);
	for (at = 32; at < 56; at += 8)
		swap_time(p, to, at, bigtime);
	swap64(p, to, 56);
	swap64(p, to, 64);
	swap32(p, to, 72);
	swap32(p, to, 76);
	swap16(p, to, 80);
	memcpy(to + 82, p + 82, 2);
	swap32(p, to, 84);
	swap16(p, to, 88);
	swap16(p, to, 90);
	swap32(p, to, 92);
	if (!v3)
		return;
	swap64(p, to, 104);
	put_be64(to + 112, lsn);
	swap64(p, to, 120);
	swap32(p, to, 128);
	memcpy(to + 132, p + 132, 12);
	swap_time(p, to, 144, bigtime);
	swap64(p, to, 152);
	memcpy(to + 160, p + 160, XFS_UUID_LEN);
}

/* The root of a tree, from its form in memory to that in an inode. */
static int root_decode(const struct xfs_super *sb, const struct xfs_region *r,
		       uint8_t *to, size_t space)
{
	size_t header = sb->v5 ? ROOT_HEADER_V3 : ROOT_HEADER_V2;
	size_t from_max, to_max = space < 4 ? 0 : (space - 4) / 16, n;

	if (r->len < header)
		return -EBADMSG;
	from_max = (r->len - header) / 16;
	n = be16(r->data + 6);
	if (n > from_max || n > to_max)
		return -EBADMSG;
	memcpy(to, r->data + 4, 4); /* level and count */
	memcpy(to + 4, r->data + header, n * 8);
	memcpy(to + 4 + to_max * 8, r->data + header + from_max * 8, n * 8);
	return 0;
}

static int fork_write(const struct xfs_super *sb, const struct xfs_region *r,
		      bool root, uint8_t *to, size_t space)
{
	if (root)
		return root_decode(sb, r, to, space);
	if (r->len > space)
		return -EBADMSG;
	memcpy(to, r->data, r->len);
	return 0;
}

/* Change the inode in @raw as the item says. */
static int inode_change(const struct xfs_super *sb, const struct logged *l,
			const struct xfs_item *item, uint64_t lsn, uint8_t *raw)
{
	const struct xfs_region *core = &item->regions[1];
	size_t space = sb->inode_size -
		       (sb->v5 ? XFS_INODE_CORE_V3 : XFS_INODE_CORE_V2);
	uint8_t *fork = raw + (sb->inode_size - space);
	unsigned int next = 2;
	size_t split;
	int r;

	if (core->len < (sb->v5 ? (size_t)XFS_INODE_CORE_V3 : CORE_V2) ||
	    get_le16(core->data) != XFS_INODE_MAGIC ||
	    (core->data[4] == 3) != sb->v5)
		return -EBADMSG;
	core_decode(core->data, lsn, raw);
	split = (size_t)raw[82] * 8;
	if (split >= space)
		return -EBADMSG;
	if (l->fields & FIELD_DEV)
		put_be32(fork, l->dev);
	if (l->fields & FIELDS_DATA) {
		if (next >= item->n)
			return -EBADMSG;
		r = fork_write(sb, &item->regions[next++],
			       l->fields & FIELD_ROOT, fork,
			       split ? split : space);
		if (r < 0)
			return r;
	}
	if (!(l->fields & FIELDS_ATTR))
		return 0;
	if (next >= item->n || !split)
		return -EBADMSG;
	return fork_write(sb, &item->regions[next], l->fields & FIELD_ATTR_ROOT,
			  fork + split, space - split);
}

/* Is the inode in @raw newer than what is logged? */
static bool inode_newer(const struct xfs_super *sb, const uint8_t *raw,
			const struct xfs_item *item, uint64_t lsn)
{
	uint64_t have;
	uint16_t disk, log;

	if (sb->v5) {
		have = be64(raw + 112);
		return have && have != UINT64_MAX && have > lsn;
	}
	if (item->regions[1].len < CORE_V2)
		return false;
	/* How often it was flushed; the count begins anew after the most. */
	disk = be16(raw + 30);
	log = get_le16(item->regions[1].data + 30);
	return log < disk && !(disk == FLUSH_MAX && log < FLUSH_MAX / 2);
}

int xfs_replay_inode(struct xfs_replay *p, const struct xfs_trans *t,
		     const struct xfs_item *item)
{
	uint8_t raw[XFS_INODE_SIZE_MAX];
	struct logged l;
	uint64_t at, place;
	int r;

	if (item->n < 2)
		return -EBADMSG;
	r = logged_decode(&item->regions[0], &l);
	if (r < 0)
		return r;
	if (xfs_replay_cancelled(p, l.blkno, l.len, false))
		return 0;
	if (l.blkno >= UINT64_C(1) << 53 || !xfs_inode_at(p->sb, l.ino, &place))
		return -EBADMSG;
	at = l.blkno * LOG_BLOCK + l.off;
	if (at != place)
		return -EBADMSG;
	r = xfs_overlay_read(p->overlay, at, raw, p->sb->inode_size);
	if (r < 0)
		return r;
	if (be16(raw) != XFS_INODE_MAGIC)
		return -EBADMSG;
	if (inode_newer(p->sb, raw, item, t->lsn))
		return 0;
	r = inode_change(p->sb, &l, item, t->lsn, raw);
	if (r < 0)
		return r;
	return xfs_overlay_write(p->overlay, at, raw, p->sb->inode_size);
}

/* ---- inodes that were made ---- */

/* Was one of the buffers of the @n blocks from byte @at on given up? */
static bool created_cancelled(struct xfs_replay *p, uint64_t at, uint32_t n)
{
	const struct xfs_super *sb = p->sb;
	uint64_t cluster = CLUSTER, i;

	if (sb->v5 && sb->inode_align >= CLUSTER / INODE_MIN * sb->inode_size /
						 sb->block_size)
		cluster = CLUSTER / INODE_MIN * sb->inode_size;
	cluster = MAX(cluster, sb->block_size);
	for (i = 0; i < (uint64_t)n << sb->block_log; i += cluster)
		if (xfs_replay_cancelled(p, (at + i) / LOG_BLOCK,
					 (uint32_t)(cluster / LOG_BLOCK),
					 false))
			return true;
	return false;
}

int xfs_replay_icreate(struct xfs_replay *p, const struct xfs_item *item)
{
	const struct xfs_super *sb = p->sb;
	const uint8_t *log = item->regions[0].data;
	uint8_t raw[XFS_INODE_SIZE_MAX] = { 0 };
	uint64_t block, at, ino;
	uint32_t count, length, i;
	int r;

	if (item->regions[0].len < 28 || !sb->v5)
		return -EBADMSG;
	block = (uint64_t)be32(log + 4) << sb->agblk_log | be32(log + 8);
	count = be32(log + 12);
	length = be32(log + 20);
	if (be32(log + 16) != sb->inode_size || !length ||
	    length > CREATED_MAX / sb->block_size * 2 ||
	    count != length << sb->inopb_log ||
	    be32(log + 8) >= sb->ag_blocks || !xfs_block_ok(sb, block, length))
		return -EBADMSG;
	at = xfs_block_at(sb, block);
	if (created_cancelled(p, at, length))
		return 0;
	put_be16(raw, XFS_INODE_MAGIC);
	raw[4] = 3;
	memcpy(raw + 92, log + 24, 4); /* generation */
	put_be32(raw + 96, UINT32_MAX);
	memcpy(raw + 160, sb->meta_uuid, XFS_UUID_LEN);
	for (i = 0; i < count; i++) {
		ino = (block << sb->inopb_log) + i;
		put_be64(raw + 152, ino);
		r = xfs_overlay_write(p->overlay,
				      at + ((uint64_t)i << sb->inode_log), raw,
				      sb->inode_size);
		if (r < 0)
			return r;
	}
	return 0;
}
