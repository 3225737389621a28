/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Changing the file. Whoever changes it holds a lock on it, and where it was
 * replaced while he waited, it is the new one that he needs. Readers take no
 * lock: what is added is whole lines, and what replaces it is a whole file.
 */
#include "config.h"

#include "store/history/seen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/seam.h"

#define LOCK_TRIES 100
#define LOCK_WAIT_NS INT64_C(100000000)

static int sync_dir(const struct seen_file *f, const char *path)
{
	struct seam *s = f->seam;
	int fd = s->ops->openat(s, AT_FDCWD, path,
				O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return fd;
	r = s->ops->fsync(s, fd);
	s->ops->close(s, fd);
	return r;
}

/* Make the directory @path, in which @end is where its last name begins. */
static int make_dir(const struct seen_file *f, char *path, char *end)
{
	struct seam *s = f->seam;
	int r = s->ops->mkdirat(s, AT_FDCWD, path, 0700);

	if (r == -EEXIST)
		return 0;
	if (r < 0)
		return r;
	*end = '\0';
	r = sync_dir(f, *path ? path : "/");
	*end = '/';
	return r;
}

/* mkdir -p, 0700, durably. */
static int make_dirs(const struct seen_file *f)
{
	AUTO_FREE char *path = strdup(f->dir);
	struct stat st;
	char *at, *end;
	int r = 0;

	if (!path)
		return -ENOMEM;
	if (stat(path, &st) == 0)
		return 0;
	for (at = path; at && r == 0; at = end) {
		end = strchr(at + 1, '/');
		if (end)
			*end = '\0';
		/* There may be what nobody may make anything in. */
		if (stat(path, &st) < 0)
			r = make_dir(f, path, at);
		if (end)
			*end = '/';
	}
	return r;
}

/* Return 0 or the negative errno; -EAGAIN: somebody else has it. */
static int try_lock(const struct seen_file *f, int *fd_out)
{
	struct seam *s = f->seam;
	struct stat held, there;
	int fd = s->ops->openat(
		s, AT_FDCWD, f->path,
		O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	int r = 0;

	if (fd < 0)
		return fd;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &held) < 0)
		r = -errno;
	else if (!S_ISREG(held.st_mode))
		r = -EBADMSG;
	else if (lstat(f->path, &there) < 0 || there.st_ino != held.st_ino ||
		 there.st_dev != held.st_dev)
		r = -EAGAIN; /* it was replaced */
	if (r < 0)
		s->ops->close(s, fd);
	else
		*fd_out = fd;
	return r;
}

static int lock_file(const struct seen_file *f, int *fd_out)
{
	struct seam *s = f->seam;
	int i, r = make_dirs(f);

	if (r < 0)
		return r;
	r = -EAGAIN;
	for (i = 0; i < LOCK_TRIES && (r == -EAGAIN || r == -EINTR); i++) {
		if (i > 0)
			s->ops->sleep_ns(s, LOCK_WAIT_NS);
		r = try_lock(f, fd_out);
	}
	return r == -EAGAIN ? -EBUSY : r;
}

/* ---- lines ---- */

static void put_place(const struct seen_file *f, const char *place,
		      struct buf *out)
{
	AUTO_BUF struct buf line = BUF_INIT;

	buf_printf(&line, "at %s", place ? place : "-");
	if (buf_error(&line) == 0)
		seen_put_line(f, (char *)line.data, line.len, out);
	else
		out->failed = true;
}

/* @place_at: what the line above says, which this one may have to change. */
static void put_row(const struct seen_file *f, const struct seen_row *row,
		    const char *place, const char **place_at, struct buf *out)
{
	AUTO_BUF struct buf line = BUF_INIT;
	const char *now = place ? place : "", *was = *place_at;

	if (strcmp(now, was ? was : "") != 0) {
		put_place(f, place, out);
		*place_at = place;
	}
	buf_printf(&line, "%s %s %lld %s", row->name,
		   row->point ? row->point : "-", (long long)row->time_s,
		   row->vm ? row->vm : "-");
	if (buf_error(&line) == 0)
		seen_put_line(f, (char *)line.data, line.len, out);
	else
		out->failed = true;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, *(char *const *)b);
}

static bool is_dropped(const char *name, char *const *drop, size_t n)
{
	return n && bsearch(name, drop, n, sizeof(*drop), by_text);
}

static void put_new(const struct seen_file *f, const struct seen *old,
		    const char *place, const struct seen_row *rows, size_t n,
		    const char **place_at, struct buf *out)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!seen_find(old, rows[i].name))
			put_row(f, &rows[i], place, place_at, out);
}

