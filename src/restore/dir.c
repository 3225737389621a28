/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Directories in the target, and those that the walk is in. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/restore/guard.h"
#include "src/restore/internal.h"
#include "store/base/log.h"
#include "store/base/seam.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

struct rdir *rdir_get(struct rdir *d)
{
	atomic_fetch_add(&d->refs, 1);
	return d;
}

static void rdir_finish(struct rdir *d)
{
	AUTO_BUF struct buf path = BUF_INIT;
	AUTO_BUF struct buf mem = BUF_INIT;
	struct entry e;
	int r, sealed, lost = ref_load(d->run, &d->ref, &mem, &e);

	(void)restore_unseal(d->run, d->fd, &e);
	r = restore_attrs(d->run, d->fd, false, &e);
	sealed = restore_seal(d->run, d->fd, &e);
	r = r < 0 ? r : sealed < 0 ? sealed : lost;
	if (r < 0)
		log_warn("%s: not all attributes of this directory could be "
			 "restored",
			 restore_path(&path, &d->ref));
	if (r < 0)
		restore_error_at(d->run, d->fd, r);
}

void rdir_put(struct rdir *d)
{
	if (!d || atomic_fetch_sub(&d->refs, 1) != 1)
		return;
	if (d->finish && ref_is(&d->ref) && d->fd >= 0)
		rdir_finish(d);
	if (d->fd >= 0)
		close(d->fd);
	ref_put(&d->ref);
	free(d);
}

static struct rdir *rdir_new(struct restore *run, const struct ref *ref)
{
	struct rdir *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->run = run;
	atomic_init(&d->refs, 1);
	d->fd = -1;
	if (ref)
		d->ref = ref_get(ref);
	return d;
}

/* A directory that an earlier restore made immutable takes what is missing in
 * it. It gets its flags back when it is finished. */
static void rdir_unseal(struct rdir *d)
{
	struct entry e;

	if (d->made)
		return;
	ref_entry(&d->ref, &e);
	(void)restore_unseal(d->run, d->fd, &e);
}

/* Note what was opened; make it writable for its owner until it is finished. */
static int rdir_examine(struct rdir *d)
{
	struct restore *run = d->run;
	struct stat st;

	if (fstat(d->fd, &st) < 0)
		return -errno;
	d->dev = st.st_dev;
	d->ino = st.st_ino;
	d->read_only = !d->made && dir_is_read_only(d->fd);
	if (!run->o->dry_run && !d->read_only)
		sync_note(run, d->fd, st.st_dev);
	if (!d->guarded)
		d->guarded = guard_find(run->o->guard, &st);
	if (d->guarded)
		d->finish = false;
	if (d->finish)
		rdir_unseal(d);
	if (d->finish && !run->is_root && (st.st_mode & 0700) != 0700 &&
	    st.st_uid == run->euid)
		(void)!fchmod(d->fd, (st.st_mode | 0700) & 07777);
	return 0;
}

/* ---- the target ---- */

/* mkdir -p. Return 1 when the last one was made. */
static int make_parents(struct restore *run, const char *path)
{
	AUTO_FREE char *copy = strdup(path);
	int r = -EEXIST;
	char *p, end;

	if (!copy)
		return -ENOMEM;
	for (p = copy + strspn(copy, "/"); *p; p += strspn(p, "/")) {
		p += strcspn(p, "/");
		end = *p;
		*p = '\0';
		r = run->seam->ops->mkdirat(run->seam, AT_FDCWD, copy, 0777);
		*p = end;
		if (r < 0 && r != -EEXIST && r != -EISDIR && r != -EROFS &&
		    r != -EACCES)
			return r;
	}
	return r == 0;
}

static int rdir_open_target(struct restore *run, struct rdir **out)
{
	const char *target = run->o->target;
	struct rdir *d;
	int r = 0;

	*out = NULL;
	d = rdir_new(run, NULL);
	if (!d)
		return -ENOMEM;
	if (!run->o->dry_run) {
		r = make_parents(run, target);
		d->made = r == 1;
	}
	if (r >= 0) {
		d->fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = d->fd < 0 ? -errno : 0;
	}
	if (run->o->dry_run && r == -ENOENT) {
		d->absent = true;
		r = 0;
	}
	if (r < 0) {
		rdir_put(d);
		return fail(r, "target %s: %s", target, strerror(-r));
	}
	*out = d;
	return 0;
}

/* ---- below ---- */

int guarded_refuse(struct restore *run, struct rdir *dir)
{
	AUTO_BUF struct buf path = BUF_INIT;

	if (dir->told)
		return -ECANCELED;
	dir->told = true;
	log_warn("%s: nothing of the point is written there: in the target it "
		 "is %s",
		 restore_path(&path, &dir->ref), dir->guarded);
	restore_error(run, -EBUSY);
	return -ECANCELED;
}

