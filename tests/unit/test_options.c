/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/options.h"

struct args {
	bool all;
	unsigned int verbose, number;
	const char *name, *other;
	struct string_list list;
	uint64_t size;
};

struct globals {
	const char *name;
	bool quiet;
};

static const struct option_row rows[] = {
	OPT_FLAG("all", 'a', struct args, all, "take all"),
	OPT_COUNT("verbose", 'v', struct args, verbose, "say more"),
	OPT_UINT("number", 'n', "N", struct args, number, "how many"),
	OPT_STRING("name", 'x', "NAME", struct args, name,
		   "a name with a help text that is so long that it has to go"
		   " on in the next line and the one after that"),
	OPT_STRING("hidden", 0, "X", struct args, other, NULL),
	OPT_LIST("list", 'l', "ITEM", struct args, list, "items"),
	OPT_SIZE("size", 0, "SIZE", struct args, size, "bytes"),
	OPT_END
};

static const struct option_row global_rows[] = {
	OPT_STRING("name", 'N', "NAME", struct globals, name,
		   "hidden by the"
		   " row above"),
	OPT_FLAG("quiet", 'x', struct globals, quiet, "its letter is taken"),
	OPT_END
};

static struct args args;
static struct globals globals;
static int first;

/* Parse the words of @line. */
static int parse(const char *line, bool stop)
{
	static char text[512];
	static char *argv[64];
	struct option_set sets[] = { { global_rows, &globals },
				     { rows, &args } };
	int argc = 0;
	char *p;

	options_release(&sets[1]);
	memset(&args, 0, sizeof(args));
	memset(&globals, 0, sizeof(globals));
	snprintf(text, sizeof(text), "verb %s", line);
	for (p = text; *p;) {
		argv[argc++] = p;
		p += strcspn(p, " ");
		if (*p)
			*p++ = 0;
	}
	argv[argc] = NULL;
	return options_parse(sets, 2, argc, argv, stop, &first);
}

static void test_fields(void **state)
{
	(void)state;
	assert_int_equal(parse("-a -vv --number=7 -x me --size 4K op", false),
			 0);
	assert_true(args.all);
	assert_int_equal(args.verbose, 2);
	assert_int_equal(args.number, 7);
	assert_string_equal(args.name, "me");
	assert_int_equal(args.size, 4096);
	assert_int_equal(first, 8);
}

static void test_list_keeps_order(void **state)
{
	(void)state;
	assert_int_equal(parse("-l one --list two -lthree", false), 0);
	assert_int_equal(args.list.n, 3);
	assert_string_equal(args.list.items[0], "one");
	assert_string_equal(args.list.items[1], "two");
	assert_string_equal(args.list.items[2], "three");
	assert_int_equal(parse("", false), 0);
	assert_int_equal(args.list.n, 0);
}

static void test_operands(void **state)
{
	(void)state;
	/* Options behind operands count ... */
	assert_int_equal(parse("one -a two", false), 0);
	assert_true(args.all);
	assert_int_equal(first, 2);
	/* ... but not where the first operand ends them, or behind "--". */
	assert_int_equal(parse("-v one -a", true), 0);
	assert_false(args.all);
	assert_int_equal(first, 2);
	assert_int_equal(parse("-v -- -a", false), 0);
	assert_false(args.all);
	assert_int_equal(first, 3);
}

static void test_later_set_wins(void **state)
{
	(void)state;
	assert_int_equal(parse("--name one -x two", false), 0);
	assert_string_equal(args.name, "two");
	assert_null(globals.name);
	assert_false(globals.quiet);
	/* A row whose name is taken is gone, its letter too. */
	support_log_capture();
	assert_int_equal(parse("-N three", false), -EINVAL);
	assert_int_equal(parse("--quiet", false), 0);
	assert_true(globals.quiet);
}

static void test_refused(void **state)
{
	(void)state;
	support_log_capture();
	assert_int_equal(parse("--nosuch", false), -EINVAL);
	assert_said("--nosuch");
	assert_int_equal(parse("-z", false), -EINVAL);
	assert_said("-z");
	assert_int_equal(parse("--number", false), -EINVAL);
	assert_said("--number needs N");
	assert_int_equal(parse("-n", false), -EINVAL);
	assert_int_equal(parse("--number=", false), -EINVAL);
	assert_int_equal(parse("--number=x", false), -EINVAL);
	assert_int_equal(parse("--number=-1", false), -EINVAL);
	assert_int_equal(parse("--number=1000001", false), -EINVAL);
	assert_int_equal(parse("--number=99999999999999999999", false),
			 -EINVAL);
	assert_int_equal(parse("--all=yes", false), -EINVAL);
	assert_said("takes no value");
	assert_int_equal(parse("--size=1Q", false), -EINVAL);
	assert_said("1Q");
}

