/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What stands in the target and not in the point is removed (extras.c finds it).
 *
 * That the point lacks a thing proves little by itself. It is removed only from
 * a directory of which the point has seen all (seen.c), and only where it would
 * have been taken, had it been there: what the backup's patterns, or this
 * restore's own, leave out is spared wherever it stands, and so is a cache
 * where the backup left caches out. A mount point in the target is never
 * crossed: what is mounted there now need not be what was; nor is a subvolume,
 * where the backup kept to one filesystem. A vault is never touched, nor is what
 * the caller guards. A directory stays while anything in it does.
 *
 * A dry run goes the same way and only does not unlink, so that it tells what a
 * real one does.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "src/restore/guard.h"
#include "src/restore/internal.h"
#include "src/scan/exclude.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/point.h"

#define REMOVE_DEPTH_MAX 400 /* a descriptor each */
#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

/* Something that is being removed. */
struct removal {
	struct restore *run;
	struct buf path; /* in the point; with a NUL that is not counted */
	unsigned int depth;
};

static int path_push(struct removal *m, const char *name)
{
	buf_put_u8(&m->path, '/');
	buf_put(&m->path, name, strlen(name) + 1);
	if (buf_error(&m->path) < 0)
		return -ENOMEM;
	m->path.len--;
	return 0;
}

static void path_pop(struct removal *m, size_t len)
{
	m->path.len = len;
	m->path.data[len] = '\0';
}

static const char *removal_path(const struct removal *m)
{
	return (const char *)m->path.data;
}

/* What goes is told by where it stands: the point never had it. */
static void tell(struct removal *m, const char *action)
{
	const struct restore_options *o = m->run->o;
	AUTO_BUF struct buf path = BUF_INIT;

	if (o->note)
		o->note(o->note_arg, action,
			restore_target_path(m->run, removal_path(m), &path), 0);
}

/* It stays, though nobody's pattern spares it. */
static int stays(struct removal *m, const char *what)
{
	AUTO_BUF struct buf path = BUF_INIT;

	log_warn("%s: not deleted: %s is there",
		 restore_target_path(m->run, removal_path(m), &path), what);
	RESTORE_COUNT(m->run, kept, 1);
	tell(m, "kept");
	return 1;
}

/* ---- what is spared ---- */

bool delete_spares(const struct restore *run, const char *path, bool is_dir)
{
	return (run->o->exclude &&
		exclude_match(run->o->exclude, path, is_dir)) ||
	       seen_left_out(run, path, is_dir);
}

