/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The recorder. Files and directories are known by device and inode number, so
 * that it does not matter how somebody came by a descriptor; of two with the
 * same number (it was free in between) the younger one is meant.
 */
#include "config.h"

#include "tests/unit/seam_crash_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/lock.h"

static struct seam_crash *crash_of(struct seam *s)
{
	return container_of(s, struct seam_crash, seam);
}

static void *need(void *p)
{
	if (!p) {
		perror("seam_crash");
		abort();
	}
	return p;
}

void *crash_grow(void *array, size_t n, size_t size)
{
	if (n & (n - 1))
		return array;
	return need(realloc(array, (n ? 2 * n : 1) * size));
}

static int add_inode(struct seam_crash *c, const struct stat *st)
{
	struct inode *i;

	c->inodes = crash_grow(c->inodes, c->ninodes, sizeof(*c->inodes));
	i = &c->inodes[c->ninodes];
	memset(i, 0, sizeof(*i));
	i->is_dir = S_ISDIR(st->st_mode);
	i->dev = st->st_dev;
	i->ino = st->st_ino;
	return (int)c->ninodes++;
}

/* -1: not one of ours. */
static int find_inode(const struct seam_crash *c, const struct stat *st)
{
	size_t i = c->ninodes;

	while (i-- > 0)
		if (c->inodes[i].ino == st->st_ino &&
		    c->inodes[i].dev == st->st_dev &&
		    c->inodes[i].is_dir == !!S_ISDIR(st->st_mode))
			return (int)i;
	return -1;
}

static int inode_of_fd(const struct seam_crash *c, int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? -1 : find_inode(c, &st);
}

static struct event *add_event(struct seam_crash *c, enum event_type type,
			       int inode)
{
	struct event *e;

	c->events = crash_grow(c->events, c->nevents, sizeof(*c->events));
	e = &c->events[c->nevents++];
	memset(e, 0, sizeof(*e));
	e->type = type;
	e->inode = inode;
	e->dir = -1;
	return e;
}

/* A change of a file's bytes, which finds the one before it. */
static struct event *add_content(struct seam_crash *c, enum event_type type,
				 int inode)
{
	struct event *e = add_event(c, type, inode);
	struct inode *i = &c->inodes[inode];

	if (i->last)
		c->events[i->last - 1].next = c->nevents;
	else
		i->first = c->nevents;
	i->last = c->nevents;
	return e;
}

static struct event *add_name(struct seam_crash *c, enum event_type type,
			      int dir, const char *name, int inode)
{
	struct event *e = add_event(c, type, inode);

	e->dir = dir;
	e->name = need(strdup(name));
	e->hash = crash_hash(name);
	return e;
}

/* The directory that @path (from @dirfd) names something in, and that last
 * part of it. -1: not one of ours. */
static int parent_of(const struct seam_crash *c, int dirfd, const char *path,
		     const char **leaf_out)
{
	const char *slash = strrchr(path, '/');
	char *head;
	struct stat st;
	int r;

	*leaf_out = slash ? slash + 1 : path;
	if (slash == path)
		head = need(strdup("/"));
	else if (slash)
		head = need(strndup(path, (size_t)(slash - path)));
	else
		head = need(strdup("."));
	r = fstatat(dirfd, head, &st, 0);
	free(head);
	return r < 0 ? -1 : find_inode(c, &st);
}

/* ---- what is there when recording begins ---- */

static void read_file(struct inode *i, int fd, const struct stat *st)
{
	i->data = need(malloc((size_t)st->st_size + 1));
	i->len = (size_t)st->st_size;
	if (pread(fd, i->data, i->len, 0) != (ssize_t)i->len)
		need(NULL);
}

