/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The walk of listing.h. Each level keeps a batch of names, read at once and
 * then worked off, so that nothing of the view is held while going below, and
 * a batch is refilled from the cookie of its last name.
 */
#include "config.h"

#include "src/cmd/listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/view.h"
#include "store/base/bytes.h"
#include "store/base/log.h"

#define BATCH 256
#define BATCH_DEEP 8 /* below DEEP levels: depth is the attacker's */
#define DEEP 32
#define DEPTH_MAX 65536

struct level {
	uint64_t node;
	uint64_t cookie; /* behind the last name of the batch */
	size_t path_len; /* of the directory's prefix */
	struct buf names; /* each le16 length, then the bytes */
	size_t n, max;
	size_t next; /* name to work off */
	size_t next_off; /* of it in names */
	bool last; /* the directory ends with this batch */
	struct view_attr attrs[];
};

struct walk {
	struct view *view;
	struct buf path;
	struct level **levels;
	size_t depth;
	listing_fn *fn;
	void *arg;
	uint64_t *failures;
};

static int keep_name(void *arg, const char *name, size_t len,
		     const struct view_attr *attr, uint64_t cookie)
{
	struct level *l = arg;

	if (l->n == l->max) {
		l->last = false;
		return 1;
	}
	l->attrs[l->n++] = *attr;
	l->cookie = cookie;
	buf_put_le16(&l->names, (uint16_t)len);
	buf_put(&l->names, name, len);
	return 0;
}

static int refill(struct walk *w, struct level *l)
{
	int r;

	buf_clear(&l->names);
	l->n = l->next = l->next_off = 0;
	l->last = true;
	r = view_readdir(w->view, l->node, l->cookie, keep_name, l);
	if (r < 0)
		return r;
	return buf_error(&l->names);
}

static int push(struct walk *w, uint64_t node)
{
	struct level **levels, *l;
	size_t max = w->depth < DEEP ? BATCH : BATCH_DEEP;

	if (w->depth == DEPTH_MAX)
		return fail(-ELOOP, "the tree is deeper than %d directories",
			    DEPTH_MAX);
	levels = reallocarray(w->levels, w->depth + 1, sizeof(*levels));
	if (!levels)
		return -ENOMEM;
	w->levels = levels;
	l = calloc(1, sizeof(*l) + max * sizeof(l->attrs[0]));
	if (!l)
		return -ENOMEM;
	l->node = node;
	l->max = max;
	l->path_len = w->path.len;
	w->levels[w->depth++] = l;
	return 0;
}

static void pop(struct walk *w)
{
	struct level *l = w->levels[--w->depth];

	buf_release(&l->names);
	free(l);
}

/* A filesystem in a disk may have been made to lead in circles. */
static bool is_above(const struct walk *w, uint64_t node)
{
	size_t i;

	for (i = 0; i < w->depth; i++)
		if (w->levels[i]->node == node)
			return true;
	return false;
}

/* The next name of the level; goes below where it is a directory. */
static int step(struct walk *w, struct level *l)
{
	const uint8_t *p = l->names.data + l->next_off;
	const struct view_attr *attr = &l->attrs[l->next];
	size_t len = get_le16(p);
	int r;

	l->next++;
	l->next_off += 2 + len;
	w->path.len = l->path_len;
	buf_put(&w->path, p + 2, len);
	buf_put_u8(&w->path, 0);
	if (buf_error(&w->path) < 0)
		return -ENOMEM;
	w->path.len--; /* the NUL is for callers who like one */
	r = w->fn(w->arg, (const char *)w->path.data, w->path.len, attr);
	if (attr->damaged)
		++*w->failures;
	if (r != 0 || attr->damaged || !S_ISDIR(attr->st.st_mode))
		return r == 1 ? 0 : r;
	if (is_above(w, attr->node)) {
		log_warn("%s is a directory that it is in itself: not entered",
			 (const char *)w->path.data);
		++*w->failures;
		return 0;
	}
	buf_put_u8(&w->path, '/');
	return push(w, attr->node);
}

int listing_walk(struct view *view, const struct view_attr *attr,
		 const char *prefix, listing_fn *fn, void *arg,
		 uint64_t *failures)
{
	struct walk w = {
		.view = view, .fn = fn, .arg = arg, .failures = failures
	};
	int r;

	buf_put(&w.path, prefix, strlen(prefix));
	r = push(&w, attr->node);
	while (r == 0 && w.depth > 0) {
		struct level *l = w.levels[w.depth - 1];

		if (l->next < l->n) {
			r = step(&w, l);
			continue;
		}
		if (l->last) {
			pop(&w);
			continue;
		}
		r = refill(&w, l);
		if (r == -EIO) {
			/* What was read of it before is shown. */
			++*failures;
			l->last = true;
			r = 0;
		}
	}
	while (w.depth > 0)
		pop(&w);
	free(w.levels);
	buf_release(&w.path);
	return r;
}
