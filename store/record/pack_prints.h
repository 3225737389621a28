/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A set of packs' names, of each of which 8 bytes are kept: for what collections have
 * deleted since the vault was made, which only grows. A name that is not in the set may
 * be taken for one that is, once in 2^64 times the size of the set, or where somebody
 * makes one up for that: so it is for questions where "yes" costs time and nothing else.
 */
#ifndef STORE_RECORD_PACK_PRINTS_H
#define STORE_RECORD_PACK_PRINTS_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pack_list;

struct pack_prints {
	uint64_t *items; /* owned; ascending, once they are sorted */
	size_t n, cap;
};

/* Free them and empty the set. */
void pack_prints_release(struct pack_prints *p);
/*
 * The clear text of tombs and sweeps: the prints of some of their packs, 8 bytes each,
 * little-endian: for who cannot read the names. At most PACK_PRINTS_MAX.
 */
#define PACK_PRINTS_MAX 8000
/* Append that of @name; ask buf_error(). */
void pack_print_encode(const char *name, struct buf *out);
/* Add all of a clear text. Return 0, -EBADMSG (it is none; silent) or -ENOMEM. */
MUST_CHECK int pack_prints_decode(struct pack_prints *p, const void *data,
				  size_t len);
/* Add all names of @l; order them later with pack_prints_sort(). Return 0 or
 * -ENOMEM. */
MUST_CHECK int pack_prints_add(struct pack_prints *p,
			       const struct pack_list *l);
/* Sort them, and drop what is there twice. */
void pack_prints_sort(struct pack_prints *p);
/* Return whether the sorted set has @name. */
MUST_CHECK bool pack_prints_has(const struct pack_prints *p, const char *name);

#endif
