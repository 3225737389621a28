/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What stands in the target and not in the point.
 *
 * It is removed while the walk goes along, a name at a time: what lies between
 * two entries that were read one behind the other is not in the point. When the
 * walk must pass over something, all that is left stays.
 *
 * Mount points and what the caller wants kept (the vault itself may lie there)
 * are never removed, nor is anything above them.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/restore/internal.h"
#include "src/scan/exclude.h"
#include "store/base/log.h"
#include "store/base/seam.h"

#define REMOVE_DEPTH_MAX 400 /* a descriptor each */

static bool is_kept(const struct restore *run, const struct stat *st)
{
	size_t i;

	for (i = 0; i < run->o->nkeep; i++)
		if (run->o->keep[i].st_ino == st->st_ino &&
		    run->o->keep[i].st_dev == st->st_dev)
			return true;
	return false;
}

static bool is_mount(int fd)
{
	struct statx sx;

	return statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &sx) == 0 &&
	       (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static int remove_at(struct restore *run, int dirfd, const char *name,
		     unsigned int depth);

/* All that a directory holds. */
static int remove_below(struct restore *run, int fd, unsigned int depth)
{
	struct dir_list list = { .n = 0 };
	size_t i;
	int r, e;

	r = dir_list_read(&list, fd);
	for (i = 0; i < list.n; i++) {
		e = remove_at(run, fd, list.text + list.names[i].off, depth);
		r = r ? r : e;
	}
	dir_list_release(&list);
	return r;
}

static int remove_dir(struct restore *run, int dirfd, const char *name,
		      unsigned int depth)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;
	int r;

	fd = openat(dirfd, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK |
			    O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (is_kept(run, &st) || is_mount(fd))
		return -EBUSY;
	if (depth >= REMOVE_DEPTH_MAX)
		return -ELOOP;
	r = remove_below(run, fd, depth + 1);
	if (r == 0)
		r = run->seam->ops->unlinkat(run->seam, dirfd, name,
					     AT_REMOVEDIR);
	return r;
}

static int remove_at(struct restore *run, int dirfd, const char *name,
		     unsigned int depth)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(st.st_mode))
		return remove_dir(run, dirfd, name, depth);
	if (is_kept(run, &st))
		return -EBUSY;
	return run->seam->ops->unlinkat(run->seam, dirfd, name, 0);
}

int restore_remove(struct restore *run, int dirfd, const char *name)
{
	int r = remove_at(run, dirfd, name, 0);

	if (r < 0)
		log_warn("%s/%s: not removed: %s",
			 run->path.len ? (const char *)run->path.data : "",
			 name,
			 r == -EBUSY ? "a mount point or the vault is in it"
				     : strerror(-r));
	return r;
}

void restore_keep(struct restore *run, const char *why)
{
	if (!run->o->delete_extra || run->keeps)
		return;
	run->keeps = true;
	log_warn("nothing %sis deleted: %s",
		 run->progress.deleted ? "more " : "", why);
}

int extras_begin(struct restore *run, struct level *lev)
{
	if (!run->o->delete_extra || !lev->wanted || lev->listed || !lev->dir ||
	    lev->dir->made || lev->dir->absent)
		return 0;
	lev->listed = true;
	return dir_list_read(&lev->there, lev->dir->fd);
}

/* Would it have been restored, had it been in the point? */
static bool is_chosen(struct restore *run, const char *name, bool is_dir)
{
	size_t len = run->path.len;
	bool yes;

	if (!run->o->exclude || exclude_empty(run->o->exclude))
		return true;
	buf_put_u8(&run->path, '/');
	buf_put(&run->path, name, strlen(name) + 1);
	yes = buf_error(&run->path) == 0 &&
	      !exclude_match(run->o->exclude, (char *)run->path.data, is_dir);
	run->path.len = len;
	return yes;
}

static void extra_remove(struct restore *run, struct level *lev,
			 const struct dir_name *n)
{
	const char *name = lev->there.text + n->off;
	int r = 0;

	if (!is_chosen(run, name, n->type == DT_DIR))
		return;
	if (run->keeps) {
		RESTORE_COUNT(run, kept, 1);
		restore_note(run, "kept", name, 0);
		return;
	}
	if (!run->o->dry_run)
		r = restore_remove(run, lev->dir->fd, name);
	if (r < 0) {
		restore_error(run, r);
		return;
	}
	RESTORE_COUNT(run, deleted, 1);
	restore_note(run, "deleted", name, 0);
}

void extras_before(struct restore *run, struct level *lev, const char *name)
{
	const struct dir_name *n;
	int c;

	for (; lev->there_next < lev->there.n; lev->there_next++) {
		n = &lev->there.names[lev->there_next];
		c = name ? strcmp(lev->there.text + n->off, name) : -1;
		if (c > 0)
			return;
		if (c == 0) {
			lev->there_next++;
			return;
		}
		extra_remove(run, lev, n);
	}
}
