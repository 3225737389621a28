/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The walk of a restore over what is no tree: a filesystem in a disk, config
 * files, disks.
 *
 * A directory is read whole and sorted, so that --delete can go along; its
 * entries come first, then its subdirectories, as in a tree. Entries are
 * numbered as they are met; the second pass of --verify gives them the same
 * numbers, since it enters the very directories that the first one did.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/view.h"
#include "src/restore/view_internal.h"
#include "store/base/log.h"

/* ---- which entries were written ---- */

static int need_bits(struct restore *run, uint64_t n)
{
	uint64_t cap = MAX(2 * run->nwritten, UINT64_C(8192));
	uint8_t *bits;
	int r = 0;

	if (!run->o->verify || run->o->dry_run || n <= run->nwritten)
		return 0;
	cap = (MAX(cap, n) + 7) / 8 * 8;
	pthread_mutex_lock(&run->lock);
	bits = realloc(run->written, (size_t)(cap / 8));
	if (bits) {
		memset(bits + run->nwritten / 8, 0,
		       (size_t)((cap - run->nwritten) / 8));
		run->written = bits;
		run->nwritten = cap;
	} else {
		r = -ENOMEM;
	}
	pthread_mutex_unlock(&run->lock);
	return r;
}

static void set_bit(struct restore *run, uint64_t rank)
{
	if (!run->written)
		return;
	pthread_mutex_lock(&run->lock);
	run->written[rank / 8] |= (uint8_t)(1u << rank % 8);
	pthread_mutex_unlock(&run->lock);
}

/* ---- directories ---- */

/* Is this the list of volumes, and one of them cannot be shown? Its directory
 * is then not among the names. */
static bool hides_volume(const struct walk_entry *e)
{
	static const char suffix[] = ".unreadable";
	const struct view_sorted *d = e->dir;
	size_t i;

	if (strcmp(e->path, "/volumes") != 0)
		return false;
	for (i = 0; i < d->n; i++) {
		const char *name = view_sorted_name(d, &d->names[i]);

		if (d->names[i].len >= sizeof(suffix) &&
		    strcmp(name + d->names[i].len + 1 - sizeof(suffix),
			   suffix) == 0)
			return true;
	}
	return false;
}

/* Does the walk go into a volume here? */
static bool is_volume_top(const struct walk_entry *e)
{
	return e->depth == 1 && view_in_volume(e->node) &&
	       strncmp(e->path, "/volumes/", 9) == 0 &&
	       !strchr(e->path + 9, '/');
}

/* A name whose inode is damaged may itself be another than it was, and so sort
 * behind what it stands for. */
static bool has_damaged(const struct view_sorted *d)
{
	size_t i;

	for (i = 0; i < d->n; i++)
		if (d->names[i].damaged)
			return true;
	return false;
}

/* A volume that is marked is not as its machine left it: what it does not show
 * may have been there. */
static void keep_if_marked(struct restore *run, const char *path, uint64_t node)
{
	AUTO_BUF struct buf why = BUF_INIT, state = BUF_INIT;
	int r;

	if (!run->o->delete_extra || run->o->delete_incomplete)
		return;
	r = view_volume_state(run->o->view, node, &state);
	if (r == 0 && state.len == 0)
		return;
	buf_put_u8(&state, '\0');
	buf_printf(&why,
		   "the volume of %s is marked as %s, so it may lack what the "
		   "machine had; "
		   "--delete-incomplete deletes that, too",
		   path, (char *)state.data);
	buf_put_u8(&why, '\0');
	if (r < 0 || buf_error(&state) < 0 || buf_error(&why) < 0)
		restore_keep(run, RESTORE_KEEP_LOST);
	else
		restore_keep(run, (char *)why.data);
}

int view_ref(struct restore *run, const char *path, uint64_t node,
	     struct ref *out)
{
	struct view_attr a;
	int r = view_getattr(run->o->view, node, &a);

	if (r == 0)
		r = vent_new(path, &a, &out->vent);
	return r;
}

static int lost_entry(struct restore *run, const char *path, int r)
{
	if (r == -ENOMEM)
		return r;
	log_warn("%s: not restored: it cannot be read: %s", path, strerror(-r));
	restore_error(run, r);
	restore_keep(run, RESTORE_KEEP_LOST);
	return 0;
}

/* Restore an entry that is no directory, or decide whether a directory is to be
 * entered. */
