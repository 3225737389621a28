/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One inode of ext2/3/4: found, its checksum proved, decoded. */
#include "config.h"

#include "fs/guest/ext/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "store/base/bytes.h"
#include "store/base/log.h"

/* Offsets in the inode on disk. */
#define I_SUM_LO 0x7c
#define I_EXTRA_ISIZE 0x80
#define I_SUM_HI 0x82
#define I_CTIME_EXTRA 0x84
#define I_MTIME_EXTRA 0x88
#define I_ATIME_EXTRA 0x8c

int ext_block_read(const struct ext *e, uint64_t block, void *out)
{
	return blocks_read(e->meta, block * e->super.block_size, out,
			   e->super.block_size);
}

bool ext_blocks_ok(const struct ext *e, uint64_t block, uint64_t n)
{
	return block > e->super.first_data_block &&
	       block < e->super.blocks_count &&
	       n <= e->super.blocks_count - block;
}

/* Bytes of the fields behind the first 128 that are in use. */
static uint32_t extra_isize(const struct ext *e, const uint8_t *raw)
{
	uint32_t room = e->super.inode_size - 128, n;

	if (room < 4)
		return 0;
	n = get_le16(raw + I_EXTRA_ISIZE);
	return n <= room && n % 4 == 0 ? n : 0;
}

static bool sum_ok(const struct ext *e, const uint8_t *raw, uint32_t seed)
{
	static const uint8_t zero[2];
	uint32_t len = e->super.inode_size, sum, want;
	bool wide = extra_isize(e, raw) >= 4;

	want = get_le16(raw + I_SUM_LO);
	sum = ext_crc32c(seed, raw, I_SUM_LO);
	sum = ext_crc32c(sum, zero, 2);
	sum = ext_crc32c(sum, raw + I_SUM_LO + 2, 128 - I_SUM_LO - 2);
	if (len > 128 && wide) {
		want |= (uint32_t)get_le16(raw + I_SUM_HI) << 16;
		sum = ext_crc32c(sum, raw + 128, 2);
		sum = ext_crc32c(sum, zero, 2);
		sum = ext_crc32c(sum, raw + I_SUM_HI + 2, len - I_SUM_HI - 2);
		return sum == want;
	}
	sum = ext_crc32c(sum, raw + 128, len - 128);
	return (sum & 0xffff) == want;
}

/* The high bits of @extra are nanoseconds, its low two prolong the seconds. */
static struct timestamp get_time(const uint8_t *raw, uint32_t off,
				 uint32_t extra_off, uint32_t extra_len)
{
	struct timestamp t = { (int32_t)get_le32(raw + off), 0 };
	uint32_t extra;

	if (extra_off + 4 <= 128 + extra_len) {
		extra = get_le32(raw + extra_off);
		t.sec += (int64_t)(extra & 3) << 32;
		if (extra >> 2 < 1000000000)
			t.nsec = extra >> 2;
	}
	return t;
}

static void decode(const struct ext *e, const uint8_t *raw,
		   struct ext_inode *out)
{
	uint32_t extra = extra_isize(e, raw);
	uint64_t blocks;

	out->mode = get_le16(raw);
	out->uid = get_le16(raw + 2) | (uint32_t)get_le16(raw + 0x78) << 16;
	out->gid = get_le16(raw + 0x18) | (uint32_t)get_le16(raw + 0x7a) << 16;
	out->nlink = get_le16(raw + 0x1a);
	out->flags = get_le32(raw + 0x20);
	out->size = get_le32(raw + 4);
	if (S_ISREG(out->mode) || S_ISDIR(out->mode))
		out->size |= (uint64_t)get_le32(raw + 0x6c) << 32;
	blocks = get_le32(raw + 0x1c);
	if (e->super.huge_file)
		blocks |= (uint64_t)get_le16(raw + 0x74) << 32;
	out->allocated = blocks * 512;
	if (e->super.huge_file && (out->flags & EXT_FL_HUGE_FILE))
		out->allocated = blocks * e->super.block_size;
	out->acl_block = get_le32(raw + 0x68) | (uint64_t)get_le16(raw + 0x76)
							<< 32;
	out->atime = get_time(raw, 0x08, I_ATIME_EXTRA, extra);
	out->ctime = get_time(raw, 0x0c, I_CTIME_EXTRA, extra);
	out->mtime = get_time(raw, 0x10, I_MTIME_EXTRA, extra);
	memcpy(out->block, raw + 0x28, EXT_NBLOCKS_LEN);
	out->extra_len = extra ? e->super.inode_size - 128 - extra : 0;
	memcpy(out->extra, raw + 128 + extra, out->extra_len);
}

int ext_inode_read_any(const struct ext *e, uint64_t ino, struct ext_inode *out)
{
	const struct ext_super *s = &e->super;
	uint8_t raw[EXT_INODE_MAX], le[4];
	uint64_t group, index;
	int r;

	if (ino == 0 || ino > s->inodes_count)
		return -ENOENT;
	group = (ino - 1) / s->inodes_per_group;
	index = (ino - 1) % s->inodes_per_group;
	if (!e->tables[group])
		return fail(-EBADMSG,
			    "ext: inode %" PRIu64 ": the descriptor of its "
			    "block group is damaged",
			    ino);
	r = blocks_read(e->meta,
			e->tables[group] * s->block_size +
				index * s->inode_size,
			raw, s->inode_size);
	if (r < 0)
		return r;
	if (get_le16(raw) == 0)
		return -ENOENT; /* never used, or removed */
	out->ino = (uint32_t)ino;
	out->csum_seed = 0;
	if (s->checksums) {
		put_le32(le, out->ino);
		out->csum_seed = ext_crc32c(s->csum_seed, le, 4);
		out->csum_seed = ext_crc32c(out->csum_seed, raw + 0x64, 4);
		if (!sum_ok(e, raw, out->csum_seed))
			return fail(-EBADMSG,
				    "ext: inode %" PRIu64 ": its checksum does "
				    "not match",
				    ino);
	}
	decode(e, raw, out);
	return 0;
}

int ext_inode_read(const struct ext *e, uint64_t ino, struct ext_inode *out)
{
	int r;

	if (ino != EXT_ROOT_INO && ino < e->super.first_ino)
		return -ENOENT;
	r = ext_inode_read_any(e, ino, out);
	if (r < 0)
		return r;
	if (out->nlink == 0 || (out->flags & EXT_FL_EA_INODE))
		return -ENOENT;
	switch (out->mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	default:
		return fail(-EBADMSG,
			    "ext: inode %" PRIu64 ": of no known kind", ino);
	}
	if (out->size > GUEST_SIZE_MAX)
		return fail(-EBADMSG,
			    "ext: inode %" PRIu64 ": its size is wrong", ino);
	return 0;
}
