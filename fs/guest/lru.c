/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "fs/guest/lru.h"

#include <stdlib.h>
#include <string.h>

#include "store/base/lock.h"

struct lru_item {
	uint64_t key;
	void *object; /* held */
	size_t bytes;
	struct lru_item *newer, *older;
	struct lru_item *next; /* in its bucket; or of those to be freed */
};

void lru_init(struct lru *l, const struct lru_ops *ops, size_t count_max,
	      size_t bytes_max)
{
	memset(l, 0, sizeof(*l));
	l->ops = ops;
	l->count_max = count_max;
	l->bytes_max = bytes_max;
	pthread_mutex_init(&l->lock, NULL);
}

static void free_items(struct lru *l, struct lru_item *items)
{
	while (items) {
		struct lru_item *next = items->next;

		l->ops->put(items->object);
		free(items);
		items = next;
	}
}

void lru_release(struct lru *l)
{
	struct lru_item *item, *older;

	for (item = l->newest; item; item = older) {
		older = item->older;
		item->next = NULL;
		free_items(l, item);
	}
	pthread_mutex_destroy(&l->lock);
}

static struct lru_item **bucket_of(struct lru *l, uint64_t key)
{
	key *= UINT64_C(0x9e3779b97f4a7c15);
	return &l->buckets[key >> 32 & (LRU_BUCKETS - 1)];
}

/* The caller holds the lock in all that follow. */
static struct lru_item *find(struct lru *l, uint64_t key)
{
	struct lru_item *item = *bucket_of(l, key);

	while (item && item->key != key)
		item = item->next;
	return item;
}

static void unlink_item(struct lru *l, struct lru_item *item)
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

/* Take out the oldest ones until the bounds hold; return them as a list. */
static struct lru_item *evict(struct lru *l)
{
	struct lru_item *out = NULL, *item, **at;

	while (l->oldest != l->newest &&
	       (l->count > l->count_max || l->bytes > l->bytes_max)) {
		item = l->oldest;
		unlink_item(l, item);
		at = bucket_of(l, item->key);
		while (*at != item)
			at = &(*at)->next;
		*at = item->next;
		l->count--;
		l->bytes -= item->bytes;
		item->next = out;
		out = item;
	}
	return out;
}

void *lru_get(struct lru *l, uint64_t key)
{
	struct lru_item *item;

	SCOPED_LOCK(&l->lock);
	item = find(l, key);
	if (!item)
		return NULL;
	unlink_item(l, item);
	link_newest(l, item);
	l->ops->get(item->object);
	return item->object;
}

void lru_add(struct lru *l, uint64_t key, void *object, size_t bytes)
{
	struct lru_item *item = calloc(1, sizeof(*item)), *old = NULL;
	struct lru_item **bucket;

	if (!item)
		return;
	item->key = key;
	item->object = object;
	item->bytes = bytes;
	{
		SCOPED_LOCK(&l->lock);
		if (!find(l, key)) {
			bucket = bucket_of(l, key);
			item->next = *bucket;
			*bucket = item;
			link_newest(l, item);
			l->ops->get(object);
			l->count++;
			l->bytes += bytes;
			item = NULL;
			old = evict(l);
		}
	}
	free(item);
	free_items(l, old);
}
