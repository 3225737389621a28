/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Directories of volumes. A reader may hold a lock of its own while it lists a
 * directory, so entries are gathered in batches, and nothing of the guest is
 * asked from inside a walk.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/ahead.h"
#include "fs/guest/guest.h"
#include "fs/inside_internal.h"
#include "fs/parents.h"
#include "store/base/array.h"
#include "store/base/log.h"
#include "store/base/stop.h"

#define COOKIE_SHIFT 2 /* 1 and 2 are "." and ".." */

static const char *row_name(const struct ahead *a, size_t i)
{
	return (const char *)a->names.data + a->rows[i].name_off;
}

static int keep_row(void *arg, const char *name, size_t len, uint64_t node,
		    unsigned int type, uint64_t cookie)
{
	struct ahead *a = arg;

	if (a->n == a->cap)
		return 1;
	if (node >= GUEST_NODE_MAX || cookie > INT64_MAX - COOKIE_SHIFT)
		return fail(-EIO,
			    "\"%.*s\": an inode number or cookie beyond "
			    "bounds",
			    (int)len, name);
	a->rows[a->n++] = (struct ahead_row){ .node = node,
					      .cookie = cookie,
					      .name_off = a->names.len,
					      .name_len = (uint16_t)len,
					      .type = (uint8_t)type };
	buf_put(&a->names, name, len);
	buf_put_u8(&a->names, 0);
	return buf_error(&a->names);
}

/* What is known of an entry without its inode. */
static void fill_row(const struct inside *p, const struct ahead_row *row,
		     struct view_attr *out)
{
	memset(out, 0, sizeof(*out));
	out->node = node_guest(p->volume, row->node);
	out->st.st_mode = (mode_t)(row->type & 15) << 12;
	out->st.st_ino = inside_ino(p, row->node);
}

/* An inode that is damaged does not hide its name, or those behind it. */
static int fill_named(const struct inside *p, const struct ahead *a, size_t i,
		      struct view_attr *out)
{
	const struct ahead_row *row = &a->rows[i];
	int r = inside_named(p, row->node, row_name(a, i), out);

	if (r == -ENOMEM || r == -ECANCELED)
		return r;
	if (r < 0) {
		fill_row(p, row, out);
		out->damaged = true;
	}
	return 0;
}

struct order {
	uint64_t node;
	size_t row;
};

static int by_node(const void *a, const void *b)
{
	const struct order *x = a, *y = b;

	return (x->node > y->node) - (x->node < y->node);
}

/* Fill in the attributes of all rows, in the order of the inodes. */
static int read_attrs(struct ahead *a, const struct inside *p)
{
	struct order *order;
	int r = 0;
	size_t i;

	free(a->attrs);
	a->attrs = alloc_array(a->n, sizeof(*a->attrs));
	order = alloc_array(a->n, sizeof(*order));
	if (!a->attrs || !order)
		r = -ENOMEM;
	for (i = 0; i < a->n && r == 0; i++)
		order[i] = (struct order){ a->rows[i].node, i };
	if (r == 0)
		qsort(order, a->n, sizeof(*order), by_node);
	for (i = 0; i < a->n && r == 0; i++) {
		size_t row = order[i].row;

		r = stop_asked() ? -ECANCELED
				 : fill_named(p, a, row, &a->attrs[row]);
	}
	free(order);
	return r;
}

/* Each batch is larger than the one before. */
static int refill(struct ahead *a, const struct inside *p, bool plus)
{
	size_t cap = a->cap ? MIN(2 * a->cap, (size_t)AHEAD_MAX) : AHEAD_FIRST;
	struct ahead_row *rows = reallocarray(a->rows, cap, sizeof(*rows));
	int r;

	if (!rows)
		return -ENOMEM;
	a->rows = rows;
	a->cap = cap;
	a->n = a->at = 0;
	buf_clear(&a->names);
	r = guest_readdir(p->lent.guest, node_in_guest(a->dir), a->cookie,
			  keep_row, a);
	a->end = r < 0 ? inside_error(r) : 0;
	return plus && a->n > 0 ? read_attrs(a, p) : 0;
}

static int put_row(struct ahead *a, const struct inside *p, view_dir_fn *fn,
		   void *arg)
{
	const struct ahead_row *row = &a->rows[a->at];
	struct view_attr attr;
	int r = 0;

	if (a->attrs)
		attr = a->attrs[a->at];
	else if (row->type == DT_UNKNOWN)
		r = fill_named(p, a, a->at, &attr);
	else
		fill_row(p, row, &attr);
	if (r < 0)
		return r;
	if (!attr.damaged && S_ISDIR(attr.st.st_mode))
		parents_note(p->w->parents, attr.node, a->dir);
	r = fn(arg, row_name(a, a->at), row->name_len, &attr,
	       row->cookie + COOKIE_SHIFT);
	if (r == 0) {
		a->cookie = row->cookie;
		a->at++;
	}
	return r;
}

/* Return 1 where @fn had enough. */
static int list_on(struct ahead *a, const struct inside *p, bool plus,
		   view_dir_fn *fn, void *arg)
{
	int r = 0;

	for (;;) {
		if (a->at == a->n) {
			/* What came before an error is good. */
			if (a->n < a->cap)
				return a->end;
			r = refill(a, p, plus);
		}
		while (r == 0 && a->at < a->n)
			r = put_row(a, p, fn, arg);
		if (r)
			return r;
	}
}

static int list(struct view *w, uint64_t node, uint64_t cookie, bool plus,
		view_dir_fn *fn, void *arg)
{
	AUTO_INSIDE struct inside p;
	struct ahead *a = NULL;
	int r = inside_enter(&p, w, node);

	cookie = cookie <= COOKIE_SHIFT ? 0 : cookie - COOKIE_SHIFT;
	if (r < 0)
		return r;
	if (plus)
		a = aheads_take(w->aheads, node, cookie);
	if (!a) {
		a = calloc(1, sizeof(*a));
		if (!a)
			return -ENOMEM;
		a->dir = node;
		a->cookie = cookie;
	}
	r = list_on(a, &p, plus, fn, arg);
	/* An error may be over the next time. */
	if (r == 1 && plus && p.lent.sure && a->end == 0)
		aheads_keep(w->aheads, a);
	else
		ahead_free(a);
	return r > 0 ? 0 : r;
}

int inside_list(struct view *w, uint64_t node, uint64_t cookie, view_dir_fn *fn,
		void *arg)
{
	return list(w, node, cookie, true, fn, arg);
}

int inside_names(struct view *w, uint64_t node, uint64_t cookie,
		 view_dir_fn *fn, void *arg)
{
	return list(w, node, cookie, false, fn, arg);
}
