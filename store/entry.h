/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One name in a tree: encoding, decoding, checking.
 *
 * Bytes (vmbackup-vault(5)):
 *
 *     varint length of what follows
 *     varint length, name (no '/', no NUL, not "." or "..", at most 255; empty
 *                         for the root of the tree alone)
 *     u8     flags (enum entry_flags)
 *     varint mode, uid, gid, nlink, size
 *     svarint mtime seconds, varint mtime nanoseconds
 *     svarint ctime seconds, varint ctime nanoseconds
 *     varint source inode number, varint source device rank
 *     char and block devices:  varint major, varint minor
 *     symbolic links:          varint length, target
 *     ENTRY_XATTRS:            varint length, list of extended attributes
 *     ENTRY_XATTRS_CHUNK:      32 id, varint length of a chunk holding the list
 *     ENTRY_EXTRA:             what is known beyond stat(2), see below
 *     regular files:           content (content.h), to the end
 *
 * A list of extended attributes: varint count, then each varint length, name,
 * varint length, value; sorted by name, no name twice.
 *
 * What is known beyond stat(2) is a list of facts: varint count, then each u8
 * tag (enum entry_tag), varint length, value; tags ascend. A reader keeps a
 * fact whose tag it does not know, so that the list can grow.
 */
#ifndef STORE_ENTRY_H
#define STORE_ENTRY_H

#include "store/base/attrs.h"
#include "store/base/buf.h"
#include "store/base/id.h"

#include <stdbool.h>

struct content_ref;

#define ENTRY_NAME_MAX 255
#define ENTRY_TARGET_MAX 4095
#define ENTRY_XATTR_INLINE_MAX 2048 /* a longer list goes to a chunk */
#define ENTRY_XATTRS_MAX (8u << 20)
#define ENTRY_EXTRA_MAX 1024
#define ENTRY_MAX (32u << 10)

enum entry_flags {
	ENTRY_XATTRS = 1 << 0,
	ENTRY_XATTRS_CHUNK = 1 << 1,
	ENTRY_ACL = 1 << 2, /* among the xattrs is a POSIX ACL */
	/* The writer could not have all xattrs, or the file changed while it was
	 * read. */
	ENTRY_PARTIAL = 1 << 3,
	ENTRY_EXTRA = 1 << 4,
};

enum entry_tag {
	ENTRY_TAG_BIRTH = 1, /* svarint seconds, varint nanoseconds */
	ENTRY_TAG_INODE_FLAGS = 2, /* varint, as FS_IOC_GETFLAGS has them */
	ENTRY_TAG_PROJECT = 3, /* varint */
};

struct timestamp {
	int64_t sec;
	uint32_t nsec;
};

struct entry {
	const uint8_t *name; /* borrowed, as all pointers here */
	uint32_t name_len;
	uint8_t flags;
	uint32_t mode; /* as st_mode */
	uint32_t uid, gid;
	uint64_t nlink;
	uint64_t size; /* as st_size, directories included */
	struct timestamp mtime, ctime;
	uint64_t ino; /* the source's */
	uint32_t dev; /* rank of the source's st_dev in the scan, 0 first */
	uint32_t rdev_major, rdev_minor;
	const uint8_t *target; /* symbolic links */
	uint32_t target_len;
	const uint8_t *xattrs; /* ENTRY_XATTRS: the encoded list */
	uint32_t xattrs_len; /* of the list, wherever it is */
	struct id xattrs_id; /* ENTRY_XATTRS_CHUNK */
	const uint8_t *extra; /* ENTRY_EXTRA: the encoded list */
	uint32_t extra_len;
	const uint8_t *content; /* regular files: encoded content */
	uint32_t content_len;
	const uint8_t *raw; /* after decoding: the whole entry as stored */
	uint32_t raw_len;
};

/* What an entry's extra says that this program knows. */
struct entry_extra {
	bool has_birth;
	struct timestamp birth;
	/* 0: none of them is set, or they are not known. */
	uint32_t inode_flags;
	uint32_t project;
};

/* Append the encoded entry. Ask buf_error(). */
void entry_put(struct buf *out, const struct entry *e);
/* Decode the entry at the reader and pass it. Every field is bounded and the
 * content's form is checked. Return 0 or -EBADMSG (silent). @e borrows from
 * the input. */
MUST_CHECK int entry_get(struct reader *r, struct entry *e);
/* Return what a regular file holds, as content.h reads it; borrows from @e. */
struct content_ref entry_content(const struct entry *e);
/* Append @x as a list for entry.extra: nothing where nothing is known. Ask
 * buf_error(). */
void entry_extra_put(struct buf *out, const struct entry_extra *x);
/* Fill @out with what the extra of @e, a decoded entry, says. */
void entry_extra_get(const struct entry *e, struct entry_extra *out);
/* Return whether this is a name that may stand in a directory. */
bool entry_name_ok(const void *name, size_t len);

/* Walk an encoded list of extended attributes. */
struct xattr {
	const char *name; /* not NUL-terminated */
	size_t name_len;
	const uint8_t *value;
	size_t value_len;
};
/* Check a whole list. Return 0 or -EBADMSG (silent). */
MUST_CHECK int xattrs_check(const uint8_t *list, size_t len);
/* Begin to walk a list. Return how many attributes it has. */
uint64_t xattrs_begin(struct reader *r, const uint8_t *list, size_t len);
/* Read the next attribute. Return false when the list is bad. */
bool xattrs_next(struct reader *r, struct xattr *out);
/* Append one attribute to a list under construction (the count is the
 * caller's). */
void xattrs_put(struct buf *out, const char *name, const void *value,
		size_t len);

#endif
