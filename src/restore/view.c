/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The walk of a restore over what is no tree: a filesystem in a disk, config
 * files, disks.
 *
 * A directory is read whole and sorted, so that --delete can go along; its
 * entries come first, then its subdirectories, as in a tree. A guest's
 * filesystem is hostile: a directory is entered once only, and not too deep.
 * Entries are numbered as they are met; the second pass of --verify meets them
 * in the same order, since it enters the very directories that the first did.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/view.h"
#include "src/restore/view_internal.h"
#include "store/base/array.h"
#include "store/base/log.h"

void view_walk_release(struct view_walk *w)
{
	while (w->n > 0)
		view_sorted_release(&w->spots[--w->n].dir);
	free(w->spots);
	node_set_release(&w->seen);
	free(w->piece);
}

static const char *dir_path(const struct restore *run)
{
	return run->path.len ? (const char *)run->path.data : "/";
}

int view_walk_path(const struct restore *run, const char *name, struct buf *out)
{
	buf_clear(out);
	buf_put(out, run->path.data, run->path.len);
	buf_put_u8(out, '/');
	buf_put(out, name, strlen(name) + 1);
	return buf_error(out);
}

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
static bool hides_volume(const struct restore *run, const struct view_sorted *d)
{
	static const char suffix[] = ".unreadable";
	size_t i;

	if (strcmp(dir_path(run), "/volumes") != 0)
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

int view_walk_push(struct view_walk *w, uint64_t node)
{
	struct restore *run = w->run;
	struct view_spot *s;
	int r;

	if (array_reserve(&w->spots, &w->cap, w->n + 1) < 0)
		return -ENOMEM;
	s = &w->spots[w->n++];
	memset(s, 0, sizeof(*s));
	s->key_len = run->key.len;
	s->path_len = run->path.len;
	r = view_sorted_read(&s->dir, run->o->view, node, dir_path(run));
	if (r == 0 && s->dir.lost)
		restore_error(run, -EIO);
	if (r < 0 || s->dir.lost || hides_volume(run, &s->dir))
		restore_keep(run, RESTORE_KEEP_LOST);
	if (r < 0 && r != -ENOMEM) {
		log_warn("%s: this directory cannot be read: %s", dir_path(run),
			 strerror(-r));
		restore_error(run, r);
		r = 0;
	}
	s->rank = w->rank;
	w->rank += s->dir.n;
	return r < 0 ? r : need_bits(run, w->rank);
}

/* May it be entered? Said and counted where not. */
static bool may_enter(struct view_walk *w, const char *path, uint64_t node,
		      int *error)
{
	int r = w->n >= VIEW_DEPTH_MAX ? -ELOOP : node_set_add(&w->seen, node);

	if (r == 1)
		return true;
	*error = r == -ENOMEM ? r : 0;
	log_warn(
		"%s: not restored: %s", path,
		r == -ENOMEM ? "no memory"
		: r < 0	     ? "too many directories in one another"
			: "a directory that stands elsewhere too: its filesystem is"
			  " damaged");
	restore_error(w->run, r < 0 ? r : -EIO);
	restore_keep(w->run, RESTORE_KEEP_LOST);
	return false;
}

/* ---- the first pass ---- */

int view_walk_ref(struct restore *run, const char *path, uint64_t node,
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

/* One that is no directory; of those what is to be done is only noted. */
static int meet(struct view_walk *w, struct view_name *n, uint64_t rank)
{
	const char *name = view_sorted_name(&w->spots[w->n - 1].dir, n);
	struct restore *run = w->run;
	struct level *lev = &run->levels[run->nlevels - 1];
	AUTO_BUF struct buf path = BUF_INIT;
	struct ref ref = { .leaf = NULL };
	enum sub_state state;
	int r;

	RESTORE_COUNT(run, entries, 1);
	if (lev->listed) {
		if (level_need(run, run->nlevels - 1) < 0)
			return 0;
		extras_before(run, lev, name);
	}
	state = restore_state(run, name, S_ISDIR(n->mode));
	n->mark = (uint8_t)state;
	if (state == SUB_LEFT_OUT)
		return 0;
	r = view_walk_path(run, name, &path);
	if (r < 0)
		return r;
	if (n->damaged) {
		n->mark = SUB_LEFT_OUT;
		return lost_entry(run, (char *)path.data, -EIO);
	}
	if (S_ISDIR(n->mode) || level_need(run, run->nlevels - 1) < 0)
		return 0;
	r = view_walk_ref(run, (char *)path.data, n->node, &ref);
	if (r < 0)
		return lost_entry(run, (char *)path.data, r);
	entry_restore(run, lev->dir, &ref, rank, name);
	ref_put(&ref);
	return 0;
}

/* All that the directory on top holds. */
static int meet_all(struct view_walk *w)
{
	struct restore *run = w->run;
	struct view_spot *s = &w->spots[w->n - 1];
	size_t i;
	int r = 0;

	for (i = 0; i < s->dir.n && r == 0; i++) {
		if (run->levels[run->nlevels - 1].failed) {
			s->dir.n = 0;
			break;
		}
		r = meet(w, &s->dir.names[i], s->rank + i);
		restore_walk_tick(run);
		if (r == 0)
			r = restore_stopped(run);
	}
	return r;
}

static int go_below(struct view_walk *w, struct view_name *n, uint64_t rank)
{
	struct restore *run = w->run;
	const char *name = view_sorted_name(&w->spots[w->n - 1].dir, n);
	AUTO_BUF struct buf path = BUF_INIT;
	struct ref ref = { .leaf = NULL };
	int r = view_walk_path(run, name, &path), error = 0;

	if (r < 0)
		return r;
	if (!may_enter(w, (char *)path.data, n->node, &error))
		return error;
	r = view_walk_ref(run, (char *)path.data, n->node, &ref);
	if (r < 0)
		return lost_entry(run, (char *)path.data, r);
	r = level_enter(run, &ref, name, n->len, (enum sub_state)n->mark);
	ref_put(&ref);
	if (r < 0)
		return r;
	set_bit(run, rank);
	r = view_walk_push(w, n->node);
	return r < 0 ? r : meet_all(w);
}

static int meet_below(struct view_walk *w)
{
	struct restore *run = w->run;
	int r = meet_all(w);

	while (w->n > 0) {
		struct view_spot *s = &w->spots[w->n - 1];
		int e;

		if (r < 0)
			s->next = s->dir.n;
		while (s->next < s->dir.n &&
		       (!S_ISDIR(s->dir.names[s->next].mode) ||
			s->dir.names[s->next].mark == SUB_LEFT_OUT))
			s->next++;
		if (s->next < s->dir.n) {
			s->next++;
			r = go_below(w, &s->dir.names[s->next - 1],
				     s->rank + s->next - 1);
			continue;
		}
		/* What was not met is not known to be superfluous. */
		if (r < 0)
			run->levels[run->nlevels - 1].there.n = 0;
		e = level_leave(run);
		r = r ? r : e;
		view_sorted_release(&s->dir);
		w->n--;
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
	run->levels[0].wanted = true;
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
	struct view_walk w = { .run = run };
	struct ref ref = { .leaf = NULL };
	struct entry e;
	int r = view_walk_ref(run, run->o->path, run->o->node, &ref);

	if (r < 0)
		return fail(r, "%s: cannot be read: %s", run->o->path,
			    strerror(-r));
	ref_entry(&ref, &e);
	r = begin(run, S_ISDIR(e.mode));
	if (r == 0)
		r = level_open_target(run, &ref, false);
	if (r == 0 && !S_ISDIR(e.mode))
		r = walk_file(run, &ref);
	else if (r == 0)
		r = node_set_add(&w.seen, run->o->node);
	if (r == 1)
		r = view_walk_push(&w, run->o->node);
	if (r == 0 && w.n > 0)
		r = meet_below(&w);
	ref_put(&ref);
	view_walk_release(&w);
	return r;
}
