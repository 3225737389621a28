/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A collection's name, and the clock that it goes by: that of the store. A stamp that
 * lies further in the future than a lease is of a clock that was wrong, and no sign of
 * life. To ask a
 * store what time it is, an object is put and looked at: heartbeat/<gid>-<n>, which
 * tells others, too, who collects, and that he is alive.
 */
#ifndef STORE_COLLECT_CLOCK_H
#define STORE_COLLECT_CLOCK_H

#include "store/base/attrs.h"
#include "store/base/name.h"

#include <stdbool.h>
#include <stdint.h>

struct vault;

/* The last heartbeat of a collection counts for so long. */
#define CLOCK_LEASE_NS (INT64_C(3600) * 1000000000)

/* For one thread. */
struct collect_clock {
	struct vault *vault; /* borrowed */
	char gid[NAME_HEX + 1]; /* of this collection, random */
	char name[OBJECT_NAME_MAX]; /* of the last heartbeat; "": none is put */
	uint32_t n; /* of the next */
	int64_t beat_ns; /* when it was put, monotonic */
	int64_t now_ns; /* and by the clock of the store */
	/* That, or what this host's clock said then, where it is less: one clock
	 * that is ahead ends nobody's time to bring a point back. */
	int64_t least_ns;
};

/* Make up a name, and ask the store what time it is. Return 0 or a negative errno,
 * said in words. */
MUST_CHECK int clock_begin(struct vault *v, struct collect_clock *out);
/* Make up a name, and take this host's clock for that of the store: for who changes
 * nothing there, and may not be allowed to. Nor is anything put later. Return 0 or a
 * negative errno, said in words. */
MUST_CHECK int clock_begin_silent(struct vault *v, struct collect_clock *out);
/* Ask again, where ten minutes have passed. Return 0 or a negative errno. */
MUST_CHECK int clock_tick(struct collect_clock *c);
/* The same, for who goes on where that fails, and is silent about it. */
void clock_try_tick(struct collect_clock *c);
/* Delete the heartbeat: the last thing that a collection does. */
void clock_end(struct collect_clock *c);

#endif
