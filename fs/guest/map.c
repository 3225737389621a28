/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "fs/guest/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UNWRITTEN (UINT64_C(1) << 63) /* in range.at */

struct range {
	uint64_t off; /* of the file */
	uint64_t len;
	uint64_t at; /* of the blocks, and UNWRITTEN */
};

struct map {
	struct guest_file f;
	struct blocks *b; /* held */
	uint64_t size; /* of the file */
	uint64_t end; /* of the last range that came */
	struct range *ranges; /* owned */
	size_t n, cap;
};

struct map *map_new(struct blocks *b, uint64_t size)
{
	struct map *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->b = blocks_get(b);
	m->size = size;
	return m;
}

void map_free(struct map *m)
{
	if (!m)
		return;
	blocks_put(m->b);
	free(m->ranges);
	free(m);
}

static int grow(struct map *m)
{
	size_t cap = m->cap ? m->cap * 2 : 4;
	struct range *ranges;

	if (m->n < m->cap)
		return 0;
	if (m->n >= MAP_RANGES_MAX)
		return -EFBIG;
	ranges = realloc(m->ranges, cap * sizeof(*ranges));
	if (!ranges)
		return -ENOMEM;
	m->ranges = ranges;
	m->cap = cap;
	return 0;
}

/* Does a range that begins at @off, @at continue the last one? */
static bool continues(const struct map *m, uint64_t off, uint64_t at)
{
	const struct range *last = m->n ? &m->ranges[m->n - 1] : NULL;

	if (!last || last->off + last->len != off ||
	    (last->at & UNWRITTEN) != (at & UNWRITTEN))
		return false;
	return (at & UNWRITTEN) || last->at + last->len == at;
}

int map_add(struct map *m, uint64_t off, uint64_t len, uint64_t at,
	    bool unwritten)
{
	int r;

	if (off < m->end || len > UINT64_MAX - off || at > m->b->size ||
	    len > m->b->size - at || at >= UNWRITTEN)
		return -EBADMSG;
	m->end = off + len;
	if (off >= m->size || len == 0)
		return 0;
	len = MIN(len, m->size - off);
	if (unwritten)
		at |= UNWRITTEN;
	if (continues(m, off, at)) {
		m->ranges[m->n - 1].len += len;
		return 0;
	}
	r = grow(m);
	if (r < 0)
		return r;
	m->ranges[m->n++] = (struct range){ .off = off, .len = len, .at = at };
	return 0;
}

/* The first range that ends behind @off; n where there is none. */
static size_t range_at(const struct map *m, uint64_t off)
{
	size_t low = 0, high = m->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (m->ranges[mid].off + m->ranges[mid].len > off)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static int map_read(struct guest_file *f, uint64_t off, void *out, size_t len)
{
	struct map *m = container_of(f, struct map, f);
	size_t i = range_at(m, off);
	uint8_t *to = out;
	uint64_t n;
	int r;

	while (len > 0) {
		const struct range *x = i < m->n ? &m->ranges[i] : NULL;

		if (!x || x->off > off) {
			n = x ? MIN(x->off - off, (uint64_t)len) : len;
			memset(to, 0, (size_t)n);
		} else {
			n = MIN(x->off + x->len - off, (uint64_t)len);
			if (x->at & UNWRITTEN) {
				memset(to, 0, (size_t)n);
			} else {
				r = blocks_read(m->b, x->at + (off - x->off),
						to, (size_t)n);
				if (r < 0)
					return r;
			}
			i++; /* used up, or this is the end */
		}
		to += n;
		off += n;
		len -= (size_t)n;
	}
	return 0;
}

static int map_seek(struct guest_file *f, uint64_t off, bool hole,
		    uint64_t *out)
{
	struct map *m = container_of(f, struct map, f);
	size_t i = range_at(m, off);

	if (!hole) {
		while (i < m->n && (m->ranges[i].at & UNWRITTEN))
			i++;
		if (i == m->n)
			return -ENXIO;
		*out = MAX(off, m->ranges[i].off);
		return 0;
	}
	while (i < m->n && m->ranges[i].off <= off &&
	       !(m->ranges[i].at & UNWRITTEN)) {
		off = m->ranges[i].off + m->ranges[i].len;
		i++;
	}
	*out = off;
	return 0;
}

static void map_file_free(struct guest_file *f)
{
	map_free(container_of(f, struct map, f));
}

static const struct guest_file_ops map_ops = {
	.read = map_read,
	.seek = map_seek,
	.free = map_file_free,
};

int map_file(struct map *m, struct guest_file **out)
{
	struct range *ranges;

	if (m->n < m->cap && m->n > 0) {
		ranges = realloc(m->ranges, m->n * sizeof(*ranges));
		if (ranges) {
			m->ranges = ranges;
			m->cap = m->n;
		}
	}
	guest_file_init(&m->f, &map_ops, m->size,
			sizeof(*m) + m->cap * sizeof(*ranges));
	*out = &m->f;
	return 0;
}

/* ---- bytes in memory ---- */

struct memory_file {
	struct guest_file f;
	size_t len; /* behind it are zeros */
	uint8_t data[];
};

static int memory_file_read(struct guest_file *f, uint64_t off, void *out,
			    size_t len)
{
	struct memory_file *m = container_of(f, struct memory_file, f);
	size_t have = off < m->len ? m->len - (size_t)off : 0;

	have = MIN(have, len);
	if (have)
		memcpy(out, m->data + off, have);
	memset((uint8_t *)out + have, 0, len - have);
	return 0;
}

static void memory_file_free(struct guest_file *f)
{
	free(container_of(f, struct memory_file, f));
}

static const struct guest_file_ops memory_file_ops = {
	.read = memory_file_read,
	.free = memory_file_free,
};

int map_memory_file(const void *data, size_t len, uint64_t size,
		    struct guest_file **out)
{
	struct memory_file *m;

	*out = NULL;
	len = (size_t)MIN((uint64_t)len, size);
	if (len > SIZE_MAX - sizeof(*m))
		return -ENOMEM;
	m = malloc(sizeof(*m) + len);
	if (!m)
		return -ENOMEM;
	guest_file_init(&m->f, &memory_file_ops, size, sizeof(*m) + len);
	m->len = len;
	if (len)
		memcpy(m->data, data, len);
	*out = &m->f;
	return 0;
}