/* Read the directory @inode, open as @fd, which this closes. */
static void read_dir(struct seam_crash *c, int inode, int fd)
{
	DIR *dir = need(fdopendir(fd));
	struct dirent *e;

	while ((e = readdir(dir))) {
		struct inode *d;
		struct stat st;
		int child, child_fd;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		child_fd = openat(fd, e->d_name,
				  O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (child_fd < 0 || fstat(child_fd, &st) < 0)
			need(NULL);
		child = find_inode(c, &st);
		if (child >= 0) {
			close(child_fd); /* a hard link */
		} else {
			child = add_inode(c, &st);
			if (S_ISDIR(st.st_mode)) {
				read_dir(c, child, child_fd);
			} else {
				read_file(&c->inodes[child], child_fd, &st);
				close(child_fd);
			}
		}
		d = &c->inodes[inode];
		d->entries = crash_grow(d->entries, d->nentries,
					sizeof(*d->entries));
		d->entries[d->nentries].name = need(strdup(e->d_name));
		d->entries[d->nentries].hash = crash_hash(e->d_name);
		d->entries[d->nentries++].inode = child;
	}
	closedir(dir);
}

/* ---- the seam ---- */

static int64_t crash_realtime_ns(struct seam *s)
{
	struct seam *next = crash_of(s)->next;

	return next->ops->realtime_ns(next);
}

static int64_t crash_monotonic_ns(struct seam *s)
{
	struct seam *next = crash_of(s)->next;

	return next->ops->monotonic_ns(next);
}

static void crash_sleep_ns(struct seam *s, int64_t ns)
{
	struct seam *next = crash_of(s)->next;

	next->ops->sleep_ns(next, ns);
}

static int crash_random(struct seam *s, void *out, size_t len)
{
	struct seam *next = crash_of(s)->next;

	return next->ops->random(next, out, len);
}

static int crash_openat(struct seam *s, int dirfd, const char *path, int flags,
			mode_t mode)
{
	struct seam_crash *c = crash_of(s);
	bool unnamed = (flags & O_TMPFILE) == O_TMPFILE;
	bool truncates = flags & O_TRUNC;
	const char *leaf;
	struct stat st;
	int fd, dir, inode;

	SCOPED_LOCK(&c->lock);
	if (unnamed)
		dir = fstatat(dirfd, path, &st, 0) < 0 ? -1
						       : find_inode(c, &st);
	else
		dir = parent_of(c, dirfd, path, &leaf);
	/* Created, or there before? Only the first makes a name. */
	if (!unnamed && (flags & O_CREAT) && fstatat(dirfd, path, &st, 0) == 0)
		flags &= ~(flags & O_EXCL ? 0 : O_CREAT);
	fd = c->next->ops->openat(c->next, dirfd, path, flags, mode);
	if (fd < 0 || dir < 0 || fstat(fd, &st) < 0)
		return fd;
	if (unnamed || (flags & O_CREAT)) {
		inode = add_inode(c, &st);
		add_event(c, EVENT_CREATE, inode);
		if (!unnamed)
			add_name(c, EVENT_ADD, dir, leaf, inode);
	} else if (truncates && find_inode(c, &st) >= 0) {
		add_content(c, EVENT_TRUNCATE, find_inode(c, &st));
	}
	return fd;
}

static ssize_t crash_pwrite(struct seam *s, int fd, const void *data,
			    size_t len, off_t off)
{
	struct seam_crash *c = crash_of(s);
	struct event *e;
	ssize_t n;
	int inode;

	SCOPED_LOCK(&c->lock);
	n = c->next->ops->pwrite(c->next, fd, data, len, off);
	inode = inode_of_fd(c, fd);
	if (n <= 0 || inode < 0)
		return n;
	e = add_content(c, EVENT_WRITE, inode);
	e->off = (uint64_t)off;
	e->len = (size_t)n;
	e->data = need(malloc(e->len));
	memcpy(e->data, data, e->len);
	return n;
}

static int crash_ftruncate(struct seam *s, int fd, off_t len)
{
	struct seam_crash *c = crash_of(s);
	int inode, r;

	SCOPED_LOCK(&c->lock);
	r = c->next->ops->ftruncate(c->next, fd, len);
	inode = inode_of_fd(c, fd);
	if (r == 0 && inode >= 0)
		add_content(c, EVENT_TRUNCATE, inode)->off = (uint64_t)len;
	return r;
}

/* Nothing is carried out: no test cuts the power. */
static int crash_sync(struct seam *s, int fd)
{
	struct seam_crash *c = crash_of(s);
	int inode;

	SCOPED_LOCK(&c->lock);
	if (fcntl(fd, F_GETFL) < 0)
		return -errno;
	inode = inode_of_fd(c, fd);
	if (inode >= 0)
		add_event(c, EVENT_SYNC, inode);
	return 0;
}

static int crash_close(struct seam *s, int fd)
{
	struct seam *next = crash_of(s)->next;

	return next->ops->close(next, fd);
}

static int crash_linkat(struct seam *s, int olddirfd, const char *oldpath,
			int newdirfd, const char *newpath, int flags)
{
	struct seam_crash *c = crash_of(s);
	const char *leaf;
	struct stat st;
	int dir, r;

	SCOPED_LOCK(&c->lock);
	dir = parent_of(c, newdirfd, newpath, &leaf);
	r = c->next->ops->linkat(c->next, olddirfd, oldpath, newdirfd, newpath,
				 flags);
	if (r == 0 && dir >= 0 &&
	    fstatat(newdirfd, newpath, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    find_inode(c, &st) >= 0)
		add_name(c, EVENT_ADD, dir, leaf, find_inode(c, &st));
	return r;
}

static int crash_renameat(struct seam *s, int olddirfd, const char *oldpath,
			  int newdirfd, const char *newpath)
{
	struct seam_crash *c = crash_of(s);
	const char *old_leaf, *new_leaf;
	int old_dir, new_dir, r, inode = -1;
	struct stat st;

	SCOPED_LOCK(&c->lock);
	old_dir = parent_of(c, olddirfd, oldpath, &old_leaf);
	new_dir = parent_of(c, newdirfd, newpath, &new_leaf);
	if (fstatat(olddirfd, oldpath, &st, AT_SYMLINK_NOFOLLOW) == 0)
		inode = find_inode(c, &st);
	r = c->next->ops->renameat(c->next, olddirfd, oldpath, newdirfd,
				   newpath);
	if (r < 0 || inode < 0 || old_dir < 0 || new_dir < 0)
		return r;
	add_name(c, EVENT_ADD, new_dir, new_leaf, inode)->pair = 1;
	add_name(c, EVENT_REMOVE, old_dir, old_leaf, inode)->pair = -1;
	return r;
}

static int crash_unlinkat(struct seam *s, int dirfd, const char *path,
			  int flags)
{
	struct seam_crash *c = crash_of(s);
	const char *leaf;
	struct stat st;
	int dir, r, inode = -1;

	SCOPED_LOCK(&c->lock);
	dir = parent_of(c, dirfd, path, &leaf);
	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		inode = find_inode(c, &st);
	r = c->next->ops->unlinkat(c->next, dirfd, path, flags);
	if (r == 0 && dir >= 0 && inode >= 0)
		add_name(c, EVENT_REMOVE, dir, leaf, inode);
	return r;
}

static int crash_mkdirat(struct seam *s, int dirfd, const char *path,
			 mode_t mode)
{
	struct seam_crash *c = crash_of(s);
	const char *leaf;
	struct stat st;
	int dir, r;

	SCOPED_LOCK(&c->lock);
	dir = parent_of(c, dirfd, path, &leaf);
	r = c->next->ops->mkdirat(c->next, dirfd, path, mode);
	if (r == 0 && dir >= 0 &&
	    fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		add_name(c, EVENT_ADD, dir, leaf, add_inode(c, &st));
	return r;
}

/* ---- */

struct seam_crash *seam_crash_new(const char *root, struct seam *next)
{
	static const struct seam_ops ops = {
		.realtime_ns = crash_realtime_ns,
		.monotonic_ns = crash_monotonic_ns,
		.sleep_ns = crash_sleep_ns,
		.random = crash_random,
		.openat = crash_openat,
		.pwrite = crash_pwrite,
		.ftruncate = crash_ftruncate,
		.fdatasync = crash_sync,
		.fsync = crash_sync,
		.close = crash_close,
		.linkat = crash_linkat,
		.renameat = crash_renameat,
		.unlinkat = crash_unlinkat,
		.mkdirat = crash_mkdirat,
	};
	struct seam_crash *c = need(calloc(1, sizeof(*c)));
	struct stat st;
	int fd;

	c->seam.ops = &ops;
	c->next = next ? next : seam_system();
	pthread_mutex_init(&c->lock, NULL);
	fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		need(NULL);
	read_dir(c, add_inode(c, &st), fd);
	return c;
}

void seam_crash_free(struct seam_crash *c)
{
	size_t i, k;

	if (!c)
		return;
	for (i = 0; i < c->ninodes; i++) {
		for (k = 0; k < c->inodes[i].nentries; k++)
			free(c->inodes[i].entries[k].name);
		free(c->inodes[i].entries);
		free(c->inodes[i].data);
	}
	for (i = 0; i < c->nevents; i++) {
		free(c->events[i].name);
		free(c->events[i].data);
	}
	free(c->inodes);
	free(c->events);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

struct seam *seam_crash_seam(struct seam_crash *c)
{
	return &c->seam;
}

size_t seam_crash_length(struct seam_crash *c)
{
	SCOPED_LOCK(&c->lock);
	return c->nevents;
}

const char *seam_crash_describe(struct seam_crash *c, size_t i)
{
	static const char *const types[] = {
		"create", "write", "truncate", "sync", "add", "remove", "mark",
	};
	const struct event *e;
	const char *kind;

	if (i >= c->nevents)
		return "the end";
	e = &c->events[i];
	kind = e->type != EVENT_MARK && c->inodes[e->inode].is_dir ? "directory"
								   : "file";
	snprintf(c->text, sizeof(c->text),
		 "event %zu: %s %s %d%s%s in %d, offset %" PRIu64 ", %zu bytes",
		 i, types[e->type], kind, e->inode, e->name ? " as " : "",
		 e->name ? e->name : "", e->dir, e->off, e->len);
	return c->text;
}

void seam_crash_mark(struct seam_crash *c, int id)
{
	SCOPED_LOCK(&c->lock);
	add_event(c, EVENT_MARK, id);
}

bool seam_crash_marked(struct seam_crash *c, size_t cut, int id)
{
	size_t i;

	for (i = 0; i < cut && i < c->nevents; i++)
		if (c->events[i].type == EVENT_MARK && c->events[i].inode == id)
			return true;
	return false;
}

void seam_crash_ignore(struct seam_crash *c, unsigned int kinds)
{
	c->ignored = kinds;
}

size_t seam_crash_nsyncs(struct seam_crash *c)
{
	size_t i, n = 0;

	for (i = 0; i < c->nevents; i++)
		n += c->events[i].type == EVENT_SYNC;
	return n;
}

void seam_crash_ignore_sync(struct seam_crash *c, size_t n)
{
	c->ignored_sync = n;
}

size_t seam_crash_sync_event(struct seam_crash *c, size_t n)
{
	size_t i;

	for (i = 0; i < c->nevents; i++)
		if (c->events[i].type == EVENT_SYNC && --n == 0)
			return i;
	return c->nevents;
}
