/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The reading thread of a scan.
 *
 * Depth first with a stack of its own. A directory's entries are all handed
 * out before the first of its subdirectories is opened; what stays on the
 * stack are the names of those subdirectories.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "src/scan/exclude.h"
#include "src/scan/walk_internal.h"
#include "store/tree.h"

/* Hand out the entries of @lev and, where any of them is to be walked, put it
 * on the stack. */
static int enter(struct scan_walk *w, struct walk_level *lev)
{
	int r = walk_put_entries(w, lev);

	if (r == 0 && lev->nsubs > 0)
		return walk_level_push(w, lev);
	walk_level_release(lev);
	return r;
}

/* Step down into the next subdirectory of the top of the stack. */
static int walk_descend(struct scan_walk *w)
{
	struct walk_level *top = &w->levels[w->nlevels - 1];
	struct walk_level lev = { .key_len = 0 };
	size_t key_len = top->key_len, path_len = top->path_len;
	const struct walk_sub *sub;
	const char *name;
	int r;

	w->key.len = key_len;
	w->path.len = path_len;
	r = walk_level_need(w);
	if (r < 0) {
		char own[SCAN_NAME_MAX + 1];

		/* Not the directory it was: what is left in it is lost. */
		walk_level_name(w, w->nlevels - 1, own);
		top->next = top->nsubs;
		return walk_put_dir_error(w, top[-1].key_len, top[-1].path_len,
					  own, strlen(own), r);
	}
	sub = &top->subs[top->next++];
	name = (const char *)top->names.data + sub->off;
	lev.want = sub->want;
	lev.node = sub->node;
	lev.follow = sub->follow;
	dir_list_clear(&w->list);
	if (key_len + 2 * (size_t)sub->len + 2 + SCAN_NAME_MAX > TREE_KEY_MAX)
		return walk_put_dir_error(w, key_len, path_len, name, sub->len,
					  -ENAMETOOLONG);
	tree_key_push(&w->key, name, sub->len);
	buf_put_u8(&w->path, '/');
	buf_put(&w->path, name, sub->len);
	if (buf_error(&w->key) < 0 || buf_error(&w->path) < 0)
		return -ENOMEM;
	lev.key_len = w->key.len;
	lev.path_len = w->path.len;
	r = walk_level_open(w, top, name, &lev);
	if (r == 0 && lev.want == WANT_ALL)
		r = dir_list_read(&w->list, lev.dir->fd);
	if (r < 0)
		r = walk_put_dir_error(w, key_len, path_len, name, sub->len, r);
	if (r < 0 || !lev.dir) {
		walk_level_release(&lev);
		return r;
	}
	return enter(w, &lev);
}

/* "/" itself, then its entries. */
static int walk_top(struct scan_walk *w)
{
	struct walk_level lev = {
		.want = w->top->source ? WANT_ALL : WANT_SOURCES,
		.node = w->top,
	};
	struct scan_rec *rec;
	struct stat st;
	int r;

	r = walk_rec_new(w, NULL, "", 0, &rec);
	if (r < 0)
		return r;
	if (stat("/", &st) < 0) {
		rec->error = -errno;
		memset(&rec->st, 0, sizeof(rec->st));
		return 0;
	}
	rec->st = st;
	if (walk_is_skipped(w, &st))
		return walk_leave_out(w, "");
	r = walk_level_open(w, NULL, "/", &lev);
	if (r == 0 && lev.want == WANT_ALL)
		r = dir_list_read(&w->list, lev.dir->fd);
	if (r < 0)
		r = walk_put_dir_error(w, 0, 0, "", 0, r);
	if (r < 0 || !lev.dir) {
		walk_level_release(&lev);
		return r;
	}
	return enter(w, &lev);
}

static int walk_all(struct scan_walk *w)
{
	int r;

	r = walk_top(w);
	while (r == 0 && w->nlevels > 0) {
		struct walk_level *top = &w->levels[w->nlevels - 1];

		if (top->next < top->nsubs) {
			r = walk_descend(w);
		} else {
			walk_level_release(top);
			w->nlevels--;
		}
	}
	return r;
}

void *scan_walk_run(void *arg)
{
	struct scan_walk *w = arg;
	int r = walk_all(w);

	if (w->batch)
		queue_put(w->queue);
	w->batch = NULL;
	queue_end(w->queue, r);
	return NULL;
}

/* Of the descriptors that a process may have, leave half to others. */
static void limits_set(struct scan_walk *w)
{
	struct rlimit lim;

	w->batch_dirs = SCAN_BATCH_DIRS;
	w->open_levels = SCAN_OPEN_LEVELS;
	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return;
	w->batch_dirs = MIN(w->batch_dirs, lim.rlim_cur / 4 / SCAN_BATCHES);
	w->batch_dirs = MAX(w->batch_dirs, 1u);
	w->open_levels = MIN(w->open_levels, lim.rlim_cur / 4);
	w->open_levels = MAX(w->open_levels, 4u);
}

int scan_walk_new(struct scan *s, const struct scan_options *o,
		  struct scan_walk **out)
{
	struct scan_walk *w;

	*out = NULL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->queue = &s->queue;
	w->top = s->sources.top;
	if (o->exclude && !exclude_empty(o->exclude))
		w->exclude = o->exclude;
	w->exclude_caches = o->exclude_caches;
	w->one_file_system = o->one_file_system;
	limits_set(w);
	if (o->nskip > 0) {
		w->skip = alloc_array(o->nskip, sizeof(*w->skip));
		if (!w->skip) {
			scan_walk_free(w);
			return -ENOMEM;
		}
		memcpy(w->skip, o->skip, o->nskip * sizeof(*w->skip));
		w->nskip = o->nskip;
	}
	if (o->napart > 0) {
		w->apart = alloc_array(o->napart, sizeof(*w->apart));
		if (!w->apart) {
			scan_walk_free(w);
			return -ENOMEM;
		}
		memcpy(w->apart, o->apart, o->napart * sizeof(*w->apart));
		w->napart = o->napart;
	}
	*out = w;
	return 0;
}

const char *const *scan_walk_left_out(const struct scan_walk *w, size_t *n_out)
{
	*n_out = w->nleft;
	return (const char *const *)w->left;
}

void scan_walk_free(struct scan_walk *w)
{
	if (!w)
		return;
	while (w->nleft > 0)
		free(w->left[--w->nleft]);
	free(w->left);
	while (w->nlevels > 0)
		walk_level_release(&w->levels[--w->nlevels]);
	free(w->levels);
	free(w->apart);
	free(w->skip);
	dir_list_release(&w->list);
	buf_release(&w->key);
	buf_release(&w->path);
	free(w);
}
