/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Building a tree from the bottom, in one pass, with one open node at each
 * level. An entry goes into the open leaf; a leaf that ends is written, and its
 * last key, its count and its id go into the open node above; and so on. What
 * is in memory is a node a level, whatever the size of the tree.
 *
 * Where nodes end decides how much of a tree the next backup writes again. If a
 * node ended after so many entries, one file more at the front would shift all
 * nodes behind it. So a node ends behind a key whose hash says so: such a key
 * ends nodes in one tree as in the next, and a change rewrites the leaf that it
 * falls in and the nodes above it, and seldom more. (The idea is that of
 * content-defined chunking, applied to keys; Merkle search trees and prolly
 * trees do the same.) The hash is keyed, so that nobody can choose file names
 * that make every node as small or as large as can be.
 *
 * The odds change with the size. Up to 64 entries a node does not end, so that
 * nodes are worth their overhead; from there it ends at one key in 512, and
 * once it is large at one in 64, so that few reach the bound of 1024, where a
 * cut does depend on what came before. Higher levels take other bits of the
 * same hash, for the keys there are those whose low bits were zero.
 *
 * The tree has the form that tree.h says, and depends on nothing but the set
 * of its entries: not on the parent, nor on the order of work.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/log.h"
#include "store/crypt/keyring.h"
#include "store/crypt/siphash.h"
#include "store/entry.h"
#include "store/format.h"
#include "store/tree.h"
#include "store/vault.h"
#include "store/writer/tree_build.h"
#include "store/writer/writer.h"

#define LEVELS 16
#define KEYS_MAX (256u << 10)

/* One level under construction. */
struct tree_level {
	struct buf body; /* what stands in the open node */
	size_t n; /* entries or children in it */
	size_t key_bytes;
	uint64_t entries; /* below it */
	struct buf last; /* key of its last entry: directory key, 0, name */
	struct id only; /* the id of the last node closed below */
	size_t closed; /* nodes written at this level */
};

struct tree_builder {
	struct writer *writer; /* borrowed */
	const uint8_t *sipkey; /* borrowed */
	struct tree_level levels[LEVELS];
	unsigned int nlevels;
	struct buf dirkey; /* of the open run */
	size_t dirkey_len;
	struct buf entry; /* the one being added, encoded */
	struct buf run; /* entries of the open run */
	size_t run_n;
	size_t nruns;
	bool any;
};

struct tree_builder *tree_builder_new(struct writer *w)
{
	struct tree_builder *b = calloc(1, sizeof(*b));

	if (b) {
		b->writer = w;
		b->sipkey = keyring_sipkey(vault_keyring(writer_vault(w)));
		b->nlevels = 1;
	}
	return b;
}

void tree_builder_free(struct tree_builder *b)
{
	size_t i;

	if (!b)
		return;
	for (i = 0; i < LEVELS; i++) {
		buf_release(&b->levels[i].body);
		buf_release(&b->levels[i].last);
	}
	buf_release(&b->dirkey);
	buf_release(&b->entry);
	buf_release(&b->run);
	free(b);
}

/* The entries of a run wait in a buffer of their own, for their number stands
 * before them. */
static int close_run(struct tree_builder *b)
{
	struct buf *body = &b->levels[0].body;

	if (b->run_n == 0)
		return 0;
	buf_put_bytes(body, b->dirkey.data, b->dirkey.len);
	buf_put_varint(body, b->run_n);
	buf_put(body, b->run.data, b->run.len);
	b->nruns++;
	b->run_n = 0;
	buf_clear(&b->run);
	return buf_error(body);
}

/* Does the open node of @level end behind the key in l->last? */
static bool ends_node(const struct tree_builder *b, unsigned int level)
{
	const struct tree_level *l = &b->levels[level];
	size_t soft = level ? 128 : 256;
	uint64_t h;

	if (l->n >= 1024 || l->key_bytes >= KEYS_MAX)
		return true;
	if (l->n < 64)
		return false;
	h = siphash(b->sipkey, l->last.data, l->last.len);
	/* Nine bits a level: above the seventh none are left, and a node ends
	 * where it may. No real tree is so high. */
	h = level < 7 ? h >> (9 * level) : 0;
	return (h & 511) == 0 || (l->n >= soft && (h & 63) == 0);
}

static int close_node(struct tree_builder *b, unsigned int level);

/* Name a node that was written in the open node one level up. */
static int add_child(struct tree_builder *b, unsigned int level,
		     const struct buf *last, uint64_t entries,
		     const struct id *id)
{
	struct tree_level *l;

	if (level >= LEVELS)
		return fail(-EFBIG, "a tree of too many levels");
	l = &b->levels[level];
	if (level >= b->nlevels)
		b->nlevels = level + 1;
	buf_put_bytes(&l->body, last->data, last->len);
	buf_put_varint(&l->body, entries);
	buf_put(&l->body, id->b, ID_LEN);
	l->n++;
	l->key_bytes += last->len;
	l->entries += entries;
	l->only = *id;
	buf_clear(&l->last);
	buf_put(&l->last, last->data, last->len);
	if (buf_error(&l->body) < 0 || buf_error(&l->last) < 0)
		return -ENOMEM;
	return ends_node(b, level) ? close_node(b, level) : 0;
}

