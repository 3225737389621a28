/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Entries that are no directories.
 *
 * A regular file is written without a name (O_TMPFILE) or, where the
 * filesystem has no such files, under a temporary one, and gets its own when
 * it is whole with all its attributes. What stands there is replaced in one
 * step. (Measured on ext4: creating under a temporary name costs the same.)
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "src/restore/guard.h"
#include "src/restore/internal.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/chunk.h"
#include "store/content.h"
#include "store/format.h"
#include "store/vault.h"

void temp_name(struct restore *run, char out[TEMP_NAME_LEN])
{
	snprintf(out, TEMP_NAME_LEN, ".vmbackup-%016" PRIx64 "-%u", run->token,
		 atomic_fetch_add(&run->temp_no, 1));
}

/* ---- what is to be done ---- */

static bool is_newer(const struct entry *e, const struct stat *st)
{
	if (e->mtime.sec != st->st_mtim.tv_sec)
		return e->mtime.sec > st->st_mtim.tv_sec;
	return (long)e->mtime.nsec > st->st_mtim.tv_nsec;
}

static bool is_same(const struct entry *e, const struct stat *st)
{
	return S_ISREG(e->mode) && S_ISREG(st->st_mode) &&
	       (uint64_t)st->st_size == e->size &&
	       st->st_mtim.tv_sec == e->mtime.sec &&
	       st->st_mtim.tv_nsec == (long)e->mtime.nsec;
}

/* As long as nobody gave it another target, a link is what it was. */
static bool is_same_link(const struct entry *e, const struct stat *st,
			 int dirfd, const char *name)
{
	char target[ENTRY_TARGET_MAX + 1];
	ssize_t n;

	if (!S_ISLNK(e->mode) || !S_ISLNK(st->st_mode) || e->target_len == 0)
		return false;
	n = readlinkat(dirfd, name, target, sizeof(target));
	return n >= 0 && (size_t)n == e->target_len &&
	       memcmp(target, e->target, e->target_len) == 0;
}

enum placing { PLACE_NEW, PLACE_OVER, PLACE_ATTRS, PLACE_KEEP };

/* A directory stands where something else is to be. An empty one goes; one that
 * is not goes with all below where the point has seen that it was not there. */
