/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What was used last, within one bound of bytes for all that use it: pieces of
 * metadata, directories and maps of files of every filesystem that is open.
 * What was not used for the longest time goes first, whoever added it.
 *
 * Each user has a part of its own. Holds objects that are counted; safe from
 * any thread; no object is freed under the lock. Any user's thread may be the
 * one that frees an object, also when its part has just been released: put()
 * uses nothing but the object and what that holds.
 */
#ifndef FS_GUEST_LRU_H
#define FS_GUEST_LRU_H

#include "store/base/attrs.h"

#include <stddef.h>
#include <stdint.h>

struct lru;
struct lru_item;

struct lru_ops {
	void (*get)(void *object); /* one reference more */
	void (*put)(void *object); /* one less */
};

/* What an object counts as at least, which bounds their number. */
#define LRU_LEAST 1024

/* NULL: no memory. */
MUST_CHECK struct lru *lru_new(size_t bytes_max);
/* All parts are released already. NULL is fine. */
void lru_free(struct lru *l);
/* What is kept now: at most bytes_max. */
size_t lru_bytes(struct lru *l);

struct lru_part {
	struct lru *lru; /* borrowed */
	const struct lru_ops *ops;
	struct lru_item *items; /* protected by the lock of the lru */
};
void lru_part_init(struct lru_part *p, struct lru *l,
		   const struct lru_ops *ops);
/* Forget all that is in it. One that is all zeros is fine. */
void lru_part_release(struct lru_part *p);
/* The object of this part and both numbers, held for the caller; NULL where
 * there is none. */
MUST_CHECK void *lru_get(struct lru_part *p, uint64_t a, uint64_t b);
/*
 * Keep @object too, unless there is one of these numbers, it is larger than
 * all that may be kept, or there is no memory.
 */
void lru_add(struct lru_part *p, uint64_t a, uint64_t b, void *object,
	     size_t bytes);

#endif
