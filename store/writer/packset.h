/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A set of packs by the numbers that the local database gave them: a bit each.
 * Zero it to begin; for one thread at a time. */
#ifndef STORE_WRITER_PACKSET_H
#define STORE_WRITER_PACKSET_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct packset {
	uint8_t *bits; /* owned */
	size_t len; /* bytes; 0: the set is empty */
};

/* Free what the set holds, and empty it. */
void packset_release(struct packset *s);
/* Add @no, which is not negative. Return 0 or -ENOMEM. */
MUST_CHECK int packset_add(struct packset *s, int64_t no);
/* Take @no out, if it is there. */
void packset_remove(struct packset *s, int64_t no);
bool packset_has(const struct packset *s, int64_t no);
/* The least member that is @no or greater, or -1. */
int64_t packset_next(const struct packset *s, int64_t no);

#endif
