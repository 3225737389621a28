/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What every part of a restore reports to: errors are counted and may end the
 * run, each thing done is told to the caller, and the progress is shown. All
 * files of this room call these functions; the functions call none of them
 * but ref.c, so that the room has no circle.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "src/restore/internal.h"
#include "src/scan/exclude.h"
#include "store/base/seam.h"

bool dir_is_read_only(int fd)
{
	return faccessat(fd, ".", W_OK, 0) < 0 && errno == EROFS;
}

/* Is what is full in the directory at @fd full in the target, too? A directory
 * with a quota of its own has as many blocks as that allows. */
static bool shares_space(const struct restore *run, int fd)
{
	struct statvfs here, target;
	struct stat a, b;

	if (fd < 0 || run->target < 0 || fstat(fd, &a) < 0 ||
	    fstat(run->target, &b) < 0 || fstatvfs(fd, &here) < 0 ||
	    fstatvfs(run->target, &target) < 0)
		return true;
	return a.st_dev == b.st_dev && here.f_blocks == target.f_blocks;
}

/* Would everything that is still to be written meet the same? */
static bool ends_all(const struct restore *run, int fd, int r)
{
	switch (r) {
	case -ENOMEM:
		return true;
	case -EROFS:
		return run->target < 0 || dir_is_read_only(run->target);
	case -ENOSPC:
	case -EDQUOT:
		return shares_space(run, fd);
	default:
		return false;
	}
}

int restore_error_at(struct restore *run, int fd, int r)
{
	int none = 0;

	pthread_mutex_lock(&run->lock);
	run->progress.errors++;
	if (r == -EBADMSG)
		run->progress.damage = true;
	pthread_mutex_unlock(&run->lock);
	if (ends_all(run, fd, r))
		atomic_compare_exchange_strong(&run->fatal, &none, r);
	return r;
}

int restore_error(struct restore *run, int r)
{
	return restore_error_at(run, -1, r);
}

int restore_stopped(struct restore *run)
{
	int fatal = atomic_load(&run->fatal);

	if (fatal)
		return fatal;
	return task_stopped(run->task) ? -EINTR : 0;
}

/* ---- progress ---- */

double restore_seconds(struct restore *run)
{
	int64_t now = run->seam->ops->monotonic_ns(run->seam);

	return (double)(now - run->start_ns) / 1e9;
}

void restore_tick(struct restore *run)
{
	struct restore_progress p;

	if (!run->task->tick)
		return;
	pthread_mutex_lock(&run->lock);
	p = run->progress;
	pthread_mutex_unlock(&run->lock);
	p.seconds = restore_seconds(run);
	task_tick(run->task, run->seam, &p);
}

void restore_walk_tick(struct restore *run)
{
	AUTO_BUF struct buf path = BUF_INIT;
	const char *p;

	if (run->progress.entries % 64 != 0 || !run->task->tick)
		return;
	p = restore_path_of(run, NULL, &path);
	pthread_mutex_lock(&run->lock);
	strncpy(run->progress.current, p, sizeof(run->progress.current) - 1);
	pthread_mutex_unlock(&run->lock);
	restore_tick(run);
}

/* ---- paths ---- */

const char *restore_path(struct buf *out, const struct ref *ref)
{
	const uint8_t *key;
	struct entry e;
	size_t len;

	if (ref->vent)
		return vent_path(ref->vent);
	ref_entry(ref, &e);
	key = leaf_dirkey(ref->leaf, ref->slot, &len);
	buf_clear(out);
	tree_key_path(out, key, len);
	if (len > 0)
		buf_put_u8(out, '/');
	buf_put(out, e.name, e.name_len);
	buf_put_u8(out, '\0');
	return buf_error(out) < 0 ? "(no memory)" : (const char *)out->data;
}

const char *restore_path_of(const struct restore *run, const char *name,
			    struct buf *out)
{
	buf_clear(out);
	buf_put(out, run->path.data, run->path.len);
	if (name || run->path.len == 0)
		buf_put_u8(out, '/');
	if (name)
		buf_put(out, name, strlen(name));
	buf_put_u8(out, '\0');
	return buf_error(out) < 0 ? "(no memory)" : (const char *)out->data;
}

const char *restore_target_path(const struct restore *run, const char *path,
				struct buf *out)
{
	const char *target = run->o->target;
	size_t len = strlen(target);

	while (len > 0 && target[len - 1] == '/')
		len--;
	buf_clear(out);
	buf_put(out, target, len);
	path += run->levels[0].path_len;
	buf_put(out, path, strlen(path) + 1);
	return buf_error(out) < 0 ? "(no memory)" : (const char *)out->data;
}

/* What the caller is to be told. */
struct told {
	struct told *next;
	const char *action; /* static */
	uint64_t size;
	char path[];
};

void restore_note_done(struct restore *run, const char *action,
		       const struct ref *ref, uint64_t size)
{
	AUTO_BUF struct buf mem = BUF_INIT;
	const char *path;
	struct told *t;

	if (!run->o->note)
		return;
	path = restore_path(&mem, ref);
	t = malloc(sizeof(*t) + strlen(path) + 1);
	if (!t)
		return; /* it is only told less */
	t->next = NULL;
	t->action = action;
	t->size = size;
	memcpy(t->path, path, strlen(path) + 1);
	pthread_mutex_lock(&run->lock);
	*run->told_last = t;
	run->told_last = &t->next;
	pthread_mutex_unlock(&run->lock);
}

void restore_tell(struct restore *run)
{
	struct told *t, *next;

	if (!run->o->note)
		return;
	pthread_mutex_lock(&run->lock);
	t = run->told;
	run->told = NULL;
	run->told_last = &run->told;
	pthread_mutex_unlock(&run->lock);
	for (; t; t = next) {
		next = t->next;
		run->o->note(run->o->note_arg, t->action, t->path, t->size);
		free(t);
	}
}

void restore_note(struct restore *run, const char *action, const char *name,
		  uint64_t size)
{
	AUTO_BUF struct buf path = BUF_INIT;

	restore_tell(run);
	if (run->o->note)
		run->o->note(run->o->note_arg, action,
			     restore_path_of(run, name, &path), size);
}

enum sub_state restore_state(struct restore *run, const char *name, bool is_dir)
{
	const struct restore_options *o = run->o;
	AUTO_BUF struct buf path = BUF_INIT;
	const char *p;

	if (!o->exclude && !o->include)
		return SUB_WANTED;
	p = restore_path_of(run, name, &path);
	if (o->exclude && exclude_match(o->exclude, p, is_dir))
		return SUB_LEFT_OUT;
	if (!o->include || run->levels[run->nlevels - 1].wanted ||
	    exclude_match(o->include, p, is_dir))
		return SUB_WANTED;
	return is_dir ? SUB_PASSED : SUB_LEFT_OUT;
}