static int meet(struct restore *run, struct walk *w)
{
	const struct walk_entry *e = &w->entry;
	struct level *lev = level_top(run);
	struct ref ref = { .leaf = NULL };
	enum sub_state state;
	int r;

	if (lev->failed) {
		walk_skip(w);
		return 0;
	}
	RESTORE_COUNT(run, entries, 1);
	if (lev->listed) {
		if (level_need(run, run->nlevels - 1) < 0) {
			walk_skip(w);
			return 0;
		}
		extras_before(run, lev, e->name);
	}
	state = restore_state(run, e->name, S_ISDIR(e->mode));
	*e->mark = (uint8_t)state;
	if (state == SUB_LEFT_OUT) {
		walk_skip(w);
		return 0;
	}
	if (e->damaged)
		return lost_entry(run, e->path, -EIO);
	if (S_ISDIR(e->mode) || level_need(run, run->nlevels - 1) < 0)
		return 0;
	r = view_ref(run, e->path, e->node, &ref);
	if (r < 0)
		return lost_entry(run, e->path, r);
	entry_restore(run, lev->dir, &ref, e->rank, e->name);
	ref_put(&ref);
	return 0;
}

/* The top directory has its level already. */
static int go_below(struct restore *run, struct walk *w)
{
	const struct walk_entry *e = &w->entry;
	struct ref ref = { .leaf = NULL };
	int r = 0;

	if (level_top(run)->failed) {
		walk_skip(w);
		return 0;
	}
	if (is_volume_top(e))
		keep_if_marked(run, e->path, e->node);
	if (e->depth > 0) {
		r = view_ref(run, e->path, e->node, &ref);
		if (r < 0) {
			walk_skip(w);
			return lost_entry(run, e->path, r);
		}
		r = level_enter(run, &ref, e->name, e->name_len,
				(enum sub_state) * e->mark);
		ref_put(&ref);
		if (r == 0)
			set_bit(run, e->rank);
	}
	if (e->error < 0)
		restore_error(run, e->error);
	if (e->error < 0 || hides_volume(e) || has_damaged(e->dir))
		restore_keep(run, RESTORE_KEEP_LOST);
	return r < 0 ? r : need_bits(run, w->nranks);
}

/* Do what one event of the walk asks for. */
static int take_event(struct restore *run, struct walk *w,
		      enum walk_event event)
{
	int r;

	switch (event) {
	case WALK_ENTRY:
		r = meet(run, w);
		restore_walk_tick(run);
		return r < 0 ? r : restore_stopped(run);
	case WALK_ENTER:
		return go_below(run, w);
	case WALK_LEAVE:
		return level_leave(run);
	case WALK_REFUSED:
		restore_error(run, w->entry.error);
		restore_keep(run, RESTORE_KEEP_LOST);
		return 0;
	default:
		return 0;
	}
}

static int walk_dir(struct restore *run)
{
	struct walk w;
	int r = walk_begin(&w, run->o->view, WALK_ENTRIES_FIRST, run->o->path,
			   run->o->node);

	while (r == 0 && (r = walk_next(&w)) > 0)
		r = take_event(run, &w, (enum walk_event)r);
	walk_release(&w);
	/* After an error, finish what was begun. What was not met is not known
	 * to be superfluous. */
	while (r < 0 && run->nlevels > 0) {
		extras_drop(level_top(run));
		(void)!level_leave(run);
	}
	return r;
}

static int walk_file(struct restore *run, const struct ref *ref)
{
	struct entry e;
	char name[ENTRY_NAME_MAX + 1];
	int r = need_bits(run, 1);

	if (r < 0)
		return r;
	ref_entry(ref, &e);
	memcpy(name, e.name, e.name_len);
	name[e.name_len] = '\0';
	RESTORE_COUNT(run, entries, 1);
	if (restore_state(run, name, false) == SUB_WANTED)
		entry_restore(run, run->levels[0].dir, ref, 0, name);
	return 0;
}

/* The path of the directory that the target stands for. */
static int begin(struct restore *run, bool is_dir)
{
	const char *path = run->o->path;
	size_t len = strlen(path);

	while (!is_dir && len > 0 && path[len - 1] != '/')
		len--;
	while (len > 0 && path[len - 1] == '/')
		len--;
	buf_put(&run->path, path, len);
	buf_put_u8(&run->path, '\0');
	if (buf_error(&run->path) < 0)
		return -ENOMEM;
	run->path.len--;
	return levels_init(run);
}

int restore_view_walk(struct restore *run)
{
	struct ref ref = { .leaf = NULL };
	struct entry e;
	int r = view_ref(run, run->o->path, run->o->node, &ref);

	if (r < 0)
		return fail(r, "%s: cannot be read: %s", run->o->path,
			    strerror(-r));
	ref_entry(&ref, &e);
	r = begin(run, S_ISDIR(e.mode));
	if (r == 0 && view_in_volume(run->o->node))
		keep_if_marked(run, run->o->path, run->o->node);
	if (r == 0)
		r = level_open_target(run, &ref, false);
	if (r == 0)
		r = S_ISDIR(e.mode) ? walk_dir(run) : walk_file(run, &ref);
	ref_put(&ref);
	return r;
}
