/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Vaults of many sessions, made quickly: each object is sealed and put, as a
 * writer would leave it, without a source that is read or a database that is
 * asked.
 */
#ifndef TESTS_BENCH_CROWD_H
#define TESTS_BENCH_CROWD_H

#include "store/base/attrs.h"

#include <stddef.h>
#include <stdint.h>

struct point;
struct vault;

#define CROWD_MACHINES 20
/* The second in which the first point was made: 2020-01-01. */
#define CROWD_EPOCH_S INT64_C(1577836800)

struct crowd {
	/* Each has a session, a pack, an index object, a point and a commit. The
	 * points are an hour apart, and of CROWD_MACHINES machines in turn; their
	 * trees are nowhere. */
	size_t points;
	size_t chunks; /* in each pack */
	/* Index objects alone: none of the packs that they name is there. */
	size_t indexes;
	unsigned int packs; /* in each of these */
	/* NULL, or it says what point @i has in place of a tree, which stands on
	 * what others stored: then there are no packs and no index objects. */
	int (*fill)(void *arg, size_t i, struct point *p);
	void *arg;
};

/* Add all that to an open vault. Return 0 or a negative errno. */
MUST_CHECK int crowd_add(struct vault *v, const struct crowd *c);

#endif
