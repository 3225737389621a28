/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Room on a disk that is full. Before a collection frees a byte it has to say what it
 * will do, in objects that take room themselves. So it leaves something behind that is
 * of no use, reserve/<gid>, and the next one gives it up when the store is full. Where
 * there is none, objects of sessions that are decided go, as they would at its end.
 *
 * Both are safe at any time: nobody reads the one, and of a session that is decided only
 * the register counts.
 */
#ifndef STORE_COLLECT_RESERVE_H
#define STORE_COLLECT_RESERVE_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>

struct vault;

/* Whether that says that the store is full. */
bool reserve_is_full(int r);
/* Give up what is there for that. Return whether anything was, so that it is worth
 * trying again; that is said. */
MUST_CHECK bool reserve_spend(struct vault *v);
/* Once a collection is over: keep enough for the next one to condemn @npacks packs, and
 * to remove @npoints points, some MiB at most, as the collection @gid. Stores
 * that are no directory have no end. What cannot be kept is not: that is no error. */
void reserve_fill(struct vault *v, const char *gid, size_t npacks,
		  size_t npoints);

#endif
