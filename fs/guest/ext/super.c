/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The superblock of ext2, ext3 and ext4. It is judged here before libext2fs
 * sees it: every number that the library makes memory or a loop of is bounded
 * by the size of the volume first.
 */
#include "config.h"

#include "fs/guest/ext/internal.h"

#include <errno.h>
#include <inttypes.h>

#include "store/base/bytes.h"
#include "store/base/text.h"

#define SUPER_OFF 1024
#define SUPER_LEN 1024
#define MAGIC 0xef53
/* Memory for group descriptors: 256 TiB of blocks of 4 KiB. */
#define DESCS_MAX (128u << 20)

/* Of s_feature_compat, _incompat and _ro_compat. */
#define COMPAT_HAS_JOURNAL 0x4u
#define INCOMPAT_COMPRESSION 0x1u
#define INCOMPAT_FILETYPE 0x2u
#define INCOMPAT_RECOVER 0x4u
#define INCOMPAT_JOURNAL_DEV 0x8u
#define INCOMPAT_META_BG 0x10u
#define INCOMPAT_EXTENTS 0x40u
#define INCOMPAT_64BIT 0x80u
#define INCOMPAT_MMP 0x100u
#define INCOMPAT_FLEX_BG 0x200u
#define INCOMPAT_EA_INODE 0x400u
#define INCOMPAT_DIRDATA 0x1000u
#define INCOMPAT_CSUM_SEED 0x2000u
#define INCOMPAT_LARGEDIR 0x4000u
#define INCOMPAT_INLINE_DATA 0x8000u
#define INCOMPAT_ENCRYPT 0x10000u
#define INCOMPAT_CASEFOLD 0x20000u
#define RO_COMPAT_HUGE_FILE 0x8u
#define RO_COMPAT_BIGALLOC 0x200u
#define RO_COMPAT_METADATA_CSUM 0x400u

#define FLAG_UNSIGNED_HASH 0x2u /* of s_flags */

/* Encrypted files are refused one by one, folded names are as they stand. */
#define INCOMPAT_KNOWN                                                         \
	(INCOMPAT_FILETYPE | INCOMPAT_RECOVER | INCOMPAT_META_BG |             \
	 INCOMPAT_EXTENTS | INCOMPAT_64BIT | INCOMPAT_MMP | INCOMPAT_FLEX_BG | \
	 INCOMPAT_EA_INODE | INCOMPAT_CSUM_SEED | INCOMPAT_LARGEDIR |          \
	 INCOMPAT_INLINE_DATA | INCOMPAT_ENCRYPT | INCOMPAT_CASEFOLD)
/* What ext3 had already. */
#define INCOMPAT_EXT3 (INCOMPAT_FILETYPE | INCOMPAT_RECOVER | INCOMPAT_META_BG)
#define RO_COMPAT_EXT3 0x7u

static bool is_power_of_two(uint32_t v)
{
	return v && !(v & (v - 1));
}

static int refuse(int r, struct buf *why, const char *text)
{
	buf_printf(why, "ext: %s", text);
	return r;
}

static int check_features(const struct ext_super *s, struct buf *why)
{
	uint32_t unknown = s->incompat & ~INCOMPAT_KNOWN;

	if (s->incompat & INCOMPAT_JOURNAL_DEV)
		return refuse(-EOPNOTSUPP, why,
			      "this is the journal of another filesystem, "
			      "there are no files in it");
	if (s->incompat & INCOMPAT_COMPRESSION)
		return refuse(-EOPNOTSUPP, why,
			      "the filesystem uses the old compression "
			      "feature, which no present kernel reads");
	if (s->incompat & INCOMPAT_DIRDATA)
		return refuse(-EOPNOTSUPP, why,
			      "its directories hold Lustre's data (dirdata): "
			      "use the .raw of the volume with Lustre's tools");
	if (unknown) {
		buf_printf(why,
			   "ext: the filesystem needs features that are not "
			   "known here (incompat 0x%x): use the .raw of the "
			   "volume with a kernel that has them",
			   unknown);
		return -EOPNOTSUPP;
	}
	if (s->dirty && s->journal_ino == 0)
		return refuse(-EOPNOTSUPP, why,
			      "its journal lies on another device and is not "
			      "empty: mount the volume's .raw with it");
	return 0;
}

