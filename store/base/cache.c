/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A table of items, and a list of those that nobody holds, the last used first.
 * What is held is not in the list and cannot be evicted; when more is held than
 * the limit allows the cache grows over it, for the alternative is to fail.
 *
 * An item is put into the table before it is loaded, with no object. Others who
 * want it wait for that one load: so a chunk that ten threads read at once is
 * fetched and decrypted once. The lock is not held while one loads or frees.
 */
#include "config.h"

#include "store/base/cache.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/lock.h"

#define BUCKETS 4096 /* chains stay short: objects are kilobytes */

struct item {
	struct item *next; /* in its bucket */
	struct item *newer, *older; /* in the list of those nobody holds */
	struct cache_key key;
	void *object; /* owned; NULL while it is being loaded */
	size_t bytes;
	unsigned int refs;
};

struct cache {
	pthread_mutex_t lock; /* protects everything below */
	pthread_cond_t loaded; /* an object came, or its loading failed */
	struct item *buckets[BUCKETS];
	struct item *newest, *oldest; /* of those nobody holds */
	struct cache_stats stats;
	cache_free_fn *free_fn;
};

struct cache *cache_new(uint64_t limit, cache_free_fn *free_fn)
{
	struct cache *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->loaded, NULL);
	c->stats.limit = limit;
	c->free_fn = free_fn;
	return c;
}

/* Keys are ids, or pack numbers and frame numbers, which are small and regular:
 * multiplying spreads those too. */
static struct item **bucket(struct cache *c, const struct cache_key *key)
{
	uint64_t a, b;

	memcpy(&a, key->b, sizeof(a));
	memcpy(&b, key->b + 8, sizeof(b));
	a = (a + b * UINT64_C(0x9e3779b97f4a7c15)) *
	    UINT64_C(0xff51afd7ed558ccd);
	return &c->buckets[(a >> 40) % BUCKETS];
}

static struct item *find(struct cache *c, const struct cache_key *key)
{
	struct item *i = *bucket(c, key);

	while (i && memcmp(&i->key, key, sizeof(*key)) != 0)
		i = i->next;
	return i;
}

static void idle_remove(struct cache *c, struct item *i)
{
	if (i->newer)
		i->newer->older = i->older;
	else
		c->newest = i->older;
	if (i->older)
		i->older->newer = i->newer;
	else
		c->oldest = i->newer;
	i->newer = i->older = NULL;
}

static void idle_add(struct cache *c, struct item *i)
{
	i->older = c->newest;
	i->newer = NULL;
	if (c->newest)
		c->newest->newer = i;
	else
		c->oldest = i;
	c->newest = i;
}

static void unlink_item(struct cache *c, struct item *i)
{
	struct item **p = bucket(c, &i->key);

	while (*p != i)
		p = &(*p)->next;
	*p = i->next;
}

/* Take what is over the limit off the cache; the caller frees it without the
 * lock. Chained by ->next. */
static struct item *evict(struct cache *c, uint64_t limit)
{
	struct item *gone = NULL;

	while (c->stats.bytes > limit && c->oldest) {
		struct item *i = c->oldest;

		idle_remove(c, i);
		unlink_item(c, i);
		c->stats.bytes -= i->bytes;
		i->next = gone;
		gone = i;
	}
	return gone;
}

static void free_chain(struct cache *c, struct item *i)
{
	while (i) {
		struct item *next = i->next;

		c->free_fn(i->object);
		free(i);
		i = next;
	}
}

void cache_free(struct cache *c)
{
	if (!c)
		return;
	cache_clear(c);
	pthread_cond_destroy(&c->loaded);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void cache_clear(struct cache *c)
{
	struct item *gone;

	pthread_mutex_lock(&c->lock);
	gone = evict(c, 0);
	pthread_mutex_unlock(&c->lock);
	free_chain(c, gone);
}

static void hold(struct cache *c, struct item *i)
{
	if (i->refs++ == 0)
		idle_remove(c, i);
}

/* Load what the caller has put a placeholder in for. */
static int fill(struct cache *c, struct item *i, cache_load_fn *load, void *arg)
{
	struct item *gone = NULL;
	void *object = NULL;
	size_t bytes = 0;
	int r = load(arg, &i->key, &object, &bytes);

	pthread_mutex_lock(&c->lock);
	if (r < 0) {
		unlink_item(c, i);
		i->next = NULL;
	} else {
		i->object = object;
		i->bytes = bytes;
		c->stats.bytes += bytes;
		c->stats.loads++;
		gone = evict(c, c->stats.limit);
	}
	/* After a failure each of those who wait tries by himself: the fault may
	 * have been one of the moment. */
	pthread_cond_broadcast(&c->loaded);
	pthread_mutex_unlock(&c->lock);
	if (r < 0)
		free(i);
	free_chain(c, gone);
	return r;
}

int cache_get(struct cache *c, const struct cache_key *key, cache_load_fn *load,
	      void *arg, void **object_out)
{
	struct item *i, **p;
	int r;

	*object_out = NULL;
	pthread_mutex_lock(&c->lock);
	while ((i = find(c, key)) && !i->object)
		pthread_cond_wait(&c->loaded, &c->lock);
	if (i) {
		hold(c, i);
		c->stats.hits++;
		pthread_mutex_unlock(&c->lock);
		*object_out = i->object;
		return 0;
	}
	i = calloc(1, sizeof(*i));
	if (!i) {
		pthread_mutex_unlock(&c->lock);
		return -ENOMEM;
	}
	i->key = *key;
	i->refs = 1;
	p = bucket(c, key);
	i->next = *p;
	*p = i;
	pthread_mutex_unlock(&c->lock);
	r = fill(c, i, load, arg);
	if (r == 0)
		*object_out = i->object;
	return r;
}

void *cache_peek(struct cache *c, const struct cache_key *key)
{
	struct item *i;

	SCOPED_LOCK(&c->lock);
	i = find(c, key);
	if (!i || !i->object)
		return NULL;
	hold(c, i);
	c->stats.hits++;
	return i->object;
}

void cache_hold(struct cache *c, const struct cache_key *key)
{
	struct item *i;

	SCOPED_LOCK(&c->lock);
	i = find(c, key);
	if (i)
		hold(c, i);
}

void cache_put(struct cache *c, const struct cache_key *key)
{
	struct item *i, *gone = NULL;

	pthread_mutex_lock(&c->lock);
	i = find(c, key);
	if (i && --i->refs == 0) {
		idle_add(c, i);
		gone = evict(c, c->stats.limit);
	}
	pthread_mutex_unlock(&c->lock);
	free_chain(c, gone);
}

void cache_get_stats(struct cache *c, struct cache_stats *out)
{
	SCOPED_LOCK(&c->lock);
	*out = c->stats;
}
