/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A set of ids in memory, for one thread at a time. Zero it to begin. */
#ifndef STORE_BASE_IDSET_H
#define STORE_BASE_IDSET_H

#include "store/base/attrs.h"
#include "store/base/id.h"

#include <stddef.h>

struct idset {
	struct id *slots; /* owned; the id of zeros marks a free one */
	size_t cap; /* a power of two, or 0 */
	size_t n;
};

/* Free what the set holds, and empty it. */
void idset_release(struct idset *s);
/* Add an id. Return 1, 0 (it was there) or -ENOMEM. */
MUST_CHECK int idset_add(struct idset *s, const struct id *id);
/* Take an id out, if it is there. */
void idset_remove(struct idset *s, const struct id *id);
/* Return whether an id is in the set. */
bool idset_has(const struct idset *s, const struct id *id);

#endif
