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

struct fuse_entry_param;
struct fuse_req;
struct attr_policy;
struct view_attr;

/* The errno that a program sees for @r, positive. Damage is EIO. */
int reply_errno(int r);

void reply_error(struct fuse_req *req, int r);
/* A name: @a, or, where @r is -ENOENT, that there is none. @fixed: there never
 * will be. */
void reply_entry(struct fuse_req *req, int r, const struct view_attr *a,
		 const struct attr_policy *p, bool fixed);
/* @top: of the mount's top directory. */
void reply_attr(struct fuse_req *req, const struct view_attr *a,
		const struct attr_policy *p, bool top);
void reply_data(struct fuse_req *req, const void *data, size_t len);
/* @text ends with a NUL. */
void reply_link(struct fuse_req *req, const char *text);
/* As getxattr(2): the length where @size is 0, ERANGE where it is too small. */
void reply_xattr(struct fuse_req *req, const void *data, size_t len,
		 size_t size);
void reply_offset(struct fuse_req *req, uint64_t off);
void reply_statfs(struct fuse_req *req, const struct statvfs *st);

/* The same as a row of a directory with attributes. */
void reply_fill_entry(const struct view_attr *a, const struct attr_policy *p,
		      struct fuse_entry_param *out);

#endif
