/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What index objects say of packs, as prints of 32 bytes: an index object may go only
 * where another one says just what it says. That it names the same packs is not
 * enough, for somebody may have written by mistake, or to do harm, what is not in them.
 */
#ifndef STORE_COLLECT_INDEX_PRINTS_H
#define STORE_COLLECT_INDEX_PRINTS_H

#include "store/base/attrs.h"
#include "store/base/id.h"

#include <stddef.h>
#include <stdint.h>

struct index_pack;

/* Hash the name of a pack, all of it. Return 0 or a negative errno. */
MUST_CHECK int index_print_name(const struct index_pack *p, struct id *out);
/* Hash all that is said of a pack, its name too. Return 0 or a negative errno. */
MUST_CHECK int index_print_all(const struct index_pack *p, struct id *out);

/* What a number of index objects say. Zero it to begin. */
struct index_prints {
	struct index_print *items; /* owned */
	size_t n, cap;
};
/* Add what the caller's index object number @object says. Return 0 or a negative
 * errno. */
MUST_CHECK int index_prints_add(struct index_prints *e,
				const struct index_pack *p, uint32_t object);
/* Order them. Call @fn for each of two objects that say different things of one
 * pack: those that do of the same pack are told one after another. */
void index_prints_each_differing(struct index_prints *e,
				 void (*fn)(void *arg, uint32_t a, uint32_t b),
				 void *arg);
void index_prints_release(struct index_prints *e);

#endif
