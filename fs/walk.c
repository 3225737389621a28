/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The walk is a stack of directories, and each call moves it by one event.
 *
 * As listed, a level keeps a batch of names, read at once and then worked off,
 * so that nothing of the view is held while the walk is below; the batch is
 * filled again from the cookie of its last name. By name, a level keeps the
 * whole directory, sorted.
 */
#include "config.h"

#include "fs/walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/view.h"
#include "fs/view_sorted.h"
#include "store/base/array.h"
#include "store/base/bytes.h"
#include "store/base/log.h"

/* Names read at once; fewer below DEEP levels: depth is the attacker's. */
#define BATCH 256
#define BATCH_DEEP 8
#define DEEP 32

struct walk_batch {
	uint64_t cookie; /* behind the last name of the batch */
	struct buf names; /* each le16 length, then the bytes */
	size_t next_off; /* of the next name in names */
	size_t n, max;
	bool last; /* the directory ends with this batch */
	struct view_attr attrs[];
};

struct walk_level {
	uint64_t node;
	size_t path_len; /* of the directory's path */
	size_t next; /* the next name */
	size_t next_dir; /* entries first: where to look for the next one */
	uint64_t rank; /* of the first name */
	struct view_sorted dir; /* by name; owned */
	struct walk_batch *batch; /* as listed; owned */
};

static struct walk_level *top(const struct walk *w)
{
	return &w->levels[w->nlevels - 1];
}

static void pop(struct walk *w)
{
	struct walk_level *l = &w->levels[--w->nlevels];

	view_sorted_release(&l->dir);
	if (l->batch)
		buf_release(&l->batch->names);
	free(l->batch);
}

void walk_release(struct walk *w)
{
	while (w->nlevels > 0)
		pop(w);
	free(w->levels);
	buf_release(&w->path);
	node_set_release(&w->seen);
	memset(w, 0, sizeof(*w));
}

/* ---- paths ---- */

static int end_path(struct walk *w)
{
	buf_put_u8(&w->path, '\0');
	if (buf_error(&w->path) < 0)
		return -ENOMEM;
	w->path.len--;
	return 0;
}

static int set_path(struct walk *w, const struct walk_level *l,
		    const void *name, size_t len)
{
	w->path.len = l->path_len;
	if (w->path.len > 0 && w->path.data[w->path.len - 1] != '/')
		buf_put_u8(&w->path, '/');
	buf_put(&w->path, name, len);
	return end_path(w);
}

static const char *path_text(const struct walk *w)
{
	return w->path.len ? (const char *)w->path.data : "the top directory";
}

static void fill_path(struct walk *w, size_t name_len)
{
	struct walk_entry *e = &w->entry;

	e->path = (const char *)w->path.data;
	e->path_len = w->path.len;
	e->name = e->path + e->path_len - name_len;
	e->name_len = name_len;
}

/* ---- reading directories ---- */

static int keep_name(void *arg, const char *name, size_t len,
		     const struct view_attr *attr, uint64_t cookie)
{
	struct walk_batch *b = arg;

	if (b->n == b->max) {
		b->last = false;
		return 1;
	}
	b->attrs[b->n++] = *attr;
	b->cookie = cookie;
	buf_put_le16(&b->names, (uint16_t)len);
	buf_put(&b->names, name, len);
	return 0;
}

/* The directory on top is not read whole, for the reason @r. */
static void count_failure(struct walk *w, int r)
{
	w->failures++;
	/* The view has said which directory it is and what is damaged. */
	if (r != -EIO)
		log_warn("%s: this directory cannot be read: %s", path_text(w),
			 strerror(-r));
}

/* What was read before an error is shown. */
static int fill_batch(struct walk *w, struct walk_level *l)
{
	struct walk_batch *b = l->batch;
	int r;

	buf_clear(&b->names);
	b->n = b->next_off = 0;
	b->last = true;
	l->next = 0;
	w->path.len = l->path_len;
	if (end_path(w) < 0)
		return -ENOMEM;
	r = view_readdir(w->view, l->node, b->cookie, keep_name, b);
	if (r == -ENOMEM || buf_error(&b->names) < 0)
		return -ENOMEM;
	if (r < 0) {
		count_failure(w, r);
		b->last = true;
	}
	return 0;
}

static int read_as_listed(struct walk *w, struct walk_level *l)
{
	size_t max = w->nlevels <= DEEP ? BATCH : BATCH_DEEP;

	l->batch =
		calloc(1, sizeof(*l->batch) + max * sizeof(struct view_attr));
	if (!l->batch)
		return -ENOMEM;
	l->batch->max = max;
	return fill_batch(w, l);
}

static int read_by_name(struct walk *w, struct walk_level *l, int *error_out)
{
	int r = view_sorted_read(&l->dir, w->view, l->node, path_text(w));

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		count_failure(w, r);
	else if (l->dir.lost)
		w->failures++;
	*error_out = r < 0 ? r : l->dir.lost ? -EIO : 0;
	l->rank = w->nranks;
	w->nranks += l->dir.n;
	return 0;
}

/* ---- going down and up ---- */

