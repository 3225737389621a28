/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "store/base/array.h"

static void test_grows(void **state)
{
	uint32_t *items = NULL;
	size_t cap = 0, grown = 0, before;

	(void)state;
	for (size_t i = 0; i < 1000; i++) {
		before = cap;
		assert_int_equal(array_reserve(&items, &cap, i + 1), 0);
		assert_true(cap > i);
		grown += cap != before;
		items[i] = (uint32_t)i;
	}
	assert_true(grown < 12);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(items[i], i);
	free(items);
}

static void test_jumps(void **state)
{
	char *items = NULL;
	size_t cap = 0;

	(void)state;
	assert_int_equal(array_reserve(&items, &cap, 12345), 0);
	assert_true(cap >= 12345);
	free(items);
}

/* What cannot be had leaves the array as it was. */
static void test_overflow(void **state)
{
	uint64_t *items = NULL, *same;
	size_t cap = 0, was;

	(void)state;
	assert_int_equal(array_reserve(&items, &cap, 3), 0);
	items[2] = 7;
	same = items;
	was = cap;
	assert_int_equal(array_reserve(&items, &cap, SIZE_MAX / 8 + 1),
			 -ENOMEM);
	assert_int_equal(array_reserve(&items, &cap, SIZE_MAX), -ENOMEM);
	assert_ptr_equal(items, same);
	assert_int_equal(cap, was);
	assert_int_equal(items[2], 7);
	free(items);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_jumps),
		cmocka_unit_test(test_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
