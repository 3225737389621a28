/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The stack of a walk: the directories between the top and the one being read.
 *
 * Each is opened relative to its parent, so that a path may be longer than
 * PATH_MAX, but only the last few keep their descriptor. One further up is
 * opened again, from the nearest one that is open, when the walk comes back to
 * it, and must then be the same directory: a walk is never led elsewhere by
 * what was moved meanwhile.
 */
#include "config.h"

#include "src/scan/walk_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/base/array.h"

void walk_level_release(struct walk_level *lev)
{
	scan_dir_put(lev->dir);
	free(lev->subs);
	buf_release(&lev->names);
	memset(lev, 0, sizeof(*lev));
}

static void level_close(struct scan_walk *w, size_t i)
{
	if (i == 0)
		return;
	scan_dir_put(w->levels[i].dir);
	w->levels[i].dir = NULL;
}

int walk_level_push(struct scan_walk *w, struct walk_level *lev)
{
	int r = array_reserve(&w->levels, &w->cap, w->nlevels + 1);

	if (r < 0) {
		walk_level_release(lev);
		return r;
	}
	w->levels[w->nlevels++] = *lev;
	if (w->nlevels > w->open_levels)
		level_close(w, w->nlevels - 1 - w->open_levels);
	return 0;
}

void walk_level_name(const struct scan_walk *w, size_t i,
		     char out[SCAN_NAME_MAX + 1])
{
	size_t from = w->levels[i - 1].path_len + 1;
	size_t len = w->levels[i].path_len - from;

	memcpy(out, w->path.data + from, len);
	out[len] = '\0';
}

static int level_reopen(struct scan_walk *w, size_t i)
{
	struct walk_level *lev = &w->levels[i];
	char name[SCAN_NAME_MAX + 1];
	struct stat st;
	int fd;

	walk_level_name(w, i, name);
	fd = openat(w->levels[i - 1].dir->fd, name,
		    O_PATH | O_DIRECTORY | O_CLOEXEC |
			    (lev->follow ? 0 : O_NOFOLLOW));
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || st.st_dev != lev->dev ||
	    st.st_ino != lev->ino) {
		close(fd);
		return -ESTALE;
	}
	lev->dir = scan_dir_new(fd, NULL, 0, NULL, 0);
	if (!lev->dir) {
		close(fd);
		return -ENOMEM;
	}
	return 0;
}

int walk_level_need(struct scan_walk *w)
{
	size_t top = w->nlevels - 1, i = top;
	int r;

	while (!w->levels[i].dir)
		i--;
	while (i < top) {
		r = level_reopen(w, ++i);
		if (r < 0)
			return r;
		if (i > w->open_levels)
			level_close(w, i - w->open_levels);
	}
	return 0;
}

int walk_level_open(struct scan_walk *w, const struct walk_level *parent,
		    const char *name, struct walk_level *lev)
{
	int at = parent ? parent->dir->fd : AT_FDCWD;
	int flags = lev->follow ? 0 : O_NOFOLLOW;
	struct stat st;
	int fd, r;

	if (lev->want == WANT_ALL)
		fd = dir_open_quiet(at, name, flags);
	else
		fd = openat(at, name, flags | O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	lev->dev = st.st_dev;
	lev->ino = st.st_ino;
	if (!parent || (lev->node && lev->node->source))
		lev->fs = st.st_dev;
	else
		lev->fs = parent->fs;
	/* An automount may have come between: ask again. */
	if (walk_is_skipped(w, &st) ||
	    (w->one_file_system && lev->want == WANT_ALL &&
	     lev->fs != st.st_dev)) {
		close(fd);
		r = walk_leave_out(w, "");
		return r < 0 ? r : 1;
	}
	lev->dir = scan_dir_new(fd, w->key.data, w->key.len, w->path.data,
				w->path.len);
	if (!lev->dir) {
		close(fd);
		return -ENOMEM;
	}
	return 0;
}
