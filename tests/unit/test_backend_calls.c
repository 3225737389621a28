/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What stands between callers and a backend: patience with what fails for the
 * moment, listings that come in pages, the probe, and checks of what a store
 * answers.
 */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/base/lock.h"
#include "store/base/seam.h"
#include "store/base/stop.h"
#include "tests/unit/listed.h"

/* ---- patience ---- */

/* What fails for the moment is asked again: no caller has to. */
static void passing_faults_pass(void **state)
{
	struct backend *b = backend_mem_new();
	struct backend_info info;
	char c;
	int i;

	(void)state;
	support_log_clear();
	for (i = 0; i < 3; i++)
		backend_mem_fail(b, BACKEND_MEM_PUT, "a", 1, -EAGAIN, 0);
	assert_ok(backend_put(b, "a", "x", 1));
	backend_mem_fail(b, BACKEND_MEM_GET, "a", 1, -ETIMEDOUT, 0);
	assert_ok(backend_get(b, "a", 0, &c, 1));
	assert_int_equal(c, 'x');
	backend_mem_fail(b, BACKEND_MEM_HEAD, "a", 1, -ETIMEDOUT, 0);
	assert_ok(backend_head(b, "a", &info));
	backend_mem_fail(b, BACKEND_MEM_SYNC, "a", 1, -EAGAIN, 0);
	assert_ok(backend_sync(b, "a"));
	assert_int_equal(backend_mem_failures(b), 6);
	/* It was put, and the answer was lost: it is there, whoever put it. */
	backend_mem_fail(b, BACKEND_MEM_PUT, "c", 1, -ETIMEDOUT,
			 BACKEND_MEM_LOST_REPLY);
	assert_result(backend_put(b, "c", "x", 1), -EEXIST);
	backend_mem_fail(b, BACKEND_MEM_PUT, "d", 1, -ETIMEDOUT,
			 BACKEND_MEM_LOST_REPLY);
	assert_ok(backend_put_own(b, "d", "x", 1));
	/* It was deleted, and is not there to be deleted again. */
	backend_mem_fail(b, BACKEND_MEM_DELETE, "c", 1, -ETIMEDOUT,
			 BACKEND_MEM_LOST_REPLY);
	assert_ok(backend_delete(b, "c"));
	assert_string_equal(support_log_text(), "");
	/* What is not of the moment is not asked again. */
	backend_mem_fail(b, BACKEND_MEM_GET, "a", 1, -EIO, 0);
	assert_result(backend_get(b, "a", 0, &i, 1), -EIO);
	backend_close(b);
}

static void patience_ends(void **state)
{
	static const int errs[] = { -EAGAIN, -ETIMEDOUT };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(errs); i++) {
		struct backend *b = backend_mem_new();

		support_log_clear();
		backend_mem_set_patience(b, 30000000, NULL);
		backend_mem_fail(b, BACKEND_MEM_PUT, "", 1, errs[i],
				 BACKEND_MEM_STICKY);
		assert_result(backend_put(b, "a", "x", 1), errs[i]);
		assert_said("cannot store a");
		assert_said("it is tried again and again");
		assert_true(backend_mem_failures(b) > 5);
		backend_close(b);
	}
}

/* A call that hangs, on a thread of its own. */
struct hanging {
	struct backend *b;
	struct stop *obeys;
	pthread_t thread;
	int r;
};

static void *run_hanging(void *arg)
{
	struct hanging *h = arg;
	struct backend_info info;

	(void)stop_obey(h->obeys);
	h->r = backend_head(h->b, "a", &info);
	return NULL;
}

static void start_hanging(struct hanging *h, struct backend *b)
{
	h->b = b;
	backend_mem_fail(b, BACKEND_MEM_HEAD, "", 1, 0, BACKEND_MEM_HANGS);
	assert_int_equal(pthread_create(&h->thread, NULL, run_hanging, h), 0);
	while (backend_mem_hanging(b) == 0)
		sched_yield();
}

static int end_of_hanging(struct hanging *h)
{
	pthread_join(h->thread, NULL);
	backend_mem_heal(h->b);
	return h->r;
}

static void hanging_calls_end(void **state)
{
	struct backend *b = backend_mem_new();
	volatile bool stop = false;
	struct stop request = { .serving = 7 };
	struct hanging h = { .obeys = NULL };

	(void)state;
	assert_ok(backend_put(b, "a", "x", 1));
	/* At the deadline, */
	backend_mem_set_patience(b, 20000000, NULL);
	start_hanging(&h, b);
	assert_result(end_of_hanging(&h), -ETIMEDOUT);
	/* when the command is to end, */
	backend_mem_set_patience(b, INT64_MAX / 2, &stop);
	start_hanging(&h, b);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	assert_result(end_of_hanging(&h), -EINTR);
	stop = false;
	/* when nobody waits for the request any more, */
	h.obeys = &request;
	start_hanging(&h, b);
	request.asked = 7;
	assert_result(end_of_hanging(&h), -ECANCELED);
	/* and as if nothing had been when the store goes on. */
	request.asked = 0;
	start_hanging(&h, b);
	backend_mem_release_hanging(b);
	assert_ok(end_of_hanging(&h));
	backend_close(b);
}

