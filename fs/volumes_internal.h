/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inside of the volumes; for fs/volumes*.c alone. */
#ifndef FS_VOLUMES_INTERNAL_H
#define FS_VOLUMES_INTERNAL_H

#include "fs/volumes.h"

#include <pthread.h>

#include "fs/guest/volumes/discover.h"

/* The volumes of one point. */
struct point_volumes {
	struct volumes *volumes; /* borrowed */
	struct point_volumes *next;
	uint32_t point;
	unsigned int refs; /* of holders; in the list it stays without any */
	uint64_t used; /* the clock when it was last asked for */
	bool loading;
	bool listed; /* in volumes->sets */
	int error; /* of loading */
	/* All could be read that was asked for. If not, what was found may be
	 * wrong in any way: it is found anew a moment later. */
	bool sure;
	int64_t found_ns; /* the monotonic clock then */
	int64_t retry_ns; /* how long that is good for; longer each time */
	struct blocks **disks; /* owned, and each held */
	size_t ndisks;
	struct volume_set *set; /* owned */
	uint32_t *serials; /* of each; owned */
};

/* A volume that was seen. */
struct row {
	uint32_t point;
	char *name; /* owned; never changes */
	char *why; /* owned; never readable, for this reason */
	char *why_now; /* owned; of the last attempt, where it may be tried
			* again */
	/* Lent to who comes next, or NULL; borrowed from the guests. */
	struct opened *opened;
	bool opening; /* a thread is at it */
	/* Of sets that were found while reads failed; never changes. What a
	 * set without such failures has under that name has another row. */
	bool unsure;
	bool gone; /* it is unsure, and was not found again */
	bool marked; /* its state was said */
	/* When what is shown of it last changed, or may do so now; 0: it never
	 * did. */
	int64_t changed_ns;
	unsigned int attempts; /* that ended */
	int error; /* of the last one */
};

struct opened {
	struct opened *next;
	/* Not to be lent any more unless it is the one that the row has. */
	struct row *row;
	struct guest *guest; /* owned */
	unsigned int refs; /* lent so often */
	uint64_t used;
};

struct volumes {
	struct vault *vault; /* borrowed */
	struct roster *roster; /* borrowed */
	struct lru *memory; /* owned; what all that are open share */
	struct secret **keys; /* owned, each too */
	size_t nkeys;
	pthread_mutex_t trying; /* held while a key is tried; no other is */
	pthread_cond_t done; /* something was found, opened, or failed */
	pthread_mutex_t lock; /* protects all below, and what it points to */
	uint64_t clock;
	struct point_volumes *sets; /* owned */
	size_t nsets;
	struct row **rows; /* by serial - 1; owned, each too */
	size_t nrows, cap;
	struct opened *guests; /* owned */
	size_t nguests;
	size_t held; /* the sum of theirs */
};

/* Return the row of a serial, or NULL. The lock is held. */
struct row *volumes_row(struct volumes *m, uint32_t serial);
/* Give the volumes of a set that was just found their serials; what was found
 * of its point while reads failed is not lent any more. Return 0, -ENOMEM or
 * -EOVERFLOW (said). */
MUST_CHECK int volumes_number(struct volumes *m, struct point_volumes *x);
/* The error that callers get for @r: -EIO, but for a lack of memory, and a
 * point that is gone. */
int volumes_error(int r);
/* How many reads of the point's disks have failed so far. */
uint64_t point_volumes_failures(const struct point_volumes *x);
/* The time of day, in nanoseconds. */
int64_t volumes_now_ns(const struct volumes *m);
/* Close what is open and over the bound, longest unused first, and what is not
 * to be lent any more; @all: all. To be called without the lock. */
void volumes_trim(struct volumes *m, bool all);
/* Is more open than is to be kept? The lock is held. */
bool volumes_over(const struct volumes *m);

#endif
