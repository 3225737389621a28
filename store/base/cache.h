/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Objects in memory by a 32-byte key: bounded in bytes, least recently used
 * goes first, counted while held, loaded once however many ask at a time.
 */
#ifndef STORE_BASE_CACHE_H
#define STORE_BASE_CACHE_H

#include "store/base/attrs.h"

#include <stdint.h>

struct cache;

struct cache_key {
	uint8_t b[32];
};

typedef void cache_free_fn(void *object);
/* Make the object of @key, and say how many bytes of memory it takes. It is
 * called without the cache's lock. Return 0 or a negative errno. */
typedef int cache_load_fn(void *arg, const struct cache_key *key,
			  void **object_out, size_t *bytes_out);

/* Return a cache that keeps up to @limit bytes of objects, for cache_free(); or
 * NULL (no memory). It frees objects with @free_fn. */
MUST_CHECK struct cache *cache_new(uint64_t limit, cache_free_fn *free_fn);
/* Free the cache and all in it; no object may be held any more. */
void cache_free(struct cache *c);
/*
 * Get the object of @key, which @load loads where it is not there; it is held
 * until cache_put(). Threads that ask while it is being loaded wait. Return 0
 * or what @load returned.
 */
MUST_CHECK int cache_get(struct cache *c, const struct cache_key *key,
			 cache_load_fn *load, void *arg, void **object_out);
/* Return the object, held, if it is there, else NULL. Does not wait. */
void *cache_peek(struct cache *c, const struct cache_key *key);
/* Hold an object that is held already once more. */
void cache_hold(struct cache *c, const struct cache_key *key);
/* Give an object back that was held. */
void cache_put(struct cache *c, const struct cache_key *key);
/* Drop all that nobody holds. */
void cache_clear(struct cache *c);

struct cache_stats {
	uint64_t hits, loads, bytes, limit;
};
void cache_get_stats(struct cache *c, struct cache_stats *out);

#endif
