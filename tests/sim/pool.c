/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A pool without threads, in the place of store/base/pool.c: who hands it a job
 * does it. What is done at once elsewhere is done here in one order. */
#include "config.h"

#include "store/base/pool.h"

#include <stdlib.h>

struct pool {
	unsigned int threads;
};

struct pool *pool_new(unsigned int threads, unsigned int queue)
{
	struct pool *p = malloc(sizeof(*p));

	(void)queue;
	if (p)
		p->threads = threads;
	return p;
}

void pool_free(struct pool *p)
{
	free(p);
}

void pool_run(struct pool *p, pool_fn *fn, void *arg)
{
	(void)p;
	fn(arg);
}

bool pool_try(struct pool *p, pool_fn *fn, void *arg)
{
	pool_run(p, fn, arg);
	return true;
}

void pool_wait(struct pool *p)
{
	(void)p;
}

unsigned int pool_threads(const struct pool *p)
{
	return p->threads;
}
