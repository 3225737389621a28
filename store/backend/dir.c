/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A vault in a local directory: an object is a file, a name is its path.
 *
 * A put is: an unnamed file in the object's own folder, its bytes, fdatasync,
 * linkat to its name, fsync of the folder. linkat never replaces, so the name
 * is there whole or not at all, and only one writer gets it. Where the
 * filesystem has no unnamed files, a name that begins with ".tmp-" stands in
 * for one; names that begin with a dot are no objects.
 *
 * Opening writes nothing, and reading needs no more than reading rights.
 */
#include "config.h"

#include "store/backend/dir_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/base/log.h"
#include "store/base/seam.h"

/* An errno's own words say only what happened. */
const char *dir_advice(int err)
{
	switch (-err) {
	case ENOSPC:
	case EDQUOT:
		return "free space there, then run it again";
	case EROFS:
		return "make the filesystem writable, or use another vault";
	case EACCES:
	case EPERM:
		return "run it as the vault's owner, or let this user in";
	case EMFILE:
	case ENFILE:
		return "raise the limit of open files (ulimit -n)";
	case EOPNOTSUPP:
		return "choose a filesystem with hard links";
	case EFBIG:
		return "raise the limit of file sizes (ulimit -f)";
	case EHOSTUNREACH:
	case ETIMEDOUT:
		return "see whether the filesystem is still mounted and its server can be reached";
	default:
		return "see to the disk (dmesg may know more), then run it again";
	}
}

int dir_errno(int err)
{
	switch (-err) {
	case ESTALE: /* the server has been restarted; names still lead there */
		return -ETIMEDOUT;
	case ENOTCONN:
	case ESHUTDOWN:
	case ECONNREFUSED:
	case ECONNRESET:
	case ECONNABORTED:
	case EHOSTDOWN:
	case ENETDOWN:
	case ENETUNREACH:
	case ENOLINK:
	case EREMOTEIO:
	case ENODEV:
		return -EHOSTUNREACH;
	default:
		return err;
	}
}

/* Where nothing can be learned of the whole filesystem either, the fault is not
 * the object's: the place is away. No cache answers this question. */
static int blame(const struct backend_dir *d, int err)
{
	struct statvfs st;

	if (err != -EIO || fstatvfs(d->root, &st) == 0)
		return dir_errno(err);
	return -EHOSTUNREACH;
}

int dir_fail(const struct backend_dir *d, int err, const char *what,
	     const char *name)
{
	int r = blame(d, err);

	if (backend_is_passing(r))
		return r;
	if (dir_is_refusal(r))
		return dir_refused(d, r, what, name);
	return fail(r, "vault %s: cannot %s %s: %s; %s", d->base.url, what,
		    name, strerror(-err),
		    dir_advice(r == -EHOSTUNREACH ? r : err));
}

int dir_open_folder(struct backend_dir *d, const char *name,
		    const char **leaf_out)
{
	int fd = openat(d->root, ".", O_PATH | DIR_FOLDER);
	const char *p = name, *slash;

	while (fd >= 0 && (slash = strchr(p, '/'))) {
		char part[BACKEND_NAME_MAX + 1];
		int child;

		snprintf(part, sizeof(part), "%.*s", (int)(slash - p), p);
		child = openat(fd, part, O_PATH | DIR_FOLDER);
		if (child < 0)
			child = -errno; /* before close() can change it */
		close(fd);
		if (child < 0)
			return child;
		fd = child;
		p = slash + 1;
	}
	*leaf_out = p;
	return fd < 0 ? -errno : fd;
}

/* ---- get, head ---- */

int dir_not_an_object(const struct backend_dir *d, const char *name)
{
	return fail(
		-EBADMSG,
		"vault %s: something else than a plain file in plain folders stands where %s belongs; find out who put it there and remove it",
		d->base.url, name);
}

bool dir_is_misfit(int err)
{
	return err == -ELOOP || err == -ENOTDIR || err == -ENXIO;
}

int dir_open_object(struct backend_dir *d, const char *name)
{
	const char *leaf = NULL;
	AUTO_CLOSE int folder = dir_open_folder(d, name, &leaf);
	struct stat st;
	int fd, r;

	if (folder < 0) {
		r = folder;
	} else {
		/* Not to be held up by a fifo. */
		fd = openat(folder, leaf,
			    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
				    O_CLOEXEC);
		r = fd < 0 ? -errno : fd;
		/* Its folder could be entered: others may well be readable. */
		if (r == -EACCES)
			r = -EPERM;
	}
	if (dir_is_misfit(r))
		return dir_not_an_object(d, name);
	if (r < 0)
		return r == -ENOENT ? r : dir_fail(d, r, "open", name);
	fd = r;
	if (fstat(fd, &st) < 0)
		r = dir_fail(d, -errno, "open", name);
	else if (!S_ISREG(st.st_mode))
		r = dir_not_an_object(d, name);
	if (r < 0)
		close(fd);
	return r;
}

