/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What was read last: blocks of bytes, counted, each by its address and a
 * second number that must match too. A block lives on while somebody holds it.
 */
#include "config.h"

#include "fs/guest/btrfs/internal.h"

struct btrfs_block *btrfs_block_new(uint64_t a, uint64_t b, size_t len)
{
	struct btrfs_block *x = malloc(sizeof(*x) + len);

	if (!x)
		return NULL;
	x->a = a;
	x->b = b;
	x->len = (uint32_t)len;
	atomic_init(&x->refs, 1);
	return x;
}

static void block_get(void *object)
{
	struct btrfs_block *x = object;

	atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
}

static void block_put(void *object)
{
	btrfs_block_put(object);
}

void btrfs_block_put(struct btrfs_block *x)
{
	if (x &&
	    atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) == 1)
		free(x);
}

static const struct lru_ops block_ops = { .get = block_get, .put = block_put };

void btrfs_cache_init(struct lru_part *c, struct lru *memory)
{
	lru_part_init(c, memory, &block_ops);
}

struct btrfs_block *btrfs_cache_get(struct lru_part *c, uint64_t a, uint64_t b)
{
	return lru_get(c, a, b);
}

void btrfs_cache_add(struct lru_part *c, struct btrfs_block *x)
{
	lru_add(c, x->a, x->b, x, sizeof(*x) + x->len);
}
