/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the parts of the ext2/3/4 reader share.
 *
 *     ext.c         the operations of guest.h
 *     super.c       the superblock: what it says, what it asks for
 *     lib.c         libext2fs: the group descriptors, and the checksums
 *     inode.c       one inode
 *     map.c         where a file's blocks are: extents, block maps
 *     dir.c         directories, read from end to end
 *     htree.c       one name of a large directory, by its hash
 *     xattr.c       extended attributes, and what is kept inline
 *     log.c         a dirty journal: found, read, laid over the blocks
 *
 * Once open, a struct ext is never written again: no part has a lock.
 */
#ifndef FS_GUEST_EXT_INTERNAL_H
#define FS_GUEST_EXT_INTERNAL_H

#include "fs/guest/guest.h"

#include <stdbool.h>
#include <stdint.h>

#define EXT_ROOT_INO 2
#define EXT_NBLOCKS_LEN 60 /* bytes of an inode's i_block */
#define EXT_INODE_MAX 4096 /* bytes of an inode on disk */
#define EXT_BLOCK_MAX 65536

/* Of the inode. */
#define EXT_FL_COMPRBLK 0x200u
#define EXT_FL_ENCRYPT 0x800u
#define EXT_FL_INDEX 0x1000u
#define EXT_FL_HUGE_FILE 0x40000u
#define EXT_FL_EXTENTS 0x80000u
#define EXT_FL_EA_INODE 0x200000u
#define EXT_FL_INLINE_DATA 0x10000000u
#define EXT_FL_CASEFOLD 0x40000000u

struct ext_super {
	uint32_t inodes_count, inodes_per_group, inode_size, first_ino;
	uint64_t blocks_count;
	uint32_t block_size, blocks_per_group, first_data_block;
	uint32_t ngroups;
	uint32_t compat, incompat, ro_compat;
	bool dirty; /* the journal is to be replayed */
	uint32_t journal_ino; /* 0: none, or on another device */
	bool checksums; /* metadata_csum */
	uint32_t csum_seed;
	uint32_t hash_seed[4]; /* of names in directories */
	bool hash_unsigned; /* the bytes of names are, in hashes */
	bool huge_file;
	bool filetype;
};

struct ext {
	struct ext_super super;
	struct blocks *data; /* held; the journal laid over it */
	struct blocks *meta; /* held; @data, cached */
	uint64_t *tables; /* owned; block of each group's inodes, 0: damaged */
	uint32_t suspects; /* groups whose descriptor has a wrong checksum */
};

struct ext_inode {
	uint32_t ino;
	uint32_t mode, uid, gid, nlink;
	uint32_t flags;
	uint32_t csum_seed; /* for what belongs to the inode */
	uint64_t size, allocated;
	uint64_t acl_block; /* 0: none */
	struct timestamp atime, mtime, ctime;
	uint8_t block[EXT_NBLOCKS_LEN];
	/* What is behind the fixed fields: in-inode attributes. */
	uint32_t extra_len;
	uint8_t extra[EXT_INODE_MAX - 128];
};

/* super.c */

/* Read and judge it; @why gets the reason. Sets the label and the UUID of
 * @info too. Return 0, -EBADMSG, -EOPNOTSUPP, or a read error. */
MUST_CHECK int ext_super_read(struct blocks *b, struct ext_super *out,
			      struct guest_info *info, struct buf *why);

/* lib.c */

uint32_t ext_crc32c(uint32_t crc, const void *data, size_t len);
uint32_t ext_crc32_be(uint32_t crc, const void *data, size_t len);
/* Hash a name as directories of hash @version do. Return 0, or -EAGAIN where
 * that version is not known. */
MUST_CHECK int ext_lib_hash(const struct ext_super *s, unsigned int version,
			    const char *name, size_t len, uint32_t *out);
/*
 * Find where the inodes of each group are: *out has s->ngroups blocks, and
 * free() frees it. *suspects_out counts the groups whose descriptor does not
 * match its checksum. Return 0; -EBADMSG with the reason in @why, -ENOMEM, or a
 * read error.
 */
