/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * btrfs, as its parts see it.
 *
 *   btrfs.c         open and close
 *   super.c         the superblock
 *   sum.c           checksums: crc32c, xxhash64, SHA-256, BLAKE2b
 *   chunk.c         logical addresses -> places on this device; raw reads
 *   cache.c         what was read last: tree nodes, decompressed extents
 *   tree.c          nodes, checked; a cursor over the items of a tree
 *   subvol.c        subvolumes and snapshots, and their nodes
 *   inode.c         attributes, targets, extended attributes
 *   name.c          the names that items hold
 *   dir.c           directories
 *   data.c          bytes of extents, verified by the checksum tree
 *   file.c          the extents of a file
 *
 * All is kept as it lies on the disk, little-endian at any address, and is
 * read by get_leXX() at offsets named here. Nothing of the filesystem is
 * held under a lock while it is read; only the caches have one each.
 */
#ifndef FS_GUEST_BTRFS_INTERNAL_H
#define FS_GUEST_BTRFS_INTERNAL_H

#include "fs/guest/guest.h"
#include "fs/guest/lru.h"
#include "store/base/attrs.h"
#include "store/base/bytes.h"

#include <stdatomic.h>

/* ---- the format ---- */

#define BTRFS_SUPER_LEN 4096
#define BTRFS_CSUM_MAX 32
#define BTRFS_UUID_LEN 16
#define BTRFS_NODE_MAX (64u << 10)
#define BTRFS_SECTOR_MAX (64u << 10)
#define BTRFS_LEVELS 8
#define BTRFS_COMPRESSED_MAX (128u << 10) /* of an extent, both sizes */

enum btrfs_tree_id {
	BTRFS_ROOT_TREE = 1,
	BTRFS_CHUNK_TREE = 3,
	BTRFS_FS_TREE = 5,
	BTRFS_ROOT_DIR = 6,
	BTRFS_CSUM_TREE = 7,
};
#define BTRFS_EXTENT_CSUM_ID (UINT64_C(0) - 10)
#define BTRFS_CHUNK_ID 256
#define BTRFS_FIRST_ID UINT64_C(256) /* of files and subvolumes */
#define BTRFS_LAST_ID (UINT64_C(0) - 256)

enum btrfs_key_type {
	BTRFS_INODE_ITEM = 1,
	BTRFS_XATTR_ITEM = 24,
	BTRFS_DIR_ITEM = 84,
	BTRFS_DIR_INDEX = 96,
	BTRFS_EXTENT_DATA = 108,
	BTRFS_EXTENT_CSUM = 128,
	BTRFS_ROOT_ITEM = 132,
	BTRFS_ROOT_BACKREF = 144,
	BTRFS_ROOT_REF = 156,
	BTRFS_CHUNK_ITEM = 228,
};

enum btrfs_sum_type {
	BTRFS_SUM_CRC32C,
	BTRFS_SUM_XXHASH64,
	BTRFS_SUM_SHA256,
	BTRFS_SUM_BLAKE2B,
	BTRFS_SUMS,
};

#define BTRFS_KEY_LEN 17
struct btrfs_key {
	uint64_t objectid;
	uint8_t type;
	uint64_t offset;
};

static inline void btrfs_key_get(const uint8_t *p, struct btrfs_key *out)
{
	out->objectid = get_le64(p);
	out->type = p[8];
	out->offset = get_le64(p + 9);
}

static inline int btrfs_key_cmp(const struct btrfs_key *a,
				const struct btrfs_key *b)
{
	if (a->objectid != b->objectid)
		return a->objectid < b->objectid ? -1 : 1;
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	if (a->offset != b->offset)
		return a->offset < b->offset ? -1 : 1;
	return 0;
}

/* ---- cache.c ---- */

/* Bytes in memory, immutable once they are in a cache; counted. */
struct btrfs_block {
	uint64_t a, b; /* the address; what must match besides */
	atomic_uint refs;
	uint32_t len; /* of data */
	uint8_t data[];
};

/* Its blocks are kept in @memory. */
void btrfs_cache_init(struct lru_part *c, struct lru *memory);
/* A block of @len bytes with one reference. NULL: no memory. */
struct btrfs_block *btrfs_block_new(uint64_t a, uint64_t b, size_t len);
void btrfs_block_put(struct btrfs_block *x); /* NULL is fine */
/* A reference to it, or NULL. */
struct btrfs_block *btrfs_cache_get(struct lru_part *c, uint64_t a, uint64_t b);
/* Keep @x too, unless there is one of these numbers. */
void btrfs_cache_add(struct lru_part *c, struct btrfs_block *x);

/* ---- sum.c ---- */

/* For fuzz targets alone: all checksums match. */
extern bool btrfs_sum_ignored;

