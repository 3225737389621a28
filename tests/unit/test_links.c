/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/support.h"

#include <malloc.h>
#include <string.h>

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
	struct link_found f = { .failed = false };
	struct link *k[4];
	bool first;
	int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		k[i] = links_find(l, &a, &first);
		assert_true(first == (i == 0));
		assert_ptr_equal(k[i], k[0]);
	}
	buf_put(&f.content, "content", 7);
	assert_ok(link_set(k[0], &f));
	for (i = 0; i < 4; i++) {
		struct link_found got = { .failed = true };

		assert_ok(link_get(k[i], &got));
		assert_false(got.failed);
		assert_int_equal(got.content.len, 7);
		buf_release(&got.content);
		buf_release(&got.xattrs);
		links_done(l, k[i]);
	}
	buf_release(&f.content);
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

static void gives_back_what_was_found(void **state)
{
	static const struct stat most = {
		.st_mode = S_IFREG | 07777,
		.st_uid = UINT32_MAX,
		.st_gid = UINT32_MAX,
		.st_nlink = UINT32_MAX,
		.st_size = INT64_MAX,
		.st_mtim = { INT64_MIN, 999999999 },
		.st_ctim = { INT64_MAX, 999999999 },
	};
	struct links *l = links_new();
	struct stat a = file(1, 10, 2);
	struct link_found f = { .has_acl = true, .st = most }, got = f;
	bool first;
	struct link *k = links_find(l, &a, &first);

	(void)state;
	assert_non_null(k);
	buf_put(&f.xattrs, "attributes", 10);
	buf_put(&f.content, "x", 1);
	assert_ok(link_set(k, &f));
	memset(&got.st, 0, sizeof(got.st));
	got.has_acl = false;
	got.partial = got.failed = true;
	buf_put(&got.content, "something longer", 16);
	assert_ok(link_get(k, &got));
	assert_memory_equal(&got.st, &most, sizeof(most));
	assert_true(got.has_acl && !got.partial && !got.failed);
	assert_int_equal(got.xattrs.len, 10);
	assert_memory_equal(got.xattrs.data, "attributes", 10);
	assert_int_equal(got.content.len, 1);
	assert_memory_equal(got.content.data, "x", 1);
	links_free(l);

	l = links_new();
	k = links_find(l, &a, &first);
	f.failed = true;
	assert_ok(link_set(k, &f));
	assert_ok(link_get(k, &got));
	assert_true(got.failed);
	links_free(l);
	buf_release(&f.xattrs);
	buf_release(&f.content);
	buf_release(&got.xattrs);
	buf_release(&got.content);
}

#define MANY 100000
#define MANY_BYTES 160 /* a file: vmbackup(1) says so */

/* 100,000 files of one chunk, whose other names are still to come. */
static void takes_little_memory(void **state)
{
	static const uint8_t content[40] = { 1, 1 };
	struct links *l = links_new();
	struct link_found f = { .st = { .st_mode = S_IFREG | 0644,
					.st_uid = 1000,
					.st_gid = 1000,
					.st_nlink = 2,
					.st_size = 100000,
					.st_mtim = { 1800000000, 123456789 },
					.st_ctim = { 1800000000,
						     123456789 } } };
	size_t before = mallinfo2().uordblks + mallinfo2().hblkhd, i;
	struct link *k;
	bool first;

	(void)state;
	buf_put(&f.content, content, sizeof(content));
	for (i = 0; i < MANY; i++) {
		struct stat st = file(1, i, 2);

		k = links_find(l, &st, &first);
		assert_non_null(k);
		assert_ok(link_set(k, &f));
		links_done(l, k);
	}
	i = mallinfo2().uordblks + mallinfo2().hblkhd - before;
	assert_true(i / MANY <= MANY_BYTES);
	links_free(l);
	buf_release(&f.content);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_and_others),
		cmocka_unit_test(forgotten_after_the_last_name),
		cmocka_unit_test(more_names_than_links),
		cmocka_unit_test(many),
		cmocka_unit_test(gives_back_what_was_found),
		cmocka_unit_test(takes_little_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
