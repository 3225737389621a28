/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inodes of XFS. Their number tells where they are. Versions 1 and 2 have a
 * core of 100 bytes, version 3 one of 176; then come the fork of the data and, at
 * 8 * forkoff behind the core, that of the attributes.
 */
#include "config.h"

#include <errno.h>
#include <sys/stat.h>

#include "fs/guest/xfs/internal.h"
#include "store/base/log.h"

#define BIGTIME_EPOCH INT64_C(2147483648) /* seconds before 1970 */
#define NSEC UINT64_C(1000000000)

bool xfs_inode_at(const struct xfs_super *sb, uint64_t ino, uint64_t *at_out)
{
	uint64_t block = ino >> sb->inopb_log;
	uint64_t in = ino & ((UINT64_C(1) << sb->inopb_log) - 1);

	if (!ino || ino >= GUEST_NODE_MAX || !xfs_block_ok(sb, block, 1))
		return false;
	*at_out = xfs_block_at(sb, block) + (in << sb->inode_log);
	return true;
}

static struct timestamp time_decode(const uint8_t *p, bool bigtime)
{
	struct timestamp t;
	uint64_t v = be64(p);

	if (bigtime) {
		t.sec = (int64_t)(v / NSEC) - BIGTIME_EPOCH;
		t.nsec = (uint32_t)(v % NSEC);
		return t;
	}
	t.sec = (int32_t)be32(p);
	t.nsec = be32(p + 4);
	if (t.nsec >= NSEC)
		t.nsec = 0;
	return t;
}

static void attr_decode(const struct xfs_super *sb, struct xfs_inode *i)
{
	const uint8_t *p = i->raw;
	struct guest_attr *a = &i->attr;
	bool bigtime = i->flags2 & XFS_FLAG2_BIGTIME;
	uint64_t blocks = be64(p + 64);

	a->node = i->ino;
	a->mode = be16(p + 2);
	a->owned = true;
	a->uid = be32(p + 8);
	a->gid = be32(p + 12);
	a->nlink = i->version == 1 ? be16(p + 6) : be32(p + 16);
	a->size = be64(p + 56);
	a->allocated = MIN(blocks, sb->blocks) << sb->block_log;
	a->atime = time_decode(p + 32, bigtime);
	a->mtime = time_decode(p + 40, bigtime);
	a->ctime = time_decode(p + 48, bigtime);
}

/* Where the two forks are, and how many extents they have. */
static bool forks_decode(const struct xfs_super *sb, struct xfs_inode *i)
{
	const uint8_t *p = i->raw;
	size_t core = i->version == 3 ? XFS_INODE_CORE_V3 : XFS_INODE_CORE_V2;
	size_t space = sb->inode_size - core;
	size_t split = (size_t)p[82] * 8;

	if (split >= space)
		return false;
	i->fork.data = p + core;
	i->fork.len = split ? split : space;
	i->fork.format = p[5];
	i->attr_fork.data = p + core + split;
	i->attr_fork.len = split ? space - split : 0;
	i->attr_fork.format = p[83];
	if (i->flags2 & XFS_FLAG2_NREXT64) {
		i->fork.nextents = be64(p + 24);
		i->attr_fork.nextents = be32(p + 76);
	} else {
		i->fork.nextents = be32(p + 76);
		i->attr_fork.nextents = be16(p + 80);
	}
	return true;
}

/* May an inode of this mode have its data in that form? */
static bool format_ok(const struct xfs_inode *i)
{
	uint8_t f = i->fork.format;

	switch (i->attr.mode & S_IFMT) {
	case S_IFREG:
		return f == XFS_FORMAT_EXTENTS || f == XFS_FORMAT_BTREE;
	case S_IFDIR:
	case S_IFLNK:
		return f == XFS_FORMAT_LOCAL || f == XFS_FORMAT_EXTENTS ||
		       f == XFS_FORMAT_BTREE;
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return f == XFS_FORMAT_DEV;
	default:
		return false;
	}
}

int xfs_inode_decode(const struct xfs_super *sb, struct xfs_inode *i)
{
	const uint8_t *p = i->raw;
	uint32_t dev;

	i->version = p[4];
	if (be16(p) != XFS_INODE_MAGIC || !i->version || i->version > 3 ||
	    (i->version == 3) != sb->v5)
		return fail(-EBADMSG,
			    "xfs: inode %" PRIu64 ": there is none in"
			    " its place",
			    i->ino);
	if (sb->v5 && (be64(p + 152) != i->ino ||
		       memcmp(p + 160, sb->meta_uuid, XFS_UUID_LEN) != 0))
		return fail(-EBADMSG,
			    "xfs: inode %" PRIu64 ": another one is"
			    " in its place",
			    i->ino);
	if (!be16(p + 2))
		return -ENOENT;
	i->flags = be16(p + 90);
	i->flags2 = sb->v5 ? be64(p + 120) : 0;
	memset(&i->attr, 0, sizeof(i->attr));
	attr_decode(sb, i);
	if (!forks_decode(sb, i) || !format_ok(i) ||
	    i->attr.size > GUEST_SIZE_MAX)
		return fail(-EBADMSG,
			    "xfs: inode %" PRIu64 ": its fields are"
			    " not possible",
			    i->ino);
	if (S_ISCHR(i->attr.mode) || S_ISBLK(i->attr.mode)) {
		dev = be32(i->fork.data);
		i->attr.rdev_major = dev >> 18 & 0x3fff;
		i->attr.rdev_minor = dev & 0x3ffff;
	}
	return 0;
}

int xfs_inode_read(struct xfs *x, uint64_t ino, struct xfs_inode *out)
{
	size_t len = x->sb.inode_size;
	uint64_t at;
	int r;

	if (!xfs_inode_at(&x->sb, ino, &at))
		return fail(-EBADMSG,
			    "xfs: inode %" PRIu64 ": its number is"
			    " outside the filesystem",
			    ino);
	r = xfs_read(x, at, out->raw, len, "inode", ino);
	if (r < 0)
		return r;
	out->ino = ino;
	if (x->sb.v5 && be16(out->raw) == XFS_INODE_MAGIC &&
	    !(x->overlay && xfs_overlay_has(x->overlay, at, len)) &&
	    !xfs_crc_ok(out->raw, len, XFS_INODE_CRC))
		return fail(-EBADMSG,
			    "xfs: inode %" PRIu64 ": its checksum is"
			    " wrong",
			    ino);
	return xfs_inode_decode(&x->sb, out);
}
