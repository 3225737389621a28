/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A node is decoded once, when it comes into the vault's cache, and checked in
 * full then: every key and name, their order, every entry. So all that walk
 * trees and extent maps may take a node's parts as they are, and cannot fail on
 * them. What a node cannot know by itself is whether it belongs where it was
 * found; who descends compares its level and total with what the parent said.
 *
 * The bytes of the chunk are kept, and what is decoded points into them: an
 * entry is found by its offset and decoded again when it is wanted, which costs
 * less memory than a million struct entries would. Counts in a node are bounded
 * by its length before anything is allocated for them.
 *
 * Trees and extent maps are both search trees over ranges, and differ in what
 * a child is found by: a key, or how many bytes stand before it. One struct
 * node serves both, so that one cache does.
 */
#include "config.h"

#include "store/node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/cache.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/chunk.h"
#include "store/vault_internal.h"

void node_free(void *object)
{
	struct node *n = object;

	if (!n)
		return;
	free(n->raw);
	free(n->runs);
	free(n->offs);
	free(n->children);
	free(n->extents);
	free(n);
}

/* A run is a directory's entries in one leaf. Its key stands once, before
 * them; runs follow each other in the order of keys, entries in that of names,
 * so that both can be searched by halves. */
static int decode_run(struct node *n, struct reader *r, size_t *cap,
		      struct node_run *run, const struct node_run *before)
{
	struct entry e, last = { 0 };
	uint64_t count, i;
	size_t len;

	run->key = reader_bytes(r, TREE_KEY_MAX, &len);
	run->key_len = (uint32_t)len;
	run->first = (uint32_t)n->n;
	count = reader_varint_max(r, reader_left(r));
	if (r->bad || count == 0 || !tree_key_ok(run->key, len))
		return -EBADMSG;
	if (before && tree_compare(before->key, before->key_len, NULL, 0,
				   run->key, run->key_len, NULL, 0) >= 0)
		return -EBADMSG;
	for (i = 0; i < count; i++) {
		/* And one more, for the end of the last. */
		if (array_reserve(&n->offs, cap, n->n + 2) < 0)
			return -ENOMEM;
		n->offs[n->n] = (uint32_t)(r->p - n->raw);
		if (entry_get(r, &e) < 0)
			return -EBADMSG;
		/* The empty name is the top of the tree: its first entry. */
		if (e.name_len == 0 && (len != 0 || i != 0))
			return -EBADMSG;
		if (i > 0 && tree_compare(NULL, 0, last.name, last.name_len,
					  NULL, 0, e.name, e.name_len) >= 0)
			return -EBADMSG;
		last = e;
		n->n++;
	}
	return 0;
}

static int decode_leaf(struct node *n, struct reader *r)
{
	size_t cap = 0, i;
	int err;

	n->nruns = (size_t)reader_varint_max(r, reader_left(r) / 4);
	if (r->bad)
		return -EBADMSG;
	n->runs = alloc_array(n->nruns, sizeof(*n->runs));
	if (!n->runs)
		return -ENOMEM;
	for (i = 0; i < n->nruns; i++) {
		err = decode_run(n, r, &cap, &n->runs[i],
				 i ? &n->runs[i - 1] : NULL);
		if (err < 0)
			return err;
	}
	if (n->offs)
		n->offs[n->n] = (uint32_t)(r->p - n->raw);
	n->total = n->n;
	return 0;
}

/* A child is named by the last key in it, so that the first child whose key is
 * not before a place is the one to look in. */
static int decode_child(struct node_child *c, struct reader *r,
			enum node_kind kind)
{
	const uint8_t *id, *zero;
	size_t len;

	if (kind == NODE_INNER) {
		c->key = reader_bytes(r, TREE_KEY_MAX + ENTRY_NAME_MAX + 1,
				      &len);
		zero = c->key ? memchr(c->key, 0, len) : NULL;
		if (!zero)
			return -EBADMSG;
		c->key_len = (uint32_t)(zero - c->key);
		c->name = zero + 1;
		c->name_len = (uint32_t)(len - c->key_len - 1);
		if (!tree_key_ok(c->key, c->key_len) ||
		    (c->name_len ? !entry_name_ok(c->name, c->name_len)
				 : c->key_len != 0))
			return -EBADMSG;
	}
	c->count = reader_varint_max(r, CONTENT_SIZE_MAX);
	if (kind == NODE_EXTENTS)
		c->allocated = reader_varint_max(r, c->count);
	id = reader_get(r, ID_LEN);
	if (!id || c->count == 0)
		return -EBADMSG;
	memcpy(c->id.b, id, ID_LEN);
	return 0;
}

static int decode_children(struct node *n, struct reader *r)
{
	size_t i;

	n->children = alloc_array(n->n, sizeof(*n->children));
	if (!n->children)
		return -ENOMEM;
	for (i = 0; i < n->n; i++) {
		struct node_child *c = &n->children[i], *b = c - 1;

		if (decode_child(c, r, n->kind) < 0)
			return -EBADMSG;
		if (n->kind == NODE_INNER && i > 0 &&
		    tree_compare(b->key, b->key_len, b->name, b->name_len,
				 c->key, c->key_len, c->name, c->name_len) >= 0)
			return -EBADMSG;
		/* Totals are added up here, so that ranks and offsets cannot run
		 * over, whatever the children claim. */
		c->first = n->total;
		if (c->count > CONTENT_SIZE_MAX - n->total)
			return -EBADMSG;
		n->total += c->count;
	}
	return 0;
}

