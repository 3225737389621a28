/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/bytes.h"
#include "store/base/cache.h"

#define SIZE 1000

static atomic_int alive, loads;

struct object {
	uint64_t number;
};

static void object_free(void *object)
{
	atomic_fetch_sub(&alive, 1);
	free(object);
}

static struct cache_key key_of(uint64_t n)
{
	struct cache_key k = { { 0 } };

	put_le64(k.b, n);
	return k;
}

static int load(void *arg, const struct cache_key *key, void **object_out,
		size_t *bytes_out)
{
	struct object *o;

	atomic_fetch_add(&loads, 1);
	if (arg && *(int *)arg < 0)
		return *(int *)arg;
	o = malloc(sizeof(*o));
	if (!o)
		return -ENOMEM;
	atomic_fetch_add(&alive, 1);
	o->number = get_le64(key->b);
	*object_out = o;
	*bytes_out = SIZE;
	return 0;
}

static int setup(void **state)
{
	atomic_store(&alive, 0);
	atomic_store(&loads, 0);
	*state = cache_new(10 * SIZE, object_free);
	assert_non_null(*state);
	return 0;
}

static int teardown(void **state)
{
	cache_free(*state);
	assert_int_equal(atomic_load(&alive), 0);
	return 0;
}

static struct object *get(struct cache *c, uint64_t n)
{
	struct cache_key k = key_of(n);
	void *o;

	assert_ok(cache_get(c, &k, load, NULL, &o));
	assert_int_equal(((struct object *)o)->number, n);
	return o;
}

static void put(struct cache *c, uint64_t n)
{
	struct cache_key k = key_of(n);

	cache_put(c, &k);
}

static bool there(struct cache *c, uint64_t n)
{
	struct cache_key k = key_of(n);
	void *o = cache_peek(c, &k);

	if (o)
		cache_put(c, &k);
	return o;
}

static void loaded_once(void **state)
{
	struct cache *c = *state;
	struct cache_stats st;
	void *a = get(c, 1), *b = get(c, 1);

	assert_ptr_equal(a, b);
	put(c, 1);
	put(c, 1);
	assert_ptr_equal(get(c, 1), a);
	put(c, 1);
	cache_get_stats(c, &st);
	assert_int_equal(st.loads, 1);
	assert_int_equal(st.hits, 2);
	assert_int_equal(st.bytes, SIZE);
	assert_int_equal(st.limit, 10 * SIZE);
}

static void oldest_goes_first(void **state)
{
	struct cache *c = *state;
	uint64_t i;

	for (i = 0; i < 10; i++) {
		get(c, i);
		put(c, i);
	}
	get(c, 0); /* used again */
	put(c, 0);
	get(c, 10);
	put(c, 10);
	assert_true(there(c, 0));
	assert_false(there(c, 1));
	assert_true(there(c, 2));
	assert_int_equal(atomic_load(&alive), 10);
}

static void held_ones_stay(void **state)
{
	struct cache *c = *state;
	struct cache_stats st;
	struct object *first = get(c, 0);
	struct cache_key k = key_of(0);
	uint64_t i;

	for (i = 1; i < 50; i++) {
		get(c, i);
		if (i >= 30)
			put(c, i);
	}
	/* 30 are held, three times what may be kept. */
	assert_int_equal(atomic_load(&alive), 30);
	assert_int_equal(first->number, 0);
	cache_hold(c, &k);
	for (i = 0; i < 30; i++)
		put(c, i);
	assert_int_equal(first->number, 0);
	assert_int_equal(atomic_load(&alive), 10);
	cache_clear(c);
	assert_int_equal(atomic_load(&alive), 1);
	put(c, 0);
	cache_clear(c);
	cache_get_stats(c, &st);
	assert_int_equal(st.bytes, 0);
}

static void a_failed_load_leaves_nothing(void **state)
{
	struct cache *c = *state;
	struct cache_key k = key_of(5);
	int err = -EBADMSG;
	void *o = &err;

	assert_result(cache_get(c, &k, load, &err, &o), -EBADMSG);
	assert_null(o);
	assert_false(there(c, 5));
	get(c, 5);
	put(c, 5);
	assert_int_equal(atomic_load(&loads), 2);
}

