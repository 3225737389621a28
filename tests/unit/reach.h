/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a point reaches, by a walk that remembers nothing and passes over nothing:
 * for tests of those that do. */
#ifndef TESTS_UNIT_REACH_H
#define TESTS_UNIT_REACH_H

#include "tests/unit/support.h"

#include "store/base/idset.h"

struct point;
struct vault;

/* Zero it, but for the vault; release ids. */
struct reached {
	struct vault *vault; /* borrowed */
	struct idset ids; /* of all chunks */
	bool any_map, any_xattrs;
};

/* Add what a point reaches; it has a tree. */
void reach_point(struct reached *r, const struct point *p);

#endif