/* Extents without gaps: each begins where the one before ends. */
static int decode_extents(struct node *n, struct reader *r)
{
	size_t i;

	n->extents = alloc_array(n->n, sizeof(*n->extents));
	if (!n->extents)
		return -ENOMEM;
	for (i = 0; i < n->n; i++) {
		struct extent *e = &n->extents[i];
		const uint8_t *id = NULL;

		e->off = n->total;
		e->len = reader_varint_max(r, CONTENT_SIZE_MAX - n->total);
		e->type = reader_u8(r);
		if (e->type == EXTENT_DATA)
			id = reader_get(r, ID_LEN);
		if (r->bad || e->len == 0 || e->type > EXTENT_ZERO ||
		    (e->type == EXTENT_DATA && e->len > FORMAT_CHUNK_MAX))
			return -EBADMSG;
		if (id)
			memcpy(e->id.b, id, ID_LEN);
		n->total += e->len;
	}
	return 0;
}

static int decode(struct node *n)
{
	struct reader r;
	int err;

	reader_init(&r, n->raw, n->raw_len);
	/* The nodes of a tree say which they are. Those of a map are all alike,
	 * and were asked for by a type of their own. */
	if (n->kind != NODE_EXTENTS)
		n->kind = reader_u8(&r);
	if (n->kind == NODE_LEAF) {
		err = decode_leaf(n, &r);
		return err < 0 ? err : reader_done(&r) ? 0 : -EBADMSG;
	}
	if (n->kind != NODE_INNER && n->kind != NODE_EXTENTS)
		return -EBADMSG;
	n->level = reader_u8(&r);
	n->n = (size_t)reader_varint_max(&r, 4096);
	if (r.bad || n->n == 0 || n->level > 32 ||
	    (n->kind == NODE_INNER && n->level == 0))
		return -EBADMSG;
	err = n->kind == NODE_EXTENTS && n->level == 0 ? decode_extents(n, &r)
						       : decode_children(n, &r);
	return err < 0 ? err : reader_done(&r) ? 0 : -EBADMSG;
}

int node_decode(enum node_kind kind, uint8_t *raw, size_t len,
		struct node **out)
{
	struct node *n = calloc(1, sizeof(*n));
	int r;

	*out = NULL;
	if (!n)
		return -ENOMEM;
	n->kind = kind == NODE_EXTENTS ? NODE_EXTENTS : NODE_LEAF;
	n->raw = raw;
	n->raw_len = len;
	r = decode(n);
	if (r < 0) {
		n->raw = NULL;
		node_free(n);
		return r;
	}
	*out = n;
	return 0;
}

struct node_source {
	struct vault *vault;
	uint8_t type;
};

/* What a node costs the cache, so that its limit means bytes of memory. */
static size_t node_bytes(const struct node *n)
{
	size_t bytes = sizeof(*n) + n->raw_len;

	bytes += n->nruns * sizeof(*n->runs);
	bytes += n->offs ? n->n * sizeof(*n->offs) : 0;
	bytes += n->children ? n->n * sizeof(*n->children) : 0;
	bytes += n->extents ? n->n * sizeof(*n->extents) : 0;
	return bytes;
}

static int load(void *arg, const struct cache_key *key, void **object_out,
		size_t *bytes_out)
{
	struct node_source *l = arg;
	struct buf raw = BUF_INIT;
	struct node *n = NULL;
	struct id id;
	int r;

	memcpy(id.b, key->b, ID_LEN);
	r = chunk_read_all(l->vault, l->type, &id, &raw);
	if (r < 0) {
		buf_release(&raw);
		return r;
	}
	r = node_decode(l->type == CHUNK_EXTENTS ? NODE_EXTENTS : NODE_LEAF,
			raw.data, raw.len, &n);
	if (r < 0) {
		char hex[2 * ID_LEN + 1];

		buf_release(&raw);
		hex_encode(id.b, ID_LEN, hex);
		return r == -EBADMSG ? fail(r,
					    "node %s: authentic, but "
					    "malformed",
					    hex)
				     : r;
	}
	n->vault = l->vault;
	n->id = id;
	*object_out = n;
	*bytes_out = node_bytes(n);
	return 0;
}

int node_load(struct vault *v, uint8_t type, const struct id *id,
	      struct node **out)
{
	struct node_source l = { v, type };
	struct cache_key key;
	void *object;
	int r;

	memcpy(key.b, id->b, ID_LEN);
	/* The id covers the type, so two nodes of one id differ in it only
	 * where somebody with the key has made them so. */
	r = cache_get(v->nodes, &key, load, &l, &object);
	*out = object;
	if (r == 0 &&
	    ((*out)->kind == NODE_EXTENTS) != (type == CHUNK_EXTENTS)) {
		node_put(*out);
		*out = NULL;
		return fail(-EBADMSG, "a node of a tree and of an extent map "
				      "under one id");
	}
	return r;
}

void node_put(struct node *n)
{
	struct cache_key key;

	if (!n)
		return;
	memcpy(key.b, n->id.b, ID_LEN);
	cache_put(n->vault->nodes, &key);
}
