/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The form of encoded content, for those who read it; for store/ alone. */
#ifndef STORE_CONTENT_INTERNAL_H
#define STORE_CONTENT_INTERNAL_H

#include "store/content.h"

/* Encoded content, taken apart. */
struct content {
	unsigned int kind;
	struct extent inl[CONTENT_INLINE_MAX];
	size_t n;
	unsigned int level; /* of the map's root */
	uint64_t allocated;
	struct id map;
};

/* Take @ref apart. Return 0, or -EBADMSG (silent) where the form is wrong or
 * does not add up to the size. */
MUST_CHECK int content_parse(const struct content_ref *ref,
			     struct content *out);

#endif