static void no_limit_keeps_nothing(void **state)
{
	struct cache *c = cache_new(0, object_free);

	(void)state;
	get(c, 1);
	assert_int_equal(atomic_load(&alive), 1);
	put(c, 1);
	assert_int_equal(atomic_load(&alive), 0);
	cache_free(c);
	cache_free(NULL);
}

/* ---- threads ---- */

struct meet {
	struct cache *cache;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	int waiting; /* threads that are about to ask */
	int result; /* of the load */
	int answers[4];
};

/* Returns when all have asked, or are just about to. */
static int slow_load(void *arg, const struct cache_key *key, void **object_out,
		     size_t *bytes_out)
{
	struct meet *m = arg;

	pthread_mutex_lock(&m->lock);
	while (m->waiting < 4)
		pthread_cond_wait(&m->cond, &m->lock);
	pthread_mutex_unlock(&m->lock);
	return load(&m->result, key, object_out, bytes_out);
}

static void *ask(void *arg)
{
	struct meet *m = arg;
	struct cache_key k = key_of(9);
	void *o;
	int me, r;

	pthread_mutex_lock(&m->lock);
	me = m->waiting++;
	pthread_cond_broadcast(&m->cond);
	pthread_mutex_unlock(&m->lock);
	r = cache_get(m->cache, &k, slow_load, m, &o);
	if (r == 0) {
		r = ((struct object *)o)->number == 9 ? 0 : -EILSEQ;
		cache_put(m->cache, &k);
	}
	m->answers[me] = r;
	return NULL;
}

static void all_ask_at_once(struct cache *c, int result)
{
	struct meet m = { .cache = c, .result = result };
	pthread_t t[4];
	int i;

	pthread_mutex_init(&m.lock, NULL);
	pthread_cond_init(&m.cond, NULL);
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, ask, &m), 0);
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	for (i = 0; i < 4; i++)
		assert_result(m.answers[i], result);
	pthread_cond_destroy(&m.cond);
	pthread_mutex_destroy(&m.lock);
}

static void loaded_once_for_all(void **state)
{
	all_ask_at_once(*state, 0);
	assert_int_equal(atomic_load(&loads), 1);
}

static void all_learn_of_a_failure(void **state)
{
	all_ask_at_once(*state, -EIO);
	assert_false(there(*state, 9));
}

static void *many_gets(void *arg)
{
	struct cache *c = arg;
	uint64_t rng = (uint64_t)(uintptr_t)&rng;
	int i;

	for (i = 0; i < 20000; i++) {
		struct cache_key k;
		void *o, *p;

		rng = rng * UINT64_C(6364136223846793005) + 1;
		k = key_of(rng >> 33 & 31);
		if (cache_get(c, &k, load, NULL, &o) < 0 ||
		    ((struct object *)o)->number != (rng >> 33 & 31))
			return c;
		p = cache_peek(c, &k);
		if (p != o)
			return c;
		cache_put(c, &k);
		cache_put(c, &k);
	}
	return NULL;
}

static void many_threads(void **state)
{
	struct cache *c = *state;
	struct cache_stats st;
	pthread_t t[4];
	void *bad;
	int i;

	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, many_gets, c), 0);
	for (i = 0; i < 4; i++) {
		pthread_join(t[i], &bad);
		assert_null(bad);
	}
	cache_get_stats(c, &st);
	assert_true(st.bytes <= st.limit);
	assert_int_equal(st.bytes, (uint64_t)atomic_load(&alive) * SIZE);
	assert_int_equal(st.hits + st.loads, 4 * 20000 * 2);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(loaded_once),
		CASE(oldest_goes_first),
		CASE(held_ones_stay),
		CASE(a_failed_load_leaves_nothing),
		CASE(no_limit_keeps_nothing),
		CASE(loaded_once_for_all),
		CASE(all_learn_of_a_failure),
		CASE(many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
