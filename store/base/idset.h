/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A set of ids in memory. One thread at a time. */
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

void idset_release(struct idset *s);
/* Return 1 when it was added, 0 when it was there, or -ENOMEM. */
MUST_CHECK int idset_add(struct idset *s, const struct id *id);
/* Take it out, if it is there. */
void idset_remove(struct idset *s, const struct id *id);
bool idset_has(const struct idset *s, const struct id *id);

#endif
