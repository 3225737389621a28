/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/restore/guard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/scan/dir_list.h"
#include "store/base/array.h"
#include "store/base/log.h"

/* A vault's own directories are two deep. */
#define GUARD_DEPTH_MAX 8
#define GUARD_UP_MAX 4096
#define GUARD_LINKS_MAX 40 /* as the kernel follows */

struct guarded {
	dev_t dev;
	ino_t ino;
	const char *what; /* borrowed */
};

/* A directory that was added. */
struct guard_top {
	char *path; /* owned */
	const char *what; /* borrowed */
};

struct guard {
	struct guarded *items; /* owned; some hundreds, by no order */
	size_t n, cap;
	struct guard_top *tops; /* owned */
	size_t ntops, tops_cap;
};

struct guard *guard_new(void)
{
	return calloc(1, sizeof(struct guard));
}

void guard_free(struct guard *g)
{
	size_t i;

	if (!g)
		return;
	for (i = 0; i < g->ntops; i++)
		free(g->tops[i].path);
	free(g->tops);
	free(g->items);
	free(g);
}

static int guard_put(struct guard *g, const struct stat *st, const char *what)
{
	if (array_reserve(&g->items, &g->cap, g->n + 1) < 0)
		return -ENOMEM;
	g->items[g->n++] = (struct guarded){ .dev = st->st_dev,
					     .ino = st->st_ino,
					     .what = what };
	return 0;
}

static int put_below(struct guard *g, int fd, const char *what, int depth);

/* The entry @name of the directory open at @at, if it is a directory. */
static int put_dir(struct guard *g, int at, const char *name, const char *what,
		   int depth)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;
	int r;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISDIR(st.st_mode))
		return 0;
	r = guard_put(g, &st, what);
	if (r < 0 || depth == 0)
		return r;
	fd = openat(at, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK |
			    O_CLOEXEC);
	/* A "lost+found" that only root reads holds nothing of a vault. */
	if (fd < 0)
		return errno == ENOENT || errno == EACCES ? 0 : -errno;
	return put_below(g, fd, what, depth - 1);
}

static int put_below(struct guard *g, int fd, const char *what, int depth)
{
	struct dir_list list = { .n = 0 };
	size_t i;
	int r = dir_list_read(&list, fd);

	for (i = 0; i < list.n && r == 0; i++)
		if (list.names[i].type == DT_DIR ||
		    list.names[i].type == DT_UNKNOWN)
			r = put_dir(g, fd, list.text + list.names[i].off, what,
				    depth);
	dir_list_release(&list);
	return r;
}

static int put_top(struct guard *g, const char *path, const char *what)
{
	char *copy;

	if (array_reserve(&g->tops, &g->tops_cap, g->ntops + 1) < 0)
		return -ENOMEM;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	g->tops[g->ntops++] = (struct guard_top){ .path = copy, .what = what };
	return 0;
}

/* ---- links on the way ---- */

/* What is still to be walked of a path, and where. */
struct way {
	int fd; /* owned */
	char *rest; /* owned */
	unsigned int links;
};

static int way_enter(struct way *w, int at, const char *name)
{
	int fd = openat(at, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (w->fd >= 0)
		close(w->fd);
	w->fd = fd;
	return 0;
}

/* Go on at @path, and then with what was left. */
static int way_turn(struct way *w, const char *path, const char *rest)
{
	char *joined;

	if (asprintf(&joined, "%s/%s", path, rest) < 0)
		return -ENOMEM;
	free(w->rest);
	w->rest = joined;
	return *path == '/' || w->fd < 0
		       ? way_enter(w, AT_FDCWD, *path == '/' ? "/" : ".")
		       : 0;
}

/* Guard the link @name; the way goes on where it leads. */
static int way_link(struct way *w, struct guard *g, const char *name,
		    const struct stat *st, const char *rest, const char *what)
{
	char to[PATH_MAX];
	ssize_t n = readlinkat(w->fd, name, to, sizeof(to) - 1);
	int r = guard_put(g, st, what);

	if (r < 0)
		return r;
	if (n <= 0 || ++w->links > GUARD_LINKS_MAX)
		return -ELOOP;
	to[n] = '\0';
	return way_turn(w, to, rest);
}

/* Take one step. Return 1 when it was the last, 0 or a negative errno. */
static int way_step(struct way *w, struct guard *g, const char *what)
{
	char name[NAME_MAX + 1];
	const char *p = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(p, "/");
	struct stat st;

	if (len == 0)
		return 1;
	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, p, len);
	name[len] = '\0';
	p += len;
	if (fstatat(w->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode))
		return way_link(w, g, name, &st, p, what);
	if (!S_ISDIR(st.st_mode))
		return 1;
	memmove(w->rest, p, strlen(p) + 1);
	return way_enter(w, w->fd, name);
}

