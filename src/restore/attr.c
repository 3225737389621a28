/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Attributes, in the one order that works: the owner first, since a change of
 * owner drops capabilities and set-id bits; extended attributes before
 * the mode, since an access list rewrites the mode's group bits; then times, and
 * flags last.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "src/restore/internal.h"
#include "store/base/log.h"
#include "store/chunk.h"
#include "store/format.h"
#include "store/vault.h"

#define PROC_LEN 40

/* An object whose attributes are being set. */
struct attr_place {
	struct restore *run;
	int fd;
	bool opath;
	char proc[PROC_LEN]; /* names what an O_PATH descriptor is of */
	bool uid_ok, gid_ok;
	int error; /* the first */
};

/* An ordinary user may not do everything; that is no error. */
static void place_failed(struct attr_place *p, int err, const char *what)
{
	if (!p->run->is_root && (err == -EPERM || err == -EACCES)) {
		RESTORE_COUNT(p->run, attributes, 1);
		return;
	}
	log_warn("%s: %s", what, strerror(-err));
	if (p->error == 0)
		p->error = err;
}

static void set_owner(struct attr_place *p, const struct entry *e)
{
	struct restore *run = p->run;

	if (run->is_root) {
		if (fchownat(p->fd, "", e->uid, e->gid, AT_EMPTY_PATH) < 0)
			place_failed(p, -errno, "setting the owner");
		else
			p->uid_ok = p->gid_ok = true;
		return;
	}
	p->uid_ok = e->uid == run->euid;
	p->gid_ok = fchownat(p->fd, "", (uid_t)-1, e->gid, AT_EMPTY_PATH) == 0;
	if (!p->uid_ok || !p->gid_ok)
		RESTORE_COUNT(run, owners, 1);
}

/* The kinds that we take away where the point has none; others (labels) the
 * system sets by itself. */
static bool is_ours(const struct attr_place *p, const char *name)
{
	if (strncmp(name, "user.", 5) == 0 ||
	    strcmp(name, "system.posix_acl_access") == 0 ||
	    strcmp(name, "system.posix_acl_default") == 0)
		return true;
	return p->run->is_root && (strncmp(name, "trusted.", 8) == 0 ||
				   strcmp(name, "security.capability") == 0);
}

static bool list_has(const uint8_t *list, size_t len, const char *name)
{
	uint64_t n;
	struct reader r;
	struct xattr x;

	if (len == 0)
		return false;
	for (n = xattrs_begin(&r, list, len); n > 0; n--) {
		if (!xattrs_next(&r, &x))
			return false;
		if (x.name_len == strlen(name) &&
		    memcmp(x.name, name, x.name_len) == 0)
			return true;
	}
	return false;
}

static void remove_others(struct attr_place *p, const uint8_t *list, size_t len)
{
	AUTO_BUF struct buf all = BUF_INIT;
	char few[1024], *names = few, *name;
	ssize_t n;
	int r;

	n = p->opath ? listxattr(p->proc, few, sizeof(few))
		     : flistxattr(p->fd, few, sizeof(few));
	if (n < 0 && errno == ERANGE && buf_reserve(&all, 65536) == 0) {
		names = (char *)all.data;
		n = p->opath ? listxattr(p->proc, names, 65536)
			     : flistxattr(p->fd, names, 65536);
	}
	/* Without /proc an O_PATH descriptor has no name; it is of what was
	 * just made, and that has no attributes of its own. */
	if (n < 0 && errno != EOPNOTSUPP && !(p->opath && errno == ENOENT))
		place_failed(p, -errno, "listing attributes");
	for (name = names; n > 0 && name < names + n;
	     name += strlen(name) + 1) {
		if (!is_ours(p, name) || list_has(list, len, name))
			continue;
		r = p->opath ? removexattr(p->proc, name)
			     : fremovexattr(p->fd, name);
		if (r < 0 && errno != ENODATA)
			place_failed(p, -errno, name);
	}
}

static void set_list(struct attr_place *p, const uint8_t *list, size_t len)
{
	char name[ENTRY_NAME_MAX + 1];
	struct reader r;
	struct xattr x;
	uint64_t n;
	int e;

	for (n = xattrs_begin(&r, list, len); n > 0; n--) {
		if (!xattrs_next(&r, &x))
			return;
		memcpy(name, x.name, x.name_len);
		name[x.name_len] = '\0';
		e = p->opath ? setxattr(p->proc, name, x.value, x.value_len, 0)
			     : fsetxattr(p->fd, name, x.value, x.value_len, 0);
		if (e < 0)
			place_failed(p, -errno, name);
	}
}

static void set_xattrs(struct attr_place *p, const struct entry *e)
{
	AUTO_BUF struct buf chunk = BUF_INIT;
	const uint8_t *list = e->xattrs;
	size_t len = e->flags & ENTRY_XATTRS ? e->xattrs_len : 0;
	int r;

	if (e->flags & ENTRY_XATTRS_CHUNK) {
		r = chunk_read_all(p->run->vault, CHUNK_XATTRS, &e->xattrs_id,
				   &chunk);
		if (r == 0 && xattrs_check(chunk.data, chunk.len) < 0)
			r = -EBADMSG;
		if (r < 0) {
			place_failed(p, r, "reading attributes");
			return;
		}
		list = chunk.data;
		len = chunk.len;
	}
	remove_others(p, list, len);
	if (len > 0)
		set_list(p, list, len);
}

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452 /* Linux 6.6, on all architectures */
#endif

/* chmod() of what an O_PATH descriptor is of. */
static int chmod_opath(struct attr_place *p, mode_t mode)
{
	if (syscall(SYS_fchmodat2, p->fd, "", mode, AT_EMPTY_PATH) == 0)
		return 0;
	return errno == ENOSYS ? chmod(p->proc, mode) : -1;
}

static void set_mode(struct attr_place *p, const struct entry *e)
{
	mode_t mode = e->mode & 07777;
	int r;

	/* A set-id bit is worth what its owner is. */
	if (!p->uid_ok)
		mode &= ~(mode_t)S_ISUID;
	if (!p->gid_ok)
		mode &= ~(mode_t)S_ISGID;
	r = p->opath ? chmod_opath(p, mode) : fchmod(p->fd, mode);
	if (r < 0)
		place_failed(p, -errno, "setting the mode");
}

int restore_attrs(struct restore *run, int fd, bool opath,
		  const struct entry *e)
{
	struct attr_place p = { .run = run, .fd = fd, .opath = opath };
	const struct timespec times[2] = {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = e->mtime.sec, .tv_nsec = e->mtime.nsec },
	};
	int r;

	snprintf(p.proc, sizeof(p.proc), "/proc/self/fd/%d", fd);
	set_owner(&p, e);
	set_xattrs(&p, e);
	if (!S_ISLNK(e->mode))
		set_mode(&p, e);
	r = opath ? utimensat(fd, "", times, AT_EMPTY_PATH)
		  : futimens(fd, times);
	if (r < 0)
		place_failed(&p, -errno, "setting the times");
	if (!opath) {
		r = restore_flags(run, fd, e);
		p.error = p.error ? p.error : r;
	}
	return p.error;
}
