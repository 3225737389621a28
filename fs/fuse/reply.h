/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Answers to FUSE requests. The only place where an error of the store becomes
 * what a program sees. Each ends the call (loop.h): where it was taken away,
 * nothing is sent.
 */
#ifndef FS_FUSE_REPLY_H
#define FS_FUSE_REPLY_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/statvfs.h>

struct entry_extra;
struct fuse_entry_param;
struct fuse_req;
struct ops;
struct view_attr;

/* Where a node is, as far as answers differ by it. */
enum reply_place {
	REPLY_DEEP,
	REPLY_NEAR_TOP, /* it stands in the mount's top directory */
	REPLY_TOP, /* it is that directory */
};

/* The errno that a program sees for @r, positive. Damage is EIO. */
int reply_errno(int r);

void reply_error(struct fuse_req *req, int r);
/* Access is denied: for the kernel's own asking, where root may still pass. */
void reply_denied(struct fuse_req *req);
/* A name leads to @a; or, where @r is -ENOENT, there is no such name, and
 * @fixed says that there never will be; or another error. */
void reply_entry(struct fuse_req *req, const struct ops *o, int r,
		 const struct view_attr *a, enum reply_place place, bool fixed);
void reply_attr(struct fuse_req *req, const struct ops *o,
		const struct view_attr *a, enum reply_place place);
/* The same to FUSE_STATX, which has the time of birth, too. */
void reply_statx(struct fuse_req *req, const struct ops *o,
		 const struct view_attr *a, const struct entry_extra *x,
		 enum reply_place place);
void reply_data(struct fuse_req *req, const void *data, size_t len);
/* @text ends with a NUL. */
void reply_link(struct fuse_req *req, const char *text);
/* As getxattr(2): the length where @size is 0, ERANGE where it is too small. */
void reply_xattr(struct fuse_req *req, const void *data, size_t len,
		 size_t size);
void reply_offset(struct fuse_req *req, uint64_t off);
void reply_statfs(struct fuse_req *req, const struct statvfs *st);

/* The same as a row of a directory with attributes. */
void reply_fill_entry(const struct ops *o, const struct view_attr *a,
		      enum reply_place place, struct fuse_entry_param *out);

#endif
