/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The form of encoded content: what can be known of it without a vault. Entries
 * and points are decoded with this, so that whoever reads a file's content
 * later knows that its extents add up to its size.
 */
#include "config.h"

#include "store/content_internal.h"

#include <errno.h>
#include <string.h>

#include "store/format.h"

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

int content_parse(const struct content_ref *ref, struct content *c)
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