static int make_room(struct restore *run, struct rdir *dir, const char *name)
{
	struct dir_list list = { .n = 0 };
	bool empty;
	int fd, r;

	if (dir->deletes && !run->keeps) {
		r = restore_remove(run, dir, name);
		return r == 1 ? -EISDIR : r;
	}
	if (!run->o->dry_run) {
		r = run->seam->ops->unlinkat(run->seam, dir->fd, name,
					     AT_REMOVEDIR);
		return r == -ENOTEMPTY || r == -EEXIST ? -EISDIR : r;
	}
	if (is_mount_point(dir->fd, name))
		return -EBUSY;
	fd = openat(dir->fd, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = dir_list_read(&list, fd);
	empty = list.n == 0;
	dir_list_release(&list);
	close(fd);
	return r == 0 && !empty ? -EISDIR : r;
}

/* What is to be done with @name. Return an enum placing or a negative errno
 * (silent). */
static int place_decide(struct restore *run, struct rdir *dir, const char *name,
			const struct entry *e)
{
	struct stat st;
	int r;

	if (dir->made || dir->absent)
		return PLACE_NEW;
	if (fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? PLACE_NEW : -errno;
	if (run->o->overwrite == RESTORE_NEVER ||
	    (run->o->overwrite == RESTORE_IF_NEWER && !is_newer(e, &st)))
		return PLACE_KEEP;
	if (guard_find(run->o->guard, &st))
		return is_same(e, &st) || is_same_link(e, &st, dir->fd, name)
			       ? PLACE_KEEP
			       : -EBUSY;
	if (run->o->overwrite == RESTORE_IF_CHANGED && is_same(e, &st))
		return PLACE_ATTRS;
	if (!S_ISDIR(st.st_mode))
		return is_mount_point(dir->fd, name) ? -EBUSY : PLACE_OVER;
	r = make_room(run, dir, name);
	return r < 0 ? r : PLACE_NEW;
}

/* ---- content ---- */

/* A file being written. */
struct out_file {
	struct restore *run;
	int fd;
	uint8_t *piece;
	uint64_t written;
};

static int write_piece(struct out_file *f, uint64_t off, size_t len)
{
	int r = restore_stopped(f->run);

	if (r == 0)
		r = seam_pwrite_all(f->run->seam, f->fd, f->piece, len,
				    (off_t)off);
	if (r == 0)
		f->written += len;
	return r;
}

static int write_extent(void *arg, const struct extent *e)
{
	struct out_file *f = arg;
	uint64_t done = 0;
	size_t n;
	int r = 0;

	if (e->type == EXTENT_HOLE)
		return 0;
	if (e->type == EXTENT_ZERO)
		memset(f->piece, 0, RESTORE_PIECE);
	for (; r == 0 && done < e->len; done += n) {
		n = (size_t)MIN(e->len - done, (uint64_t)RESTORE_PIECE);
		if (e->type == EXTENT_DATA)
			r = chunk_read(f->run->vault, CHUNK_DATA, &e->id,
				       (uint32_t)e->len, (uint32_t)done,
				       (uint32_t)n, f->piece);
		if (r == 0)
			r = write_piece(f, e->off + done, n);
	}
	return r;
}

static int write_vent(void *arg, uint64_t off, size_t len)
{
	return write_piece(arg, off, len);
}

static int file_fill(struct out_file *f, const struct ref *ref,
		     const struct entry *e)
{
	struct content_ref content = entry_content(e);
	struct seam *s = f->run->seam;
	int r;

	/* The size first: what is not written then is a hole. */
	r = s->ops->ftruncate(s, f->fd, (off_t)e->size);
	if (r == 0 && ref->vent)
		r = vent_pieces(f->run, ref->vent, f->piece, write_vent, f);
	else if (r == 0)
		r = content_walk(f->run->vault, &content, write_extent, f);
	RESTORE_COUNT(f->run, bytes_written, f->written);
	return r;
}

/* ---- the name ---- */

static int temp_open(struct restore *run, int dirfd, char temp[TEMP_NAME_LEN])
{
	struct seam *s = run->seam;
	int fd;

	temp[0] = '\0';
	if (!run->no_tmpfile) {
		fd = s->ops->openat(s, dirfd, ".",
				    O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
		if (fd != -EOPNOTSUPP && fd != -EISDIR && fd != -ENOENT &&
		    fd != -EINVAL)
			return fd;
		run->no_tmpfile = true;
	}
	temp_name(run, temp);
	return s->ops->openat(
		s, dirfd, temp,
		O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/*
 * Give an unnamed file a name. The descriptor itself says which file, to root;
 * to others /proc does, which a rescue system may not have mounted. Return
 * -ENOENT where neither can be had.
 */
static int temp_link(struct restore *run, int fd, int dirfd, const char *name)
{
	struct seam *s = run->seam;
	char proc[40];
	int r;

	if (run->is_root) {
		r = s->ops->linkat(s, fd, "", dirfd, name, AT_EMPTY_PATH);
		if (r != -ENOENT && r != -EPERM)
			return r;
	}
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return s->ops->linkat(s, AT_FDCWD, proc, dirfd, name,
			      AT_SYMLINK_FOLLOW);
}

static int temp_place(struct restore *run, int fd, int dirfd,
		      char temp[TEMP_NAME_LEN], const char *name, bool replace)
{
	struct seam *s = run->seam;
	int r;

	if (!temp[0] && !replace)
		return temp_link(run, fd, dirfd, name);
	if (!temp[0]) {
		temp_name(run, temp);
		r = temp_link(run, fd, dirfd, temp);
		if (r < 0) {
			temp[0] = '\0';
			return r;
		}
	}
	r = s->ops->renameat(s, dirfd, temp, dirfd, name);
	if (r == 0)
		temp[0] = '\0';
	return r;
}

/* What stands in the way may be what an earlier restore made immutable. */
static bool unseal_name(struct restore *run, int dirfd, const char *name,
			const struct entry *e)
{
	AUTO_CLOSE int fd = openat(dirfd, name,
				   O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
					   O_NOCTTY | O_CLOEXEC);

	return fd >= 0 && restore_unseal(run, fd, e);
}

/* Return 0 when it stands there; *late is then what its attributes met. */
static int file_write_once(struct restore *run, const struct item *it,
			   const char *name, const struct entry *e,
			   uint8_t *piece, int *late)
{
	struct out_file f = { .run = run, .fd = -1, .piece = piece };
	char temp[TEMP_NAME_LEN];
	int dirfd = it->dir->fd, r, c;
	bool unnamed;

	f.fd = temp_open(run, dirfd, temp);
	if (f.fd < 0)
		return f.fd;
	unnamed = !temp[0];
	restore_flags_empty(f.fd, e);
	r = file_fill(&f, &it->ref, e);
	if (r == 0)
		*late = restore_attrs(run, f.fd, false, e);
	if (r == 0)
		r = temp_place(run, f.fd, dirfd, temp, name, it->replace);
	if (r == -EPERM && it->replace && unseal_name(run, dirfd, name, e))
		r = temp_place(run, f.fd, dirfd, temp, name, it->replace);
	if (r == 0) {
		c = restore_seal(run, f.fd, e);
		*late = *late ? *late : c;
	}
	if (temp[0])
		(void)!run->seam->ops->unlinkat(run->seam, dirfd, temp, 0);
	c = run->seam->ops->close(run->seam, f.fd);
	if (r == -ENOENT && unnamed) {
		run->no_tmpfile = true;
		return -EAGAIN;
	}
	return r < 0 ? r : c;
}

static int file_write(struct restore *run, const struct item *it,
		      const char *name, const struct entry *e, uint8_t *piece,
		      int *late)
{
	int r = file_write_once(run, it, name, e, piece, late);

	/* No unnamed file can get a name here: now it has one from the start.
	 */
	return r == -EAGAIN ? file_write_once(run, it, name, e, piece, late)
			    : r;
}

/* Attributes of what stands at @name, a link or device itself. As
 * file_write(). */
static int attrs_of(struct restore *run, struct rdir *dir, const char *name,
		    const struct entry *e, int *late)
{
	AUTO_CLOSE int path = -1, file = -1;
	struct stat st, again;
	int sealed;

	path = openat(dir->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (path < 0 || fstat(path, &st) < 0)
		return -errno;
	if ((st.st_mode & S_IFMT) != (e->mode & S_IFMT))
		return -ESTALE;
	/* What a regular file's own descriptor can do needs no /proc. */
	if (S_ISREG(st.st_mode))
		file = openat(dir->fd, name,
			      O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
				      O_CLOEXEC);
	if (file >= 0 &&
	    (fstat(file, &again) < 0 || again.st_dev != st.st_dev ||
	     again.st_ino != st.st_ino))
		return -ESTALE;
	if (file >= 0)
		(void)restore_unseal(run, file, e);
	*late = restore_attrs(run, file < 0 ? path : file, file < 0, e);
	sealed = file < 0 ? 0 : restore_seal(run, file, e);
	*late = *late ? *late : sealed;
	return 0;
}

/* ---- other kinds ---- */

static int other_make(struct restore *run, int dirfd, const char *name,
		      const struct entry *e)
{
	char target[ENTRY_TARGET_MAX + 1];
	dev_t dev = 0;

	if (S_ISLNK(e->mode)) {
		memcpy(target, e->target, e->target_len);
		target[e->target_len] = '\0';
		return symlinkat(target, dirfd, name) < 0 ? -errno : 0;
	}
	if (S_ISCHR(e->mode) || S_ISBLK(e->mode)) {
		if (!run->is_root)
			return -EPERM;
		dev = makedev(e->rdev_major, e->rdev_minor);
	}
	return mknodat(dirfd, name, (e->mode & S_IFMT) | 0600, dev) < 0 ? -errno
									: 0;
}

/* A new object gets its attributes before it takes another one's place. As
 * file_write(). */
static int other_write(struct restore *run, struct rdir *dir, const char *name,
		       const struct entry *e, bool replace, int *late)
{
	struct seam *s = run->seam;
	char temp[TEMP_NAME_LEN];
	int r;

	if (!replace) {
		r = other_make(run, dir->fd, name, e);
		return r < 0 ? r : attrs_of(run, dir, name, e, late);
	}
	temp_name(run, temp);
	r = other_make(run, dir->fd, temp, e);
	if (r < 0)
		return r;
	r = attrs_of(run, dir, temp, e, late);
	if (r == 0)
		r = s->ops->renameat(s, dir->fd, temp, dir->fd, name);
	if (r < 0)
		(void)!s->ops->unlinkat(s, dir->fd, temp, 0);
	return r;
}

/* ---- one entry ---- */

static void failed(struct restore *run, const struct rdir *dir,
		   const struct ref *ref, int r)
{
	AUTO_BUF struct buf path = BUF_INIT;
	const char *why = strerror(-r);

	if (r == -EINTR || restore_stopped(run) < 0)
		return;
	if (r == -ECANCELED)
		return; /* said */
	if (r == -EISDIR && run->o->delete_extra)
		why = "a directory that is not empty stands there";
	else if (r == -EISDIR)
		why = "a directory that is not empty stands there; "
		      "--delete would remove it";
	else if (r == -EBADMSG)
		why = "the vault is damaged there";
	else if (r == -EPERM && !run->is_root)
		why = "only root may make this";
	else if (r == -EBUSY)
		why = "a mount point stands there, or what this restore needs: "
		      "the vault, a key, the cache";
	log_warn("%s: not restored: %s", restore_path(&path, ref), why);
	restore_error_at(run, dir->fd, r);
}

/* Say that an entry stands there with its content, but not all attributes. */
static void failed_late(struct restore *run, const struct rdir *dir,
			const struct ref *ref, int r)
{
	AUTO_BUF struct buf path = BUF_INIT;

	log_warn("%s: restored, but not all of its attributes: %s",
		 restore_path(&path, ref),
		 r == -EBADMSG ? "the vault is damaged there" : strerror(-r));
	restore_error_at(run, dir->fd, r);
}

int item_write(struct restore *run, const struct item *it, uint8_t *piece)
{
	char name[ENTRY_NAME_MAX + 1];
	AUTO_BUF struct buf mem = BUF_INIT;
	struct entry e;
	int r, lost, late = 0;

	lost = ref_load(run, &it->ref, &mem, &e);
	memcpy(name, e.name, e.name_len);
	name[e.name_len] = '\0';
	if (lost < 0 && S_ISLNK(e.mode))
		r = lost;
	else if (it->attrs_only)
		r = attrs_of(run, it->dir, name, &e, &late);
	else if (S_ISREG(e.mode))
		r = file_write(run, it, name, &e, piece, &late);
	else
		r = other_write(run, it->dir, name, &e, it->replace, &late);
	if (r == 0 && lost < 0)
		restore_error(run, lost); /* said; the rest of it stands */
	if (r < 0) {
		failed(run, it->dir, &it->ref, r);
		return r;
	}
	restore_note_done(run, it->action, &it->ref, e.size);
	if (late < 0)
		failed_late(run, it->dir, &it->ref, late);
	pthread_mutex_lock(&run->lock);
	if (it->attrs_only)
		run->progress.unchanged++;
	else if (S_ISREG(e.mode))
		run->progress.files++;
	else
		run->progress.others++;
	if (S_ISREG(e.mode))
		run->progress.bytes_done += e.size;
	if (run->written && S_ISREG(e.mode))
		run->written[it->rank / 8] |= (uint8_t)(1u << it->rank % 8);
	pthread_mutex_unlock(&run->lock);
	return 0;
}

/* ---- what the walk calls ---- */

/* A file of several names is written by the walk itself: when the next name
 * comes, the first must be there. */
static void linked_restore(struct restore *run, struct item *it,
			   const char *name, const struct entry *e)
{
	int r;

	r = link_try(run, it->dir, name, e, it->replace || it->attrs_only);
	if (r == 1) {
		restore_note(run, it->action, name, e->size);
		if (S_ISREG(e->mode))
			RESTORE_COUNT(run, files, 1);
		else
			RESTORE_COUNT(run, others, 1);
		return;
	}
	if (r < 0)
		log_warn("%s/%s: becomes a file of its own, not another name "
			 "of one restored before: %s",
			 run->path.len ? (const char *)run->path.data : "",
			 name, strerror(-r));
	if (item_write(run, it, run->own->piece) < 0)
		return;
	r = link_remember(run, run->key.data, run->key.len, e);
	if (r < 0)
		restore_error(run, r);
}

void entry_restore(struct restore *run, struct rdir *dir, const struct ref *ref,
		   uint64_t rank, const char *name)
{
	struct item it = { .dir = dir, .ref = *ref, .rank = rank };
	struct entry e;
	int place;

	ref_entry(ref, &e);
	place = dir->guarded ? guarded_refuse(run, dir)
			     : place_decide(run, dir, name, &e);
	/* No need to read it from the vault first, nor to say that it was
	 * restored. */
	if (place >= 0 && place != PLACE_KEEP && dir->read_only)
		place = -EROFS;
	if (place < 0) {
		failed(run, dir, ref, place);
		return;
	}
	if (place == PLACE_KEEP) {
		RESTORE_COUNT(run, skipped, 1);
		if (S_ISREG(e.mode))
			RESTORE_COUNT(run, bytes_done, e.size);
		restore_note(run, "skipped", name, e.size);
		return;
	}
	it.action = place == PLACE_ATTRS  ? "unchanged"
		    : place == PLACE_OVER ? "updated"
					  : "restored";
	it.replace = place == PLACE_OVER;
	it.attrs_only = place == PLACE_ATTRS;
	if (run->o->dry_run) {
		restore_note(run, it.action, name, e.size);
		pthread_mutex_lock(&run->lock);
		if (it.attrs_only)
			run->progress.unchanged++;
		else if (S_ISREG(e.mode))
			run->progress.files++;
		else
			run->progress.others++;
		run->progress.bytes_done += S_ISREG(e.mode) ? e.size : 0;
		pthread_mutex_unlock(&run->lock);
	} else if (e.nlink > 1) {
		linked_restore(run, &it, name, &e);
	} else if (S_ISREG(e.mode)) {
		job_add(run, &it, e.size);
	} else {
		(void)!item_write(run, &it, run->own->piece);
	}
}
