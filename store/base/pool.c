/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Threads that take jobs from one ring, oldest first. The threads take no
 * signals: those belong to main, whatever it starts.
 */
#include "config.h"

#include "store/base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "store/base/lock.h"

struct pool_job {
	pool_fn *fn;
	void *arg;
};

struct pool {
	pthread_mutex_t lock; /* protects all below but threads, nthreads */
	pthread_cond_t work; /* there is a job, or the end */
	pthread_cond_t room; /* there is room in the ring */
	pthread_cond_t idle; /* nothing is queued or running */
	struct pool_job *ring; /* owned */
	unsigned int cap, head, queued; /* of the ring */
	unsigned int running;
	bool ending;
	unsigned int nthreads; /* that were started */
	pthread_t *threads; /* owned */
};

static void *pool_main(void *arg)
{
	struct pool *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct pool_job job;

		while (p->queued == 0 && !p->ending)
			pthread_cond_wait(&p->work, &p->lock);
		if (p->queued == 0)
			break;
		job = p->ring[p->head];
		p->head = (p->head + 1) % p->cap;
		p->queued--;
		p->running++;
		pthread_cond_signal(&p->room);
		pthread_mutex_unlock(&p->lock);
		job.fn(job.arg);
		pthread_mutex_lock(&p->lock);
		p->running--;
		if (p->running == 0 && p->queued == 0)
			pthread_cond_broadcast(&p->idle);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static int start_threads(struct pool *p, unsigned int threads)
{
	sigset_t all, old;
	int r = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (r == 0 && p->nthreads < threads) {
		r = pthread_create(&p->threads[p->nthreads], NULL, pool_main,
				   p);
		if (r == 0)
			p->nthreads++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -r;
}

struct pool *pool_new(unsigned int threads, unsigned int queue)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->room, NULL);
	pthread_cond_init(&p->idle, NULL);
	p->cap = MAX(queue, 1u);
	p->ring = alloc_array(p->cap, sizeof(*p->ring));
	p->threads = alloc_array(threads, sizeof(*p->threads));
	if (!p->ring || !p->threads || start_threads(p, threads) < 0) {
		pool_free(p);
		return NULL;
	}
	return p;
}

void pool_free(struct pool *p)
{
	unsigned int i;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->ending = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (i = 0; i < p->nthreads; i++)
		pthread_join(p->threads[i], NULL);
	pthread_cond_destroy(&p->idle);
	pthread_cond_destroy(&p->room);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p->threads);
	free(p->ring);
	free(p);
}

/* With the lock held and room in the ring. */
static void add_job(struct pool *p, pool_fn *fn, void *arg)
{
	struct pool_job *job = &p->ring[(p->head + p->queued) % p->cap];

	job->fn = fn;
	job->arg = arg;
	p->queued++;
	pthread_cond_signal(&p->work);
}

void pool_run(struct pool *p, pool_fn *fn, void *arg)
{
	SCOPED_LOCK(&p->lock);
	while (p->queued == p->cap)
		pthread_cond_wait(&p->room, &p->lock);
	add_job(p, fn, arg);
}

bool pool_try(struct pool *p, pool_fn *fn, void *arg)
{
	SCOPED_LOCK(&p->lock);
	if (p->queued == p->cap)
		return false;
	add_job(p, fn, arg);
	return true;
}

void pool_wait(struct pool *p)
{
	SCOPED_LOCK(&p->lock);
	while (p->queued > 0 || p->running > 0)
		pthread_cond_wait(&p->idle, &p->lock);
}

unsigned int pool_threads(const struct pool *p)
{
	return p->nthreads;
}
