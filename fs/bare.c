/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "fs/bare.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Several times what a listing reads ahead of those who ask. */
#define ROW_BITS 16

struct bare {
	atomic_uint_least64_t nodes[1u << ROW_BITS]; /* 0: free */
};

struct bare *bare_new(void)
{
	return calloc(1, sizeof(struct bare));
}

void bare_free(struct bare *t)
{
	free(t);
}

/* The multiplier is Knuth's, 2^64 divided by the golden ratio; the bits that it
 * spreads best are the highest. */
static size_t row_of(uint64_t node)
{
	return (size_t)(node * UINT64_C(0x9e3779b97f4a7c15) >> (64 - ROW_BITS));
}

void bare_note(struct bare *t, uint64_t node)
{
	atomic_store_explicit(&t->nodes[row_of(node)], node,
			      memory_order_relaxed);
}

bool bare_has(const struct bare *t, uint64_t node)
{
	return atomic_load_explicit(&t->nodes[row_of(node)],
				    memory_order_relaxed) == node;
}