/* Pauses end as well. */
static void pauses_end(void **state)
{
	struct backend *b = backend_mem_new();
	volatile bool stop = true;
	char c;

	(void)state;
	backend_mem_set_patience(b, INT64_MAX / 2, &stop);
	backend_mem_fail(b, BACKEND_MEM_GET, "", 1, -EAGAIN,
			 BACKEND_MEM_STICKY);
	assert_result(backend_get(b, "a", 0, &c, 1), -EINTR);
	backend_close(b);
}

/* ---- pages of listings ---- */

static void pages_fail_and_are_whole(void **state)
{
	struct backend_mem_weather w = { .seed = 1,
					 .shuffle = true,
					 .page_names = 3 };
	struct backend *b = backend_mem_new();
	struct backend_mem_counts n;
	unsigned int i;

	(void)state;
	for (i = 0; i < 10; i++)
		assert_ok(backend_put(b, support_path("index/%u", i), "", 0));
	backend_mem_set_weather(b, &w);
	for (i = 1; i <= 4; i++) {
		struct listed s = { 0 };
		unsigned int k;

		/* Each name comes once, whichever page had to come twice. */
		backend_mem_reset_counts(b);
		backend_mem_fail(b, BACKEND_MEM_LIST, "", i, -ETIMEDOUT, 0);
		assert_ok(backend_list(b, "index/", listed_add, &s));
		assert_int_equal(s.n, 10);
		for (k = 0; k < 10; k++)
			assert_non_null(
				strstr(s.names, support_path("index/%u ", k)));
		assert_null(strstr(s.names, "index/0 index/1 index/2 index/3 "
					    "index/4 index/5"));
		backend_mem_get_counts(b, NULL, &n);
		assert_int_equal(n.calls[BACKEND_MEM_LIST], 5);
		/* A page that cannot be had is no end of the list. */
		backend_mem_fail(b, BACKEND_MEM_LIST, "", i, -EIO, 0);
		assert_result(backend_list(b, "index/", listed_add, &s), -EIO);
	}
	backend_close(b);
}

/* ---- pages at once ---- */

struct meeting {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Protected by the lock. */
	unsigned int pages, in, most;
};

/* The second page waits until another is being fetched too. */
static int meet(void *arg, enum backend_mem_op op, const char *name)
{
	struct meeting *m = arg;
	struct timespec end;

	(void)name;
	if (op != BACKEND_MEM_LIST)
		return 0;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 20;
	SCOPED_LOCK(&m->lock);
	m->most = MAX(m->most, ++m->in);
	pthread_cond_broadcast(&m->changed);
	/* The first page is alone: what follows it is not known yet. */
	while (m->pages++ > 0 && m->most < 2 &&
	       pthread_cond_timedwait(&m->changed, &m->lock, &end) == 0)
		;
	m->in--;
	return 0;
}

static void pages_come_at_once(void **state)
{
	struct backend_mem_weather w = { .page_names = 3, .list_threads = 4 };
	struct meeting m = { .lock = PTHREAD_MUTEX_INITIALIZER,
			     .changed = PTHREAD_COND_INITIALIZER };
	struct backend *b = backend_mem_new();
	struct listed s = { 0 };
	unsigned int i;

	(void)state;
	for (i = 0; i < 40; i++)
		assert_ok(backend_put(b, support_path("index/%02u", i), "", 0));
	backend_mem_set_weather(b, &w);
	backend_mem_watch(b, meet, &m);
	assert_ok(backend_list(b, "index/", listed_add, &s));
	assert_true(m.most > 1);
	assert_int_equal(s.n, 40);
	for (i = 0; i < 40; i++)
		assert_non_null(
			strstr(s.names, support_path("index/%02u ", i)));
	/* A page that cannot be had ends it, whichever thread fetched it. */
	backend_mem_watch(b, NULL, NULL);
	for (i = 1; i < 8; i++) {
		backend_mem_fail(b, BACKEND_MEM_LIST, "", i, -EIO, 0);
		assert_result(backend_list(b, "index/", listed_add, &s), -EIO);
	}
	backend_close(b);
}

static int call_back(void *arg, const char *name,
		     const struct backend_info *info)
{
	struct backend_info again;

	(void)info;
	return backend_head(arg, name, &again);
}