static int close_node(struct tree_builder *b, unsigned int level)
{
	AUTO_BUF struct buf node = BUF_INIT;
	struct tree_level *l = &b->levels[level];
	uint64_t entries = l->entries;
	struct id id;
	int r = level == 0 ? close_run(b) : 0;

	if (r < 0)
		return r;
	buf_put_u8(&node, level ? 'I' : 'L');
	if (level)
		buf_put_u8(&node, (uint8_t)level);
	buf_put_varint(&node, level ? l->n : b->nruns);
	buf_put(&node, l->body.data, l->body.len);
	r = buf_error(&node);
	if (r == 0)
		r = writer_chunk(b->writer, CHUNK_NODE, node.data, node.len,
				 &id);
	if (r < 0)
		return r;
	buf_clear(&l->body);
	l->n = l->key_bytes = 0;
	l->entries = 0;
	l->closed++;
	/* l->last stays: it is what the next entry is compared with. */
	b->nruns = level ? b->nruns : 0;
	return add_child(b, level + 1, &l->last, entries, &id);
}

/* Encode @e. One entry that readers refuse would make its whole leaf damaged,
 * so what will be stored is decoded as they do it. */
static int encode_entry(struct tree_builder *b, const struct entry *e)
{
	struct entry again;
	struct reader r;

	buf_clear(&b->entry);
	entry_put(&b->entry, e);
	if (buf_error(&b->entry) < 0)
		return -ENOMEM;
	reader_init(&r, b->entry.data, b->entry.len);
	return entry_get(&r, &again);
}

int tree_builder_add(struct tree_builder *b, const uint8_t *dirkey,
		     size_t dirkey_len, const struct entry *e)
{
	struct tree_level *l = &b->levels[0];
	const uint8_t *last = l->last.data;
	int r = 0;

	/* What no reader would take must not be written. */
	if (dirkey_len > TREE_KEY_MAX || e->name_len > ENTRY_NAME_MAX)
		return fail(-ENAMETOOLONG, "a path too long for a tree");
	if (b->any) {
		const uint8_t *zero = memchr(last, 0, l->last.len);
		size_t n = (size_t)(zero - last);

		if (tree_compare(last, n, zero + 1, l->last.len - n - 1, dirkey,
				 dirkey_len, e->name, e->name_len) >= 0)
			return fail(-EINVAL, "entries of a tree out of order");
	}
	r = encode_entry(b, e);
	if (r < 0)
		return r;
	if (b->run_n > 0 && tree_compare(b->dirkey.data, b->dirkey.len, NULL, 0,
					 dirkey, dirkey_len, NULL, 0) != 0)
		r = close_run(b);
	if (r < 0)
		return r;
	if (b->run_n == 0) {
		buf_clear(&b->dirkey);
		buf_put(&b->dirkey, dirkey, dirkey_len);
		l->key_bytes += dirkey_len;
	}
	buf_put(&b->run, b->entry.data, b->entry.len);
	b->run_n++;
	b->any = true;
	l->n++;
	l->entries++;
	l->key_bytes += e->name_len;
	buf_clear(&l->last);
	buf_put(&l->last, dirkey, dirkey_len);
	buf_put_u8(&l->last, 0);
	buf_put(&l->last, e->name, e->name_len);
	if (buf_error(&b->run) < 0 || buf_error(&b->dirkey) < 0 ||
	    buf_error(&l->last) < 0)
		return -ENOMEM;
	return ends_node(b, 0) ? close_node(b, 0) : 0;
}

int tree_builder_finish(struct tree_builder *b, struct id *root_out,
			uint64_t *entries_out)
{
	static const uint8_t empty[] = { 'L', 0 };
	unsigned int level;
	int r;

	if (!b->any) {
		*entries_out = 0;
		return writer_chunk(b->writer, CHUNK_NODE, empty, sizeof(empty),
				    root_out);
	}
	/* Close what is open, from the leaves up. Each close adds a child to the
	 * level above, so the loop ends at the first level with only one. */
	for (level = 0;; level++) {
		struct tree_level *l = &b->levels[level];

		/* A single child needs no node above it: it is the root. */
		if (level > 0 && level + 1 == b->nlevels && l->n == 1 &&
		    l->closed == 0) {
			*root_out = l->only;
			*entries_out = l->entries;
			return 0;
		}
		if (l->n == 0)
			continue;
		r = close_node(b, level);
		if (r < 0)
			return r;
	}
}
