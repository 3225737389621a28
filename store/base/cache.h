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
/* Make the object of @key. Runs without the cache's lock. */
typedef int cache_load_fn(void *arg, const struct cache_key *key,
			  void **object_out, size_t *bytes_out);

/* @limit: bytes of objects kept when nobody holds them. NULL: no memory. */
MUST_CHECK struct cache *cache_new(uint64_t limit, cache_free_fn *free_fn);
/* No object may be held any more. */
void cache_free(struct cache *c);
/*
 * The object of @key, loaded by @load where it is not there; held until
 * cache_put(). Threads that ask while it is being loaded wait.
 * Return 0 or what @load returned.
 */
MUST_CHECK int cache_get(struct cache *c, const struct cache_key *key,
			 cache_load_fn *load, void *arg, void **object_out);
/* The object if it is there (held), else NULL. Does not wait. */
void *cache_peek(struct cache *c, const struct cache_key *key);
/* Hold an object once more. */
void cache_hold(struct cache *c, const struct cache_key *key);
void cache_put(struct cache *c, const struct cache_key *key);
/* Drop all that nobody holds. */
void cache_clear(struct cache *c);

struct cache_stats {
	uint64_t hits, loads, bytes, limit;
};
void cache_get_stats(struct cache *c, struct cache_stats *out);

#endif
