/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Maps of what changed: those that may be followed, and all the others. */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>

#include "src/backup/disk_map.h"

#define SIZE 10000

static int parse(const char *text, uint64_t size, struct disk_map **out)
{
	const char *path = support_path("%s/map", support_tmpdir_fast());

	support_write(path, text, strlen(text));
	return disk_map_read(path, "vda", size, NULL, out);
}

static void assert_at(struct disk_map *m, uint64_t off,
		      enum disk_map_state state, uint64_t end)
{
	uint64_t got;

	assert_int_equal(disk_map_at(m, off, &got), state);
	assert_int_equal(got, end);
}

static void a_map(void **state)
{
	struct disk_map *m;

	(void)state;
	assert_ok(parse("# a comment\n"
			"\n"
			"0 100 same\n"
			"\t0x64 0x64\tdata  \r\n"
			"200 50 data\n"
			"  # another\n"
			"250 750 zero\n"
			"1000 9000 same",
			SIZE, &m));
	assert_at(m, 0, DISK_MAP_SAME, 100);
	assert_at(m, 99, DISK_MAP_SAME, 100);
	assert_at(m, 100, DISK_MAP_DATA, 250);
	assert_at(m, 225, DISK_MAP_DATA, 250);
	assert_at(m, 250, DISK_MAP_ZERO, 1000);
	assert_at(m, 9999, DISK_MAP_SAME, 10000);
	assert_at(m, 0, DISK_MAP_SAME, 100); /* and back */
	assert_at(m, 999, DISK_MAP_ZERO, 1000);
	disk_map_free(m);
}

static void no_maps(void **state)
{
	static const char *const texts[] = {
		"",
		"# nothing\n",
		"0 9999 same\n", /* ends before the disk */
		"0 10001 same\n", /* behind it */
		"1 9999 same\n", /* begins late */
		"0 100 same\n101 9899 same\n", /* a gap */
		"0 100 same\n99 9901 same\n", /* overlap */
		"100 9900 same\n0 100 same\n", /* out of order */
		"0 0 same\n0 10000 same\n", /* of nothing */
		"0 10000\n",
		"0 10000 \n",
		"0 10000 Same\n",
		"0 10000 same same\n",
		"0 10000 same # why\n",
		"-0 10000 same\n",
		"0 -10000 same\n",
		"+0 10000 same\n",
		"0, 10000 same\n",
		"zero 10000 same\n",
		"0 18446744073709551616 same\n",
		"0 18446744073709551615 same\n",
		"0 5000 same\n5000 18446744073709551615 same\n",
		"0x 10000 same\n",
	};
	struct disk_map *m;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		support_log_capture();
		if (parse(texts[i], SIZE, &m) != -EILSEQ)
			fail_msg("taken for a map: %s", texts[i]);
		assert_null(m);
	}
	assert_result(disk_map_read("/nonexistent/map", "vda", SIZE, NULL, &m),
		      -ENOENT);
}

/* A line that does not fit is not two lines. */
static void a_long_line(void **state)
{
	char text[6000];
	struct disk_map *m;

	(void)state;
	support_log_capture();
	memset(text, ' ', sizeof(text));
	memcpy(text + 4095, "0 10000 same\n", 14);
	assert_result(parse(text, SIZE, &m), -EILSEQ);
	memset(text, ' ', sizeof(text));
	memcpy(text + 4000, "0 10000 same\n", 14);
	assert_ok(parse(text, SIZE, &m));
	disk_map_free(m);
}

static void many_ranges(void **state)
{
	const char *path = support_path("%s/many", support_tmpdir_fast());
	FILE *f = fopen(path, "we");
	struct disk_map *m;
	unsigned int i;

	(void)state;
	assert_non_null(f);
	for (i = 0; i < 20000; i++)
		fprintf(f, "%u 10 %s\n", i * 10, i & 1 ? "same" : "data");
	assert_int_equal(fclose(f), 0);
	assert_ok(disk_map_read(path, "vda", 200000, NULL, &m));
	for (i = 0; i < 20000; i += 7)
		assert_at(m, i * 10 + 3, i & 1 ? DISK_MAP_SAME : DISK_MAP_DATA,
			  i * 10 + 10);
	for (i = 19999; i > 0; i--)
		assert_at(m, i * 10, i & 1 ? DISK_MAP_SAME : DISK_MAP_DATA,
			  i * 10 + 10);
	disk_map_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_map),
		cmocka_unit_test(no_maps),
		cmocka_unit_test(a_long_line),
		cmocka_unit_test(many_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
