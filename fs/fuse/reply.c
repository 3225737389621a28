/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "fs/fuse/reply.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include "fs/attr.h"
#include "fs/fuse/loop.h"
#include "fs/fuse/ops.h"
#include "fs/view.h"
#include "store/entry.h"

#define FOR_EVER 1e9 /* seconds */
#define SOON 1.0
/* The top's attributes are needed for every path, so their end of life is when
 * clients of a dead daemon get to know of it. */
#define AT_ONCE 0.1

int reply_errno(int r)
{
	switch (r) {
	case -ENOENT:
	case -ENOTDIR:
	case -EISDIR:
	case -EINVAL:
	case -ENAMETOOLONG:
	case -ENODATA:
	case -ENXIO:
	case -ENOMEM:
	case -ESTALE:
	case -EINTR:
	case -EROFS:
	case -ENOSYS:
	case -ERANGE:
	case -EOPNOTSUPP:
		return -r;
	default:
		/* Damage (-EBADMSG), a backend that fails or has no such
		 * object, a newer format. */
		return EIO;
	}
}

/* The answer did not arrive where the client is gone: nobody to tell. */
static void sent(int r)
{
	(void)r;
}

void reply_error(struct fuse_req *req, int r)
{
	if (call_end())
		sent(fuse_reply_err(req, reply_errno(r)));
}

void reply_denied(struct fuse_req *req)
{
	if (call_end())
		sent(fuse_reply_err(req, EACCES));
}

static double attr_hold(const struct view_attr *a, enum reply_place place)
{
	if (place == REPLY_TOP)
		return AT_ONCE;
	if (a->immutable)
		return FOR_EVER;
	return S_ISREG(a->st.st_mode) ? 0 : SOON;
}

static void fill_attr(const struct ops *o, const struct view_attr *a,
		      enum reply_place place, struct stat *out)
{
	*out = a->st;
	attr_apply(&o->policy, a->stored, out);
	if (place == REPLY_TOP && o->top_private) {
		out->st_mode &= ~(mode_t)077;
		out->st_uid = o->uid;
		out->st_gid = o->gid;
	}
}

void reply_fill_entry(const struct ops *o, const struct view_attr *a,
		      enum reply_place place, struct fuse_entry_param *out)
{
	memset(out, 0, sizeof(*out));
	out->ino = place == REPLY_TOP ? FUSE_ROOT_ID : a->node;
	out->generation = place == REPLY_TOP ? 0 : o->generation;
	fill_attr(o, a, place, &out->attr);
	out->attr_timeout = attr_hold(a, place);
	out->entry_timeout = out->attr_timeout;
	/* Where the kernel does not ask for the top's permissions at each path,
	 * it asks for the name behind it: see AT_ONCE. */
	if (place == REPLY_NEAR_TOP && !o->checked)
		out->entry_timeout = MIN(out->entry_timeout, AT_ONCE);
}

void reply_entry(struct fuse_req *req, const struct ops *o, int r,
		 const struct view_attr *a, enum reply_place place, bool fixed)
{
	struct fuse_entry_param e;

	if (r == 0) {
		reply_fill_entry(o, a, place, &e);
	} else if (r == -ENOENT && fixed) {
		/* Node 0 with a time: the kernel remembers that there is no
		 * such name. */
		memset(&e, 0, sizeof(e));
		e.entry_timeout = FOR_EVER;
	} else {
		reply_error(req, r);
		return;
	}
	if (call_end())
		sent(fuse_reply_entry(req, &e));
}

void reply_attr(struct fuse_req *req, const struct ops *o,
		const struct view_attr *a, enum reply_place place)
{
	struct stat st;

	fill_attr(o, a, place, &st);
	if (call_end())
		sent(fuse_reply_attr(req, &st, attr_hold(a, place)));
}

/* fuse_statx_out of protocol 7.39, which older headers do not have. Its
 * attributes are laid out as those of statx(2). */
struct statx_answer {
	uint64_t valid_s;
	uint32_t valid_ns;
	uint32_t flags;
	uint64_t spare[2];
	struct statx st;
};
_Static_assert(sizeof(struct statx_answer) == 288, "as the kernel has it");

static struct statx_timestamp statx_time(const struct timespec *t)
{
	return (struct statx_timestamp){ .tv_sec = t->tv_sec,
					 .tv_nsec = (uint32_t)t->tv_nsec };
}

static void fill_statx(const struct stat *st, struct statx *out)
{
	out->stx_mask = STATX_BASIC_STATS;
	out->stx_blksize = (uint32_t)st->st_blksize;
	out->stx_nlink = (uint32_t)st->st_nlink;
	out->stx_uid = st->st_uid;
	out->stx_gid = st->st_gid;
	out->stx_mode = (uint16_t)st->st_mode;
	out->stx_ino = st->st_ino;
	out->stx_size = (uint64_t)st->st_size;
	out->stx_blocks = (uint64_t)st->st_blocks;
	out->stx_atime = statx_time(&st->st_atim);
	out->stx_mtime = statx_time(&st->st_mtim);
	out->stx_ctime = statx_time(&st->st_ctim);
	out->stx_rdev_major = major(st->st_rdev);
	out->stx_rdev_minor = minor(st->st_rdev);
}

void reply_statx(struct fuse_req *req, const struct ops *o,
		 const struct view_attr *a, const struct entry_extra *x,
		 enum reply_place place)
{
	double hold = attr_hold(a, place);
	struct statx_answer out = { .valid_s = (uint64_t)hold };
	struct stat st;

	out.valid_ns = (uint32_t)((hold - (double)out.valid_s) * 1e9);
	fill_attr(o, a, place, &st);
	fill_statx(&st, &out.st);
	if (x->has_birth) {
		out.st.stx_mask |= STATX_BTIME;
		out.st.stx_btime.tv_sec = x->birth.sec;
		out.st.stx_btime.tv_nsec = x->birth.nsec;
	}
	reply_data(req, &out, sizeof(out));
}

void reply_data(struct fuse_req *req, const void *data, size_t len)
{
	if (call_end())
		sent(fuse_reply_buf(req, data, len));
}

void reply_link(struct fuse_req *req, const char *text)
{
	if (call_end())
		sent(fuse_reply_readlink(req, text));
}

void reply_xattr(struct fuse_req *req, const void *data, size_t len,
		 size_t size)
{
	if (!call_end())
		return;
	if (size == 0)
		sent(fuse_reply_xattr(req, len));
	else if (len > size)
		sent(fuse_reply_err(req, ERANGE));
	else
		sent(fuse_reply_buf(req, data, len));
}

void reply_offset(struct fuse_req *req, uint64_t off)
{
	if (call_end())
		sent(fuse_reply_lseek(req, (off_t)off));
}

void reply_statfs(struct fuse_req *req, const struct statvfs *st)
{
	if (call_end())
		sent(fuse_reply_statfs(req, st));
}