/* What stands at @name is no directory. May it go? */
static int make_way(struct restore *run, const struct rdir *parent,
		    const char *name, const struct stat *st,
		    const struct ref *ref)
{
	struct entry e;

	ref_entry(ref, &e);
	if (run->o->overwrite == RESTORE_NEVER)
		return -EEXIST;
	if (guard_find(run->o->guard, st) || is_mount_point(parent->fd, name))
		return -EBUSY;
	if (run->o->overwrite == RESTORE_IF_NEWER &&
	    (st->st_mtim.tv_sec > e.mtime.sec ||
	     (st->st_mtim.tv_sec == e.mtime.sec &&
	      st->st_mtim.tv_nsec >= (long)e.mtime.nsec)))
		return -EEXIST;
	if (run->o->dry_run)
		return parent->read_only ? -EROFS : 0;
	return run->seam->ops->unlinkat(run->seam, parent->fd, name, 0);
}

/* Only a directory that was itself asked for takes the place of something: on
 * the way to others (@lev says which) a symbolic link may be how the machine is
 * laid out now. So may one where a source is to be, which the backup may have
 * taken through that very link. */
static int open_or_make(struct restore *run, struct rdir *d,
			const struct rdir *parent, const char *name,
			const struct level *lev)
{
	int dirfd = parent->fd, r;
	struct stat st;

	if (!run->o->dry_run) {
		r = run->seam->ops->mkdirat(run->seam, dirfd, name, 0700);
		if (r < 0 && r != -EEXIST)
			return r;
		d->made = r == 0;
	}
	if (!d->made && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return !run->o->dry_run || errno != ENOENT ? -errno
		       : parent->read_only		   ? -EROFS
							   : 1;
	if (!d->made && !S_ISDIR(st.st_mode)) {
		if (!lev->wanted || !lev->seen.taken)
			return -EEXIST;
		if (S_ISLNK(st.st_mode) && lev->seen.source)
			return -ELOOP;
		r = make_way(run, parent, name, &st, &lev->ref);
		if (r < 0)
			return r;
		d->replaced = true;
		if (run->o->dry_run)
			return 1;
		r = run->seam->ops->mkdirat(run->seam, dirfd, name, 0700);
		if (r < 0)
			return r;
		d->made = true;
	}
	d->fd = openat(dirfd, name, DIR_FLAGS);
	if (d->fd < 0 && errno == EACCES && !d->made && !run->o->dry_run &&
	    fchmodat(dirfd, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
		d->fd = openat(dirfd, name, DIR_FLAGS);
	return d->fd < 0 ? -errno : 0;
}

/* In what is guarded a directory may be there already, but none is made. */
static int open_guarded(struct restore *run, struct rdir *d,
			struct rdir *parent, const char *name)
{
	d->fd = openat(parent->fd, name, DIR_FLAGS);
	return d->fd < 0 ? guarded_refuse(run, parent) : 0;
}

/* It is read-only. A dry run says so, too. */
static void refuse_attributes(struct rdir *d)
{
	AUTO_BUF struct buf path = BUF_INIT;

	d->finish = false;
	log_warn("%s: the attributes of this directory were not restored: %s",
		 restore_path(&path, &d->ref), strerror(EROFS));
	restore_error_at(d->run, d->fd, -EROFS);
}

/* Open or make @name, the directory of @lev, in @parent. */
static int rdir_open(struct restore *run, struct rdir *parent, const char *name,
		     struct level *lev)
{
	struct rdir *d;
	bool finish;
	int r = 1;

	d = rdir_new(run, &lev->ref);
	if (!d)
		return -ENOMEM;
	if (parent->guarded)
		r = open_guarded(run, d, parent, name);
	else if (!parent->absent)
		r = open_or_make(run, d, parent, name, lev);
	d->absent = r == 1;
	finish = d->made || (lev->wanted && lev->seen.taken &&
			     run->o->overwrite != RESTORE_NEVER);
	d->finish = finish && !run->o->dry_run;
	d->guarded = parent->guarded;
	if (r == 0)
		r = rdir_examine(d);
	if (r == 0 && finish && d->read_only && !d->guarded)
		refuse_attributes(d);
	if (r < 0) {
		d->finish = false;
		rdir_put(d);
		return r;
	}
	lev->dir = d;
	d->barred = parent->barred || delete_is_barred(run, lev);
	d->deletes = delete_applies(run, lev);
	return 0;
}

static int rdir_reopen(struct rdir *d, int parent_fd, const char *name)
{
	struct stat st;
	int fd;

	fd = openat(parent_fd, name, DIR_FLAGS);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || st.st_dev != d->dev || st.st_ino != d->ino) {
		close(fd);
		return -ESTALE;
	}
	d->fd = fd;
	return 0;
}

int rdir_find(struct restore *run, const uint8_t *key, size_t len)
{
	char name[ENTRY_NAME_MAX + 1];
	size_t i = run->base_len, n;
	int fd, next;

	fd = fcntl(run->target, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	while (fd >= 0 && i < len) {
		for (n = 0; i < len && key[i] != 1 && n < ENTRY_NAME_MAX; i++) {
			if (key[i] == 2 && i + 1 < len)
				name[n++] = (char)(key[++i] - 1);
			else
				name[n++] = (char)key[i];
		}
		name[n] = '\0';
		i++;
		next = openat(fd, name, DIR_FLAGS);
		if (next < 0)
			next = -errno;
		close(fd);
		fd = next;
	}
	return fd;
}

/* ---- levels of the walk ---- */

static void level_name(const struct restore *run, size_t i,
		       char out[ENTRY_NAME_MAX + 1])
{
	struct entry e;

	ref_entry(&run->levels[i].ref, &e);
	memcpy(out, e.name, e.name_len);
	out[e.name_len] = '\0';
}

static int level_lost(struct restore *run, size_t i, int r)
{
	struct level *lev = &run->levels[i];
	AUTO_BUF struct buf path = BUF_INIT;

	lev->failed = true;
	if (r == -ECANCELED)
		return r; /* said */
	log_warn("%s: not restored, nor what is below: %s",
		 restore_path(&path, &lev->ref),
		 r == -EEXIST && !lev->seen.taken
			 ? "something that is no directory stands there in the "
			   "target; restore what is below by its own path, to "
			   "where it belongs"
		 : r == -EEXIST ? "something that is no directory stands there"
		 : r == -ELOOP	? "a symbolic link stands there in the target; "
				  "restore this by its own path, to where "
				  "the link leads, or remove the link"
				: strerror(-r));
	return restore_error_at(run, lev[-1].dir->fd, r);
}

/* Make or open again what is needed to write into level @i. */
int level_need(struct restore *run, size_t i)
{
	char name[ENTRY_NAME_MAX + 1];
	size_t k = i;
	int r;

	while (k > 0 && (!run->levels[k].dir || (run->levels[k].dir->fd < 0 &&
						 !run->levels[k].dir->absent)))
		k--;
	for (; k <= i; k++) {
		struct level *lev = &run->levels[k];

		if (lev->failed)
			return -ECANCELED;
		if (k == 0 ||
		    (lev->dir && (lev->dir->absent || lev->dir->fd >= 0)))
			continue;
		level_name(run, k, name);
		if (lev->dir) {
			r = rdir_reopen(lev->dir, lev[-1].dir->fd, name);
		} else {
			r = rdir_open(run, lev[-1].dir, name, lev);
			if (r == 0) {
				RESTORE_COUNT(run, dirs, 1);
				r = extras_begin(run, lev);
			}
		}
		if (r < 0)
			return level_lost(run, k, r);
	}
	return 0;
}

/* Far above, only what is being written to stays open. */
void level_relax(struct restore *run)
{
	struct rdir *d;
	size_t i;

	if (run->nlevels <= RESTORE_OPEN_LEVELS + 1)
		return;
	i = run->nlevels - 1 - RESTORE_OPEN_LEVELS;
	d = run->levels[i].dir;
	if (d && d->fd >= 0 && atomic_load(&d->refs) == 1) {
		close(d->fd);
		d->fd = -1;
	}
}

int level_open_target(struct restore *run, const struct ref *ref, bool whole)
{
	const char *target = run->o->target, *guarded;
	struct level *lev = &run->levels[0];
	struct entry e;
	struct rdir *d;
	int r;

	guarded = guard_find_above(run->o->guard, target);
	if (guarded)
		return fail(-EBUSY,
			    "target %s: it lies in %s; restore to another "
			    "directory",
			    target, guarded);
	ref_entry(ref, &e);
	r = rdir_open_target(run, &lev->dir);
	if (r < 0)
		return r;
	d = lev->dir;
	if (d->absent)
		return 0;
	r = rdir_examine(d);
	run->target = fcntl(d->fd, F_DUPFD_CLOEXEC, 0);
	if (run->target < 0 || r < 0)
		return fail(r < 0 ? r : -errno, "target %s: %s", target,
			    strerror(r < 0 ? -r : errno));
	d->barred = delete_is_barred(run, lev);
	d->deletes = delete_applies(run, lev);
	if (!S_ISDIR(e.mode))
		return 0;
	r = extras_begin(run, lev);
	if (r == 0)
		r = restore_aim(run);
	if (r < 0)
		return r;
	/* Whose directory is it? See restore_options.path. */
	if (lev->wanted && !run->o->dry_run &&
	    (d->made || (!whole && lev->seen.taken &&
			 run->o->overwrite != RESTORE_NEVER))) {
		d->ref = ref_get(ref);
		d->finish = true;
		rdir_unseal(d);
	}
	return 0;
}