MUST_CHECK int ext_lib_tables(struct blocks *b, const struct ext_super *s,
			      uint64_t **out, uint32_t *suspects_out,
			      struct buf *why);

/* inode.c */

/* Return 0, -ENOENT (no such inode; silent), -EBADMSG or a read error. */
MUST_CHECK int ext_inode_read(const struct ext *e, uint64_t ino,
			      struct ext_inode *out);
/* The same for an inode that no directory may name: a journal, an
 * attribute's value. */
MUST_CHECK int ext_inode_read_any(const struct ext *e, uint64_t ino,
				  struct ext_inode *out);
/* Block @block of the filesystem, whole, to @out. */
MUST_CHECK int ext_block_read(const struct ext *e, uint64_t block, void *out);
/* May @n blocks from @block on be a file's? */
bool ext_blocks_ok(const struct ext *e, uint64_t block, uint64_t n);

/* map.c */

/* Blocks [@lblk, @lblk + @n) of the file are at @pblk. Not 0 ends the walk. */
typedef int ext_range_fn(void *arg, uint64_t lblk, uint64_t pblk, uint64_t n,
			 bool unwritten);
/* In order of @lblk, without overlap, all inside the filesystem; what ends
 * before block @from may be left out. Not for inline data. Return 0, -EBADMSG,
 * a read error, or what @fn returned. */
MUST_CHECK int ext_map_walk(const struct ext *e, const struct ext_inode *i,
			    uint64_t from, ext_range_fn *fn, void *arg);
/* The first @len bytes of a file in blocks. */
MUST_CHECK int ext_map_read(const struct ext *e, const struct ext_inode *i,
			    void *out, size_t len);

/* dir.c */

/* List directory @i of @g, as guest_ops.readdir does. */
MUST_CHECK int ext_dir_read(struct guest *g, const struct ext_inode *i,
			    uint64_t cookie, guest_dir_fn *fn, void *arg);

/*
 * Read block @lblk of directory @i, which is block @pblk of the filesystem, to
 * @buf, a block long, and give its entries to @fn. Return 0, -EBADMSG (some of
 * it is damaged; said, and the rest was given), a read error, or what @fn
 * returned.
 */
MUST_CHECK int ext_dir_block(const struct ext *e, const struct ext_inode *i,
			     uint64_t lblk, uint64_t pblk, uint8_t *buf,
			     guest_dir_fn *fn, void *arg);

/* htree.c */

/* A directory of fewer blocks is read whole, and remembered. */
#define EXT_HTREE_BLOCKS_MIN 16

/*
 * Find @name in the directory @i by its index. Return 0; -ENOENT (no such name;
 * silent); -EAGAIN (it has no index that can be used: read it whole; silent);
 * -EBADMSG (where the name would be is damaged; said), -ENOMEM or a read error.
 */
MUST_CHECK int ext_htree_lookup(const struct ext *e, const struct ext_inode *i,
				const char *name, size_t len,
				uint64_t *node_out);

/* xattr.c */

MUST_CHECK int ext_xattr_walk(const struct ext *e, const struct ext_inode *i,
			      guest_xattr_fn *fn, void *arg);
/* Has it no attributes at all, as far as the inode tells? */
bool ext_xattr_none(const struct ext_inode *i);
/* Append the i->size bytes that an inode with EXT_FL_INLINE_DATA keeps. */
MUST_CHECK int ext_xattr_inline(const struct ext *e, const struct ext_inode *i,
				struct buf *out);

/* log.c */

/*
 * @e is open as the disk is: read its journal and lay it over e->data. Where
 * it cannot be, or not to its end, info->state and info->note tell. Return 0
 * with *out NULL where there is nothing to lay over; a read error, -ENOMEM.
 * @held_out: the bytes of memory that *out takes.
 */
MUST_CHECK int ext_log_replay(const struct ext *e, struct guest_info *info,
			      struct blocks **out, size_t *held_out);

#endif