static int list_and_call_back(void *arg)
{
	int r = backend_list(arg, "", call_back, arg);

	return r < 0 ? 1 : 0;
}

/* A store with one connection would wait for ever: it is our bug, and is found
 * where there is no such store, too. */
static void no_calls_from_a_listing(void **state)
{
	struct backend *b = backend_mem_new();

	(void)state;
	assert_ok(backend_put(b, "a", "x", 1));
	assert_int_equal(support_fork(list_and_call_back, b), -SIGABRT);
	backend_close(b);
}

/* ---- the probe sees a store that does not keep its word ---- */

struct liar {
	struct backend *b;
	enum backend_mem_op op;
	unsigned int nth;
	enum { REMOVE, RESIZE, FLIP, BRING_BACK, REFUSE } how;
	char name[BACKEND_NAME_MAX + 1]; /* of the probe's object */
};

static int lie(void *arg, enum backend_mem_op op, const char *name)
{
	struct liar *l = arg;
	size_t len;

	if (op == BACKEND_MEM_PUT)
		snprintf(l->name, sizeof(l->name), "%s", name);
	if (op != l->op || --l->nth > 0)
		return 0;
	switch (l->how) {
	case REMOVE:
		return backend_mem_remove(l->b, l->name);
	case RESIZE:
		return backend_mem_resize(l->b, l->name, 3);
	case FLIP:
		backend_mem_data(l->b, l->name, &len)[5] ^= 1;
		return 0;
	case BRING_BACK:
		return backend_mem_set(l->b, l->name, "", 0);
	default:
		return -EACCES;
	}
}

static void probe_finds_liars(void **state)
{
	static const struct {
		struct liar liar;
		int err;
		const char *words;
	} lies[] = {
		{ { NULL, BACKEND_MEM_PUT, 1, REFUSE, "" }, -EACCES, "store" },
		{ { NULL, BACKEND_MEM_PUT, 2, REMOVE, "" },
		  -EIO,
		  "a second object took the first's name" },
		{ { NULL, BACKEND_MEM_PUT, 2, REFUSE, "" }, -EACCES, "store" },
		{ { NULL, BACKEND_MEM_LIST, 1, REMOVE, "" },
		  -EIO,
		  "missing in the listing" },
		{ { NULL, BACKEND_MEM_LIST, 1, RESIZE, "" },
		  -EIO,
		  "wrong size" },
		{ { NULL, BACKEND_MEM_LIST, 1, REFUSE, "" }, -EACCES, "list" },
		{ { NULL, BACKEND_MEM_HEAD, 1, REMOVE, "" },
		  -EIO,
		  "size is not known" },
		{ { NULL, BACKEND_MEM_GET, 1, REMOVE, "" },
		  -EIO,
		  "cannot be read" },
		{ { NULL, BACKEND_MEM_GET, 1, FLIP, "" }, -EIO, "other bytes" },
		{ { NULL, BACKEND_MEM_DELETE, 1, REMOVE, "" },
		  -EIO,
		  "cannot be deleted" },
		{ { NULL, BACKEND_MEM_DELETE, 1, REFUSE, "" },
		  -EACCES,
		  "delete" },
		{ { NULL, BACKEND_MEM_HEAD, 2, BRING_BACK, "" },
		  -EIO,
		  "a deleted object is still there" },
		{ { NULL, BACKEND_MEM_LIST, 2, BRING_BACK, "" },
		  -EIO,
		  "a deleted object is still listed" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		struct liar liar = lies[i].liar;

		liar.b = backend_mem_new();
		backend_mem_watch(liar.b, lie, &liar);
		support_log_clear();
		assert_result(backend_probe(liar.b), lies[i].err);
		assert_said(lies[i].words);
		backend_close(liar.b);
	}
}

/* A listing that invents names does not reach its callers. */
static void list_is_checked(void **state)
{
	static const char *const names[] = { "pack/..", "pack/A", "pack//x" };
	struct listed s = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		struct backend *b = backend_mem_new();

		assert_ok(backend_mem_set(b, names[i], "", 0));
		assert_result(backend_list(b, "pack/", listed_add, &s),
			      -EBADMSG);
		backend_close(b);
	}
	assert_int_equal(s.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passing_faults_pass),
		cmocka_unit_test(patience_ends),
		cmocka_unit_test(hanging_calls_end),
		cmocka_unit_test(pauses_end),
		cmocka_unit_test(pages_fail_and_are_whole),
		cmocka_unit_test(pages_come_at_once),
		cmocka_unit_test(no_calls_from_a_listing),
		cmocka_unit_test(probe_finds_liars),
		cmocka_unit_test(list_is_checked),
	};

	support_log_capture();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
