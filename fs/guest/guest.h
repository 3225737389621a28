/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A filesystem of a guest, read from its blocks: one interface, a reader for
 * each format. The image is hostile: a reader bounds every count, offset and
 * depth before use, never crashes, never loops, never allocates more than the
 * bounds here let it, and answers what is malformed with -EBADMSG on that thing
 * alone, said in words (log.h fail()) beginning with the format's name.
 *
 * The functions guest_*() are what others call; they may be called from any
 * thread. A reader that is not able to run in parallel has a lock of its own,
 * held as shortly as it can.
 */
#ifndef FS_GUEST_GUEST_H
#define FS_GUEST_GUEST_H

#include "fs/guest/blocks.h"
#include "store/base/attrs.h"
#include "store/base/buf.h"
#include "store/entry.h"

#include <stdbool.h>
#include <stdint.h>

struct guest;
struct guest_file;
struct lru;

/*
 * A node names an inode (not a name: hard links share it) within its
 * filesystem: the reader's choice, not 0, below this. No state stands behind
 * it: any node may come at any time, also one that never was.
 */
#define GUEST_NODE_MAX (UINT64_C(1) << 46)
#define GUEST_NAME_MAX 255 /* bytes */
#define GUEST_TARGET_MAX 4095
#define GUEST_XATTR_MAX (64u << 10) /* of one value */
#define GUEST_XATTRS_MAX (1u << 20) /* of one inode, together */
#define GUEST_SIZE_MAX (UINT64_C(1) << 62)

struct guest_attr {
	uint64_t node;
	uint32_t mode; /* as st_mode */
	uint32_t uid, gid;
	/* The filesystem stores owner, group and permissions of this inode; where
	 * it does not, they are the reader's choice and mean nothing. */
	bool owned;
	/* It is sure to have no extended attributes, listed or not. */
	bool bare;
	uint64_t nlink;
	uint64_t size; /* as st_size */
	uint64_t allocated; /* bytes, as st_blocks * 512 would tell */
	uint32_t rdev_major, rdev_minor;
	struct timestamp atime, mtime, ctime;
};

/* Return 0 to go on, anything else ends the walk with that value. @type is
 * DT_* or DT_UNKNOWN. @cookie, not 0 and below 2^63, continues behind this
 * entry in any later call, for ever. */
typedef int guest_dir_fn(void *arg, const char *name, size_t len, uint64_t node,
			 unsigned int type, uint64_t cookie);
/* One attribute, its name in full ("user.x", "system.posix_acl_access" in the
 * form that getxattr(2) gives). */
typedef int guest_xattr_fn(void *arg, const char *name, const void *value,
			   size_t len);

/* What is to be told of a filesystem as a whole. */
struct guest_info {
	char type
		[16]; /* "ext4", "xfs", "btrfs", "ntfs", "vfat", "exfat", "iso9660" */
	char label[256]; /* UTF-8, "" where none */
	char uuid[64];
	uint32_t block_size;
	/*
	 * @state is "" where all is as the guest would see it after mounting;
	 * else it is one word for programs ("log-not-replayed",
	 * "log-partly-replayed") that users see on the volume, and @note is a
	 * sentence for them. A note without a state tells what is worth knowing
	 * of a filesystem that is whole.
	 */
	char state[32];
	char note[512];
};

/* What a reader is. Every function may block on the blocks. */
struct guest_ops {
	const char *name; /* the format, for messages */
	/*
	 * Open the filesystem on g->blocks: set g->root, g->info and, where it
	 * keeps something, g->state. What cannot be read is told in @why, a
	 * sentence for users ("its journal lies on another device").
	 * Return 0, -EOPNOTSUPP (a feature that the reader has not), -EBADMSG
	 * (damaged, or none of that format), another negative errno. After an
	 * error close() is called too.
	 */
	int (*open)(struct guest *g, struct buf *why);
	void (*close)(struct guest *g);
	/* Return 0, or -ENOENT (there is no such inode; silent). */
	int (*getattr)(struct guest *g, uint64_t node, struct guest_attr *out);
	/* -ENOENT (silent). NULL, or where it returns -EAGAIN: the name is
	 * found by reading the directory, which is remembered. The names "."
	 * and ".." and bad ones do not come. */
	int (*lookup)(struct guest *g, uint64_t dir, const char *name,
		      size_t len, uint64_t *node_out);
	/* Call @fn for all entries behind @cookie (0: from the start), in a
	 * fixed order and without "." and "..". What cannot be given for what
	 * it is said to be is passed over with guest_dir_spoil(), so that the
	 * rest comes; an error is for what ends the listing. -ENOTDIR: it is
	 * none. */
	int (*readdir)(struct guest *g, uint64_t dir, uint64_t cookie,
		       guest_dir_fn *fn, void *arg);
	/* Append the target, without a NUL. -EINVAL: it is not a link. */
	int (*readlink)(struct guest *g, uint64_t node, struct buf *out);
	/* Open a regular file. -EINVAL: it is not one. */
	int (*file)(struct guest *g, uint64_t node, struct guest_file **out);
	/* Call @fn for each attribute. Return 1 where some are not given, for
	 * they are no attributes that Linux could have: said. NULL: the format
	 * has none. */
	int (*xattrs)(struct guest *g, uint64_t node, guest_xattr_fn *fn,
		      void *arg);
	/* One that is found by its name in full and not listed, appended.
	 * -ENODATA (silent). NULL: the format has none. */
	int (*xattr)(struct guest *g, uint64_t node, const char *name,
		     struct buf *out);
};

