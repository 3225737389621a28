/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/content.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/log.h"
#include "store/chunk.h"
#include "store/format.h"
#include "store/node.h"
#include "store/vault.h"
#include "store/writer.h"

enum { CONTENT_EMPTY = 0, CONTENT_INLINE = 1, CONTENT_MAP = 2 };

/* Encoded content, taken apart. */
struct content {
	unsigned int kind;
	struct extent inl[CONTENT_INLINE_MAX];
	size_t n;
	unsigned int level; /* of the map's root */
	uint64_t allocated;
	struct id map;
};

static int get_inline(struct reader *r, struct content *c, uint64_t size)
{
	uint64_t off = 0;
	size_t i;

	c->n = (size_t)reader_varint_max(r, CONTENT_INLINE_MAX);
	for (i = 0; i < c->n && !r->bad; i++) {
		struct extent *e = &c->inl[i];
		const uint8_t *id;

		e->off = off;
		e->len = reader_varint_max(r, size - off);
		e->type = reader_u8(r);
		if (e->len == 0 || e->type > EXTENT_ZERO)
			return -EBADMSG;
		if (e->type == EXTENT_DATA) {
			id = reader_get(r, ID_LEN);
			if (!id || e->len > FORMAT_CHUNK_MAX)
				return -EBADMSG;
			memcpy(e->id.b, id, ID_LEN);
			c->allocated += e->len;
		}
		off += e->len;
	}
	return c->n > 0 && off == size ? 0 : -EBADMSG;
}

static int parse(const uint8_t *content, size_t len, uint64_t size,
		 struct content *c)
{
	struct reader r;
	const uint8_t *id;

	memset(c, 0, offsetof(struct content, inl));
	c->n = 0;
	c->allocated = 0;
	reader_init(&r, content, len);
	c->kind = reader_u8(&r);
	switch (c->kind) {
	case CONTENT_EMPTY:
		return size == 0 && reader_done(&r) ? 0 : -EBADMSG;
	case CONTENT_INLINE:
		if (get_inline(&r, c, size) < 0)
			return -EBADMSG;
		break;
	case CONTENT_MAP:
		c->level = reader_u8(&r);
		c->allocated = reader_varint_max(&r, size);
		id = reader_get(&r, ID_LEN);
		if (!id || c->level > CONTENT_LEVEL_MAX || size == 0)
			return -EBADMSG;
		memcpy(c->map.b, id, ID_LEN);
		break;
	default:
		return -EBADMSG;
	}
	return reader_done(&r) ? 0 : -EBADMSG;
}

int content_check(const uint8_t *content, size_t len, uint64_t size)
{
	struct content c;

	return parse(content, len, size, &c);
}

uint64_t content_allocated(const uint8_t *content, size_t len)
{
	struct reader r;
	uint64_t sum = 0, i, n;

	reader_init(&r, content, len);
	switch (reader_u8(&r)) {
	case CONTENT_INLINE:
		n = reader_varint_max(&r, CONTENT_INLINE_MAX);
		for (i = 0; i < n && !r.bad; i++) {
			uint64_t extent = reader_varint(&r);

			if (reader_u8(&r) == EXTENT_DATA) {
				(void)reader_get(&r, ID_LEN);
				sum += extent;
			}
		}
		return r.bad ? 0 : sum;
	case CONTENT_MAP:
		(void)reader_u8(&r);
		return reader_varint(&r);
	default:
		return 0;
	}
}

