/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Blocks through a cache: aligned pieces of 16 KiB in sets of eight, the least
 * recently used of its set makes room. Each set has a lock of its own, held
 * for a copy at most, so that readers of different places do not meet.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fs/guest/blocks.h"
#include "store/base/lock.h"

#define LINE ((size_t)16 << 10)
#define WAYS 8

struct set {
	pthread_mutex_t lock; /* protects what follows */
	uint64_t clock;
	struct {
		uint64_t number; /* of the piece; valid where data is */
		uint64_t used; /* the clock at its last use */
		uint8_t *data; /* owned; LINE bytes, or NULL */
	} ways[WAYS];
};

struct cached {
	struct blocks b;
	struct blocks *of; /* held */
	size_t nsets;
	struct set *sets; /* owned */
};

/* Neighbours go to different sets; strides of powers of two do too. */
static struct set *set_of(struct cached *c, uint64_t number)
{
	return &c->sets[(number ^ number >> 7 ^ number >> 17) % c->nsets];
}

/* Copy from the cache. True when it was there. */
static bool recall(struct set *s, uint64_t number, size_t from, void *out,
		   size_t len)
{
	size_t i;

	SCOPED_LOCK(&s->lock);
	for (i = 0; i < WAYS; i++) {
		if (!s->ways[i].data || s->ways[i].number != number)
			continue;
		s->ways[i].used = ++s->clock;
		memcpy(out, s->ways[i].data + from, len);
		return true;
	}
	return false;
}

/* Keep a piece; without memory it is not kept. */
static void remember(struct set *s, uint64_t number, const uint8_t *data,
		     size_t len)
{
	size_t i, pick = 0;

	SCOPED_LOCK(&s->lock);
	for (i = 0; i < WAYS; i++) {
		if (s->ways[i].data && s->ways[i].number == number)
			return; /* another thread was faster */
		if (s->ways[i].used < s->ways[pick].used)
			pick = i;
	}
	if (!s->ways[pick].data)
		s->ways[pick].data = malloc(LINE);
	if (!s->ways[pick].data)
		return;
	memcpy(s->ways[pick].data, data, len);
	s->ways[pick].number = number;
	s->ways[pick].used = ++s->clock;
}

/* @len bytes at @from of piece @number, not past its end. */
static int read_piece(struct cached *c, uint64_t number, size_t from, void *out,
		      size_t len)
{
	struct set *s = set_of(c, number);
	uint64_t start = number * LINE;
	size_t have = (size_t)MIN((uint64_t)LINE, c->b.size - start);
	uint8_t line[LINE];
	int r;

	if (recall(s, number, from, out, len))
		return 0;
	r = blocks_read(c->of, start, line, have);
	if (r < 0) /* damage beside what is asked for must not hide it */
		return len < have ? blocks_read(c->of, start + from, out, len)
				  : r;
	remember(s, number, line, have);
	memcpy(out, line + from, len);
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
	size_t i, k;

	for (i = 0; i < c->nsets; i++) {
		for (k = 0; k < WAYS; k++)
			free(c->sets[i].ways[k].data);
		pthread_mutex_destroy(&c->sets[i].lock);
	}
	free(c->sets);
	blocks_put(c->of);
	free(c);
}

static const struct blocks_ops cached_ops = {
	.read = cached_read,
	.seek = cached_seek,
	.free = cached_free,
};

int blocks_cached(struct blocks *b, size_t bytes, struct blocks **out)
{
	struct cached *c;
	size_t i;

	*out = NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	blocks_init(&c->b, &cached_ops, b->size);
	c->of = blocks_get(b);
	c->nsets = MAX(bytes / (LINE * WAYS), (size_t)1);
	c->sets = alloc_array(c->nsets, sizeof(*c->sets));
	if (!c->sets) {
		c->nsets = 0;
		cached_free(&c->b);
		return -ENOMEM;
	}
	for (i = 0; i < c->nsets; i++)
		pthread_mutex_init(&c->sets[i].lock, NULL);
	*out = &c->b;
	return 0;
}