/* The CRC, continued from @crc; neither inverted before nor after. */
uint32_t btrfs_crc32c(uint32_t crc, const void *data, size_t len);
uint64_t btrfs_xxhash64(const void *data, size_t len);
void btrfs_blake2b(const void *data, size_t len, uint8_t *out); /* 32 bytes */
/* Bytes of a checksum of @type, which is below BTRFS_SUMS. */
size_t btrfs_sum_len(unsigned int type);
/* Is @sum the checksum of @data? */
bool btrfs_sum_ok(unsigned int type, const void *data, size_t len,
		  const uint8_t *sum);

/* ---- a filesystem ---- */

struct btrfs_tree {
	uint64_t id; /* for messages */
	uint64_t bytenr, generation;
	uint8_t level;
};

#define BTRFS_COPIES_MAX 4
struct btrfs_chunk {
	uint64_t start, len; /* logical */
	uint8_t ncopies; /* on this device; 0: none */
	uint64_t copies[BTRFS_COPIES_MAX]; /* places on the device */
};
struct btrfs_chunks {
	struct btrfs_chunk *list; /* owned; by start, without overlap */
	size_t n, cap;
	uint64_t elsewhere; /* bytes of chunks without a copy here */
	uint64_t unknown; /* profiles that cannot be read (type bits) */
};

struct btrfs_subvol {
	struct btrfs_tree tree; /* tree.id: of the subvolume */
	uint64_t root_dir; /* objectid */
};

struct btrfs {
	struct blocks *blocks; /* borrowed from struct guest */
	uint8_t fsid[BTRFS_UUID_LEN]; /* that tree nodes carry */
	uint32_t sector, node_size;
	unsigned int sum_type;
	size_t sum_len;
	uint64_t devid, ndevices, generation;
	uint64_t log_root;
	struct btrfs_tree root, chunk_root, csums;
	struct btrfs_chunks chunks;
	struct btrfs_subvol
		*subvols; /* owned; by id; the index is the serial */
	size_t nsubvols, subvols_cap;
	bool subvols_left_out; /* there were more than serials */
	struct lru_part nodes, extents; /* of struct btrfs_block */
	atomic_uint repairs; /* that were said in the log */
};

/* Another copy had to be taken: is it to be said once more? */
static inline bool btrfs_say_repair(struct btrfs *fs)
{
	return atomic_load(&fs->repairs) < 16 &&
	       atomic_fetch_add(&fs->repairs, 1) < 16;
}

/* ---- super.c ---- */

/* Find the superblock and take what stands in it; @super is its copy.
 * Return 0, -EBADMSG, -EOPNOTSUPP, ... with the reason in @why. */
MUST_CHECK int btrfs_super_read(struct btrfs *fs, struct guest_info *info,
				uint8_t *super, struct buf *why);
/* The chunks that stand in the superblock. */
MUST_CHECK int btrfs_super_chunks(struct btrfs *fs, const uint8_t *super);

/* ---- chunk.c ---- */

/* Add a chunk item for the logical address @start. Return 0 or -EBADMSG (in
 * words). */
MUST_CHECK int btrfs_chunks_add(const struct btrfs *fs, struct btrfs_chunks *c,
				uint64_t start, const uint8_t *item,
				size_t len);
void btrfs_chunks_release(struct btrfs_chunks *c);
/* Read the chunk tree, which replaces the superblock's chunks. */
MUST_CHECK int btrfs_chunks_read(struct btrfs *fs, struct buf *why);
/* The number of copies of a range, which must lie in one chunk; -EBADMSG (in
 * words) where it lies in none, -EIO (in words) where no copy is here. */
MUST_CHECK int btrfs_copies(const struct btrfs *fs, uint64_t logical,
			    uint64_t len);
/* One copy's bytes. -EINVAL: there is no such copy; or what blocks_read()
 * returned. */
MUST_CHECK int btrfs_read_copy(const struct btrfs *fs, uint64_t logical,
			       unsigned int copy, void *out, size_t len);

/* ---- tree.c ---- */

/* A place in a tree: the nodes from the leaf (0) up. */
struct btrfs_cursor {
	struct btrfs *fs;
	struct btrfs_block *path[BTRFS_LEVELS]; /* held */
	uint32_t slots[BTRFS_LEVELS];
	unsigned int levels;
	/* The item it is at. Borrowed from path[0]. */
	struct btrfs_key key;
	const uint8_t *item;
	uint32_t len;
};
#define BTRFS_CURSOR_INIT                                                      \
	{                                                                      \
		.fs = NULL                                                     \
	}
void btrfs_cursor_release(struct btrfs_cursor *c);
#define AUTO_CURSOR CLEANUP(btrfs_cursor_release)

/*
 * Go to the first item that is not below @key or, where @below, to the last
 * that is not above it. Return 1, 0 (there is none), or a negative errno. @c
 * is zeroed or was used before.
 */
MUST_CHECK int btrfs_seek(struct btrfs *fs, const struct btrfs_tree *t,
			  const struct btrfs_key *key, bool below,
			  struct btrfs_cursor *c);
