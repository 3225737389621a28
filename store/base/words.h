/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Texts that come again and again, each kept once, so that whoever writes many
 * records writes numbers instead.
 */
#ifndef STORE_BASE_WORDS_H
#define STORE_BASE_WORDS_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdint.h>

/* Zero it to begin. */
struct words {
	struct buf text; /* each ended by a NUL */
	size_t *at; /* owned; where each begins */
	size_t n, cap;
	size_t *places; /* owned; of a hash: numbers plus one; 0: none */
	size_t nplaces; /* a power of two */
};

void words_release(struct words *w);
/* Set *out to the number of @word, which is added where it is new. Return 0 or
 * -ENOMEM. */
MUST_CHECK int words_add(struct words *w, const char *word, size_t *out);

#endif
