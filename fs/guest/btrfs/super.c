/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The superblock: at 64 KiB, with copies at 64 MiB and 256 GiB. As the kernel
 * does, the first is believed where it is whole, however old; a copy only
 * stands in for a damaged one.
 */
#include "config.h"

#include "fs/guest/btrfs/internal.h"

#include <errno.h>
#include <inttypes.h>

#include "store/base/log.h"

enum super_offsets {
	SUPER_FSID = 0x20,
	SUPER_BYTENR = 0x30,
	SUPER_MAGIC = 0x40,
	SUPER_GENERATION = 0x48,
	SUPER_ROOT = 0x50,
	SUPER_CHUNK_ROOT = 0x58,
	SUPER_LOG_ROOT = 0x60,
	SUPER_NUM_DEVICES = 0x88,
	SUPER_SECTORSIZE = 0x90,
	SUPER_NODESIZE = 0x94,
	SUPER_ARRAY_LEN = 0xa0,
	SUPER_CHUNK_GENERATION = 0xa4,
	SUPER_INCOMPAT = 0xbc,
	SUPER_CSUM_TYPE = 0xc4,
	SUPER_ROOT_LEVEL = 0xc6,
	SUPER_CHUNK_ROOT_LEVEL = 0xc7,
	SUPER_DEV_ID = 0xc9,
	SUPER_DEV_SIZE = 0xd1,
	SUPER_LABEL = 0x12b,
	SUPER_METADATA_UUID = 0x23b,
	SUPER_ARRAY = 0x32b,
};
#define ARRAY_MAX 2048
#define LABEL_MAX 255
#define MAGIC "_BHRfS_M"

/* Bits of incompatible features, and those that are read here. */
#define INCOMPAT_METADATA_UUID (1u << 10)
#define INCOMPAT_ZONED (1u << 12)
#define INCOMPAT_EXTENT_TREE_V2 (1u << 13)
#define INCOMPAT_STRIPE_TREE (1u << 14)
#define INCOMPAT_SIMPLE_QUOTA (1u << 16)
#define INCOMPAT_READ (UINT64_C(0xfff) | INCOMPAT_SIMPLE_QUOTA)

static const uint64_t places[] = { 64u << 10, 64u << 20, UINT64_C(256) << 30 };

/* Return 1 (whole), 0 (not one) or a read error. */
static int read_one(struct btrfs *fs, uint64_t at, uint8_t *super)
{
	unsigned int type;
	int r;

	if (fs->blocks->size < at + BTRFS_SUPER_LEN)
		return 0;
	r = blocks_read(fs->blocks, at, super, BTRFS_SUPER_LEN);
	if (r < 0)
		return r;
	if (memcmp(super + SUPER_MAGIC, MAGIC, 8) != 0 ||
	    get_le64(super + SUPER_BYTENR) != at)
		return 0;
	/* What has a checksum of another kind is told of later. */
	type = get_le16(super + SUPER_CSUM_TYPE);
	return type >= BTRFS_SUMS ||
	       btrfs_sum_ok(type, super + BTRFS_CSUM_MAX,
			    BTRFS_SUPER_LEN - BTRFS_CSUM_MAX, super);
}

static int find_super(struct btrfs *fs, uint8_t *super, struct buf *why)
{
	size_t i;
	int r, err = 0;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		r = read_one(fs, places[i], super);
		if (r == -ENOMEM)
			return r;
		if (r < 0 && err == 0)
			err = r;
		if (r <= 0)
			continue;
		if (i > 0)
			log_warn("btrfs: the first superblock is damaged: the "
				 "copy at %" PRIu64 " MiB is taken instead",
				 places[i] >> 20);
		return 0;
	}
	if (err < 0)
		return err;
	buf_printf(why, "it has no whole btrfs superblock");
	return -EBADMSG;
}

static int check_features(const uint8_t *super, struct buf *why)
{
	uint64_t incompat = get_le64(super + SUPER_INCOMPAT);
	const char *what;

	if (get_le16(super + SUPER_CSUM_TYPE) >= BTRFS_SUMS) {
		buf_printf(why,
			   "its checksums are of a kind (%u) that is not "
			   "known",
			   get_le16(super + SUPER_CSUM_TYPE));
		return -EOPNOTSUPP;
	}
	if ((incompat & ~INCOMPAT_READ) == 0)
		return 0;
	if (incompat & INCOMPAT_ZONED)
		what = "zoned storage";
	else if (incompat & INCOMPAT_EXTENT_TREE_V2)
		what = "version 2 of the extent tree";
	else if (incompat & INCOMPAT_STRIPE_TREE)
		what = "the RAID stripe tree";
	else
		what = "features that are not known";
	buf_printf(why,
		   "it uses %s (incompatible features 0x%" PRIx64 "), "
		   "which cannot be read",
		   what, incompat & ~INCOMPAT_READ);
	return -EOPNOTSUPP;
}

