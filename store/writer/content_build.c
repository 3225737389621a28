/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Building content from extents as they come. Up to CONTENT_INLINE_MAX of them
 * wait in the builder and become the content itself; with one more they go to
 * level 0 of an extent map, and all that follow with them.
 *
 * Each level gathers references until something in the data, not their number,
 * ends the node (ends_node()). So two maps of nearly equal files have nearly
 * all nodes in common, as their chunks are cut by what they hold, too.
 */
#include "config.h"

#include "store/content.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/log.h"
#include "store/format.h"
#include "store/writer/content_build.h"
#include "store/writer/writer.h"

/* One level of the map under construction: refs not yet in a node. */
struct map_level {
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
	struct map_level levels[CONTENT_LEVEL_MAX + 1];
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
	struct map_level *l = &b->levels[level];
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
static bool ends_node(const struct map_level *l, unsigned int level,
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
	struct map_level *l;
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
		struct map_level *l = &b->levels[level];

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
