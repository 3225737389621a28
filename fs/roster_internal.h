/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inside of the roster; for fs/roster*.c alone. */
#ifndef FS_ROSTER_INTERNAL_H
#define FS_ROSTER_INTERNAL_H

#include "fs/roster.h"

#include <pthread.h>

struct point;

struct named {
	char name[ROSTER_NAME_MAX];
	int64_t changed_ns;
	bool touched; /* while an update runs: something of it changed */
};

struct roster_mark {
	uint32_t tag, machine, point;
};

struct known_point {
	struct roster_point p;
	const struct point *point; /* in list; NULL: gone */
};

/* A growing table of pointers; serial 1 is items[0]. */
struct table {
	void **items; /* owned, each too */
	size_t n, cap;
};

struct index {
	struct roster_mark *marks; /* by tag, machine, point; owned */
	size_t nmarks;
	uint32_t *by_name; /* live points by machine and name; owned */
	size_t nlive;
};

struct roster {
	pthread_rwlock_t lock; /* protects all below */
	struct table machines, tags, points;
	size_t nlinked; /* of the points: so many have their names in ids/ */
	struct index index;
	struct point_list *list; /* held */
	int64_t changed_ns;
};

/* Hold the lock until the end of the block. */
static inline void roster_leave(pthread_rwlock_t **l)
{
	pthread_rwlock_unlock(*l);
}

static inline pthread_rwlock_t *roster_enter(pthread_rwlock_t *l, bool write)
{
	if (write)
		pthread_rwlock_wrlock(l);
	else
		pthread_rwlock_rdlock(l);
	return l;
}

#define ROSTER_HOLD(r, write)                                                  \
	CLEANUP(roster_leave)                                                  \
	__attribute__((unused)) pthread_rwlock_t *held =                       \
		roster_enter(&(r)->lock, write)

/* The item of a serial, or NULL. */
void *roster_get(const struct table *t, uint32_t serial);
/* By tag, machine, point: the order of the index. */
int roster_compare_marks(const void *a, const void *b);
/* Find a machine or tag by its name, whether it is still there or not. Return 0
 * or -ENOENT. */
MUST_CHECK int roster_find_named(const struct table *t, const char *name,
				 uint32_t *out);

#endif
