/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Entries of trees: from node number to entry, names and listings.
 *
 * A node number holds leaf and slot, so what is asked of a node costs one leaf,
 * usually in memory, and no descent. Only directories know their point: a name
 * in one is looked up from the root of that point's tree.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "fs/attr.h"
#include "fs/ino.h"
#include "fs/leaves.h"
#include "fs/view_internal.h"
#include "store/base/log.h"
#include "store/tree.h"
#include "store/vault.h"

#define COOKIE_FIRST 3 /* of rank 0; 1 and 2 are "." and ".." */

void spot_release(struct spot *s)
{
	if (s->leaf)
		leaf_put(s->leaf);
	s->leaf = NULL;
}

int spot_load(struct view *w, uint64_t node, struct spot *out)
{
	size_t slot = node_slot(node);
	struct id id;
	int r;

	memset(out, 0, sizeof(*out));
	r = leaves_id(w->leaves, node_leaf(node), &id, &out->hint);
	if (r < 0)
		return r;
	out->point = node_point(node);
	if (out->point)
		out->hint = out->point;
	r = leaf_load(w->vault, &id, &out->leaf);
	if (r < 0)
		return r;
	if (slot >= leaf_count(out->leaf)) {
		spot_release(out);
		return -ESTALE;
	}
	leaf_entry(out->leaf, slot, &out->e);
	out->dirkey = leaf_dirkey(out->leaf, slot, &out->dirkey_len);
	return 0;
}

void spot_key(const struct spot *s, struct buf *key)
{
	buf_put(key, s->dirkey, s->dirkey_len);
	if (s->e.name_len > 0)
		tree_key_push(key, s->e.name, s->e.name_len);
}

/* ---- attributes ---- */

/* What a row of entries has in common. */
struct row_context {
	struct view *w;
	uint32_t point; /* 0: of any */
	uint8_t point_id[INO_POINT_LEN];
	const uint8_t *dirkey; /* of the directory they stand in */
	size_t dirkey_len;
	struct buf key; /* scratch */
	struct buf scratch;
};

static void context_release(struct row_context *c)
{
	buf_release(&c->key);
	buf_release(&c->scratch);
}

static uint64_t entry_ino(struct row_context *c, const struct entry *e)
{
	const uint8_t *sipkey = c->w->sipkey;

	if (S_ISDIR(e->mode)) {
		buf_clear(&c->key);
		buf_put(&c->key, c->dirkey, c->dirkey_len);
		if (e->name_len > 0)
			tree_key_push(&c->key, e->name, e->name_len);
		return ino_dir(sipkey, &c->scratch, c->point_id, c->key.data,
			       c->key.len);
	}
	if (e->nlink > 1)
		return ino_linked(sipkey, c->point_id, e);
	return ino_file(sipkey, &c->scratch, c->dirkey, c->dirkey_len, e);
}

static void fill_attr(struct row_context *c, const struct entry *e,
		      uint64_t leaf, size_t slot, struct view_attr *out)
{
	bool shared = !S_ISDIR(e->mode) && e->nlink <= 1;

	memset(out, 0, sizeof(*out));
	out->node = node_entry(shared ? 0 : c->point, leaf, slot);
	out->immutable = true;
	out->stored = true;
	attr_from_entry(e, &out->st);
	out->st.st_ino = entry_ino(c, e);
}

static int context_init(struct row_context *c, struct view *w, uint32_t point)
{
	struct roster_point p;
	int r;

	memset(c, 0, sizeof(*c));
	c->w = w;
	c->point = point;
	if (point == 0)
		return 0;
	r = roster_get_point(w->roster, point, &p);
	memcpy(c->point_id, p.id, sizeof(c->point_id));
	return r;
}

int files_attr(struct view *w, uint64_t node, struct view_attr *out)
{
	CLEANUP(context_release) struct row_context c;
	AUTO_SPOT struct spot s = { 0 };
	int r = context_init(&c, w, node_point(node));

	if (r < 0)
		return r;
	r = spot_load(w, node, &s);
	if (r < 0)
		return r;
	c.dirkey = s.dirkey;
	c.dirkey_len = s.dirkey_len;
	fill_attr(&c, &s.e, node_leaf(node), node_slot(node), out);
	return 0;
}

/* ---- looking up ---- */

/* Look up in point @p; -ENOENT is silent. */
static int find_entry(struct view *w, const struct roster_point *p,
		      const uint8_t *key, size_t key_len, const char *name,
		      struct view_attr *out)
{
	CLEANUP(context_release) struct row_context c;
	CLEANUP(cursor_release) struct cursor at = { 0 };
	struct entry e;
	uint64_t leaf;
	int r = context_init(&c, w, p->serial);

	if (r < 0)
		return r;
	r = tree_lookup(w->vault, &p->root, key, key_len, name, strlen(name),
			&at);
	if (r < 0)
		return r;
	r = leaves_number(w->leaves, leaf_id(at.leaf), p->serial, &leaf);
	if (r < 0)
		return r;
	cursor_entry(&at, &e);
	c.dirkey = cursor_dirkey(&at, &c.dirkey_len);
	fill_attr(&c, &e, leaf, at.slot, out);
	return 0;
}

int files_top(struct view *w, const struct roster_point *p,
	      struct view_attr *out)
{
	return p->has_tree ? find_entry(w, p, NULL, 0, "", out) : -ENOENT;
}

/* A directory to work in: its key and its point. */
static int open_dir(struct view *w, uint64_t node, struct buf *key,
		    struct roster_point *p)
{
	AUTO_SPOT struct spot s = { 0 };
	int r = spot_load(w, node, &s);