/* Silent on -ESTALE. */
static int read_range(struct backend_dir *d, int fd, const char *name,
		      uint64_t off, void *data, size_t len)
{
	uint8_t *p = data;
	size_t done = 0;

	while (done < len) {
		ssize_t n =
			pread(fd, p + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == ESTALE
				       ? -errno
				       : dir_fail(d, -errno, "read", name);
		if (n == 0)
			return fail(
				-EBADMSG,
				"vault %s: object %s ends at byte %" PRIu64
				" where %" PRIu64
				" are needed: it was truncated; run vmbackup check",
				d->base.url, name, off + done, off + len);
		done += (size_t)n;
	}
	return 0;
}

/* Packs are read at random and their files kept open; other objects are read
 * once, whole. */
static int get_once(struct backend_dir *d, const char *name, uint64_t off,
		    void *data, size_t len)
{
	bool keep = strncmp(name, "pack/", strlen("pack/")) == 0;
	struct fdcache_slot *slot = keep ? fdcache_get(&d->fds, name) : NULL;
	int fd, r;

	if (slot) {
		fd = slot->fd;
	} else {
		fd = dir_open_object(d, name);
		if (fd < 0)
			return fd;
		if (keep)
			slot = fdcache_add(&d->fds, name, fd);
		if (slot)
			fd = slot->fd;
	}
	r = read_range(d, fd, name, off, data, len);
	if (slot)
		fdcache_put(&d->fds, slot);
	else
		close(fd);
	return r;
}

static int dir_get(struct backend *b, const struct backend_call *c,
		   const char *name, uint64_t off, void *data, size_t len)
{
	struct backend_dir *d = dir_of(b);
	int r = get_once(d, name, off, data, len);

	(void)c;
	/* A file server has been restarted: its old handles mean nothing. */
	if (r == -ESTALE) {
		fdcache_drop(&d->fds, name);
		r = get_once(d, name, off, data, len);
	}
	return r == -ESTALE ? dir_fail(d, r, "read", name) : r;
}

/* One request to a file server, and not a look at the size before. */
static int dir_get_all(struct backend *b, const struct backend_call *c,
		       const char *name, size_t max, uint8_t **out,
		       size_t *len_out)
{
	struct backend_dir *d = dir_of(b);
	AUTO_CLOSE int fd = dir_open_object(d, name);
	uint8_t *data;
	struct stat st;
	size_t len;
	int r;

	(void)c;
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return dir_fail(d, -errno, "look at", name);
	if ((uint64_t)st.st_size > max)
		return -EFBIG;
	len = (size_t)st.st_size;
	data = malloc(len > 0 ? len : 1);
	if (!data)
		return -ENOMEM;
	r = read_range(d, fd, name, 0, data, len);
	if (r < 0) {
		free(data);
		return r == -ESTALE ? dir_fail(d, r, "read", name) : r;
	}
	*out = data;
	*len_out = len;
	return 0;
}

static int64_t time_ns(const struct statx_timestamp *t)
{
	return t->tv_sec * 1000000000 + t->tv_nsec;
}

int dir_look(int folder, const char *leaf, mode_t *mode_out,
	     struct backend_info *out)
{
	struct statx st;

	if (statx(folder, leaf, AT_SYMLINK_NOFOLLOW,
		  STATX_BASIC_STATS | STATX_BTIME, &st) < 0)
		return -errno;
	*mode_out = st.stx_mode;
	/* A link to a file, as in a snapshot of a vault, is made without placing
	 * anything, which the time of its last change does not tell. */
	*out = (struct backend_info){
		.size = st.stx_size,
		.stored_ns = time_ns(&st.stx_mtime),
		.placed_ns =
			st.stx_mask & STATX_BTIME ? time_ns(&st.stx_btime) : 0,
	};
	return 0;
}

static int dir_head(struct backend *b, const struct backend_call *c,
		    const char *name, struct backend_info *info_out)
{
	struct backend_dir *d = dir_of(b);
	const char *leaf = NULL;
	AUTO_CLOSE int folder = dir_open_folder(d, name, &leaf);
	mode_t mode = 0;
	int r = folder;

	(void)c;
	if (r >= 0)
		r = dir_look(folder, leaf, &mode, info_out);
	if (dir_is_misfit(r) || (r == 0 && !S_ISREG(mode)))
		return dir_not_an_object(d, name);
	if (r < 0)
		return r == -ENOENT ? r : dir_fail(d, r, "look at", name);
	return 0;
}

/* ---- delete, probe, create, open ---- */

/* Take away the names that lie in one folder, from @names[0] on, and let that
 * last. @done_out: how many those are. Return 0, -ENOENT (none was there) or
 * another negative errno, silent. */
static int delete_in_folder(struct backend_dir *d, const char *const *names,
			    size_t n, size_t *done_out)
{
	struct seam *s = dir_seam(d);
	const char *leaf = NULL;
	AUTO_CLOSE int folder = dir_open_folder(d, names[0], &leaf);
	AUTO_CLOSE int fd = -1;
	size_t len, i, missing = 0;
	int r, failed = 0;

	*done_out = 1;
	if (folder < 0)
		return folder;
	fd = openat(folder, ".", O_RDONLY | DIR_FOLDER);
	if (fd < 0)
		return -errno;
	len = (size_t)(leaf - names[0]);
	for (i = 0; i < n && strncmp(names[i], names[0], len) == 0 &&
		    !strchr(names[i] + len, '/');
	     i++) {
		r = s->ops->unlinkat(s, folder, names[i] + len, 0);
		fdcache_drop(&d->fds, names[i]);
		if (r == -ENOENT)
			missing++;
		else if (r < 0 && failed == 0)
			failed = r;
	}
	*done_out = i;
	/* What is not there may have been taken away by somebody who died before
	 * that was to last. */
	r = dir_sync_folder(d, fd);
	if (failed < 0 || r < 0)
		return failed < 0 ? failed : r;
	return missing == 1 && i == 1 ? -ENOENT : 0;
}

static int dir_delete(struct backend *b, const struct backend_call *c,
		      const char *name)
{
	struct backend_dir *d = dir_of(b);
	size_t done;
	int r = delete_in_folder(d, &name, 1, &done);

	(void)c;
	return r == 0 || r == -ENOENT ? r : dir_fail(d, r, "delete", name);
}

static int dir_delete_many(struct backend *b, const struct backend_call *c,
			   const char *const *names, size_t n)
{
	struct backend_dir *d = dir_of(b);
	size_t i, done;
	int r = 0;

	(void)c;
	for (i = 0; i < n; i += done) {
		int r2 = delete_in_folder(d, names + i, n - i, &done);

		if (r == 0 && r2 < 0 && r2 != -ENOENT)
			r = dir_fail(d, r2, "delete", names[i]);
	}
	return r;
}

static int dir_probe(struct backend *b)
{
	struct backend *other = NULL;
	int r = backend_open(b->url, &b->options, &other);

	/* Its folder stays: a restore beside this knows the folders of a vault by their
	 * numbers, and the next folder that is made would have that of one that went. */
	if (r == 0)
		r = backend_probe_all(b, other);
	backend_close(other);
	return r;
}

static int make_folders(struct backend *b)
{
	struct backend_dir *d = dir_of(b);
	int r = dir_make_folders(d);

	return r < 0 ? dir_fail(d, r, "make", "its folders") : 0;
}

static int dir_create(struct backend *b)
{
	int r = dir_check_empty(dir_of(b));

	return r < 0 ? r : make_folders(b);
}

static void dir_close(struct backend *b)
{
	struct backend_dir *d = dir_of(b);

	fdcache_release(&d->fds);
	pthread_mutex_destroy(&d->lock);
	dir_names_release(&d->durable);
	dir_names_release(&d->swept);
	if (d->root >= 0)
		close(d->root);
	backend_release(b);
	free(d);
}

/* Packs lie in 256 folders, which a disk or a server of files can read side by
 * side. */
#define LIST_THREADS 4

static const struct backend_ops dir_ops = {
	.put = dir_put,
	.replace = dir_replace,
	.get = dir_get,
	.get_all = dir_get_all,
	.head = dir_head,
	.list = dir_list_page,
	.sync = dir_sync,
	.delete = dir_delete,
	.delete_many = dir_delete_many,
	.probe = dir_probe,
	.may_delete = dir_may_delete,
	.may_lag = dir_may_lag,
	.create = dir_create,
	.stamp = dir_stamp,
	.missing_folders = dir_missing_folders,
	.make_folders = make_folders,
	.close = dir_close,
};

static int open_root(struct backend_dir *d, const char *path, bool create)
{
	int r = 0;

	if (create)
		r = dir_seam(d)->ops->mkdirat(dir_seam(d), AT_FDCWD, path,
					      0700);
	d->made = create && r == 0;
	if (r < 0 && r != -EEXIST)
		return fail(r, "vault %s: cannot make the directory: %s%s",
			    d->base.url, strerror(-r),
			    r == -ENOENT ? "; make the one above it first"
					 : "");
	d->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (d->root >= 0)
		return 0;
	r = -errno;
	return fail(
		dir_errno(r), "vault %s: cannot open the directory: %s; %s",
		d->base.url, strerror(-r),
		r == -ENOENT
			? "make a vault with vmbackup init, or mount the disk it is on"
			: dir_advice(dir_errno(r)));
}

int backend_dir_open(const char *url, const char *path,
		     const struct backend_options *o, bool create,
		     struct backend **out)
{
	struct backend_dir *d;
	int r;

	*out = NULL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->root = -1;
	fdcache_init(&d->fds);
	pthread_mutex_init(&d->lock, NULL);
	r = backend_init(&d->base, &dir_ops, url, o);
	d->base.list_threads = LIST_THREADS;
	if (r == 0)
		r = open_root(d, path, create);
	if (r == 0)
		dir_note_folders(d);
	if (r < 0) {
		dir_close(&d->base);
		return r;
	}
	*out = &d->base;
	return 0;
}