/* The numbers that counts and places are made of. */
static int check_geometry(const struct ext_super *s, const uint8_t *raw,
			  uint64_t size, struct buf *why)
{
	uint32_t log_block = get_le32(raw + 0x18);
	uint32_t log_cluster = get_le32(raw + 0x1c);
	uint32_t per_block = s->block_size / s->inode_size;
	uint64_t groups, desc_len = 32;

	if (s->inode_size > EXT_INODE_MAX)
		return refuse(-EOPNOTSUPP, why,
			      "its inodes are over 4096 bytes each");
	if (s->inode_size < 128 || !is_power_of_two(s->inode_size) ||
	    s->inode_size > s->block_size)
		return refuse(-EBADMSG, why, "the size of its inodes is wrong");
	if (s->first_data_block !=
		    (log_block == 0 && !(s->ro_compat & RO_COMPAT_BIGALLOC)) &&
	    s->first_data_block > 1)
		return refuse(-EBADMSG, why, "its first block is wrong");
	if (s->blocks_count <= s->first_data_block)
		return refuse(-EBADMSG, why, "it has no blocks");
	if (s->blocks_count > size / s->block_size)
		return refuse(-EBADMSG, why,
			      "the filesystem is larger than the volume: "
			      "part of it is missing");
	if (s->ro_compat & RO_COMPAT_BIGALLOC) {
		if (log_cluster < log_block || log_cluster > 20)
			return refuse(-EBADMSG, why, "its clusters are wrong");
	} else if (log_cluster > 30) {
		return refuse(-EBADMSG, why, "its clusters are wrong");
	}
	if (s->blocks_per_group < 8 || s->blocks_per_group > (1u << 30) ||
	    s->inodes_per_group == 0 ||
	    s->inodes_per_group > s->block_size * 8 ||
	    s->inodes_per_group < per_block)
		return refuse(-EBADMSG, why, "its block groups are wrong");
	if (s->incompat & INCOMPAT_64BIT) {
		desc_len = get_le16(raw + 0xfe);
		if (desc_len < 64 || desc_len > 1024 ||
		    desc_len > s->block_size ||
		    !is_power_of_two((uint32_t)desc_len))
			return refuse(-EBADMSG, why,
				      "its group descriptors are wrong");
	}
	groups = (s->blocks_count - s->first_data_block + s->blocks_per_group -
		  1) /
		 s->blocks_per_group;
	if (groups > DESCS_MAX / desc_len)
		return refuse(-EOPNOTSUPP, why,
			      "it has more block groups than are read here");
	if ((uint64_t)s->inodes_per_group * groups < s->inodes_count ||
	    s->inodes_count < s->first_ino)
		return refuse(-EBADMSG, why,
			      "the number of its inodes is wrong");
	return 0;
}

static int check_sum(struct ext_super *s, const uint8_t *raw, struct buf *why)
{
	uint32_t sum = ext_crc32c(~0u, raw, SUPER_LEN - 4);

	s->csum_seed = s->incompat & INCOMPAT_CSUM_SEED
			       ? get_le32(raw + 0x270)
			       : ext_crc32c(~0u, raw + 0x68, 16);
	s->checksums = s->ro_compat & RO_COMPAT_METADATA_CSUM;
	if (s->checksums && sum != get_le32(raw + SUPER_LEN - 4))
		return refuse(-EBADMSG, why,
			      "the checksum of its superblock does not match");
	return 0;
}