	if (r < 0)
		return r;
	if (!S_ISDIR(s.e.mode))
		return -ENOTDIR;
	spot_key(&s, key);
	r = buf_error(key);
	return r < 0 ? r : roster_get_point(w->roster, s.point, p);
}

int files_find(struct view *w, uint64_t parent, const char *name,
	       struct view_attr *out)
{
	AUTO_BUF struct buf key = BUF_INIT;
	struct roster_point p;
	int r = open_dir(w, parent, &key, &p);

	if (r < 0)
		return r;
	if (!entry_name_ok(name, strlen(name)))
		return -ENOENT;
	return find_entry(w, &p, key.data, key.len, name, out);
}

/* Where a file is in several points, the one that it was reached through last
 * counts. */
int files_parent(struct view *w, uint64_t node, struct view_attr *out)
{
	AUTO_SPOT struct spot s = { 0 };
	AUTO_BUF struct buf key = BUF_INIT, name = BUF_INIT;
	struct roster_point p;
	size_t len;
	int r = spot_load(w, node, &s);

	if (r == 0)
		r = roster_get_point(w->roster, s.hint, &p);
	if (r < 0)
		return r;
	if (s.e.name_len == 0)
		return made_attr(w, node_made(MADE_POINT, 0, p.serial), out);
	if (s.dirkey_len == 0)
		return files_top(w, &p, out);
	buf_put(&key, s.dirkey, s.dirkey_len);
	len = key.len;
	tree_key_pop(&key);
	if (buf_error(&key) < 0)
		return -ENOMEM;
	/* "/name" of the last component. */
	tree_key_path(&name, key.data + key.len, len - key.len);
	if (buf_error(&name) < 0)
		return -ENOMEM;
	return find_entry(w, &p, key.data, key.len, (char *)name.data + 1, out);
}

/* ---- listing ---- */

static bool in_dir(const struct cursor *at, const struct buf *key)
{
	size_t len;
	const uint8_t *dirkey = cursor_dirkey(at, &len);

	return len == key->len &&
	       (len == 0 || memcmp(dirkey, key->data, len) == 0);
}

/* Hand out the entries of the cursor's leaf from its slot on, up to the end of
 * the directory. Return 1 where @fn has had enough, or a negative errno. */
static int list_leaf(struct row_context *c, const struct cursor *at,
		     const struct buf *key, view_dir_fn *fn, void *arg)
{
	size_t slot, end = leaf_run_end(at->leaf, at->slot);
	struct view_attr a;
	struct entry e;
	uint64_t leaf;
	int r = leaves_number(c->w->leaves, leaf_id(at->leaf), c->point, &leaf);

	if (r < 0)
		return r;
	c->dirkey = key->data;
	c->dirkey_len = key->len;
	for (slot = at->slot; slot < end && r == 0; slot++) {
		uint64_t rank = at->rank + (slot - at->slot);

		leaf_entry(at->leaf, slot, &e);
		if (e.name_len == 0)
			continue; /* the top itself */
		fill_attr(c, &e, leaf, slot, &a);
		r = fn(arg, (const char *)e.name, e.name_len, &a,
		       rank + COOKIE_FIRST);
	}
	return r;
}

int files_list(struct view *w, uint64_t node, uint64_t cookie, view_dir_fn *fn,
	       void *arg)
{
	CLEANUP(context_release) struct row_context c = { 0 };
	CLEANUP(cursor_release) struct cursor at = { 0 };
	AUTO_BUF struct buf key = BUF_INIT;
	struct roster_point p;
	uint64_t rank;
	int r = open_dir(w, node, &key, &p);

	if (r == 0)
		r = context_init(&c, w, p.serial);
	if (r < 0)
		return r;
	if (cookie < COOKIE_FIRST)
		r = tree_seek(w->vault, &p.root, key.data, key.len, "", 0, &at);
	else
		r = tree_at(w->vault, &p.root, cookie - COOKIE_FIRST + 1, &at);
	while (r == 0 && in_dir(&at, &key)) {
		r = list_leaf(&c, &at, &key, fn, arg);
		if (r != 0)
			break;
		if (leaf_run_end(at.leaf, at.slot) < leaf_count(at.leaf))
			return 0; /* another directory follows */
		rank = at.rank + (leaf_count(at.leaf) - at.slot);
		r = tree_at(w->vault, &p.root, rank, &at);
	}
	return r == -ENOENT || r > 0 ? 0 : r;
}

/* ---- words ---- */

void files_describe(struct view *w, uint64_t node, struct buf *out)
{
	AUTO_SPOT struct spot s = { 0 };
	AUTO_BUF struct buf key = BUF_INIT;
	char machine[ROSTER_NAME_MAX];
	struct roster_point p;
	uint32_t hint = 0;
	int64_t changed;
	struct id id;

	if (leaves_id(w->leaves, node_leaf(node), &id, &hint) < 0) {
		buf_printf(out, "node %#llx", (unsigned long long)node);
		return;
	}
	if (node_point(node))
		hint = node_point(node);
	if (roster_get_point(w->roster, hint, &p) == 0 &&
	    roster_machine(w->roster, p.machine, machine, &changed) == 0)
		buf_printf(out, "%s/%s:", machine, p.name);
	buf_printf(out, "files");
	if (spot_load(w, node, &s) < 0) {
		buf_printf(out, " (a damaged leaf of its tree)");
		return;
	}
	spot_key(&s, &key);
	if (key.len > 0)
		tree_key_path(out, key.data, key.len);
}
