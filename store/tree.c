/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Trees: their order, leaves, cursors, and the descent to a place.
 *
 * A leaf is a node of the vault's cache, decoded and checked once and counted
 * there. So an entry can be handed out without a copy as long as its leaf is
 * held, and a cursor holds one leaf, whatever the size of the tree.
 *
 * A place is a key or a rank. Inner nodes carry the last key and the number of
 * entries of each child, so both find their way down the same path.
 */
#include "config.h"

#include "store/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/cache.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/node.h"
#include "store/vault_internal.h"

/* ---- keys of directories ---- */

/*
 * The order is that of a walk: a directory's entries by their names, then all
 * that is below the first of its subdirectories, and so on. Comparing bytes
 * gives it, because a component ends with a byte 1, which is less than any byte
 * of a name: names have no byte 0, and their bytes 1 and 2 are escaped. So
 * "a" and what is below it stand before "a!", as they do in a walk.
 */
void tree_key_push(struct buf *key, const void *name, size_t len)
{
	const uint8_t *p = name;
	size_t i;

	for (i = 0; i < len; i++) {
		if (p[i] == 1 || p[i] == 2) {
			buf_put_u8(key, 2);
			buf_put_u8(key, p[i] + 1);
		} else {
			buf_put_u8(key, p[i]);
		}
	}
	buf_put_u8(key, 1);
}

void tree_key_pop(struct buf *key)
{
	if (key->len > 0)
		key->len--;
	while (key->len > 0 && key->data[key->len - 1] != 1)
		key->len--;
}

void tree_key_path(struct buf *out, const uint8_t *key, size_t len)
{
	size_t i;

	buf_put_u8(out, '/');
	for (i = 0; i < len; i++) {
		if (key[i] == 1 && i + 1 < len)
			buf_put_u8(out, '/');
		else if (key[i] == 2 && i + 1 < len)
			buf_put_u8(out, key[++i] - 1);
		else if (key[i] != 1)
			buf_put_u8(out, key[i]);
	}
	buf_put_u8(out, 0);
	if (out->len > 0)
		out->len--;
}

int tree_path_key(struct buf *key, const char *path)
{
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && path[0] == '.' && path[1] == '.')
			return -EINVAL;
		if (n > ENTRY_NAME_MAX)
			return -EINVAL;
		if (n > 0 && !(n == 1 && path[0] == '.'))
			tree_key_push(key, path, n);
		path += n;
		path += *path == '/';
	}
	return buf_error(key);
}

static int compare(const uint8_t *a, size_t a_len, const uint8_t *b,
		   size_t b_len)
{
	size_t n = MIN(a_len, b_len);
	int c = n ? memcmp(a, b, n) : 0;

	return c ? c : a_len < b_len ? -1 : a_len > b_len;
}

/*
 * Directory keys compare as bytes: where one is the beginning of the other,
 * the shorter is the directory above, and its entries (a byte 0 and a name)
 * come before all that is below it.
 */
int tree_compare(const uint8_t *key_a, size_t key_a_len, const uint8_t *name_a,
		 size_t name_a_len, const uint8_t *key_b, size_t key_b_len,
		 const uint8_t *name_b, size_t name_b_len)
{
	int c = compare(key_a, key_a_len, key_b, key_b_len);

	return c ? c : compare(name_a, name_a_len, name_b, name_b_len);
}

bool tree_key_ok(const uint8_t *key, size_t len)
{
	uint8_t name[ENTRY_NAME_MAX];
	size_t i, n = 0;

	for (i = 0; i < len; i++) {
		uint8_t c = key[i];

		if (c == 1) {
			if (!entry_name_ok(name, n))
				return false;
			n = 0;
			continue;
		}
		if (c == 2) {
			if (++i == len || (key[i] != 2 && key[i] != 3))
				return false;
			c = key[i] - 1;
		}
		if (n == sizeof(name))
			return false;
		name[n++] = c;
	}
	return n == 0;
}

/* ---- leaves ---- */

/* The leaf that callers see is the node. */
static struct node *as_node(const struct leaf *l)
{
	return (struct node *)l;
}

struct leaf *leaf_get(struct leaf *l)
{
	struct node *n = as_node(l);
	struct cache_key key;

	memcpy(key.b, n->id.b, ID_LEN);
	cache_hold(n->vault->nodes, &key);
	return l;
}