bool is_mount_point(int dirfd, const char *name)
{
	const int flags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
	struct statx sx;

	return statx(dirfd, name, flags, STATX_TYPE, &sx) == 0 &&
	       (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

/* Whether the backup would have taken no more than the tag of a directory. */
static bool is_left_cache(const struct restore *run, int fd)
{
	return run->point->left_out.caches && !run->o->view &&
	       dir_has_cache_tag(fd);
}

/* Whether the backup would have passed by a directory of filesystem @dev whose
 * parent is of @above. Subvolumes need no mount point to be that. */
static bool is_passed_by(const struct restore *run, dev_t above, dev_t dev)
{
	return run->point->left_out.one_file_system && !run->o->view &&
	       dev != above;
}

bool delete_is_barred(struct restore *run, const struct level *lev)
{
	const char *path = lev->path_len ? (char *)run->path.data : "";
	const char *why = NULL;
	int fd = lev->dir->fd;

	if (!run->o->delete_extra || lev->dir->made || lev->dir->absent)
		return false;
	/* The target itself may well be one. */
	if (lev != run->levels && is_mount_point(fd, ""))
		why = "the target has a mount point there";
	else if (lev != run->levels &&
		 is_passed_by(run, lev[-1].dir->dev, lev->dir->dev) &&
		 !lev->seen.source)
		why = "the target has another filesystem there";
	else if (dir_is_vault(fd))
		why = "a vault stands there";
	else if (lev == run->levels && dir_lies_in_vault(fd))
		why = "it lies in a vault";
	if (why && lev->wanted && lev->seen.whole && !run->keeps)
		log_warn("%.*s/: %s: nothing is deleted in it",
			 (int)lev->path_len, path, why);
	return why || is_left_cache(run, fd);
}

bool delete_applies(struct restore *run, const struct level *lev)
{
	const struct rdir *dir = lev->dir;

	return run->o->delete_extra && lev->wanted && lev->seen.whole &&
	       !dir->made && !dir->absent && !dir->guarded && !dir->barred;
}

/* ---- removing ---- */

static int remove_at(struct removal *m, int dirfd, const char *name);

/* Open a directory, but do not pass a mount point or set off an automount.
 * Return a descriptor, -EXDEV or another negative errno. */
static int open_same_mount(int dirfd, const char *name)
{
	struct open_how how = {
		.flags = DIR_FLAGS,
		.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
	};
	struct stat here, there;
	long fd = syscall(SYS_openat2, dirfd, name, &how, sizeof(how));

	if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
		return fd < 0 ? -errno : (int)fd;
	/* Linux before 5.6, or a filter of system calls. */
	fd = openat(dirfd, name, DIR_FLAGS);
	if (fd < 0)
		return -errno;
	if (is_mount_point((int)fd, "") || fstat(dirfd, &here) < 0 ||
	    fstat((int)fd, &there) < 0 || here.st_dev != there.st_dev) {
		close((int)fd);
		return -EXDEV;
	}
	return (int)fd;
}

/* A dry run tells what would be removed, and so what cannot be. */
static int remove_name(const struct removal *m, int dirfd, const char *name,
		       int flags)
{
	struct seam *s = m->run->seam;

	if (m->run->o->dry_run)
		return dir_is_read_only(dirfd) ? -EROFS : 0;
	return s->ops->unlinkat(s, dirfd, name, flags);
}

/* Remove all that a directory holds. As remove_at(). Of what is read-only each
 * name would fail: it is said once. */
static int remove_below(struct removal *m, int fd)
{
	struct dir_list list = { .n = 0 };
	bool some = false;
	size_t i;
	int r, e;

	r = dir_list_read(&list, fd);
	if (r == 0 && dir_holds_objects(fd, &list)) {
		dir_list_release(&list);
		return stays(m, "a part of a vault");
	}
	if (r == 0 && list.n > 0 && dir_is_read_only(fd))
		r = -EROFS;
	for (i = 0; i < list.n && r != -ENOMEM && r != -EROFS; i++) {
		if (restore_stopped(m->run) < 0) {
			r = -ECANCELED;
			break;
		}
		e = remove_at(m, fd, list.text + list.names[i].off);
		some |= e == 1;
		r = r < 0 || e > 0 ? r : e;
	}
	dir_list_release(&list);
	return r < 0 ? r : some;
}

static int remove_dir(struct removal *m, int dirfd, const char *name)
{
	struct restore *run = m->run;
	AUTO_CLOSE int fd = -1;
	const char *guarded;
	struct stat above, st;
	int r;

	fd = open_same_mount(dirfd, name);
	if (fd == -EXDEV)
		return stays(m, "a mount point");
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || fstat(dirfd, &above) < 0)
		return -errno;
	if (is_passed_by(run, above.st_dev, st.st_dev))
		return stays(m, "another filesystem");
	guarded = guard_find(run->o->guard, &st);
	if (guarded || dir_is_vault(fd))
		return stays(m, guarded ? guarded : "a vault");
	if (is_left_cache(run, fd))
		return 1;
	if (m->depth >= REMOVE_DEPTH_MAX)
		return -ELOOP;
	m->depth++;
	r = remove_below(m, fd);
	m->depth--;
	return r == 0 ? remove_name(m, dirfd, name, AT_REMOVEDIR) : r;
}

static int remove_other(struct removal *m, int dirfd, const char *name,
			const struct stat *st)
{
	const char *guarded = guard_find(m->run->o->guard, st);

	if (guarded || is_mount_point(dirfd, name))
		return stays(m, guarded ? guarded : "a mount point");
	return remove_name(m, dirfd, name, 0);
}

/* Return 0 when it is gone, 1 where it stays, or a negative errno, said. */
static int remove_at(struct removal *m, int dirfd, const char *name)
{
	AUTO_BUF struct buf where = BUF_INIT;
	size_t len = m->path.len;
	struct stat st;
	int r;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	r = path_push(m, name);
	if (r < 0)
		return r;
	if (delete_spares(m->run, removal_path(m), S_ISDIR(st.st_mode)))
		r = 1;
	else if (S_ISDIR(st.st_mode))
		r = remove_dir(m, dirfd, name);
	else
		r = remove_other(m, dirfd, name, &st);
	if (r == 0) {
		RESTORE_COUNT(m->run, deleted, 1);
		tell(m, "deleted");
	} else if (r < 0 && r != -ECANCELED) {
		log_warn("%s: not removed: %s",
			 restore_target_path(m->run, removal_path(m), &where),
			 strerror(-r));
		restore_error_at(m->run, dirfd, r);
		r = -ECANCELED; /* the directories above stay, and all is said */
	}
	path_pop(m, len);
	return r;
}

int restore_remove(struct restore *run, const struct rdir *dir,
		   const char *name)
{
	struct removal m = { .run = run, .path = BUF_INIT };
	int r;

	buf_put(&m.path, run->path.data, run->path.len);
	buf_put_u8(&m.path, '\0');
	r = buf_error(&m.path);
	if (r == 0) {
		m.path.len--;
		r = remove_at(&m, dir->fd, name);
	}
	buf_release(&m.path);
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
