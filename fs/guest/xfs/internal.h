/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of the XFS reader share. The format is big-endian, but for
 * checksums and what the log holds.
 *
 *     super.c       the superblock: geometry and features
 *     check.c       CRC-32C, and the headers that version 5 gives its blocks
 *     inode.c       inodes
 *     fork.c        where a fork's blocks are: extent lists and B+trees
 *     dir.c         directories, read in order; lookup.c one name
 *     attr.c        extended attributes; acl.c ACLs among them
 *     log.c         the log: head, tail, records; trans.c transactions in
 *                   it; replay.c what they change; overlay.c where
 *                   that is kept
 *     xfs.c         the operations
 *
 * Nothing changes once the volume is open: no locks.
 */
#ifndef FS_GUEST_XFS_INTERNAL_H
#define FS_GUEST_XFS_INTERNAL_H

#include "fs/guest/guest.h"

#include <endian.h>
#include <inttypes.h>

static inline uint16_t be16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return be16toh(v);
}

static inline uint32_t be32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static inline uint64_t be64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

static inline void put_be16(void *p, uint16_t v)
{
	v = htobe16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put_be32(void *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put_be64(void *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
}

/* ---- the superblock ---- */

#define XFS_SB_MAGIC 0x58465342u /* XFSB */
#define XFS_BLOCK_MAX (64u << 10)
#define XFS_SB_CRC 224 /* offset of the checksum in the superblock */
#define XFS_UUID_LEN 16

enum xfs_incompat {
	XFS_INCOMPAT_FTYPE = 1 << 0,
	XFS_INCOMPAT_SPARSE_INODES = 1 << 1,
	XFS_INCOMPAT_META_UUID = 1 << 2,
	XFS_INCOMPAT_BIGTIME = 1 << 3,
	XFS_INCOMPAT_NEEDS_REPAIR = 1 << 4,
	XFS_INCOMPAT_NREXT64 = 1 << 5,
	XFS_INCOMPAT_EXCHANGE = 1 << 6,
	XFS_INCOMPAT_PARENT = 1 << 7,
};

struct xfs_super {
	bool v5; /* checksums, and headers that tell what a block is */
	bool ftype; /* directory entries have a type */
	bool ascii_ci; /* names are found whatever their case */
	bool log_v2;
	uint32_t incompat;
	uint32_t block_size, sector_size, inode_size;
	uint8_t block_log, inode_log, inopb_log, agblk_log, dirblk_log;
	uint64_t blocks; /* of the data device */
	uint32_t ag_blocks, ag_count;
	uint64_t root; /* inode */
	uint64_t log_start; /* a block's number; 0: on another device */
	uint32_t log_blocks;
	uint32_t inode_align; /* blocks */
	uint8_t uuid[XFS_UUID_LEN]; /* as users see it */
	uint8_t meta_uuid[XFS_UUID_LEN]; /* as blocks hold it */
	char label[13];
};

/*
 * Decode and check; @len is that of a sector at least. @crc: check that too.
 * Return 0; -EBADMSG or -EOPNOTSUPP and the reason in @why.
 */
MUST_CHECK int xfs_super_decode(const uint8_t *p, size_t len, bool crc,
				struct xfs_super *out, struct buf *why);

/* ---- an open volume ---- */

struct xfs_overlay;

struct xfs {
	struct xfs_super sb;
	struct blocks *data; /* the volume, replayed where it had to be; held */
	struct blocks *meta; /* the same through a cache; held */
	struct xfs_overlay *overlay; /* is data too; NULL: nothing replayed */
};

/* Blocks are numbered with gaps between allocation groups. Return false where
 * @n of them from @block on are not inside one. */
bool xfs_block_ok(const struct xfs_super *sb, uint64_t block, uint64_t n);
/* The byte that block @block begins at. */
uint64_t xfs_block_at(const struct xfs_super *sb, uint64_t block);

/* ---- checking ---- */

/*
 * Read @len bytes of metadata at byte @at of the volume. @what and @ino name in
 * the log what they are of. Return 0, -EBADMSG (they lie behind the end of the
 * volume; said), or what the read returned.
 */
MUST_CHECK int xfs_read(struct xfs *x, uint64_t at, void *out, size_t len,
			const char *what, uint64_t ino);

uint32_t xfs_crc_update(uint32_t crc, const void *data, size_t len);
/* The checksum of @data, as though the 4 bytes at @hole were zeros. */
uint32_t xfs_crc(const uint8_t *data, size_t len, size_t hole);
/* For fuzz targets: checksums are taken as right. Call it first. */
void xfs_crc_ignore(bool ignore);
bool xfs_crc_ignored(void);
/* Is the checksum at @hole, little-endian, that of @data? */
bool xfs_crc_ok(const uint8_t *data, size_t len, size_t hole);

/* The offsets of what a header of version 5 tells about its block. */
struct xfs_header {
	const char *name;
	uint8_t crc, where, uuid, owner;
};
extern const struct xfs_header xfs_header_dir, xfs_header_da, xfs_header_bmap,
	xfs_header_remote;

/* Is this the block at byte @at that inode @ino owns? 0 or -EBADMSG (said). */
MUST_CHECK int xfs_check(struct xfs *x, const struct xfs_header *h,
			 const uint8_t *p, size_t len, uint64_t at,
			 uint64_t ino);

/* ---- inodes ---- */

enum xfs_format {
	XFS_FORMAT_DEV,
	XFS_FORMAT_LOCAL,
	XFS_FORMAT_EXTENTS,
	XFS_FORMAT_BTREE,
};

#define XFS_INODE_MAGIC 0x494e
#define XFS_INODE_SIZE_MAX 2048
#define XFS_INODE_CORE_V2 100
#define XFS_INODE_CORE_V3 176
#define XFS_INODE_CRC 100
#define XFS_FLAG_REALTIME 1
#define XFS_FLAG2_BIGTIME 8
#define XFS_FLAG2_NREXT64 16

struct xfs_fork {
	const uint8_t *data; /* in the inode's bytes */
	size_t len;
	uint8_t format;
	uint64_t nextents;
};

struct xfs_inode {
	uint64_t ino;
	uint8_t version;
	uint16_t flags;
	uint64_t flags2;
	struct guest_attr attr;
	struct xfs_fork fork; /* of the data */
	struct xfs_fork attr_fork; /* len 0: none */
	uint8_t raw[XFS_INODE_SIZE_MAX];
};

/* Where inode @ino is. False: nowhere in this volume. */
bool xfs_inode_at(const struct xfs_super *sb, uint64_t ino, uint64_t *at_out);
/* Decode i->raw, of inode i->ino. Return 0, -ENOENT (a free one; silent) or
 * -EBADMSG (said). */
MUST_CHECK int xfs_inode_decode(const struct xfs_super *sb,
				struct xfs_inode *i);
MUST_CHECK int xfs_inode_read(struct xfs *x, uint64_t ino,
			      struct xfs_inode *out);

/* ---- forks ---- */

struct xfs_extent {
	uint64_t off; /* blocks of the file */
	uint64_t block; /* as xfs_block_at() takes it */
	uint64_t len; /* blocks */
	bool unwritten;
};

void xfs_extent_decode(const uint8_t *p, struct xfs_extent *out);

/* Return 0 to go on. */
typedef int xfs_extent_fn(void *arg, const struct xfs_extent *e);
/* Its extents in the order of the file, checked: they do not overlap and lie in
 * the volume; what ends before block @from may be left out. Not of a local
 * fork. */
MUST_CHECK int xfs_fork_walk(struct xfs *x, const struct xfs_inode *i,
			     const struct xfs_fork *f, uint64_t from,
			     xfs_extent_fn *fn, void *arg);

/* They all, in memory. */
struct xfs_extents {
	struct xfs_extent *list; /* owned */
	size_t n, cap;
};
MUST_CHECK int xfs_fork_load(struct xfs *x, const struct xfs_inode *i,
			     const struct xfs_fork *f, struct xfs_extents *out);
void xfs_extents_release(struct xfs_extents *e);
/* The extent that holds block @off of the file; NULL: a hole. */
const struct xfs_extent *xfs_extents_find(const struct xfs_extents *e,
					  uint64_t off);
/*
 * Read @n blocks of a fork from block @off on. *at_out: where the first lies.
 * Return 0; -ENOENT (a hole; silent), -EBADMSG or what a read returned.
 */
MUST_CHECK int xfs_fork_read(struct xfs *x, const struct xfs_inode *i,
			     const struct xfs_extents *e, uint64_t off,
			     size_t n, uint8_t *out, uint64_t *at_out);

/* ---- directories and attributes ---- */

/* The hash that both are found by. */
uint32_t xfs_hash(const void *name, size_t len);

#define XFS_DIR_LEAF (UINT64_C(1) << 35) /* bytes; names' hashes from here */

/* As guest_ops->readdir. */
MUST_CHECK int xfs_dir_walk(struct xfs *x, const struct xfs_inode *dir,
			    uint64_t cookie, guest_dir_fn *fn, void *arg);
/* Read directory block @n. */
MUST_CHECK int xfs_dir_block(struct xfs *x, const struct xfs_inode *dir,
			     const struct xfs_extents *e, uint64_t n,
			     uint8_t *out);
/* An entry of a directory's block at @off < @end. */
struct xfs_dirent {
	uint64_t ino; /* 0: an unused piece */
	const char *name;
	uint8_t name_len, ftype;
	size_t size; /* of the entry or piece */
};
/* Return 0 or -EBADMSG (silent). */
MUST_CHECK int xfs_dirent_decode(const struct xfs_super *sb, const uint8_t *p,
				 size_t off, size_t end,
				 struct xfs_dirent *out);
/* -ENOENT: no such name. */
MUST_CHECK int xfs_dir_lookup(struct xfs *x, const struct xfs_inode *dir,
			      const char *name, size_t len, uint64_t *node_out);

MUST_CHECK int xfs_attr_walk(struct xfs *x, const struct xfs_inode *i,
			     guest_xattr_fn *fn, void *arg);
/* An ACL of the disk, appended as getxattr(2) gives it. 0 or -EBADMSG. */
MUST_CHECK int xfs_acl_decode(const uint8_t *p, size_t len, struct buf *out);

/* A magic number of a block of a directory's or attribute's B+tree. */
enum xfs_da_magic {
	XFS_DA_NODE = 0xfebe,
	XFS_DA3_NODE = 0x3ebe,
	XFS_DIR_LEAF1 = 0xd2f1,
	XFS_DIR3_LEAF1 = 0x3df1,
	XFS_DIR_LEAFN = 0xd2ff,
	XFS_DIR3_LEAFN = 0x3dff,
	XFS_ATTR_LEAF = 0xfbee,
	XFS_ATTR3_LEAF = 0x3bee,
};
#define XFS_DA_DEPTH_MAX 5

/* What such a block says at its beginning. */
struct xfs_da {
	uint32_t next; /* the block to the right of it; 0: none */
	uint16_t magic; /* that of version 4, also where it is the newer */
	uint16_t count;
	uint16_t level; /* of nodes */
	const uint8_t *entries; /* 8 bytes each, all inside the block */
};
/* 0 or -EBADMSG (said). */
MUST_CHECK int xfs_da_decode(struct xfs *x, const uint8_t *p, size_t len,
			     uint64_t at, uint64_t ino, struct xfs_da *out);
/* In a node: the block below for @hash. False: nothing is as great. */
bool xfs_da_down(const struct xfs_da *d, uint32_t hash, uint32_t *out);

/* ---- the log ---- */

/* What there is to be told of it. */
struct xfs_log_report {
	bool dirty;
	bool replayed; /* then *overlay_out is set */
	char note[256]; /* why not, or what was left out; "" where nothing */
};
/*
 * Look at the log of @sb on @b and, where it is dirty, replay it. A log that
 * cannot be replayed is a report, not an error. Return 0, -ENOMEM, or what a
 * read returned.
 */
MUST_CHECK int xfs_log_open(struct blocks *b, const struct xfs_super *sb,
			    struct xfs_log_report *report,
			    struct xfs_overlay **overlay_out);

/* Changed bytes over a volume. */
MUST_CHECK int xfs_overlay_new(struct blocks *b, struct xfs_overlay **out);
void xfs_overlay_free(struct xfs_overlay *o);
/* -EFBIG where too much was changed. */
MUST_CHECK int xfs_overlay_write(struct xfs_overlay *o, uint64_t off,
				 const void *data, size_t len);
MUST_CHECK int xfs_overlay_read(struct xfs_overlay *o, uint64_t off, void *out,
				size_t len);
/* Was any of it changed? */
bool xfs_overlay_has(const struct xfs_overlay *o, uint64_t off, uint64_t len);
size_t xfs_overlay_pages(const struct xfs_overlay *o);
/* It as a volume (that frees it at the end); nothing is written any more. */
struct blocks *xfs_overlay_blocks(struct xfs_overlay *o);

#endif
