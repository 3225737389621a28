/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "store/base/pool.h"

/* Wait, but not for ever: a lost wake-up must fail the test, not hang it. */
static bool wait_for(sem_t *sem)
{
	struct timespec end;
	int r;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 60;
	do
		r = sem_timedwait(sem, &end);
	while (r < 0 && errno == EINTR);
	return r == 0;
}

static void count(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
}

struct gate {
	sem_t entered, open;
	atomic_int timeouts;
	atomic_int done;
};

static void gate_init(struct gate *g)
{
	sem_init(&g->entered, 0, 0);
	sem_init(&g->open, 0, 0);
	g->timeouts = 0;
	g->done = 0;
}

static void gate_release(struct gate *g)
{
	sem_destroy(&g->entered);
	sem_destroy(&g->open);
}

/* A job that says that it runs, then stands until it may go on. */
static void stand(void *arg)
{
	struct gate *g = arg;

	sem_post(&g->entered);
	if (!wait_for(&g->open))
		atomic_fetch_add(&g->timeouts, 1);
	atomic_fetch_add(&g->done, 1);
}

static void test_runs_every_job(void **state)
{
	struct pool *p = pool_new(4, 3);
	atomic_int n = 0;
	int i;

	(void)state;
	assert_non_null(p);
	assert_int_equal(pool_threads(p), 4);
	for (i = 0; i < 10000; i++)
		pool_run(p, count, &n);
	pool_wait(p);
	assert_int_equal(n, 10000);
	pool_wait(p); /* at once */
	pool_run(p, count, &n);
	pool_wait(p);
	assert_int_equal(n, 10001);
	pool_free(p);
}

static void test_free_runs_what_is_queued(void **state)
{
	struct pool *p = pool_new(1, 100);
	atomic_int n = 0;
	struct gate g;
	int i;

	(void)state;
	gate_init(&g);
	pool_run(p, stand, &g);
	assert_true(wait_for(&g.entered));
	for (i = 0; i < 100; i++)
		pool_run(p, count, &n);
	assert_int_equal(n, 0);
	sem_post(&g.open);
	pool_free(p);
	assert_int_equal(n, 100);
	assert_int_equal(g.timeouts, 0);
	gate_release(&g);
}

static void test_jobs_run_side_by_side(void **state)
{
	struct pool *p = pool_new(3, 8);
	struct gate g;
	int i;

	(void)state;
	gate_init(&g);
	for (i = 0; i < 3; i++)
		pool_run(p, stand, &g);
	for (i = 0; i < 3; i++) /* all three stand at once */
		assert_true(wait_for(&g.entered));
	for (i = 0; i < 3; i++)
		sem_post(&g.open);
	pool_wait(p);
	assert_int_equal(g.done, 3);
	assert_int_equal(g.timeouts, 0);
	pool_free(p);
	gate_release(&g);
}

static void test_try_when_full(void **state)
{
	struct pool *p = pool_new(1, 2);
	atomic_int n = 0;
	struct gate g;

	(void)state;
	gate_init(&g);
	assert_true(pool_try(p, stand, &g));
	assert_true(wait_for(&g.entered)); /* the thread is taken */
	assert_true(pool_try(p, count, &n));
	assert_true(pool_try(p, count, &n));
	assert_false(pool_try(p, count, &n));
	sem_post(&g.open);
	pool_wait(p);
	assert_int_equal(n, 2);
	assert_true(pool_try(p, count, &n));
	pool_wait(p);
	assert_int_equal(n, 3);
	pool_free(p);
	gate_release(&g);
}

struct waiter {
	struct pool *pool;
	struct gate *gate;
	sem_t waiting, returned;
	atomic_int early; /* waits that returned before the job was done */
};

static void *wait_main(void *arg)
{
	struct waiter *w = arg;

	sem_post(&w->waiting);
	pool_wait(w->pool);
	if (w->gate->done != 1)
		atomic_fetch_add(&w->early, 1);
	sem_post(&w->returned);
	return NULL;
}

static void wait_in_two_threads(struct pool *p)
{
	struct waiter w = { .pool = p };
	pthread_t threads[2];
	struct gate g;
	int i;

	gate_init(&g);
	w.gate = &g;
	sem_init(&w.waiting, 0, 0);
	sem_init(&w.returned, 0, 0);
	pool_run(p, stand, &g);
	assert_true(wait_for(&g.entered));
	for (i = 0; i < 2; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, wait_main, &w), 0);
	for (i = 0; i < 2; i++)
		assert_true(wait_for(&w.waiting));
	assert_int_equal(sem_trywait(&w.returned), -1);
	sem_post(&g.open);
	for (i = 0; i < 2; i++) /* both are told */
		assert_true(wait_for(&w.returned));
	assert_int_equal(w.early, 0);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	sem_destroy(&w.waiting);
	sem_destroy(&w.returned);
	gate_release(&g);
}

/* Many times: whether both threads sleep by then is the scheduler's choice. */
static void test_wait_waits_for_running_jobs(void **state)
{
	struct pool *p = pool_new(2, 2);
	int i;

	(void)state;
	for (i = 0; i < 300; i++)
		wait_in_two_threads(p);
	pool_free(p);
}

struct order {
	int next;
	int wrong;
};

struct numbered {
	struct order *order;
	int number;
};

static void check_order(void *arg)
{
	struct numbered *job = arg;

	if (job->order->next++ != job->number)
		job->order->wrong++;
}

static void test_one_thread_keeps_the_order(void **state)
{
	struct pool *p = pool_new(1, 5);
	struct order order = { 0, 0 };
	struct numbered jobs[500];
	int i;

	(void)state;
	for (i = 0; i < 500; i++) {
		jobs[i].order = &order;
		jobs[i].number = i;
		pool_run(p, check_order, &jobs[i]);
	}
	pool_free(p);
	assert_int_equal(order.next, 500);
	assert_int_equal(order.wrong, 0);
}

static void read_mask(void *arg)
{
	pthread_sigmask(SIG_SETMASK, NULL, arg);
}

static void test_threads_take_no_signals(void **state)
{
	struct pool *p = pool_new(1, 1);
	sigset_t theirs, ours;

	(void)state;
	sigemptyset(&theirs);
	pool_run(p, read_mask, &theirs);
	pool_free(p);
	assert_int_equal(sigismember(&theirs, SIGINT), 1);
	assert_int_equal(sigismember(&theirs, SIGUSR1), 1);
	pthread_sigmask(SIG_SETMASK, NULL, &ours);
	assert_int_equal(sigismember(&ours, SIGINT), 0);
}

static void test_free_null_and_unused(void **state)
{
	(void)state;
	pool_free(NULL);
	pool_free(pool_new(2, 0));
}

static void test_queue_of_none_still_works(void **state)
{
	struct pool *p = pool_new(1, 0);
	atomic_int n = 0;
	int i;

	(void)state;
	for (i = 0; i < 100; i++)
		pool_run(p, count, &n);
	pool_wait(p);
	assert_int_equal(n, 100);
	pool_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runs_every_job),
		cmocka_unit_test(test_free_runs_what_is_queued),
		cmocka_unit_test(test_jobs_run_side_by_side),
		cmocka_unit_test(test_try_when_full),
		cmocka_unit_test(test_wait_waits_for_running_jobs),
		cmocka_unit_test(test_one_thread_keeps_the_order),
		cmocka_unit_test(test_threads_take_no_signals),
		cmocka_unit_test(test_free_null_and_unused),
		cmocka_unit_test(test_queue_of_none_still_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
