/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What stands in a directory of the target and not in that of the point: the
 * extras.
 *
 * They are gathered while the walk goes along the names of the point: what lies
 * between two names that were read one behind the other is not in the point.
 * When the walk must pass over something, all that is left stays.
 *
 * A filesystem may take several names for one: those that differ in case, or in
 * how an accent is written, or in a dot at the end. Then what was just restored
 * is listed under another name. No rule on names tells that, but the things do: a
 * name of the point that is not listed and is there all the same is one of what
 * is listed, and that is no extra. So extras are removed only when all names of
 * the point were met, before the walk goes into a subdirectory.
 */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/restore/internal.h"
#include "store/base/log.h"

/* What a name leads to that is not listed. */
struct alias {
	dev_t dev;
	ino_t ino;
	bool found; /* under the name that it is listed by */
};

static void bar_deleting(struct restore *run, struct level *lev)
{
	if (!run->keeps)
		log_warn("%.*s/: a part of a vault is there: nothing is "
			 "deleted in it",
			 (int)lev->path_len,
			 lev->path_len ? (char *)run->path.data : "");
	lev->dir->barred = true;
	lev->dir->deletes = false;
	extras_drop(lev);
}

int extras_begin(struct restore *run, struct level *lev)
{
	int r;

	if (!lev->wanted || lev->listed || !lev->dir || !lev->dir->deletes)
		return 0;
	lev->listed = true;
	r = dir_list_read(&lev->there, lev->dir->fd);
	if (r == 0 && dir_holds_objects(lev->dir->fd, &lev->there))
		bar_deleting(run, lev);
	return r;
}

void extras_drop(struct level *lev)
{
	dir_list_clear(&lev->there);
	buf_clear(&lev->unlisted);
	lev->there_next = lev->nextras = 0;
}

/* The names before extras are theirs: each is moved there when it is passed. */
static void extra_add(struct level *lev)
{
	lev->there.names[lev->nextras++] = lev->there.names[lev->there_next++];
}

void extras_before(struct restore *run, struct level *lev, const char *name)
{
	struct stat st;
	int c = 1;

	while (lev->there_next < lev->there.n) {
		c = strcmp(lev->there.text +
				   lev->there.names[lev->there_next].off,
			   name);
		if (c >= 0)
			break;
		extra_add(lev);
	}
	if (c == 0)
		lev->there_next++;
	else if (lev->there.n > 0 && !run->keeps &&
		 fstatat(lev->dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		buf_put(&lev->unlisted, name, strlen(name) + 1);
}

/* ---- under another name ---- */

static int by_thing(const void *x, const void *y)
{
	const struct alias *a = x, *b = y;

	if (a->ino != b->ino)
		return a->ino < b->ino ? -1 : 1;
	return a->dev < b->dev ? -1 : a->dev > b->dev;
}

/* Return what the names lead to now, sorted. */
static struct alias *aliases_find(const struct level *lev, size_t *n_out)
{
	const char *p = (const char *)lev->unlisted.data;
	const char *end = p + lev->unlisted.len;
	struct alias *all;
	struct stat st;
	size_t n = 0;

	for (; p < end; p += strlen(p) + 1)
		n++;
	*n_out = n;
	all = alloc_array(n, sizeof(*all));
	if (!all)
		return NULL;
	memset(all, 0, n * sizeof(*all));
	n = 0;
	for (p = (const char *)lev->unlisted.data; p < end;
	     p += strlen(p) + 1, n++)
		if (fstatat(lev->dir->fd, p, &st, AT_SYMLINK_NOFOLLOW) == 0)
			all[n] = (struct alias){ .dev = st.st_dev,
						 .ino = st.st_ino };
	qsort(all, n, sizeof(*all), by_thing);
	return all;
}

/* Is what is listed as @name one of them? */
static bool aliases_have(struct alias *all, size_t n, int dirfd,
			 const char *name)
{
	struct alias key, *a;
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	key = (struct alias){ .dev = st.st_dev, .ino = st.st_ino };
	a = bsearch(&key, all, n, sizeof(*all), by_thing);
	if (!a)
		return false;
	while (a > all && by_thing(a - 1, &key) == 0)
		a--;
	for (; a < all + n && by_thing(a, &key) == 0; a++)
		a->found = true;
	return true;
}

/* What the point has by another name is no extra. Where it is not known which
 * that is, for lack of inode numbers that mean something, nothing is. */
static void spare_aliases(struct restore *run, struct level *lev)
{
	AUTO_FREE struct alias *all = NULL;
	size_t i, n, kept = 0;

	jobs_wait(run); /* what is being replaced is not what it will be */
	all = aliases_find(lev, &n);
	for (i = 0; all && i < lev->nextras; i++) {
		const struct dir_name *x = &lev->there.names[i];

		if (!aliases_have(all, n, lev->dir->fd,
				  lev->there.text + x->off))
			lev->there.names[kept++] = *x;
	}
	for (i = 0; all && i < n && all[i].found; i++)
		;
	if (!all || i < n)
		restore_keep(run, "the target takes several names for one, and "
				  "does not tell which");
	else
		lev->nextras = kept;
}

/* ---- the end of the names ---- */

/* Whether an entry that the directory being walked has is a directory. */
static bool extra_is_dir(const struct level *lev, const struct dir_name *n)
{
	struct stat st;

	if (n->type != DT_UNKNOWN)
		return n->type == DT_DIR;
	return fstatat(lev->dir->fd, lev->there.text + n->off, &st,
		       AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode);
}

bool extra_is_spared(struct restore *run, const struct level *lev,
		     const struct dir_name *n)
{
	const char *name = lev->there.text + n->off;
	AUTO_BUF struct buf path = BUF_INIT;

	return delete_spares(run, restore_path_of(run, name, &path),
			     extra_is_dir(lev, n));
}

static void extra_remove(struct restore *run, struct level *lev,
			 const struct dir_name *n)
{
	const char *name = lev->there.text + n->off;
	AUTO_BUF struct buf path = BUF_INIT;
	AUTO_BUF struct buf where = BUF_INIT;

	if (!run->keeps) {
		(void)!restore_remove(run, lev->dir, name);
		return;
	}
	if (extra_is_spared(run, lev, n))
		return;
	RESTORE_COUNT(run, kept, 1);
	if (run->o->note)
		run->o->note(run->o->note_arg, "kept",
			     restore_target_path(
				     run, restore_path_of(run, name, &path),
				     &where),
			     0);
}

void extras_end(struct restore *run)
{
	struct level *lev = level_top(run);
	size_t i;

	if (!lev->listed || lev->there.n == 0)
		return;
	if (lev->failed || level_need(run, run->nlevels - 1) < 0) {
		extras_drop(lev);
		return;
	}
	while (lev->there_next < lev->there.n)
		extra_add(lev);
	if (buf_error(&lev->unlisted) < 0)
		restore_keep(run, "there is no memory");
	else if (lev->unlisted.len > 0)
		spare_aliases(run, lev);
	for (i = 0; i < lev->nextras; i++)
		extra_remove(run, lev, &lev->there.names[i]);
	extras_drop(lev);
}