static bool size_ok(uint32_t size, uint32_t max)
{
	return size >= 512 && size <= max && (size & (size - 1)) == 0;
}

static void tell(const struct btrfs *fs, const uint8_t *super,
		 struct guest_info *info)
{
	const uint8_t *u = super + SUPER_FSID;

	memcpy(info->type, "btrfs", 6);
	memcpy(info->label, super + SUPER_LABEL, LABEL_MAX);
	info->label[LABEL_MAX] = '\0';
	snprintf(info->uuid, sizeof(info->uuid),
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		 "%02x%02x%02x%02x%02x%02x",
		 u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9],
		 u[10], u[11], u[12], u[13], u[14], u[15]);
	info->block_size = fs->sector;
}

int btrfs_super_read(struct btrfs *fs, struct guest_info *info, uint8_t *super,
		     struct buf *why)
{
	uint64_t size;
	int r;

	r = find_super(fs, super, why);
	if (r < 0)
		return r;
	r = check_features(super, why);
	if (r < 0)
		return r;
	memcpy(fs->fsid,
	       super + (get_le64(super + SUPER_INCOMPAT) &
					INCOMPAT_METADATA_UUID
				? SUPER_METADATA_UUID
				: SUPER_FSID),
	       BTRFS_UUID_LEN);
	fs->sector = get_le32(super + SUPER_SECTORSIZE);
	fs->node_size = get_le32(super + SUPER_NODESIZE);
	fs->sum_type = get_le16(super + SUPER_CSUM_TYPE);
	fs->sum_len = btrfs_sum_len(fs->sum_type);
	fs->devid = get_le64(super + SUPER_DEV_ID);
	fs->ndevices = get_le64(super + SUPER_NUM_DEVICES);
	fs->generation = get_le64(super + SUPER_GENERATION);
	fs->log_root = get_le64(super + SUPER_LOG_ROOT);
	fs->root = (struct btrfs_tree){
		.id = BTRFS_ROOT_TREE,
		.bytenr = get_le64(super + SUPER_ROOT),
		.generation = fs->generation,
		.level = super[SUPER_ROOT_LEVEL],
	};
	fs->chunk_root = (struct btrfs_tree){
		.id = BTRFS_CHUNK_TREE,
		.bytenr = get_le64(super + SUPER_CHUNK_ROOT),
		.generation = get_le64(super + SUPER_CHUNK_GENERATION),
		.level = super[SUPER_CHUNK_ROOT_LEVEL],
	};
	if (!size_ok(fs->sector, BTRFS_SECTOR_MAX) ||
	    !size_ok(fs->node_size, BTRFS_NODE_MAX) ||
	    fs->node_size < fs->sector) {
		buf_printf(why,
			   "its superblock names sectors of %" PRIu32
			   " and nodes of %" PRIu32 " bytes",
			   fs->sector, fs->node_size);
		return -EBADMSG;
	}
	size = get_le64(super + SUPER_DEV_SIZE);
	if (size > fs->blocks->size)
		log_warn("btrfs: the filesystem is %" PRIu64 " bytes long, its "
			 "volume only %" PRIu64 ": files at its end cannot be "
			 "read",
			 size, fs->blocks->size);
	tell(fs, super, info);
	return 0;
}

int btrfs_super_chunks(struct btrfs *fs, const uint8_t *super)
{
	uint32_t len = get_le32(super + SUPER_ARRAY_LEN);
	const uint8_t *p = super + SUPER_ARRAY;
	struct btrfs_key key;
	size_t item;
	int r;

	if (len > ARRAY_MAX)
		return fail(-EBADMSG,
			    "btrfs: the superblock's array of chunks "
			    "is %" PRIu32 " bytes long",
			    len);
	while (len > 0) {
		/* A key, then a chunk with room for its stripes. */
		if (len < BTRFS_KEY_LEN + 48)
			return fail(-EBADMSG, "btrfs: the superblock's array "
					      "of chunks is cut off");
		btrfs_key_get(p, &key);
		item = 48 + 32 * (size_t)get_le16(p + BTRFS_KEY_LEN + 44);
		if (key.type != BTRFS_CHUNK_ITEM || item > len - BTRFS_KEY_LEN)
			return fail(-EBADMSG, "btrfs: the superblock's array "
					      "of chunks is damaged");
		r = btrfs_chunks_add(fs, &fs->chunks, key.offset,
				     p + BTRFS_KEY_LEN, item);
		if (r < 0)
			return r;
		p += BTRFS_KEY_LEN + item;
		len -= (uint32_t)(BTRFS_KEY_LEN + item);
	}
	return 0;
}
