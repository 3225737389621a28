/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Walks sources in the order of tree keys (store/tree.h): a directory's entries by name, then
 * each subdirectory's. The directories above a source appear as entries too ("/" first).
 * Memory: the names of the directories on the way down, nothing else.
 *
 * The walk is one thread's. Directory contents are read ahead of it on a second one
 * (getdents and fstatat), a bounded number of directories; the order does not change.
 */
#ifndef SRC_SCAN_H
#define SRC_SCAN_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct exclude;
struct scan;

struct scan_options {
	const char *const *sources; /* absolute or relative to the current directory; not resolved beyond that */
	size_t nsources;
	const struct exclude *exclude; /* may be NULL */
	bool exclude_caches; /* directories with a CACHEDIR.TAG: only the tag file is kept */
	bool one_file_system;
	/* Paths never walked into: the vault's own directory, a cache. Compared by device and inode. */
	const struct stat *skip;
	size_t nskip;
};

/* One entry found. Pointers are good until the next call. */
struct scan_item {
	const uint8_t *dirkey; /* of the directory it stands in */
	size_t dirkey_len;
	const char *name; /* "" for "/" */
	size_t name_len;
	struct stat st;
	int dirfd; /* of that directory, for openat(dirfd, name); held until the next call; -1 for "/" */
	const char *path; /* absolute, for messages and dirfd -1 */
	int error; /* negative errno: it could not be examined (st invalid), or, for a directory, not (wholly) read */
};

/*
 * Errors about a source itself (missing, ".." after resolution) are said in words.
 * Return 0, -ENOENT or another negative errno.
 */
MUST_CHECK int scan_open(const struct scan_options *o, struct scan **out);
/*
 * The next entry. Return 1, 0 at the end, or a negative errno that ends the walk (-ENOMEM).
 * A directory that cannot be opened or read to its end comes as an item with @error set
 * just before the entries that could be read would have come (its own entry was delivered before
 * without error); it is never taken for empty.
 */
MUST_CHECK int scan_next(struct scan *s, struct scan_item *out);
/* The absolute, cleaned sources; borrowed. */
const char *const *scan_sources(const struct scan *s, size_t *n_out);
void scan_close(struct scan *s);

/*
 * The extended attributes of an entry (of the link itself), as an encoded sorted list
 * (store/entry.h). @has_acl: a POSIX ACL is among them. @name as in scan_item. Return 0 or a negative errno (silent);
 * a filesystem without attributes has none.
 */
MUST_CHECK int scan_xattrs(const struct scan_item *item, struct buf *out, bool *has_acl);
/* The same for an open file. */
MUST_CHECK int scan_fd_xattrs(int fd, struct buf *out, bool *has_acl);

#endif
