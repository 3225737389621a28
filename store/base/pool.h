/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A fixed set of threads and a bounded queue of jobs. */
#ifndef STORE_BASE_POOL_H
#define STORE_BASE_POOL_H

#include "store/base/attrs.h"

#include <stdbool.h>

struct pool;

typedef void pool_fn(void *arg);

/*
 * Return a pool of at least one thread, where @queue jobs may wait, for
 * pool_free(); or NULL (no memory, or no more threads).
 */
MUST_CHECK struct pool *pool_new(unsigned int threads, unsigned int queue);
/* Run what is queued, end the threads, and free the pool. NULL is fine. */
void pool_free(struct pool *p);
/* Queue a job, and wait until there is room for it. A job must not call it: all
 * threads could wait for one another. */
void pool_run(struct pool *p, pool_fn *fn, void *arg);
/* Queue a job if there is room. Return false when there is none: the caller
 * runs it himself. */
MUST_CHECK bool pool_try(struct pool *p, pool_fn *fn, void *arg);
/* Wait until nothing is queued or running. */
void pool_wait(struct pool *p);
/* Return how many threads there are. */
unsigned int pool_threads(const struct pool *p);

#endif
