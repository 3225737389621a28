/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Walks sources in the order of tree keys (store/tree.h): a directory's entries
 * by name, then each subdirectory's. The directories above a source appear as
 * entries too ("/" first, each once); one that is a symbolic link appears as
 * the directory it leads to. A source itself is followed only where it was
 * given with a '/' behind it, and must then lead to a directory.
 *
 * The walk is one thread's. A second one reads directories ahead of it, and
 * both examine entries (fstatat): at most 4,096 entries and 256 directories
 * ahead; the order does not change. Memory: about 1.5 MB, the names of the
 * directory being read (16 bytes and its length each, and up to as much again to
 * grow into: 30 to 60 MB for a million of 13 bytes, and 16 MB more while they
 * are sorted), and those of the
 * subdirectories still to come on the way down. At most 290 descriptors, or
 * half of what the process may have.
 */
#ifndef SRC_SCAN_SCAN_H
#define SRC_SCAN_SCAN_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct exclude;
struct scan;

struct scan_options {
	/* Absolute or relative to the current directory; not resolved beyond
	 * that. They may overlap or come twice. */
	const char *const *sources;
	size_t nsources;
	/* May be NULL. A source is handed out whatever a pattern says. */
	const struct exclude *exclude;
	/* Of directories with a CACHEDIR.TAG only that file is kept. */
	bool exclude_caches;
	/* A directory on another file system than its source is handed out,
	 * not walked into, unless it is a source or leads to one. */
	bool one_file_system;
	/* Directories never walked into: the vault's own, a cache. Compared
	 * by device and inode. */
	const struct stat *skip;
	size_t nskip;
	/* Filesystems that are entered only where a source is in them: vaults
	 * that are mounted. Copied. */
	const dev_t *apart;
	size_t napart;
};

/* One entry found. Pointers are good until the next call. */
struct scan_item {
	const uint8_t *dirkey; /* of the directory it stands in */
	size_t dirkey_len;
	const char *name; /* "" for "/" */
	size_t name_len;
	struct stat st;
	int dirfd; /* of that directory, for openat(dirfd, name); held until
		    * the next call; -1 for "/" and for a directory's error */
	const char *path; /* absolute, for messages and dirfd -1 */
	/* If it is a symbolic link, it was followed, as it leads to a source:
	 * st is that of a directory. */
	bool followed;
	/* A directory on another filesystem, which did not answer; as it was
	 * not to be entered, that is no error. Its st is made up from the
	 * directory it stands in. */
	bool unreachable;
	/* Negative errno: it could not be examined (st is zeros), or (st_mode
	 * is S_IFDIR, nothing more) a directory could not be read wholly.
	 * -ESTALE: it was replaced while it was looked at. */
	int error;
};

/*
 * Errors about a source itself (missing, ".." after resolution) are said in
 * words.
 * Return 0, -ENOENT or another negative errno.
 */
MUST_CHECK int scan_open(const struct scan_options *o, struct scan **out);
/*
 * The next entry. Return 1, 0 at the end, or a negative errno that ends the
 * walk (-ENOMEM). A directory that cannot be opened or read to its end (or is
 * too deep for a key) comes as an item with @error set just before the
 * entries that could be read would have come (its own entry was delivered
 * before without error); it is never taken for empty.
 */
MUST_CHECK int scan_next(struct scan *s, struct scan_item *out);
/* The absolute, cleaned sources, sorted, each once; borrowed. */
const char *const *scan_sources(const struct scan *s, size_t *n_out);
/*
 * Return the paths of the directories that were handed out but not entered, or
 * entered only on the way to another source: they are on another filesystem
 * than their source, or are to be skipped. Call it once scan_next() has
 * returned 0. They are borrowed, and not sorted.
 */
const char *const *scan_left_out(const struct scan *s, size_t *n_out);
void scan_close(struct scan *s);

/* Extended attributes that could not be read. */
struct scan_xattr_loss {
	unsigned int n; /* how many; 0: none */
	int error; /* why the first of them could not, a negative errno */
	/* Its name; "" where not even the names could be read. */
	char name[256];
};

/*
 * Append the extended attributes of an entry (of a link itself, unless it was
 * followed) to @out, as an encoded sorted list (store/entry.h); nothing where
 * there are none, or the filesystem has no attributes. *@has_acl says whether a
 * POSIX ACL is among them. Those that cannot be read, or that a point cannot
 * hold, are missing, and *@loss says which.
 * Return 0 or -ENOMEM.
 */
MUST_CHECK int scan_xattrs(const struct scan_item *item, struct buf *out,
			   bool *has_acl, struct scan_xattr_loss *loss);
/* Do the same for an open file. */
MUST_CHECK int scan_fd_xattrs(int fd, struct buf *out, bool *has_acl,
			      struct scan_xattr_loss *loss);

/*
 * Append what is known of an entry beyond stat(2), as entry.extra has it
 * (store/entry.h): nothing where nothing is. What cannot be had is not known;
 * of what is no directory there is only what statx(2) tells.
 * Return 0 or -ENOMEM.
 */
MUST_CHECK int scan_extra(const struct scan_item *item, struct buf *out);
/* Do the same for an open file, of which more can be asked. */
MUST_CHECK int scan_fd_extra(int fd, struct buf *out);

#endif
