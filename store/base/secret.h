/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Key memory: kept out of swap and core dumps, wiped when freed. */
#ifndef STORE_BASE_SECRET_H
#define STORE_BASE_SECRET_H

#include "store/base/attrs.h"

#include <stdint.h>

struct secret {
	size_t len;
	uint8_t *data; /* @len zeroed bytes, owned, in pages of their own */
};

/* Return NULL when memory is out. A page that cannot be locked is used all
 * the same. */
MUST_CHECK struct secret *secret_new(size_t len);
/* Wipe and free; NULL is fine. */
void secret_free(struct secret *s);
void secret_free_ptr(struct secret **s);
#define AUTO_SECRET CLEANUP(secret_free_ptr)
/* Wipe memory that the compiler must not optimise away. */
void secret_wipe(void *data, size_t len);

#endif
