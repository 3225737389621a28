/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a vault would be spared if points went: bytes that they hold alone. */
#ifndef SRC_FORGET_FREED_H
#define SRC_FORGET_FREED_H

#include "store/base/attrs.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct context;
struct point;
struct vault;

struct freed {
	bool is_known;
	/* Of chunks that no other point has, but such as were forgotten before; as
	 * they are stored. */
	uint64_t bytes;
	/* Packs in which nothing is that is used otherwise: whole, with what is of
	 * no use in them today. */
	uint64_t packs, pack_bytes;
};

/*
 * Count what would be freed if the @n points went. It walks what all points of the
 * vault reach, and shows how far it is. Return 0, also where that cannot be known
 * for something cannot be read, which is said; -EINTR, or -ENOMEM. @v shows
 * forgotten points from then on.
 */
MUST_CHECK int freed_count(const struct context *ctx, struct vault *v,
			   const struct point *const *points, size_t n,
			   struct freed *out);
/* Print a line, if it is known. */
void freed_print(const struct freed *f);
/* Return the same as a JSON object, or null; NULL when memory is out. */
json_t *freed_json(const struct freed *f);

#endif
