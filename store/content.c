/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a file holds. The form of encoded content can be known without a vault:
 * entries and points are decoded with this, so that whoever reads a file's content
 * later knows that its extents add up to its size.
 *
 * Content comes out of entries and points, which
 * were checked when they were decoded, and out of nodes, which were not checked
 * against each other: a map that is authentic may still be made of parts that
 * do not belong together. So each step down compares the level and the length
 * of what it finds with what its parent said, and since levels only shrink, no
 * map can lead in a circle.
 *
 * A few extents stand in the content itself and are parsed at each call: that
 * costs less than keeping them would.
 */
#include "config.h"

#include "store/content.h"

#include <errno.h>
#include <string.h>

#include "store/base/log.h"
#include "store/chunk.h"
#include "store/format.h"
#include "store/node.h"

/* Encoded content, taken apart. */
struct content {
	unsigned int kind;
	struct extent inl[CONTENT_INLINE_MAX];
	size_t n;
	unsigned int level; /* of the map's root */
	uint64_t allocated;
	struct id map;
};

/* ---- its form ---- */

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

/* Take @ref apart. Return 0, or -EBADMSG (silent) where the form is wrong or does not add
 * up to the size. */
static int content_parse(const struct content_ref *ref, struct content *c)
{
	const uint64_t size = ref->size;
	struct reader r;
	const uint8_t *id;

	memset(c, 0, offsetof(struct content, inl));
	c->n = 0;
	c->allocated = 0;
	reader_init(&r, ref->data, ref->len);
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

int content_check(const struct content_ref *ref)
{
	struct content c;

	return content_parse(ref, &c);
}

uint64_t content_allocated(const struct content_ref *ref)
{
	struct reader r;
	uint64_t sum = 0, i, n;

	reader_init(&r, ref->data, ref->len);
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

/* ---- reading it ---- */

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

/* Take content apart to read [@off, @off + @len) of it. */
static int take_apart(const struct content_ref *ref, uint64_t off, uint64_t len,
		      struct content *out)
{
	if (content_parse(ref, out) < 0 || off > ref->size ||
	    len > ref->size - off)
		return fail(-EBADMSG, "a file's content is malformed");
	return 0;
}

int content_find(struct vault *v, const struct content_ref *ref, uint64_t off,
		 struct extent *out)
{
	struct content c;
	int r = take_apart(ref, off, 1, &c);

	return r < 0 ? r : find(v, &c, ref->size, off, false, out);
}

int content_read(struct vault *v, const struct content_ref *ref, uint64_t off,
		 void *out, size_t len)
{
	struct content c;
	uint8_t *p = out;
	int r;

	if (len == 0)
		return 0;
	r = take_apart(ref, off, len, &c);
	while (r == 0 && len > 0) {
		struct extent e;
		size_t n;

		r = find(v, &c, ref->size, off, false, &e);
		if (r < 0)
			return r;
		n = (size_t)MIN((uint64_t)len, e.off + e.len - off);
		if (e.type == EXTENT_DATA)
			r = chunk_read(v, ref->type, &e.id, (uint32_t)e.len,
				       (uint32_t)(off - e.off), (uint32_t)n, p);
		else
			memset(p, 0, n);
		p += n;
		off += n;
		len -= n;
	}
	return r;
}

int content_seek(struct vault *v, const struct content_ref *ref, uint64_t off,
		 bool hole, uint64_t *out)
{
	struct content c;
	int r = take_apart(ref, 0, 0, &c);

	if (r < 0)
		return r;
	if (off >= ref->size)
		return -ENXIO;
	while (off < ref->size) {
		struct extent e;

		r = find(v, &c, ref->size, off, true, &e);
		if (r < 0)
			return r;
		if ((e.type == EXTENT_HOLE) == hole) {
			*out = off;
			return 0;
		}
		off = e.off + e.len;
	}
	*out = ref->size;
	return hole ? 0 : -ENXIO; /* the end counts as a hole */
}

int content_walk(struct vault *v, const struct content_ref *ref,
		 int (*fn)(void *arg, const struct extent *e), void *arg)
{
	struct content c;
	uint64_t off = 0;
	int r = take_apart(ref, 0, 0, &c);

	while (r == 0 && off < ref->size) {
		struct extent e;

		r = find(v, &c, ref->size, off, false, &e);
		if (r == 0)
			r = fn(arg, &e);
		off = e.off + e.len;
	}
	return r;
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

int content_chunks(struct vault *v, const struct content_ref *ref, chunk_fn *fn,
		   void *arg)
{
	struct content c;
	size_t i;
	int r = take_apart(ref, 0, 0, &c);

	if (r < 0)
		return r;
	if (c.kind == CONTENT_MAP)
		return map_chunks(v, ref->type, &c.map, c.level, fn, arg);
	for (i = 0; i < c.n && r >= 0; i++)
		if (c.inl[i].type == EXTENT_DATA)
			r = fn(arg, ref->type, &c.inl[i].id, c.inl[i].len);
	return r < 0 ? r : 0;
}
