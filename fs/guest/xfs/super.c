/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The superblock of XFS, versions 4 and 5. */
#include "config.h"

#include <errno.h>

#include "fs/guest/xfs/internal.h"

enum {
	VERSION_MASK = 0x000f,
	VERSION_LOGV2 = 0x0400,
	VERSION_DIRV2 = 0x2000,
	VERSION_BORG = 0x4000, /* names compare without case */
	VERSION_MORE = 0x8000,
	FEATURES2_FTYPE = 0x200,
};

/* What changes nothing for a reader, or what it knows. */
#define INCOMPAT_KNOWN                                                         \
	(XFS_INCOMPAT_FTYPE | XFS_INCOMPAT_SPARSE_INODES |                     \
	 XFS_INCOMPAT_META_UUID | XFS_INCOMPAT_BIGTIME |                       \
	 XFS_INCOMPAT_NEEDS_REPAIR | XFS_INCOMPAT_NREXT64 |                    \
	 XFS_INCOMPAT_EXCHANGE | XFS_INCOMPAT_PARENT)

static int features_decode(const uint8_t *p, struct xfs_super *s,
			   struct buf *why)
{
	uint16_t version = be16(p + 100);
	uint32_t unknown;

	if ((version & VERSION_MASK) < 4) {
		buf_printf(why, "its XFS is of version %u, older than 4",
			   version & VERSION_MASK);
		return -EOPNOTSUPP;
	}
	if ((version & VERSION_MASK) > 5) {
		buf_printf(why, "its XFS is of version %u, newer than 5",
			   version & VERSION_MASK);
		return -EOPNOTSUPP;
	}
	s->v5 = (version & VERSION_MASK) == 5;
	if (!s->v5 && !(version & VERSION_DIRV2)) {
		buf_printf(why, "its directories are of version 1");
		return -EOPNOTSUPP;
	}
	s->log_v2 = s->v5 || (version & VERSION_LOGV2);
	s->ascii_ci = version & VERSION_BORG;
	s->incompat = s->v5 ? be32(p + 216) : 0;
	unknown = s->incompat & ~(uint32_t)INCOMPAT_KNOWN;
	if (unknown) {
		buf_printf(why,
			   "its XFS has features that are not known here"
			   " (0x%x)",
			   unknown);
		return -EOPNOTSUPP;
	}
	if (s->v5)
		s->ftype = s->incompat & XFS_INCOMPAT_FTYPE;
	else
		s->ftype = (version & VERSION_MORE) &&
			   (be32(p + 200) & FEATURES2_FTYPE);
	return 0;
}

/* Is @v the power of two that @log says? */
static bool power(uint32_t v, uint8_t log)
{
	return log < 32 && v == UINT32_C(1) << log;
}

static bool sizes_ok(const struct xfs_super *s)
{
	return s->block_size >= 512 && s->block_size <= XFS_BLOCK_MAX &&
	       power(s->block_size, s->block_log) && s->sector_size >= 512 &&
	       s->sector_size <= (32u << 10) &&
	       !(s->sector_size & (s->sector_size - 1)) &&
	       s->inode_size >= (s->v5 ? 512u : 256u) &&
	       s->inode_size <= XFS_INODE_SIZE_MAX &&
	       power(s->inode_size, s->inode_log) &&
	       s->inode_log + s->inopb_log == s->block_log &&
	       s->block_log + s->dirblk_log <= 16;
}

static bool groups_ok(const struct xfs_super *s)
{
	uint64_t full = (uint64_t)s->ag_blocks * s->ag_count;

	if (!s->ag_count || s->ag_blocks < 4 || !s->agblk_log ||
	    s->agblk_log > 31)
		return false;
	return s->ag_blocks <= UINT32_C(1) << s->agblk_log &&
	       s->ag_blocks > UINT32_C(1) << (s->agblk_log - 1) &&
	       s->blocks <= full && s->blocks > full - s->ag_blocks &&
	       s->blocks <= GUEST_SIZE_MAX >> s->block_log;
}

static void sizes_decode(const uint8_t *p, struct xfs_super *s)
{
	s->block_size = be32(p + 4);
	s->blocks = be64(p + 8);
	s->log_start = be64(p + 48);
	s->root = be64(p + 56);
	s->ag_blocks = be32(p + 84);
	s->ag_count = be32(p + 88);
	s->log_blocks = be32(p + 96);
	s->sector_size = be16(p + 102);
	s->inode_size = be16(p + 104);
	s->block_log = p[120];
	s->inode_log = p[122];
	s->inopb_log = p[123];
	s->agblk_log = p[124];
	s->inode_align = be32(p + 180);
	s->dirblk_log = p[192];
	memcpy(s->uuid, p + 32, XFS_UUID_LEN);
	memcpy(s->meta_uuid, p + 32, XFS_UUID_LEN);
	if (s->incompat & XFS_INCOMPAT_META_UUID)
		memcpy(s->meta_uuid, p + 248, XFS_UUID_LEN);
	memcpy(s->label, p + 108, sizeof(s->label) - 1);
	s->label[sizeof(s->label) - 1] = '\0';
}

int xfs_super_decode(const uint8_t *p, size_t len, bool crc,
		     struct xfs_super *out, struct buf *why)
{
	struct xfs_super s = { 0 };
	int r;

	if (len < 512 || be32(p) != XFS_SB_MAGIC) {
		buf_printf(why, "it does not begin with a superblock of XFS");
		return -EBADMSG;
	}
	r = features_decode(p, &s, why);
	if (r < 0)
		return r;
	sizes_decode(p, &s);
	if (!sizes_ok(&s) || s.sector_size > len || !groups_ok(&s)) {
		buf_printf(why, "the superblock's sizes are not possible");
		return -EBADMSG;
	}
	if (s.v5 && crc && !xfs_crc_ok(p, s.sector_size, XFS_SB_CRC)) {
		buf_printf(why, "the superblock's checksum is wrong");
		return -EBADMSG;
	}
	if (p[126]) {
		buf_printf(why, "it was not made to the end (mkfs.xfs or"
				" xfs_copy stopped)");
		return -EBADMSG;
	}
	*out = s;
	return 0;
}

bool xfs_block_ok(const struct xfs_super *sb, uint64_t block, uint64_t n)
{
	uint64_t group = block >> sb->agblk_log;
	uint64_t in = block & ((UINT64_C(1) << sb->agblk_log) - 1);
	uint64_t first;

	if (group >= sb->ag_count || in >= sb->ag_blocks ||
	    n > sb->ag_blocks - in)
		return false;
	first = group * sb->ag_blocks + in;
	return first < sb->blocks && n <= sb->blocks - first;
}

uint64_t xfs_block_at(const struct xfs_super *sb, uint64_t block)
{
	uint64_t group = block >> sb->agblk_log;
	uint64_t in = block & ((UINT64_C(1) << sb->agblk_log) - 1);

	return (group * sb->ag_blocks + in) << sb->block_log;
}
