/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The name of a chunk: HMAC-SHA256 of type, length and plaintext under the
 * vault's key. */
#ifndef STORE_BASE_ID_H
#define STORE_BASE_ID_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ID_LEN 32

struct id {
	uint8_t b[ID_LEN];
};

static inline bool id_equal(const struct id *a, const struct id *b)
{
	return memcmp(a->b, b->b, ID_LEN) == 0;
}

/* Ids are uniformly distributed: their first bytes are hash enough. */
static inline uint64_t id_hash(const struct id *id)
{
	uint64_t h;

	memcpy(&h, id->b, sizeof(h));
	return h;
}

#endif
