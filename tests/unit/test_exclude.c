/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/scan/exclude.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static bool match_fold(const char *pattern, const char *path, bool dir,
		       bool fold)
{
	struct exclude *x = exclude_new();
	bool yes;

	assert_non_null(x);
	assert_int_equal(exclude_add(x, pattern, fold), 0);
	yes = exclude_match(x, path, dir);
	exclude_free(x);
	return yes;
}

static bool match(const char *pattern, const char *path)
{
	return match_fold(pattern, path, false, false);
}

static void one_name(void **state)
{
	(void)state;
	assert_true(match("*.o", "/a/b.o"));
	assert_true(match("*.o", "/.o"));
	assert_false(match("*.o", "/a/b.oo"));
	assert_false(match("*.o", "/a.o/b"));
	assert_true(match("a?c", "/abc"));
	assert_false(match("a?c", "/ac"));
	assert_false(match("a?c", "/a/c"));
	assert_true(match("a*b*c", "/aXbYbZc"));
	assert_false(match("a*b*c", "/aXbYbZ"));
	assert_true(match("[ab]x", "/bx"));
	assert_false(match("[!ab]x", "/bx"));
	assert_true(match("[^ab]x", "/cx"));
	assert_true(match("[]a]", "/]"));
	assert_true(match("[a-c]", "/b"));
	assert_false(match("[a-c]", "/d"));
	assert_true(match("[a-]", "/-"));
	assert_true(match("\\*", "/*"));
	assert_false(match("\\*", "/x"));
	assert_true(match(".*", "/.hidden"));
	assert_true(match("*", "/.hidden"));
}

static void characters(void **state)
{
	(void)state;
	assert_true(match("a?b", "/a\xc3\xa4"
				 "b"));
	assert_true(match("a??b", "/a\xff\xfe"
				  "b"));
	assert_false(match("a?b", "/a\xff\xfe"
				  "b"));
	assert_true(match("[\xc3\xa4\xc3\xb6]", "/\xc3\xb6"));
	assert_false(match("[\xc3\xa4\xc3\xb6]", "/\xc3"));
	assert_true(match("*\xb6", "/\xc3\xb6\xb6"));
}

static void rooted(void **state)
{
	(void)state;
	assert_true(match("/a/b", "/a/b"));
	assert_false(match("/a/b", "/x/a/b"));
	assert_false(match("/a/b", "/a/b/c"));
	assert_false(match("/a/b", "/a"));
	assert_true(match("/a/*/c", "/a/b/c"));
	assert_false(match("/a/*/c", "/a/b/b/c"));
	assert_true(match("/a//./b", "/a/b"));
}

static void tails(void **state)
{
	(void)state;
	assert_true(match("a/b", "/a/b"));
	assert_true(match("a/b", "/x/y/a/b"));
	assert_false(match("a/b", "/a/b/c"));
	assert_true(match("./b", "/x/b"));
	assert_true(match("a/*", "/a/a/a"));
}

static void any_depth(void **state)
{
	(void)state;
	assert_true(match("/a/**/c", "/a/c"));
	assert_true(match("/a/**/c", "/a/b/c"));
	assert_true(match("/a/**/c", "/a/b/b/c"));
	assert_false(match("/a/**/c", "/a/b/b/d"));
	assert_true(match("/a/**", "/a/b/c"));
	assert_true(match("/**/x/**/y", "/1/x/2/3/x/y"));
	assert_true(match("**/c", "/c"));
	assert_false(match("/a/**b", "/a/x/b"));
}

static void directories_only(void **state)
{
	(void)state;
	assert_true(match_fold("tmp/", "/a/tmp", true, false));
	assert_false(match_fold("tmp/", "/a/tmp", false, false));
}

static void fold(void **state)
{
	(void)state;
	assert_true(match_fold("*.JPG", "/x.jpg", false, true));
	assert_true(match_fold("[A-C]", "/b", false, true));
	assert_false(match_fold("*.JPG", "/x.jpg", false, false));
}

static void last_match_decides(void **state)
{
	struct exclude *x = exclude_new();

	(void)state;
	assert_true(exclude_empty(x));
	assert_false(exclude_match(x, "/a", false));
	assert_int_equal(exclude_add(x, "*.log", false), 0);
	assert_int_equal(exclude_add(x, "!keep.log", false), 0);
	assert_int_equal(exclude_add(x, "/b/*", false), 0);
	assert_false(exclude_empty(x));
	assert_true(exclude_match(x, "/a/x.log", false));
	assert_false(exclude_match(x, "/a/keep.log", false));
	assert_true(exclude_match(x, "/b/keep.log", false));
	exclude_free(x);
}

/* No pattern may cost more than its length times the path's. */
static void hard_pattern(void **state)
{
	char path[4000], pattern[400];
	size_t i;

	(void)state;
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	for (i = 0; i + 2 < sizeof(pattern); i += 2)
		memcpy(pattern + i, "*a", 2);
	memcpy(pattern + i, "b", 2);
	assert_false(match(pattern, path));
	for (i = 1; i + 2 < sizeof(path); i += 2)
		memcpy(path + i, "a/", 2);
	path[i - 1] = '\0';
	for (i = 0; i + 6 < sizeof(pattern); i += 5)
		memcpy(pattern + i, "**/a/", 5);
	memcpy(pattern + i, "b", 2);
	assert_false(match(pattern, path));
}

static void refused(void **state)
{
	static const char *const bad[] = { "",	     "!",   "[a",
					   "a/[!]",  "x\\", "../a",
					   "a/../b", ".",   "./" };
	struct exclude *x = exclude_new();
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(exclude_add(x, bad[i], false), -EINVAL);
	assert_true(exclude_empty(x));
	exclude_free(x);
}

static void file(void **state)
{
	static const char text[] =
		"# a comment\n\n  *.o  \r\n\t!a.o\n/b/c"; /* no last newline */
	char name[] = "/tmp/test_exclude.XXXXXX";
	struct exclude *x = exclude_new();
	int fd = mkstemp(name);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	assert_int_equal(exclude_add_file(x, name, false), 0);
	assert_true(exclude_match(x, "/x/b.o", false));
	assert_false(exclude_match(x, "/x/a.o", false));
	assert_true(exclude_match(x, "/b/c", false));
	assert_false(exclude_match(x, "/# a comment", false));
	assert_int_equal(write(fd, "\n[\n", 3), 3);
	assert_int_equal(exclude_add_file(x, name, false), -EINVAL);
	unlink(name);
	assert_int_equal(exclude_add_file(x, name, false), -ENOENT);
	close(fd);
	exclude_free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_name),
		cmocka_unit_test(characters),
		cmocka_unit_test(rooted),
		cmocka_unit_test(tails),
		cmocka_unit_test(any_depth),
		cmocka_unit_test(directories_only),
		cmocka_unit_test(fold),
		cmocka_unit_test(last_match_decides),
		cmocka_unit_test(hard_pattern),
		cmocka_unit_test(refused),
		cmocka_unit_test(file),
	};

	return cmocka_run_group_tests_name("exclude", tests, NULL, NULL);
}
