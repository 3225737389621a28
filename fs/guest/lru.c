/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One list from the newest to the oldest, one table of buckets, and for each
 * part the list of what is its own, so that a part that ends does not go
 * through those of others. One lock for all: it is held for a few steps along
 * pointers, and a request takes it a few times.
 */
#include "config.h"

#include "fs/guest/lru.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/lock.h"

struct lru_item {
	const struct lru_ops *ops; /* the part may end before the object */
	struct lru_part *part;
	uint64_t a, b;
	void *object; /* held */
	size_t bytes; /* as it counts */
	struct lru_item *newer, *older;
	struct lru_item *next; /* in its bucket; or of those to be freed */
	struct lru_item *part_next, **part_at; /* in its part */
};

struct lru {
	size_t bytes_max;
	size_t nbuckets; /* a power of two */
	pthread_mutex_t lock; /* protects what follows */
	size_t bytes;
	struct lru_item *newest, *oldest;
	struct lru_item **buckets; /* owned */
};

struct lru *lru_new(size_t bytes_max)
{
	struct lru *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->bytes_max = bytes_max;
	for (l->nbuckets = 1; l->nbuckets < bytes_max / LRU_LEAST;)
		l->nbuckets *= 2;
	l->buckets = alloc_array(l->nbuckets, sizeof(struct lru_item *));
	if (!l->buckets) {
		free(l);
		return NULL;
	}
	pthread_mutex_init(&l->lock, NULL);
	return l;
}

void lru_free(struct lru *l)
{
	if (!l)
		return;
	pthread_mutex_destroy(&l->lock);
	free(l->buckets);
	free(l);
}

size_t lru_bytes(struct lru *l)
{
	SCOPED_LOCK(&l->lock);
	return l->bytes;
}

static void free_items(struct lru_item *items)
{
	while (items) {
		struct lru_item *next = items->next;

		items->ops->put(items->object);
		free(items);
		items = next;
	}
}

static uint64_t mix(uint64_t x)
{
	x *= UINT64_C(0x9e3779b97f4a7c15);
	return x ^ x >> 32;
}

static struct lru_item **bucket_of(struct lru *l, const struct lru_part *p,
				   uint64_t a, uint64_t b)
{
	uint64_t hash = mix(mix(mix((uintptr_t)p) + a) + b);

	return &l->buckets[hash & (l->nbuckets - 1)];
}

/* The caller holds the lock in all that follow. */
static struct lru_item *find_item(const struct lru_part *p, uint64_t a,
				  uint64_t b)
{
	struct lru_item *item = *bucket_of(p->lru, p, a, b);

	while (item && (item->part != p || item->a != a || item->b != b))
		item = item->next;
	return item;
}

static void unlink_used(struct lru *l, struct lru_item *item)
{
	if (item->newer)
		item->newer->older = item->older;
	else
		l->newest = item->older;
	if (item->older)
		item->older->newer = item->newer;
	else
		l->oldest = item->newer;
}

static void link_newest(struct lru *l, struct lru_item *item)
{
	item->newer = NULL;
	item->older = l->newest;
	if (l->newest)
		l->newest->newer = item;
	else
		l->oldest = item;
	l->newest = item;
}

static void link_item(struct lru *l, struct lru_item *item)
{
	struct lru_part *p = item->part;
	struct lru_item **bucket = bucket_of(l, p, item->a, item->b);

	item->next = *bucket;
	*bucket = item;
	item->part_next = p->items;
	item->part_at = &p->items;
	if (p->items)
		p->items->part_at = &item->part_next;
	p->items = item;
	link_newest(l, item);
	l->bytes += item->bytes;
}

/* Take it out of everything, and put it before @out. */
static struct lru_item *take_out(struct lru *l, struct lru_item *item,
				 struct lru_item *out)
{
	struct lru_item **at = bucket_of(l, item->part, item->a, item->b);

	while (*at != item)
		at = &(*at)->next;
	*at = item->next;
	*item->part_at = item->part_next;
	if (item->part_next)
		item->part_next->part_at = item->part_at;
	unlink_used(l, item);
	l->bytes -= item->bytes;
	item->next = out;
	return item;
}

/* ---- parts ---- */

void lru_part_init(struct lru_part *p, struct lru *l, const struct lru_ops *ops)
{
	p->lru = l;
	p->ops = ops;
	p->items = NULL;
}

/* All of a part, taken out. */
static struct lru_item *take_part(struct lru_part *p)
{
	struct lru_item *out = NULL;

	SCOPED_LOCK(&p->lru->lock);
	while (p->items)
		out = take_out(p->lru, p->items, out);
	return out;
}

void lru_part_release(struct lru_part *p)
{
	if (p->lru)
		free_items(take_part(p));
	p->lru = NULL;
}

void *lru_get(struct lru_part *p, uint64_t a, uint64_t b)
{
	struct lru *l = p->lru;
	struct lru_item *item;

	SCOPED_LOCK(&l->lock);
	item = find_item(p, a, b);
	if (!item)
		return NULL;
	if (l->newest != item) {
		unlink_used(l, item);
		link_newest(l, item);
	}
	p->ops->get(item->object);
	return item->object;
}

/* Link @item unless it is there already; return what has to be freed. */
static struct lru_item *add(struct lru *l, struct lru_item *item)
{
	struct lru_item *out = NULL;

	SCOPED_LOCK(&l->lock);
	if (find_item(item->part, item->a, item->b))
		return item;
	link_item(l, item);
	while (l->bytes > l->bytes_max)
		out = take_out(l, l->oldest, out);
	return out;
}

void lru_add(struct lru_part *p, uint64_t a, uint64_t b, void *object,
	     size_t bytes)
{
	struct lru_item *item;

	bytes = MAX(bytes, (size_t)LRU_LEAST);
	if (bytes > p->lru->bytes_max)
		return;
	item = calloc(1, sizeof(*item));
	if (!item)
		return;
	item->ops = p->ops;
	item->part = p;
	item->a = a;
	item->b = b;
	item->object = object;
	item->bytes = bytes;
	p->ops->get(object);
	free_items(add(p->lru, item));
}
