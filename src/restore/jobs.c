/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Regular files go to a pool of threads, in jobs of neighbours. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "src/restore/internal.h"
#include "store/base/pool.h"

static void item_release(struct item *it)
{
	rdir_put(it->dir);
	ref_put(&it->ref);
}

static void job_run(void *arg)
{
	struct job *j = arg;
	struct restore *run = j->run;
	size_t i;

	for (i = 0; i < j->n; i++) {
		if (restore_stopped(run) == 0)
			(void)!item_write(run, &j->items[i], j->piece);
		item_release(&j->items[i]);
	}
	j->n = j->ndirs = 0;
	j->bytes = 0;
	pthread_mutex_lock(&run->lock);
	j->next = run->idle;
	run->idle = j;
	run->running--;
	pthread_cond_signal(&run->changed);
	pthread_mutex_unlock(&run->lock);
}

void job_flush(struct restore *run)
{
	struct job *j = run->job;

	if (!j)
		return;
	run->job = NULL;
	pthread_mutex_lock(&run->lock);
	run->running++;
	pthread_mutex_unlock(&run->lock);
	pool_run(run->pool, job_run, j);
}

/* Wait for a change, and show how far we are meanwhile. Called with the lock
 * held. */
static void wait_change(struct restore *run)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 100000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	if (pthread_cond_timedwait(&run->changed, &run->lock, &until) != 0) {
		pthread_mutex_unlock(&run->lock);
		restore_tell(run);
		restore_tick(run);
		pthread_mutex_lock(&run->lock);
	}
}

void jobs_wait(struct restore *run)
{
	job_flush(run);
	pthread_mutex_lock(&run->lock);
	while (run->running > 0)
		wait_change(run);
	pthread_mutex_unlock(&run->lock);
	restore_tell(run);
}

static struct job *job_take(struct restore *run)
{
	struct job *j;

	pthread_mutex_lock(&run->lock);
	while (!run->idle)
		wait_change(run);
	j = run->idle;
	run->idle = j->next;
	pthread_mutex_unlock(&run->lock);
	restore_tell(run);
	return j;
}

void job_add(struct restore *run, const struct item *it, uint64_t size)
{
	struct job *j = run->job;

	if (j && (j->n == RESTORE_JOB_ITEMS || j->bytes >= RESTORE_PIECE ||
		  (j->ndirs == RESTORE_JOB_DIRS &&
		   j->items[j->n - 1].dir != it->dir))) {
		job_flush(run);
		j = NULL;
	}
	if (!j)
		j = run->job = job_take(run);
	if (j->n == 0 || j->items[j->n - 1].dir != it->dir)
		j->ndirs++;
	j->items[j->n] = *it;
	rdir_get(it->dir);
	j->items[j->n].ref = ref_get(&it->ref);
	j->n++;
	j->bytes += size;
}

static struct job *job_new(struct restore *run)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->run = run;
	j->piece = malloc(RESTORE_PIECE);
	if (!j->piece) {
		free(j);
		return NULL;
	}
	return j;
}

static void job_free(struct job *j)
{
	if (!j)
		return;
	free(j->piece);
	free(j);
}

int jobs_init(struct restore *run)
{
	unsigned int threads = run->o->threads, i;
	struct job *j;

	if (threads == 0)
		threads = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	threads = MIN(MAX(threads, 1u), RESTORE_THREADS_MAX);
	run->own = job_new(run);
	if (!run->own)
		return -ENOMEM;
	for (i = 0; i < 2 * threads + 2; i++) {
		j = job_new(run);
		if (!j)
			return -ENOMEM;
		j->next = run->idle;
		run->idle = j;
	}
	run->pool = pool_new(threads, 2 * threads + 2);
	return run->pool ? 0 : -ENOMEM;
}

void jobs_release(struct restore *run)
{
	struct job *j;

	pool_free(run->pool);
	run->pool = NULL;
	while ((j = run->idle)) {
		run->idle = j->next;
		job_free(j);
	}
	job_free(run->own);
	run->own = NULL;
}