static void set_info(const struct ext_super *s, const uint8_t *raw,
		     struct guest_info *info)
{
	const uint8_t *u = raw + 0x68;
	const char *type = "ext2";
	size_t len = strnlen((const char *)raw + 0x78, 16);
	struct buf label AUTO_BUF = BUF_INIT;

	if ((s->incompat & ~INCOMPAT_EXT3) || (s->ro_compat & ~RO_COMPAT_EXT3))
		type = "ext4";
	else if (s->compat & COMPAT_HAS_JOURNAL)
		type = "ext3";
	snprintf(info->type, sizeof(info->type), "%s", type);
	text_put_plain(&label, raw + 0x78, len);
	if (buf_error(&label) == 0)
		snprintf(info->label, sizeof(info->label), "%.*s",
			 (int)label.len, label.len ? (char *)label.data : "");
	snprintf(info->uuid, sizeof(info->uuid),
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		 "%02x%02x%02x%02x%02x%02x",
		 u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9],
		 u[10], u[11], u[12], u[13], u[14], u[15]);
	info->block_size = s->block_size;
}

static void decode(const uint8_t *raw, struct ext_super *s)
{
	uint32_t rev = get_le32(raw + 0x4c);
	size_t i;

	s->inodes_count = get_le32(raw);
	s->blocks_count = get_le32(raw + 4);
	s->first_data_block = get_le32(raw + 0x14);
	s->blocks_per_group = get_le32(raw + 0x20);
	s->inodes_per_group = get_le32(raw + 0x28);
	s->inode_size = rev ? get_le16(raw + 0x58) : 128;
	s->first_ino = rev ? get_le32(raw + 0x54) : 11;
	if (rev) {
		s->compat = get_le32(raw + 0x5c);
		s->incompat = get_le32(raw + 0x60);
		s->ro_compat = get_le32(raw + 0x64);
	}
	if (s->incompat & INCOMPAT_64BIT)
		s->blocks_count |= (uint64_t)get_le32(raw + 0x150) << 32;
	s->filetype = s->incompat & INCOMPAT_FILETYPE;
	s->huge_file = s->ro_compat & RO_COMPAT_HUGE_FILE;
	/* Without this flag a kernel would empty the journal unread. */
	s->dirty = (s->compat & COMPAT_HAS_JOURNAL) &&
		   (s->incompat & INCOMPAT_RECOVER);
	s->journal_ino = get_le32(raw + 0xe0);
	for (i = 0; i < ARRAY_SIZE(s->hash_seed); i++)
		s->hash_seed[i] = get_le32(raw + 0xec + 4 * i);
	s->hash_unsigned = get_le32(raw + 0x160) & FLAG_UNSIGNED_HASH;
}

int ext_super_read(struct blocks *b, struct ext_super *out,
		   struct guest_info *info, struct buf *why)
{
	uint8_t raw[SUPER_LEN];
	struct ext_super s = { 0 };
	int r;

	r = blocks_read(b, SUPER_OFF, raw, sizeof(raw));
	if (r == -ERANGE)
		return refuse(-EBADMSG, why, "the volume is too small");
	if (r < 0)
		return refuse(r, why, "the superblock cannot be read");
	if (get_le16(raw + 0x38) != MAGIC)
		return refuse(-EBADMSG, why, "there is no superblock");
	if (get_le32(raw + 0x18) > 6)
		return refuse(-EBADMSG, why, "the size of its blocks is wrong");
	s.block_size = 1024u << get_le32(raw + 0x18);
	decode(raw, &s);
	if (s.inode_size == 0)
		return refuse(-EBADMSG, why, "the size of its inodes is wrong");
	r = check_features(&s, why);
	if (r == 0)
		r = check_geometry(&s, raw, b->size, why);
	if (r == 0)
		r = check_sum(&s, raw, why);
	if (r < 0)
		return r;
	s.ngroups = (uint32_t)((s.blocks_count - s.first_data_block +
				s.blocks_per_group - 1) /
			       s.blocks_per_group);
	set_info(&s, raw, info);
	*out = s;
	return 0;
}
