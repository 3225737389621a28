/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is known of nodes, for one thread at a time: a small number each, in 23
 * to 46 bytes. Zero it to begin.
 *
 * Half of an id is kept: ids are a keyed hash, so two that share 128 bits are
 * not to be expected in any vault, nor made by anybody without its key.
 */
#ifndef STORE_CHECK_MEMO_H
#define STORE_CHECK_MEMO_H

#include "store/base/attrs.h"
#include "store/base/id.h"

#include <stddef.h>

struct memo {
	uint8_t *slots; /* owned */
	size_t cap; /* a power of two, or 0 */
	size_t n;
};

/* Free what it holds, and empty it. */
void memo_release(struct memo *m);
/* Return what was noted of a node; 0: nothing. */
uint8_t memo_get(const struct memo *m, const struct id *id);
/* Note a @value from 1 on in place of what was noted before. Return 0 or
 * -ENOMEM. */
MUST_CHECK int memo_set(struct memo *m, const struct id *id, uint8_t value);

#endif