static void test_help(void **state)
{
	(void)state;
	assert_int_equal(parse("-h", false), 1);
	assert_int_equal(parse("--help", false), 1);
	assert_int_equal(parse("one --help", false), 1);
	assert_int_equal(parse("-- --help", false), 0);
}

static void test_usage_fits_and_names_all(void **state)
{
	char *text = NULL, *line, *save = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	assert_non_null(f);
	options_usage(f, rows);
	fclose(f);
	assert_non_null(strstr(text, "-a, --all"));
	assert_non_null(strstr(text, "-x, --name NAME"));
	assert_non_null(strstr(text, "    --size SIZE"));
	assert_null(strstr(text, "hidden"));
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		assert_true(strlen(line) <= 79);
	free(text);
}

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "0", 0 },
		{ "4096", 4096 },
		{ "1K", 1024 },
		{ "1k", 1024 },
		{ "1.5M", 1572864 },
		{ "2GiB", UINT64_C(2) << 30 },
		{ "3TB", UINT64_C(3) << 40 },
		{ "18446744073709551615", UINT64_MAX },
		{ "12B", 12 },
	};
	static const char *const bad[] = {
		"",
		"K",
		"-1",
		"1Q",
		"1KK",
		"1.5",
		"0x10",
		"1e3",
		"inf",
		"nan",
		" 1",
		"1 K",
		"18446744073709551616",
		"17E",
		"1KiBx",
	};
	uint64_t v;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(options_size(good[i].text, &v), 0);
		assert_true(v == good[i].bytes);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		if (options_size(bad[i], &v) != -EINVAL)
			fail_msg("\"%s\" was taken for a size", bad[i]);
}

static void test_durations(void **state)
{
	static const char *const bad[] = { "",	  "1",		 "d",
					   "1d2", "1.5h",	 "-1s",
					   "1x",  "9999999999s", "999999999y" };
	int64_t v;
	size_t i;

	(void)state;
	assert_int_equal(options_duration("90s", &v), 0);
	assert_true(v == INT64_C(90000000000));
	assert_int_equal(options_duration("1d12h", &v), 0);
	assert_true(v == INT64_C(129600) * 1000000000);
	assert_int_equal(options_duration("1y", &v), 0);
	assert_true(v == INT64_C(31536000) * 1000000000);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		if (options_duration(bad[i], &v) != -EINVAL)
			fail_msg("\"%s\" was taken for a duration", bad[i]);
}

static void test_times(void **state)
{
	/* 2026-11-22 10:15:00 UTC */
	const int64_t t = INT64_C(1795342500) * 1000000000;
	static const char *const same[] = {
		"2026-11-22T101500Z",  "2026-11-22T10:15:00Z",
		"2026-11-22 10:15:00", "2026-11-22 10:15",
		"@1795342500",
	};
	static const char *const bad[] = {
		"",	      "yesterday",	 "2026-13-01",
		"2026-02-30", "2026-11-22x",	 "@",
		"@x",	      "@99999999999999", "2026-11-22 25:00",
	};
	int64_t v;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(same); i++) {
		if (options_time(same[i], 0, &v) < 0)
			fail_msg("\"%s\" was refused", same[i]);
		assert_true(v == t);
	}
	assert_int_equal(options_time("2026-11-22", 0, &v), 0);
	assert_true(v == t - INT64_C(36900) * 1000000000);
	assert_int_equal(options_time("15m", t, &v), 0);
	assert_true(v == t - INT64_C(900) * 1000000000);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		if (options_time(bad[i], t, &v) != -EINVAL)
			fail_msg("\"%s\" was taken for a time", bad[i]);
}

static int tidy(void **state)
{
	(void)state;
	return parse("", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_list_keeps_order),
		cmocka_unit_test(test_operands),
		cmocka_unit_test(test_later_set_wins),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_usage_fits_and_names_all),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_times),
	};

	return cmocka_run_group_tests(tests, NULL, tidy);
}
