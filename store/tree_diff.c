/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two trees side by side. Each side is a stack of nodes; what stands at the
 * top is a child or an entry. Equal children are passed over without being
 * read; of two that differ both are opened; two entries are compared. Since
 * boundaries follow from keys, the sides meet again right behind each change.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "store/base/log.h"
#include "store/format.h"
#include "store/node.h"
#include "store/tree.h"
#include "store/vault.h"

#define DEPTH_MAX 34

struct side {
	struct vault *vault; /* borrowed */
	struct node *nodes[DEPTH_MAX]; /* held */
	size_t at[DEPTH_MAX];
	size_t depth; /* 0: past the end */
};

static void side_release(struct side *s)
{
	while (s->depth > 0)
		node_put(s->nodes[--s->depth]);
}

/* Leave nodes whose end was reached. */
static void settle(struct side *s)
{
	while (s->depth > 0 &&
	       s->at[s->depth - 1] >= s->nodes[s->depth - 1]->n) {
		node_put(s->nodes[--s->depth]);
		if (s->depth > 0)
			s->at[s->depth - 1]++;
	}
}

static void step_on(struct side *s)
{
	s->at[s->depth - 1]++;
	settle(s);
}

static int push(struct side *s, const struct id *id, int level)
{
	struct node *n;
	int r;

	if (s->depth == DEPTH_MAX)
		return fail(-EBADMSG, "a tree of too many levels");
	r = node_load(s->vault, CHUNK_NODE, id, &n);
	if (r < 0)
		return r;
	if (level >= 0 && n->level != (unsigned int)level) {
		node_put(n);
		return fail(-EBADMSG, "a tree's nodes do not fit together");
	}
	s->nodes[s->depth] = n;
	s->at[s->depth++] = 0;
	settle(s);
	return 0;
}

static struct node *top(const struct side *s)
{
	return s->depth ? s->nodes[s->depth - 1] : NULL;
}

/* The child that stands at the top; NULL for an entry or the end. */
static const struct node_child *child(const struct side *s)
{
	struct node *n = top(s);

	return n && n->kind == NODE_INNER ? &n->children[s->at[s->depth - 1]]
					  : NULL;
}

static int open_child(struct side *s)
{
	const struct node_child *c = child(s);

	return push(s, &c->id, (int)top(s)->level - 1);
}

/* Both at the first entry of one and the same leaf. */
static bool same_leaf(const struct side *a, const struct side *b)
{
	struct node *x = top(a), *y = top(b);

	return x && x == y && x->kind == NODE_LEAF &&
	       a->at[a->depth - 1] == b->at[b->depth - 1];
}

static void skip_leaf(struct side *s)
{
	s->at[s->depth - 1] = top(s)->n;
	settle(s);
}

static void entry_of(const struct side *s, struct entry *e, const uint8_t **key,
		     size_t *len)
{
	const struct leaf *l = (const struct leaf *)top(s);

	leaf_entry(l, s->at[s->depth - 1], e);
	*key = leaf_dirkey(l, s->at[s->depth - 1], len);
}

static int compare_entries(struct side *a, struct side *b, tree_diff_fn *fn,
			   void *arg)
{
	struct entry x, y;
	const uint8_t *kx = NULL, *ky = NULL;
	size_t lx = 0, ly = 0;
	int c, r = 0;

	if (a->depth)
		entry_of(a, &x, &kx, &lx);
	if (b->depth)
		entry_of(b, &y, &ky, &ly);
	if (a->depth && b->depth)
		c = tree_compare(kx, lx, x.name, x.name_len, ky, ly, y.name,
				 y.name_len);
	else
		c = a->depth ? -1 : 1;
	if (c < 0)
		r = fn(arg, kx, lx, &x, NULL);
	else if (c > 0)
		r = fn(arg, ky, ly, NULL, &y);
	else if (x.raw_len != y.raw_len || memcmp(x.raw, y.raw, x.raw_len) != 0)
		r = fn(arg, kx, lx, &x, &y);
	if (c <= 0)
		step_on(a);
	if (c >= 0)
		step_on(b);
	return r;
}

int tree_diff(struct vault *v, const struct id *a, const struct id *b,
	      tree_diff_fn *fn, void *arg)
{
	struct side x = { .vault = v }, y = { .vault = v };
	int r = 0;

	if (id_equal(a, b))
		return 0;
	r = push(&x, a, -1);
	if (r == 0)
		r = push(&y, b, -1);
	while (r == 0 && (x.depth || y.depth)) {
		const struct node_child *cx = child(&x), *cy = child(&y);

		if (cx && cy && id_equal(&cx->id, &cy->id)) {
			step_on(&x);
			step_on(&y);
		} else if (same_leaf(&x, &y)) {
			skip_leaf(&x);
			skip_leaf(&y);
		} else if (cx && (!cy || top(&x)->level >= top(&y)->level)) {
			bool both = cy && top(&x)->level == top(&y)->level;

			r = open_child(&x);
			if (r == 0 && both)
				r = open_child(&y);
		} else if (cy) {
			r = open_child(&y);
		} else {
			r = compare_entries(&x, &y, fn, arg);
		}
	}
	side_release(&x);
	side_release(&y);
	return r;
}