/* The child or extent of @n that byte @off lies in. */
static size_t pick(const struct node *n, uint64_t off)
{
	size_t lo = 0, hi = n->n;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;
		uint64_t first =
			n->level ? n->children[mid].first : n->extents[mid].off;

		if (first <= off)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* @rough: a stretch that is data all over may come as one extent, without id. */
static int map_find(struct vault *v, const struct content *c, uint64_t size,
		    uint64_t off, bool rough, struct extent *out)
{
	struct id id = c->map;
	unsigned int level = c->level;
	uint64_t base = 0, span = size;

	for (;;) {
		struct node *n;
		size_t i;
		int r = node_load(v, CHUNK_EXTENTS, &id, &n);

		if (r < 0)
			return r;
		if (n->level != level || n->total != span) {
			node_put(n);
			return fail(-EBADMSG, "an extent map does not cover "
					      "its file");
		}
		i = pick(n, off - base);
		if (level == 0) {
			*out = n->extents[i];
			out->off += base;
			node_put(n);
			return 0;
		}
		id = n->children[i].id;
		base += n->children[i].first;
		span = n->children[i].count;
		level--;
		if (rough && n->children[i].allocated == span) {
			*out = (struct extent){ .off = base,
						.len = span,
						.type = EXTENT_DATA };
			node_put(n);
			return 0;
		}
		node_put(n);
	}
}

static int find(struct vault *v, const struct content *c, uint64_t size,
		uint64_t off, bool rough, struct extent *out)
{
	size_t i;

	if (c->kind == CONTENT_MAP)
		return map_find(v, c, size, off, rough, out);
	for (i = 0; i < c->n; i++) {
		if (off - c->inl[i].off < c->inl[i].len) {
			*out = c->inl[i];
			return 0;
		}
	}
	return fail(-EBADMSG, "a file's content does not cover its size");
}

int content_find(struct vault *v, const uint8_t *content, size_t len,
		 uint64_t size, uint64_t off, struct extent *out)
{
	struct content c;

	if (parse(content, len, size, &c) < 0 || off >= size)
		return fail(-EBADMSG, "a file's content is malformed");
	return find(v, &c, size, off, false, out);
}

int content_read(struct vault *v, uint8_t data_type, const uint8_t *content,
		 size_t len, uint64_t size, uint64_t off, void *out,
		 size_t count)
{
	struct content c;
	uint8_t *p = out;

	if (count == 0)
		return 0;
	if (parse(content, len, size, &c) < 0 || off > size ||
	    count > size - off)
		return fail(-EBADMSG, "a file's content is malformed");
	while (count > 0) {
		struct extent e;
		size_t n;
		int r = find(v, &c, size, off, false, &e);

		if (r < 0)
			return r;
		n = (size_t)MIN((uint64_t)count, e.off + e.len - off);
		if (e.type == EXTENT_DATA)
			r = chunk_read(v, data_type, &e.id, (uint32_t)e.len,
				       (uint32_t)(off - e.off), (uint32_t)n, p);
		else
			memset(p, 0, n);
		if (r < 0)
			return r;
		p += n;
		off += n;
		count -= n;
	}
	return 0;
}

int content_seek(struct vault *v, const uint8_t *content, size_t len,
		 uint64_t size, uint64_t off, bool hole, uint64_t *out)
{
	struct content c;

	if (parse(content, len, size, &c) < 0)
		return fail(-EBADMSG, "a file's content is malformed");
	if (off >= size)
		return -ENXIO;
	while (off < size) {
		struct extent e;
		int r = find(v, &c, size, off, true, &e);

		if (r < 0)
			return r;
		if ((e.type == EXTENT_HOLE) == hole) {
			*out = off;
			return 0;
		}
		off = e.off + e.len;
	}
	*out = size;
	return hole ? 0 : -ENXIO; /* the end counts as a hole */
}

int content_walk(struct vault *v, const uint8_t *content, size_t len,
		 uint64_t size, int (*fn)(void *arg, const struct extent *e),
		 void *arg)
{
	struct content c;
	uint64_t off = 0;

	if (parse(content, len, size, &c) < 0)
		return fail(-EBADMSG, "a file's content is malformed");
	while (off < size) {
		struct extent e;
		int r = find(v, &c, size, off, false, &e);

		if (r == 0)
			r = fn(arg, &e);
		if (r != 0)
			return r;
		off = e.off + e.len;
	}
	return 0;
}

typedef int chunk_fn(void *arg, uint8_t type, const struct id *id,
		     uint64_t len);

/* Nodes of a map may be shared and are as deep as level says: no cycle. */
static int map_chunks(struct vault *v, uint8_t data_type, const struct id *id,
		      unsigned int level, chunk_fn *fn, void *arg)
{
	struct node *n;
	size_t i;
	int r = fn(arg, CHUNK_EXTENTS, id, 0);

	if (r != 0)
		return r < 0 ? r : 0;
	r = node_load(v, CHUNK_EXTENTS, id, &n);
	if (r < 0)
		return r;
	if (n->level != level)
		r = fail(-EBADMSG, "an extent map's levels do not match");
	for (i = 0; i < n->n && r == 0; i++) {
		if (level > 0)
			r = map_chunks(v, data_type, &n->children[i].id,
				       level - 1, fn, arg);
		else if (n->extents[i].type == EXTENT_DATA)
			r = fn(arg, data_type, &n->extents[i].id,
			       n->extents[i].len);
		if (r > 0)
			r = 0;
	}
	node_put(n);
	return r;
}

int content_chunks(struct vault *v, uint8_t data_type, const uint8_t *content,
		   size_t len, chunk_fn *fn, void *arg)
{
	struct content c;
	struct reader r;
	uint64_t size = 0;
	size_t i;
	int err = 0;

	/* The size is the caller's entry's; its form was checked with it. */
	reader_init(&r, content, len);
	switch (reader_u8(&r)) {
	case CONTENT_EMPTY:
		return 0;
	case CONTENT_INLINE:
		for (i = (size_t)reader_varint(&r); i > 0 && !r.bad; i--) {
			size += reader_varint(&r);
			if (reader_u8(&r) == EXTENT_DATA)
				(void)reader_get(&r, ID_LEN);
		}
		break;
	default:
		size = CONTENT_SIZE_MAX;
	}
	if (parse(content, len, size, &c) < 0)
		return fail(-EBADMSG, "a file's content is malformed");
	if (c.kind == CONTENT_MAP)
		return map_chunks(v, data_type, &c.map, c.level, fn, arg);
	for (i = 0; i < c.n && err >= 0; i++)
		if (c.inl[i].type == EXTENT_DATA)
			err = fn(arg, data_type, &c.inl[i].id, c.inl[i].len);
	return err < 0 ? err : 0;
}

/* ---- building ---- */

/* One level of the map under construction: refs not yet in a node. */
struct level {
	struct buf refs;
	size_t n;
	uint64_t bytes, allocated;
};

struct content_builder {
	struct writer *writer; /* borrowed */
	struct extent inl[CONTENT_INLINE_MAX]; /* until there are too many */
	size_t n; /* extents so far */
	struct extent last; /* held back: holes grow */
	bool has_last;
	struct level levels[CONTENT_LEVEL_MAX + 1];
	unsigned int nlevels;
};

struct content_builder *content_builder_new(struct writer *w)
{
	struct content_builder *b = calloc(1, sizeof(*b));

	if (b)
		b->writer = w;
	return b;
}

void content_builder_free(struct content_builder *b)
{
	size_t i;

	if (!b)
		return;
	for (i = 0; i < ARRAY_SIZE(b->levels); i++)
		buf_release(&b->levels[i].refs);
	free(b);
}

static int add_ref(struct content_builder *b, unsigned int level,
		   const struct extent *e, uint64_t allocated);

/* Write what stands at @level as a node, and name it one level up. */
static int close_level(struct content_builder *b, unsigned int level)
{
	AUTO_BUF struct buf node = BUF_INIT;
	struct level *l = &b->levels[level];
	struct extent up = { .len = l->bytes };
	uint64_t allocated = l->allocated;
	int r;

	buf_put_u8(&node, (uint8_t)level);
	buf_put_varint(&node, l->n);
	buf_put(&node, l->refs.data, l->refs.len);
	r = buf_error(&node);
	if (r == 0)
		r = writer_chunk(b->writer, CHUNK_EXTENTS, node.data, node.len,
				 &up.id);
	if (r < 0)
		return r;
	buf_clear(&l->refs);
	l->n = 0;
	l->bytes = l->allocated = 0;
	return add_ref(b, level + 1, &up, allocated);
}

/*
 * A node ends behind a ref whose id says so (its first 10 bits are zero at
 * the level), so that a change in the middle of a large file does not shift
 * the nodes behind it; or when it is full.
 */
static bool ends_node(const struct level *l, unsigned int level,
		      const struct extent *e)
{
	uint64_t h = id_hash(&e->id) >> (10 * level);

	if (l->n >= CONTENT_FANOUT)
		return true;
	return l->n >= 64 && e->type == EXTENT_DATA && (h & 511) == 0;
}

static int add_ref(struct content_builder *b, unsigned int level,
		   const struct extent *e, uint64_t allocated)
{
	struct level *l;
	int r;

	if (level > CONTENT_LEVEL_MAX)
		return fail(-EFBIG, "a file of too many extents");
	l = &b->levels[level];
	if (level >= b->nlevels)
		b->nlevels = level + 1;
	buf_put_varint(&l->refs, e->len);
	if (level == 0)
		buf_put_u8(&l->refs, (uint8_t)e->type);
	else
		buf_put_varint(&l->refs, allocated);
	if (level > 0 || e->type == EXTENT_DATA)
		buf_put(&l->refs, e->id.b, ID_LEN);
	l->n++;
	l->bytes += e->len;
	l->allocated += allocated;
	r = buf_error(&l->refs);
	if (r == 0 && ends_node(l, level, e))
		r = close_level(b, level);
	return r;
}

static uint64_t allocated_of(const struct extent *e)
{
	return e->type == EXTENT_DATA ? e->len : 0;
}

static int push(struct content_builder *b, const struct extent *e)
{
	size_t i;
	int r;

	if (b->n < CONTENT_INLINE_MAX) {
		b->inl[b->n++] = *e;
		return 0;
	}
	if (b->n == CONTENT_INLINE_MAX) {
		for (i = 0; i < CONTENT_INLINE_MAX; i++) {
			r = add_ref(b, 0, &b->inl[i], allocated_of(&b->inl[i]));
			if (r < 0)
				return r;
		}
	}
	b->n++;
	return add_ref(b, 0, e, allocated_of(e));
}

int content_builder_add(struct content_builder *b, const struct extent *e)
{
	int r;

	if (e->len == 0)
		return 0;
	if (b->has_last && e->type != EXTENT_DATA && b->last.type == e->type) {
		b->last.len += e->len;
		return 0;
	}
	r = b->has_last ? push(b, &b->last) : 0;
	b->last = *e;
	b->has_last = true;
	return r;
}

static int finish_map(struct content_builder *b, struct buf *out)
{
	unsigned int level = 0;
	uint64_t allocated;
	int r;

	/* Close from below until one node stands alone at the top. */
	for (level = 0; level + 1 < b->nlevels || b->levels[level].n > 0;
	     level++) {
		struct level *l = &b->levels[level];

		if (level > 0 && level + 1 == b->nlevels && l->n == 1)
			break;
		if (l->n == 0)
			continue;
		r = close_level(b, level);
		if (r < 0)
			return r;
	}
	if (b->levels[level].refs.len < ID_LEN)
		return -EIO;
	allocated = b->levels[level].allocated;
	buf_put_u8(out, CONTENT_MAP);
	buf_put_u8(out, (uint8_t)(level - 1));
	buf_put_varint(out, allocated);
	buf_put(out,
		b->levels[level].refs.data + b->levels[level].refs.len - ID_LEN,
		ID_LEN);
	return buf_error(out);
}

static int finish_inline(struct content_builder *b, struct buf *out)
{
	size_t i;

	buf_put_u8(out, b->n ? CONTENT_INLINE : CONTENT_EMPTY);
	if (b->n)
		buf_put_varint(out, b->n);
	for (i = 0; i < b->n; i++) {
		buf_put_varint(out, b->inl[i].len);
		buf_put_u8(out, (uint8_t)b->inl[i].type);
		if (b->inl[i].type == EXTENT_DATA)
			buf_put(out, b->inl[i].id.b, ID_LEN);
	}
	return buf_error(out);
}

int content_builder_finish(struct content_builder *b, struct buf *out)
{
	size_t i;
	int r = b->has_last ? push(b, &b->last) : 0;

	if (r == 0)
		r = b->n > CONTENT_INLINE_MAX ? finish_map(b, out)
					      : finish_inline(b, out);
	for (i = 0; i < ARRAY_SIZE(b->levels); i++) {
		buf_clear(&b->levels[i].refs);
		b->levels[i].n = 0;
		b->levels[i].bytes = b->levels[i].allocated = 0;
	}
	b->n = 0;
	b->nlevels = 0;
	b->has_last = false;
	return r;
}