/* Go to exactly @key. Return 1, 0 or a negative errno. */
MUST_CHECK int btrfs_find(struct btrfs *fs, const struct btrfs_tree *t,
			  const struct btrfs_key *key, struct btrfs_cursor *c);
/* The next item. Return 1, 0 (no more) or a negative errno. */
MUST_CHECK int btrfs_next(struct btrfs_cursor *c);

/* ---- subvol.c ---- */

/*
 * A node: serial << 34 | objectid. The highest objectids of the 34 bits are
 * not for files but for directories where a snapshot has an entry of a
 * subvolume that is not in it (it stayed in the original): those are empty.
 */
#define BTRFS_SERIAL_SHIFT 34
#define BTRFS_SERIALS 4095
#define BTRFS_EMPTY_FIRST ((UINT64_C(1) << BTRFS_SERIAL_SHIFT) - 4096)

/* Read the roots of the subvolumes and of the checksum tree. */
MUST_CHECK int btrfs_subvols_read(struct btrfs *fs, struct buf *why);
/* The subvolume that the guest mounts where it is not told which; 0: the
 * top. Its name at @name, where it has one. */
uint64_t btrfs_subvol_default(struct btrfs *fs, struct buf *name);
/* The subvolume and objectid of a node; *empty: a directory without
 * anything, standing for a subvolume. -ENOENT: there is none. */
MUST_CHECK int btrfs_node_split(const struct btrfs *fs, uint64_t node,
				const struct btrfs_subvol **subvol,
				uint64_t *objectid, bool *empty);
/* The node to which a directory entry of @dir (an objectid in @s) points.
 * Return 0 or a negative errno in words. */
MUST_CHECK int btrfs_node_of(struct btrfs *fs, const struct btrfs_subvol *s,
			     uint64_t dir, const struct btrfs_key *location,
			     const uint8_t *name, size_t name_len,
			     uint64_t *out);

/* ---- name.c ---- */

/* One name of an item of type DIR_ITEM, DIR_INDEX or XATTR_ITEM. */
struct btrfs_name {
	struct btrfs_key location;
	uint8_t type;
	const uint8_t *name, *value; /* borrowed from the item */
	uint16_t name_len, value_len;
};
/* Take the next name of the item that @r reads. Return 1, 0 (there are no
 * more) or -EBADMSG (silent). */
int btrfs_name_next(struct reader *r, struct btrfs_name *out);

/* ---- dir.c ---- */

int btrfs_lookup(struct guest *g, uint64_t dir, const char *name, size_t len,
		 uint64_t *node_out);
int btrfs_readdir(struct guest *g, uint64_t dir, uint64_t cookie,
		  guest_dir_fn *fn, void *arg);

/* ---- inode.c ---- */

#define BTRFS_INODE_LEN 160
#define BTRFS_INODE_NODATASUM (1u << 0)
struct btrfs_inode {
	uint64_t size, bytes, flags;
	uint64_t rdev;
	uint32_t nlink, uid, gid, mode;
	struct timestamp atime, mtime, ctime;
};
/* -ENOENT (silent), -EBADMSG. */
MUST_CHECK int btrfs_inode_read(struct btrfs *fs, const struct btrfs_subvol *s,
				uint64_t objectid, struct btrfs_inode *out);
/* The same of a node, and where it is; -EINVAL: an empty directory, which has no
 * inode. */
MUST_CHECK int btrfs_inode_read_node(struct btrfs *fs, uint64_t node,
				     const struct btrfs_subvol **subvol,
				     uint64_t *objectid,
				     struct btrfs_inode *out);
int btrfs_getattr(struct guest *g, uint64_t node, struct guest_attr *out);
int btrfs_readlink(struct guest *g, uint64_t node, struct buf *out);
int btrfs_xattrs(struct guest *g, uint64_t node, guest_xattr_fn *fn, void *arg);

/* ---- data.c ---- */

/*
 * Bytes of a data extent. @summed: they have checksums in the tree of those,
 * which are verified; where one does not match, the other copy is taken.
 * Return 0, -EBADMSG or a read error, in words.
 */
MUST_CHECK int btrfs_data_read(struct btrfs *fs, uint64_t logical, bool summed,
			       void *out, size_t len);
/* As that, of what a whole compressed extent holds, from @off in it on; what it holds
 * less is zeros. @disk_len is at most BTRFS_COMPRESSED_MAX. */
MUST_CHECK int btrfs_data_inflate(struct btrfs *fs, uint64_t logical,
				  uint32_t disk_len, unsigned int compression,
				  bool summed, uint32_t off, void *out,
				  size_t len);

/* Decompress to all of @x; what is missing is zeros. */
MUST_CHECK int btrfs_inflate(struct btrfs *fs, unsigned int compression,
			     const uint8_t *in, size_t len,
			     struct btrfs_block *x);

/* ---- file.c ---- */

int btrfs_file(struct guest *g, uint64_t node, struct guest_file **out);

#endif
