/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The leaves of trees that were seen, numbered: a node number holds a leaf's
 * number, not its 32-byte id. Numbers are never reused and nothing is ever
 * forgotten, because the kernel may hold a node number for as long as it
 * likes; 44 to 60 bytes are kept for each leaf, which is some 250 entries.
 *
 * With each leaf stands the point it was last reached through. A node of a
 * file has no point (all points that have the leaf share it), but a message
 * about it should name one.
 */
#ifndef FS_LEAVES_H
#define FS_LEAVES_H

#include "store/base/attrs.h"
#include "store/base/id.h"

#include <stdint.h>

struct leaves;

MUST_CHECK struct leaves *leaves_new(void);
void leaves_free(struct leaves *t);
/* Give leaf @id, which was reached through point number @point, its number: the
 * one that it has, or a new one. Return 0, -ENOMEM or -EOVERFLOW (2^34 leaves).
 * Safe from any thread. */
MUST_CHECK int leaves_number(struct leaves *t, const struct id *id,
			     uint32_t point, uint64_t *out);
/* Look up the id of a leaf number, and a point that has it (@point_out may be
 * NULL). Return 0, or -ESTALE (no such number was given out). */
MUST_CHECK int leaves_id(struct leaves *t, uint64_t number, struct id *out,
			 uint32_t *point_out);
uint64_t leaves_count(struct leaves *t);

#endif
