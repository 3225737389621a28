/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A fixed set of threads and a bounded queue of jobs. */
#ifndef STORE_BASE_POOL_H
#define STORE_BASE_POOL_H

#include "store/base/attrs.h"

#include <stdbool.h>

struct pool;

typedef void pool_fn(void *arg);

/* @threads >= 1, @queue: jobs that may wait. NULL when memory or threads are
 * out. */
MUST_CHECK struct pool *pool_new(unsigned int threads, unsigned int queue);
/* Runs what is queued, then ends the threads. */
void pool_free(struct pool *p);
/* Queue a job; waits for room. Never call it from a job. */
void pool_run(struct pool *p, pool_fn *fn, void *arg);
/* Queue a job if there is room; false when not: the caller runs it himself. */
MUST_CHECK bool pool_try(struct pool *p, pool_fn *fn, void *arg);
/* Wait until nothing is queued or running. */
void pool_wait(struct pool *p);
unsigned int pool_threads(const struct pool *p);

#endif
