/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fs/guest/lru.h"

#define ROOM ((size_t)100 << 10)
#define ITEM ((size_t)10 << 10)

static atomic_int alive;

struct thing {
	atomic_int refs;
	uint64_t value;
};

static struct thing *thing_new(uint64_t value)
{
	struct thing *t = malloc(sizeof(*t));

	assert_non_null(t);
	atomic_init(&t->refs, 1);
	t->value = value;
	alive++;
	return t;
}

static void get(void *object)
{
	struct thing *t = object;

	t->refs++;
}

static void put(void *object)
{
	struct thing *t = object;

	if (--t->refs == 0) {
		free(t);
		alive--;
	}
}

static const struct lru_ops ops = { .get = get, .put = put };

static void keep(struct lru_part *p, uint64_t a, uint64_t b, size_t bytes)
{
	struct thing *t = thing_new(a * 1000 + b);

	lru_add(p, a, b, t, bytes);
	put(t);
}

static bool has(struct lru_part *p, uint64_t a, uint64_t b)
{
	struct thing *t = lru_get(p, a, b);

	if (!t)
		return false;
	assert_int_equal(t->value, a * 1000 + b);
	put(t);
	return true;
}

/* Who adds makes room at the cost of what is oldest, whosever it is. */
static void test_shared(void **state)
{
	struct lru *l = lru_new(ROOM);
	struct lru_part p[2] = { { 0 } };
	uint64_t i;

	(void)state;
	lru_part_init(&p[0], l, &ops);
	lru_part_init(&p[1], l, &ops);
	for (i = 0; i < 10; i++)
		keep(&p[i % 2], i, 0, ITEM);
	assert_int_equal(lru_bytes(l), ROOM);
	assert_true(has(&p[0], 0, 0)); /* now the newest */
	for (i = 10; i < 15; i++)
		keep(&p[1], i, 0, ITEM);
	assert_int_equal(lru_bytes(l), ROOM);
	assert_int_equal(alive, 10);
	assert_true(has(&p[0], 0, 0));
	for (i = 1; i < 6; i++)
		assert_false(has(&p[i % 2], i, 0));
	for (i = 6; i < 10; i++)
		assert_true(has(&p[i % 2], i, 0));
	lru_part_release(&p[1]);
	assert_int_equal(alive, 3);
	assert_int_equal(lru_bytes(l), 3 * ITEM);
	assert_true(has(&p[0], 6, 0));
	lru_part_release(&p[0]);
	assert_int_equal(alive, 0);
	lru_free(l);
}

static void test_keys(void **state)
{
	struct lru *l = lru_new(ROOM);
	struct lru_part p[2] = { { 0 } };
	struct thing *t;

	(void)state;
	lru_part_init(&p[0], l, &ops);
	lru_part_init(&p[1], l, &ops);
	keep(&p[0], 1, 2, ITEM);
	assert_false(has(&p[1], 1, 2));
	assert_false(has(&p[0], 1, 3));
	assert_false(has(&p[0], 2, 2));
	keep(&p[0], 1, 2, ITEM); /* the first one stays */
	assert_int_equal(lru_bytes(l), ITEM);
	keep(&p[0], 3, 3, ROOM + 1); /* too large */
	assert_false(has(&p[0], 3, 3));
	assert_true(has(&p[0], 1, 2));
	keep(&p[0], 4, 4, 1); /* small ones are not for nothing */
	assert_int_equal(lru_bytes(l), ITEM + LRU_LEAST);
	/* What is held outlives its place. */
	t = lru_get(&p[0], 1, 2);
	keep(&p[1], 5, 5, ROOM);
	assert_false(has(&p[0], 1, 2));
	assert_int_equal(t->value, 1002);
	put(t);
	lru_part_release(&p[0]);
	lru_part_release(&p[1]);
	assert_int_equal(alive, 0);
	lru_free(l);
	lru_free(NULL);
}

/* Parts come and go while others push their things out. */
static void *come_and_go(void *arg)
{
	struct lru_part p;
	uint64_t i, k;

	for (k = 0; k < 50; k++) {
		lru_part_init(&p, arg, &ops);
		for (i = 0; i < 100; i++) {
			keep(&p, i % 13, k % 7, ITEM / 3);
			(void)has(&p, i % 5, k % 7);
		}
		lru_part_release(&p);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct lru *l = lru_new(ROOM);
	pthread_t threads[4];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, come_and_go, l), 0);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(lru_bytes(l), 0);
	assert_int_equal(alive, 0);
	lru_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
