/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What was used last, found by a number, bounded by count and bytes. Holds
 * objects that are counted; safe from any thread; no object is freed under its
 * lock.
 */
#ifndef FS_GUEST_LRU_H
#define FS_GUEST_LRU_H

#include "store/base/attrs.h"

#include <pthread.h>
#include <stdint.h>

struct lru_ops {
	void (*get)(void *object); /* one reference more */
	void (*put)(void *object); /* one less */
};

#define LRU_BUCKETS 256
struct lru_item;
struct lru {
	const struct lru_ops *ops;
	size_t count_max, bytes_max;
	pthread_mutex_t lock; /* protects what follows */
	size_t count, bytes;
	struct lru_item *newest, *oldest;
	struct lru_item *buckets[LRU_BUCKETS];
};

void lru_init(struct lru *l, const struct lru_ops *ops, size_t count_max,
	      size_t bytes_max);
void lru_release(struct lru *l);
/* The object, held for the caller; NULL where there is none. */
MUST_CHECK void *lru_get(struct lru *l, uint64_t key);
/*
 * Keep @object too, unless there is one of that key. The newest stays even if
 * it is larger than all that may be kept; without memory nothing is.
 */
void lru_add(struct lru *l, uint64_t key, void *object, size_t bytes);

#endif
