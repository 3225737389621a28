/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/support.h"

#include "src/backup/links.h"

static struct stat file(dev_t dev, ino_t ino, nlink_t nlink)
{
	return (struct stat){ .st_dev = dev, .st_ino = ino, .st_nlink = nlink };
}

static void first_and_others(void **state)
{
	struct links *l = links_new();
	struct stat a = file(1, 10, 3), b = file(2, 10, 2);
	struct link *k;
	bool first;

	(void)state;
	assert_non_null(l);
	k = links_find(l, &a, &first);
	assert_non_null(k);
	assert_true(first);
	assert_ptr_not_equal(links_find(l, &b, &first), k);
	assert_true(first);
	assert_ptr_equal(links_find(l, &a, &first), k);
	assert_false(first);
	links_free(l);
}

static void forgotten_after_the_last_name(void **state)
{
	struct links *l = links_new();
	struct stat a = file(1, 10, 2);
	struct link *k;
	bool first;

	(void)state;
	k = links_find(l, &a, &first);
	links_done(l, k);
	assert_ptr_equal(links_find(l, &a, &first), k);
	assert_false(first);
	links_done(l, k);
	k = links_find(l, &a, &first);
	assert_true(first);
	links_done(l, k);
	links_free(l);
}

/* A third name of a file that said two: made meanwhile, or its directory is
 * mounted twice. The file stays while anybody holds it. */
static void more_names_than_links(void **state)
{
	struct links *l = links_new();
	struct stat a = file(1, 10, 2);
	struct link *k[4];
	bool first;
	int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		k[i] = links_find(l, &a, &first);
		assert_true(first == (i == 0));
		assert_ptr_equal(k[i], k[0]);
	}
	buf_put(&k[0]->content, "content", 7);
	for (i = 0; i < 4; i++) {
		assert_int_equal(k[i]->content.len, 7);
		links_done(l, k[i]);
	}
	assert_non_null(links_find(l, &a, &first));
	assert_true(first);
	links_free(l);
}

static void many(void **state)
{
	struct links *l = links_new();
	struct link **k = calloc(20000, sizeof(*k));
	struct stat st;
	bool first;
	size_t i;

	(void)state;
	assert_non_null(k);
	for (i = 0; i < 20000; i++) {
		st = file(i % 3, i / 3, 2);
		k[i] = links_find(l, &st, &first);
		assert_true(first);
	}
	for (i = 0; i < 20000; i++) {
		st = file(i % 3, i / 3, 2);
		assert_ptr_equal(links_find(l, &st, &first), k[i]);
		assert_false(first);
		links_done(l, k[i]);
		links_done(l, k[i]);
	}
	for (i = 0; i < 20000; i++) {
		st = file(i % 3, i / 3, 2);
		assert_non_null(links_find(l, &st, &first));
		assert_true(first);
	}
	links_free(l);
	links_free(NULL);
	free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_and_others),
		cmocka_unit_test(forgotten_after_the_last_name),
		cmocka_unit_test(more_names_than_links),
		cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
