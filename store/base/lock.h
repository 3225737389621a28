/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Scoped locks: SCOPED_LOCK(&x->lock) holds it until the end of the block.
 * Names of locks stand beside what they protect; none is held across I/O.
 */
#ifndef STORE_BASE_LOCK_H
#define STORE_BASE_LOCK_H

#include "store/base/attrs.h"

#include <pthread.h>

static inline pthread_mutex_t *lock_enter(pthread_mutex_t *m)
{
	pthread_mutex_lock(m);
	return m;
}

static inline void lock_leave(pthread_mutex_t **m)
{
	pthread_mutex_unlock(*m);
}

#define LOCK_CAT_(a, b) a##b
#define LOCK_CAT(a, b) LOCK_CAT_(a, b)
#define SCOPED_LOCK(m)                                                         \
	CLEANUP(lock_leave)                                                    \
	__attribute__((unused)) pthread_mutex_t *LOCK_CAT(                     \
		scoped_lock_, __LINE__) = lock_enter(m)

#endif
