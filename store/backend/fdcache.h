/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Open files kept for the next read: a random read of a pack then costs one
 * system call. The least recently used makes room. Safe from any thread.
 */
#ifndef STORE_BACKEND_FDCACHE_H
#define STORE_BACKEND_FDCACHE_H

#include "store/base/attrs.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/backend/backend.h"

#define FDCACHE_SLOTS 64

struct fdcache_slot {
	char name[BACKEND_NAME_MAX + 1]; /* "" once dropped: not found again */
	int fd; /* owned; -1: the slot is free */
	unsigned int refs; /* readers at work; closed only at 0 */
	uint64_t used; /* the cache's clock at its last use */
};

struct fdcache {
	pthread_mutex_t lock; /* protects all below; not slot->fd while held */
	struct fdcache_slot slots[FDCACHE_SLOTS];
	uint64_t clock;
};

void fdcache_init(struct fdcache *c);
/* Closes all; nobody may hold a slot. */
void fdcache_release(struct fdcache *c);
/* The slot of @name, held for the caller; NULL when it is not open. */
MUST_CHECK struct fdcache_slot *fdcache_get(struct fdcache *c,
					    const char *name);
/*
 * Keep @fd under @name and hold the slot. The cache owns @fd from here, and may
 * answer with another one of that name. NULL when all slots are held: @fd
 * stays the caller's.
 */
MUST_CHECK struct fdcache_slot *fdcache_add(struct fdcache *c, const char *name,
					    int fd);
/* Give a held slot back. */
void fdcache_put(struct fdcache *c, struct fdcache_slot *slot);
/* Forget @name; whoever reads it now may finish. */
void fdcache_drop(struct fdcache *c, const char *name);

#endif