/* Without the links that lead to it what is guarded is not found again. */
static int put_links(struct guard *g, const char *path, const char *what)
{
	struct way w = { .fd = -1 };
	int r = way_turn(&w, path, "");

	while (r == 0)
		r = way_step(&w, g, what);
	if (w.fd >= 0)
		close(w.fd);
	free(w.rest);
	return r == -ENOMEM ? r : 0; /* what cannot be walked leads nowhere */
}

int guard_add(struct guard *g, const char *path, const char *what)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;
	int r = put_links(g, path, what);

	if (r < 0 || stat(path, &st) < 0)
		return r;
	r = guard_put(g, &st, what);
	if (r < 0 || !S_ISDIR(st.st_mode))
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 ? -errno : put_below(g, fd, what, GUARD_DEPTH_MAX);
	if (r == 0)
		r = put_top(g, path, what);
	if (r < 0 && r != -ENOMEM)
		return fail(r,
			    "%s %s: its directories cannot be listed, so "
			    "nothing protects them from the restore: %s",
			    what, path, strerror(-r));
	return r;
}

const char *guard_find(const struct guard *g, const struct stat *st)
{
	size_t i;

	for (i = 0; g && i < g->n; i++)
		if (g->items[i].ino == st->st_ino &&
		    g->items[i].dev == st->st_dev)
			return g->items[i].what;
	return NULL;
}

/* Open the nearest directory at or above @path. */
static int open_nearest(const char *path)
{
	AUTO_FREE char *copy = strdup(path);
	char *slash;
	int fd = -1;

	while (copy) {
		fd = open(*copy		   ? copy
			  : path[0] == '/' ? "/"
					   : ".",
			  O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 || !*copy)
			return fd;
		slash = strrchr(copy, '/');
		*(slash ? slash : copy) = '\0';
	}
	return -1;
}

const char *guard_find_above(const struct guard *g, const char *path)
{
	int fd = open_nearest(path), up, i;
	const char *what = NULL;
	struct stat st, above;

	if (fd >= 0 && fstat(fd, &st) == 0)
		what = guard_find(g, &st);
	for (i = 0; fd >= 0 && !what && i < GUARD_UP_MAX; i++) {
		up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = up;
		if (fd < 0 || fstat(fd, &above) < 0)
			break;
		what = guard_find(g, &above);
		if (above.st_ino == st.st_ino && above.st_dev == st.st_dev)
			break;
		st = above;
	}
	if (fd >= 0)
		close(fd);
	return what;
}

/* Is the file @wanted one of the names in the directory open at @fd, or below?
 * Return 1, 0 or a negative errno. */
static int holds(int fd, const struct stat *wanted, int depth);

/* The same of the entry @name in the directory open at @at. */
static int holds_entry(int at, const char *name, const struct stat *wanted,
		       int depth)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (st.st_ino == wanted->st_ino && st.st_dev == wanted->st_dev)
		return 1;
	if (!S_ISDIR(st.st_mode) || depth == 0)
		return 0;
	fd = openat(at, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK |
			    O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == EACCES ? 0 : -errno;
	return holds(fd, wanted, depth - 1);
}

static int holds(int fd, const struct stat *wanted, int depth)
{
	struct dir_list list = { .n = 0 };
	size_t i;
	int r = dir_list_read(&list, fd);

	for (i = 0; i < list.n && r == 0; i++)
		r = holds_entry(fd, list.text + list.names[i].off, wanted,
				depth);
	dir_list_release(&list);
	return r;
}

static int top_holds(const struct guard_top *top, const struct stat *wanted)
{
	AUTO_CLOSE int fd = open(top->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : holds(fd, wanted, GUARD_DEPTH_MAX);
}

int guard_find_file(const struct guard *g, const char *path,
		    const char **what_out)
{
	struct stat st;
	size_t i;
	int r;

	*what_out = guard_find_above(g, path);
	if (*what_out || !g || stat(path, &st) < 0)
		return 0;
	*what_out = guard_find(g, &st);
	for (i = 0; !*what_out && i < g->ntops; i++) {
		r = top_holds(&g->tops[i], &st);
		if (r < 0 && r != -ENOMEM)
			return fail(r,
				    "%s %s: its files cannot be listed, so it "
				    "is not known whether %s is one of them: "
				    "%s",
				    g->tops[i].what, g->tops[i].path, path,
				    strerror(-r));
		if (r < 0)
			return r;
		if (r == 1)
			*what_out = g->tops[i].what;
	}
	return 0;
}
