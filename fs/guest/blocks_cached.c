/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Blocks through a cache: aligned pieces of 16 KiB, each counted, so that none
 * is copied under the lock of the cache.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/guest/blocks.h"
#include "fs/guest/lru.h"

#define LINE ((size_t)16 << 10)

struct piece {
	atomic_uint refs;
	uint8_t data[LINE];
};

struct cached {
	struct blocks b;
	struct blocks *of; /* held */
	struct lru_part pieces; /* struct piece by its number */
};

static void piece_get(void *object)
{
	struct piece *p = object;

	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
}

static void piece_put(void *object)
{
	struct piece *p = object;

	if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) == 1)
		free(p);
}

static const struct lru_ops piece_ops = { .get = piece_get, .put = piece_put };

/* Read piece @number, of which there are @have bytes, and keep it. */
static int load_piece(struct cached *c, uint64_t number, size_t have,
		      struct piece **out)
{
	struct piece *p = malloc(sizeof(*p));
	int r;

	*out = NULL;
	if (!p)
		return -ENOMEM;
	atomic_init(&p->refs, 1);
	r = blocks_read(c->of, number * LINE, p->data, have);
	if (r < 0) {
		free(p);
		return r;
	}
	lru_add(&c->pieces, number, 0, p, sizeof(*p));
	*out = p;
	return 0;
}

/* @len bytes at @from of piece @number, not past its end. */
static int read_piece(struct cached *c, uint64_t number, size_t from, void *out,
		      size_t len)
{
	struct piece *p = lru_get(&c->pieces, number, 0);
	uint64_t start = number * LINE;
	size_t have = (size_t)MIN((uint64_t)LINE, c->b.size - start);
	int r;

	if (!p) {
		r = load_piece(c, number, have, &p);
		/* Damage beside what is asked for must not hide it. */
		if (r < 0)
			return len < have ? blocks_read(c->of, start + from,
							out, len)
					  : r;
	}
	memcpy(out, p->data + from, len);
	piece_put(p);
	return 0;
}

static int cached_read(struct blocks *b, uint64_t off, void *out, size_t len)
{
	struct cached *c = container_of(b, struct cached, b);
	uint8_t *to = out;
	int r;

	if (len > LINE)
		return blocks_read(c->of, off, out, len);
	while (len > 0) {
		size_t from = (size_t)(off % LINE);
		size_t n = MIN(len, LINE - from);

		r = read_piece(c, off / LINE, from, to, n);
		if (r < 0)
			return r;
		to += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int cached_seek(struct blocks *b, uint64_t off, bool hole, uint64_t *out)
{
	struct cached *c = container_of(b, struct cached, b);

	return blocks_seek(c->of, off, hole, out);
}

static void cached_free(struct blocks *b)
{
	struct cached *c = container_of(b, struct cached, b);

	lru_part_release(&c->pieces);
	blocks_put(c->of);
	free(c);
}

static const struct blocks_ops cached_ops = {
	.read = cached_read,
	.seek = cached_seek,
	.free = cached_free,
};

int blocks_cached(struct blocks *b, struct lru *memory, struct blocks **out)
{
	struct cached *c;

	*out = NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	blocks_init(&c->b, &cached_ops, b->size);
	c->of = blocks_get(b);
	lru_part_init(&c->pieces, memory, &piece_ops);
	*out = &c->b;
	return 0;
}