/* ---- changing ---- */

static int append(const struct seen_file *f, int fd, const struct seen *old,
		  const struct buf *text)
{
	struct seam *s = f->seam;
	int r = seam_pwrite_all(s, fd, text->data, text->len, old->st.st_size);

	if (r == 0)
		r = s->ops->fdatasync(s, fd);
	/* Its name, where it is new. */
	if (r == 0 && old->st.st_size == 0)
		r = sync_dir(f, f->dir);
	return r;
}

/* Put @text in the file's place. The lock is on the old one, so that nobody else
 * makes a new one at the same time. */
static int replace(const struct seen_file *f, const struct buf *text)
{
	AUTO_FREE char *path = NULL;
	struct seam *s = f->seam;
	int fd, r;

	if (asprintf(&path, "%s.new", f->path) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = s->ops->openat(
		s, AT_FDCWD, path,
		O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fd;
	r = seam_pwrite_all(s, fd, text->data, text->len, 0);
	if (r == 0)
		r = s->ops->fdatasync(s, fd);
	s->ops->close(s, fd);
	if (r == 0)
		r = s->ops->renameat(s, AT_FDCWD, path, AT_FDCWD, f->path);
	if (r < 0)
		(void)!s->ops->unlinkat(s, AT_FDCWD, path, 0);
	return r < 0 ? r : sync_dir(f, f->dir);
}

/* What is to be changed. */
struct seen_edit {
	const char *place;
	const struct seen_row *rows; /* that are new */
	size_t nrows;
	char *const *drop; /* names; sorted */
	size_t ndrop;
	char *const *accepted;
	size_t naccepted;
};

static void put_accepted(const struct seen_file *f, const char *what,
			 struct buf *out)
{
	AUTO_BUF struct buf line = BUF_INIT;

	buf_printf(&line, "accepted %s", what);
	if (buf_error(&line) == 0)
		seen_put_line(f, (char *)line.data, line.len, out);
	else
		out->failed = true;
}

/* The file says @old. */
static int change(const struct seen_file *f, int fd, const struct seen *old,
		  const struct seen_edit *e)
{
	AUTO_BUF struct buf text = BUF_INIT;
	const char *place_at = NULL;
	bool anew = e->ndrop || old->bad || old->torn;
	size_t i;
	int r;

	for (i = 0; anew && i < old->n; i++)
		if (!is_dropped(old->rows[i].name, e->drop, e->ndrop))
			put_row(f, &old->rows[i], old->rows[i].place, &place_at,
				&text);
	for (i = 0; anew && i < old->naccepted; i++)
		put_accepted(f, old->accepted[i], &text);
	if (!anew)
		place_at = old->last_place;
	put_new(f, old, e->place, e->rows, e->nrows, &place_at, &text);
	for (i = 0; i < e->naccepted; i++)
		if (!seen_is_accepted(old, e->accepted[i]))
			put_accepted(f, e->accepted[i], &text);
	r = buf_error(&text);
	if (r == 0 && anew)
		r = replace(f, &text);
	else if (r == 0 && text.len)
		r = append(f, fd, old, &text);
	return r;
}

static int edit(const struct seen_file *f, const struct seen *was,
		const struct seen_edit *e, struct stat *now_out)
{
	struct seen now = { 0 };
	struct stat st;
	int fd = -1, r = lock_file(f, &fd);

	if (r < 0)
		return r;
	if (!was || fstat(fd, &st) < 0 || !seen_is_of(was, &st)) {
		r = seen_read_fd(f, fd, &now);
		was = &now;
	}
	if (r == 0)
		r = change(f, fd, was, e);
	if (r == 0 && was != &now && now_out && lstat(f->path, &st) == 0)
		*now_out = st;
	seen_release(&now);
	f->seam->ops->close(f->seam, fd);
	return r;
}

int seen_change(const struct seen_file *f, const char *place,
		const struct seen *was, const struct seen_row *rows,
		size_t nrows, char *const *drop, size_t ndrop,
		struct stat *now_out)
{
	const struct seen_edit e = { .place = place,
				     .rows = rows,
				     .nrows = nrows,
				     .drop = drop,
				     .ndrop = ndrop };

	return edit(f, was, &e, now_out);
}

int seen_accept(const struct seen_file *f, const struct seen *was,
		char *const *drop, size_t ndrop, char *const *accepted,
		size_t naccepted)
{
	const struct seen_edit e = { .drop = drop,
				     .ndrop = ndrop,
				     .accepted = accepted,
				     .naccepted = naccepted };

	return edit(f, was, &e, NULL);
}