/* Return 0, or why a directory is not entered, or -ENOMEM. */
static int may_enter(struct walk *w, uint64_t node)
{
	int r;

	if (w->nlevels >= WALK_DEPTH_MAX) {
		/* The path comes last: it may be longer than a message. */
		log_warn("not entered, being deeper than %d directories: %s",
			 WALK_DEPTH_MAX, path_text(w));
		return -ELOOP;
	}
	r = view_in_volume(node) ? node_set_add(&w->seen, node) : 1;
	if (r == 0)
		log_warn("%s: not entered: this directory stands elsewhere,"
			 " too: its filesystem is damaged",
			 path_text(w));
	return r == 1 ? 0 : r == 0 ? -EUCLEAN : r;
}

/* Enter @node, whose path is the walk's. */
static int enter(struct walk *w, uint64_t node)
{
	struct walk_entry *e = &w->entry;
	struct walk_level *l;
	int r = may_enter(w, node);

	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		w->failures++;
		e->error = r;
		return WALK_REFUSED;
	}
	if (array_reserve(&w->levels, &w->cap, w->nlevels + 1) < 0)
		return -ENOMEM;
	l = &w->levels[w->nlevels++];
	memset(l, 0, sizeof(*l));
	l->node = node;
	l->path_len = w->path.len;
	r = w->order == WALK_AS_LISTED ? read_as_listed(w, l)
				       : read_by_name(w, l, &e->error);
	if (r < 0)
		return r;
	w->may_skip = w->entered = true;
	e->node = node;
	e->mode = S_IFDIR;
	e->dir = w->order == WALK_AS_LISTED ? NULL : &l->dir;
	return WALK_ENTER;
}

int walk_begin(struct walk *w, struct view *view, enum walk_order order,
	       const char *path, uint64_t node)
{
	*w = (struct walk){ .view = view, .order = order, .next_dir = node };
	buf_put(&w->path, path, strlen(path));
	if (end_path(w) < 0)
		return -ENOMEM;
	fill_path(w, 0);
	return 0;
}

/* ---- names ---- */

static int next_listed(struct walk *w, struct walk_level *l)
{
	struct walk_entry *e = &w->entry;
	struct walk_batch *b = l->batch;
	const uint8_t *p = b->names.data + b->next_off;
	const struct view_attr *attr = &b->attrs[l->next++];
	size_t len = get_le16(p);

	b->next_off += 2 + len;
	if (set_path(w, l, p + 2, len) < 0)
		return -ENOMEM;
	fill_path(w, len);
	e->node = attr->node;
	e->mode = attr->st.st_mode;
	e->damaged = attr->damaged;
	e->attr = attr;
	return 0;
}

static int fill_sorted(struct walk *w, struct walk_level *l, size_t i)
{
	struct walk_entry *e = &w->entry;
	struct view_name *n = &l->dir.names[i];

	if (set_path(w, l, view_sorted_name(&l->dir, n), n->len) < 0)
		return -ENOMEM;
	fill_path(w, n->len);
	e->node = n->node;
	e->mode = n->mode;
	e->damaged = n->damaged;
	e->rank = l->rank + i;
	e->mark = &n->mark;
	return 0;
}

/* The next name of the directory on top. Return WALK_ENTRY, 0 (there is none)
 * or -ENOMEM. */
static int next_name(struct walk *w)
{
	struct walk_level *l = top(w);
	int r = 0;

	if (l->batch && l->next == l->batch->n && !l->batch->last)
		r = fill_batch(w, l);
	if (r < 0 || l->next == (l->batch ? l->batch->n : l->dir.n))
		return r;
	if (l->batch)
		r = next_listed(w, l);
	else
		r = fill_sorted(w, l, l->next++);
	if (r < 0)
		return r;
	w->may_skip = true;
	if (w->order != WALK_ENTRIES_FIRST && S_ISDIR(w->entry.mode) &&
	    !w->entry.damaged)
		w->next_dir = w->entry.node;
	return WALK_ENTRY;
}

/* Entries first: the next directory among them. As next_name(). */
static int next_below(struct walk *w)
{
	struct walk_level *l = top(w);

	for (; l->next_dir < l->dir.n; l->next_dir++) {
		const struct view_name *n = &l->dir.names[l->next_dir];

		if (S_ISDIR(n->mode) && !n->damaged && !n->skipped)
			break;
	}
	if (l->next_dir == l->dir.n)
		return 0;
	if (fill_sorted(w, l, l->next_dir++) < 0)
		return -ENOMEM;
	return enter(w, w->entry.node);
}

int walk_next(struct walk *w)
{
	struct walk_entry *e = &w->entry;
	uint64_t node = w->next_dir;
	int r;

	w->may_skip = w->entered = false;
	w->next_dir = 0;
	if (node) {
		/* The entry is that of the event before. */
		e->attr = NULL;
		return enter(w, node);
	}
	*e = (struct walk_entry){ .depth = w->nlevels };
	if (w->nlevels == 0)
		return WALK_END;
	r = next_name(w);
	if (r == 0 && w->order == WALK_ENTRIES_FIRST)
		r = next_below(w);
	if (r != 0)
		return r;
	w->path.len = top(w)->path_len;
	r = end_path(w);
	fill_path(w, 0);
	e->node = top(w)->node;
	e->depth = w->nlevels - 1;
	pop(w);
	return r < 0 ? r : WALK_LEAVE;
}

void walk_skip(struct walk *w)
{
	if (!w->may_skip)
		return;
	w->may_skip = false;
	if (w->entered) {
		pop(w);
		return;
	}
	w->next_dir = 0;
	if (w->order == WALK_ENTRIES_FIRST)
		top(w)->dir.names[top(w)->next - 1].skipped = true;
}