void leaf_put(struct leaf *l)
{
	node_put(as_node(l));
}

size_t leaf_count(const struct leaf *l)
{
	return as_node(l)->n;
}

const struct id *leaf_id(const struct leaf *l)
{
	return &as_node(l)->id;
}

/* Checked when the node was decoded: this cannot fail. */
void leaf_entry(const struct leaf *l, size_t slot, struct entry *out)
{
	const struct node *n = as_node(l);
	struct reader r;

	reader_init(&r, n->raw + n->offs[slot],
		    n->offs[slot + 1] - n->offs[slot]);
	if (entry_get(&r, out) < 0)
		memset(out, 0, sizeof(*out));
}

/* Find the run that a slot lies in. */
static size_t run_of(const struct node *n, size_t slot)
{
	size_t lo = 0, hi = n->nruns;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (n->runs[mid].first <= slot)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

const uint8_t *leaf_dirkey(const struct leaf *l, size_t slot, size_t *len_out)
{
	const struct node *n = as_node(l);
	const struct node_run *run = &n->runs[run_of(n, slot)];

	*len_out = run->key_len;
	return run->key;
}

static size_t run_end(const struct node *n, size_t run)
{
	return run + 1 < n->nruns ? n->runs[run + 1].first : n->n;
}

size_t leaf_run_end(const struct leaf *l, size_t slot)
{
	const struct node *n = as_node(l);

	return run_end(n, run_of(n, slot));
}

int leaf_load(struct vault *v, const struct id *id, struct leaf **out)
{
	struct node *n;
	int r = node_load(v, CHUNK_NODE, id, &n);

	*out = NULL;
	if (r < 0)
		return r;
	if (n->kind != NODE_LEAF) {
		node_put(n);
		return fail(-EBADMSG, "an inner node of a tree stands where "
				      "a leaf belongs");
	}
	*out = (struct leaf *)n;
	return 0;
}

/* ---- descent ---- */

void cursor_release(struct cursor *c)
{
	if (c->leaf)
		leaf_put(c->leaf);
	c->leaf = NULL;
}

/* Where a descent goes. */
struct place {
	bool by_rank;
	uint64_t rank;
	const uint8_t *dirkey;
	size_t dirkey_len;
	const uint8_t *name;
	size_t name_len;
};

/* The first child whose last key is not before the place; n where none. */
static size_t pick_child(const struct node *n, const struct place *p,
			 uint64_t base)
{
	size_t lo = 0, hi = n->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct node_child *c = &n->children[mid];
		bool before;

		if (p->by_rank)
			before = base + c->first + c->count <= p->rank;
		else
			before = tree_compare(c->key, c->key_len, c->name,
					      c->name_len, p->dirkey,
					      p->dirkey_len, p->name,
					      p->name_len) < 0;
		if (before)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The first slot at or behind the place. */
static size_t pick_slot(const struct node *n, const struct place *p,
			uint64_t base)
{
	size_t lo = 0, hi = n->nruns, run;

	if (p->by_rank)
		return (size_t)(p->rank - base);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (tree_compare(n->runs[mid].key, n->runs[mid].key_len, NULL,
				 0, p->dirkey, p->dirkey_len, NULL, 0) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	run = lo;
	if (run == n->nruns)
		return n->n;
	lo = n->runs[run].first;
	if (tree_compare(n->runs[run].key, n->runs[run].key_len, NULL, 0,
			 p->dirkey, p->dirkey_len, NULL, 0) > 0)
		return lo;
	hi = run_end(n, run);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		struct reader r;
		const uint8_t *name;
		size_t len;

		reader_init(&r, n->raw + n->offs[mid],
			    n->offs[mid + 1] - n->offs[mid]);
		(void)reader_varint(&r);
		name = reader_bytes(&r, ENTRY_NAME_MAX, &len);
		if (tree_compare(NULL, 0, name, len, NULL, 0, p->name,
				 p->name_len) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/*
 * Go down from the root to a leaf. The root says how many entries there are and
 * how high the tree is; each node below must be as high and as full as its
 * parent said, so a tree that was put together wrongly, or that leads into
 * itself, ends in an error and not in a wrong entry or an endless loop.
 */
static int descend(struct vault *v, const struct id *root,
		   const struct place *p, struct cursor *c)
{
	struct id id = *root;
	unsigned int level = 0;
	uint64_t base = 0, count = 0;
	bool top = true;

	for (;;) {
		struct node *n;
		size_t i;
		int r = node_load(v, CHUNK_NODE, &id, &n);

		if (r < 0)
			return r;
		if (!top && (n->level != level || n->total != count)) {
			node_put(n);
			return fail(-EBADMSG, "a tree's nodes do not fit "
					      "together");
		}
		if (top)
			c->total = n->total;
		top = false;
		i = n->kind == NODE_LEAF ? 0 : pick_child(n, p, base);
		if (n->kind == NODE_LEAF) {
			i = p->by_rank && p->rank - base >= n->n
				    ? n->n
				    : pick_slot(n, p, base);
			c->leaf = (struct leaf *)n;
			c->slot = i;
			c->rank = base + i;
			c->vault = v;
			c->root = *root;
			if (i < n->n)
				return 0;
		}
		if (i >= n->n) {
			c->leaf = NULL;
			node_put(n);
			return -ENOENT;
		}
		id = n->children[i].id;
		base += n->children[i].first;
		count = n->children[i].count;
		level = n->level - 1;
		node_put(n);
	}
}

int tree_seek(struct vault *v, const struct id *root, const uint8_t *dirkey,
	      size_t dirkey_len, const void *name, size_t name_len,
	      struct cursor *c)
{
	struct place p = { .dirkey = dirkey,
			   .dirkey_len = dirkey_len,
			   .name = name,
			   .name_len = name_len };

	cursor_release(c);
	return descend(v, root, &p, c);
}

int tree_lookup(struct vault *v, const struct id *root, const uint8_t *dirkey,
		size_t dirkey_len, const void *name, size_t name_len,
		struct cursor *c)
{
	const uint8_t *key;
	struct entry e;
	size_t len;
	int r = tree_seek(v, root, dirkey, dirkey_len, name, name_len, c);

	if (r < 0)
		return r;
	cursor_entry(c, &e);
	key = cursor_dirkey(c, &len);
	if (tree_compare(key, len, e.name, e.name_len, dirkey, dirkey_len, name,
			 name_len) == 0)
		return 0;
	cursor_release(c);
	return -ENOENT;
}

int tree_at(struct vault *v, const struct id *root, uint64_t rank,
	    struct cursor *c)
{
	struct place p = { .by_rank = true, .rank = rank };

	cursor_release(c);
	return descend(v, root, &p, c);
}

/* The next leaf is found by rank, from the root: its nodes are in the cache,
 * for this leaf was found through them. So a cursor keeps no stack of
 * parents. */
int cursor_next(struct cursor *c)
{
	struct id root = c->root;

	if (!c->leaf)
		return -ENOENT;
	if (c->slot + 1 < leaf_count(c->leaf)) {
		c->slot++;
		c->rank++;
		return 0;
	}
	return tree_at(c->vault, &root, c->rank + 1, c);
}

void cursor_entry(const struct cursor *c, struct entry *out)
{
	leaf_entry(c->leaf, c->slot, out);
}

const uint8_t *cursor_dirkey(const struct cursor *c, size_t *len_out)
{
	return leaf_dirkey(c->leaf, c->slot, len_out);
}

/* ---- walking nodes ---- */

/* Levels shrink by one at each step down, so the recursion is as deep as the
 * root's level, which its decoder has bounded. */
static int walk_nodes(struct vault *v, const struct id *id, int level,
		      tree_node_fn *fn, void *arg)
{
	struct node *n;
	size_t i;
	int r = node_load(v, CHUNK_NODE, id, &n);

	if (r == 0 && level >= 0 && n->level != (unsigned int)level) {
		node_put(n);
		r = fail(-EBADMSG, "a tree's nodes do not fit together");
	}
	if (r < 0) {
		r = fn(arg, id, NULL, r);
		return r < 0 ? r : 0;
	}
	r = fn(arg, id, n->kind == NODE_LEAF ? (struct leaf *)n : NULL, 0);
	if (r == 0 && n->kind == NODE_INNER)
		for (i = 0; i < n->n && r == 0; i++)
			r = walk_nodes(v, &n->children[i].id, (int)n->level - 1,
				       fn, arg);
	node_put(n);
	return r < 0 ? r : 0;
}

int tree_nodes(struct vault *v, const struct id *root, tree_node_fn *fn,
	       void *arg)
{
	return walk_nodes(v, root, -1, fn, arg);
}