struct guest {
	const struct guest_ops *ops;
	struct blocks *blocks; /* held */
	struct lru *memory; /* borrowed; for the caches of the reader */
	size_t held; /* bytes that it takes while it is open, of a replayed log
		      * and of tables as large as the image wants; set by
		      * open() */
	uint64_t root; /* node */
	struct guest_info info;
	void *state; /* the reader's */
	struct guest_common *common; /* guest.c's */
};

/* An open file: where its bytes are. Shared and counted; reads of it need no
 * lock of the filesystem where the format allows. */
struct guest_file_ops {
	/* All below size. Holes read as zeros. */
	int (*read)(struct guest_file *f, uint64_t off, void *out, size_t len);
	/* @off < size; as blocks_seek(). NULL: no holes. Ranges that are
	 * allocated and never written are holes, as Linux tells them. */
	int (*seek)(struct guest_file *f, uint64_t off, bool hole,
		    uint64_t *out);
	void (*free)(struct guest_file *f);
};
struct guest_file {
	const struct guest_file_ops *ops;
	uint64_t size;
	size_t memory; /* bytes that it takes, for the cache of files */
	atomic_uint refs;
};
void guest_file_init(struct guest_file *f, const struct guest_file_ops *ops,
		     uint64_t size, size_t memory);

/*
 * For a reader: not all that directory @dir holds can be listed. @fmt, which
 * names neither the format nor the directory, is said in the log, the first
 * time. From now on guest_readdir() ends with -EBADMSG at the end of @dir,
 * wherever it began: a listing comes in pieces.
 */
PRINTF(3, 4)
void guest_dir_spoil(struct guest *g, uint64_t dir, const char *fmt, ...);

/* ---- for the callers ---- */

/*
 * Open the filesystem of @type (as libblkid names it: "ext2", "ext3", "ext4", "xfs",
 * "btrfs", "ntfs", "vfat", "exfat", "iso9660") on @b, which is held. What it
 * remembers of metadata, directories and files is kept in @memory (lru.h;
 * borrowed), which all that are open share.
 * Return 0; or a negative errno and the reason in @why (-EOPNOTSUPP too for a
 * type without a reader).
 */
MUST_CHECK int guest_open(const char *type, struct blocks *b,
			  struct lru *memory, struct buf *why,
			  struct guest **out);
void guest_close(struct guest *g); /* NULL is fine */
bool guest_knows(const char *type);

MUST_CHECK int guest_getattr(struct guest *g, uint64_t node,
			     struct guest_attr *out);
/* Look a name up. Return 0, -ENOENT, -ENOTDIR, -ENAMETOOLONG, or what reading
 * returned. */
MUST_CHECK int guest_lookup(struct guest *g, uint64_t dir, const char *name,
			    uint64_t *node_out);
/* List a directory, as guest_ops has it. Return 0; what @fn returned; -EBADMSG
 * at the end, when all that can be was given, but something was passed over:
 * what is damaged, and names that cannot be (empty, "/" or NUL in them, "." and
 * "..", over 255 bytes); or what ended it earlier. */
MUST_CHECK int guest_readdir(struct guest *g, uint64_t dir, uint64_t cookie,
			     guest_dir_fn *fn, void *arg);
MUST_CHECK int guest_readlink(struct guest *g, uint64_t node, struct buf *out);
/* Read up to @len bytes; *out_len is less only at the end of the file. Files that
 * were read last stay open inside. */
MUST_CHECK int guest_read(struct guest *g, uint64_t node, uint64_t off,
			  void *out, size_t len, size_t *out_len);
/* Find data or a hole from @off on, as view_seek() does. */
MUST_CHECK int guest_seek(struct guest *g, uint64_t node, uint64_t off,
			  bool hole, uint64_t *out);
/* Append the list of attributes as entry.h has it (xattrs_*()), sorted; nothing
 * where there are none. Return 0; 1, where some are left out, which was said; or
 * a negative errno. */
MUST_CHECK int guest_xattrs(struct guest *g, uint64_t node, struct buf *out);
/* The value of an attribute that guest_xattrs() does not list, appended.
 * -ENODATA (silent): it has none of that name. */
MUST_CHECK int guest_xattr_unlisted(struct guest *g, uint64_t node,
				    const char *name, struct buf *out);

#endif
