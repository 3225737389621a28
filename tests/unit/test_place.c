/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/place.h"
#include "store/base/log.h"
#include "store/point.h"
#include "tests/unit/support.h"

#define ID "00112233445566778899aabbccd"

/* By machine, then time. */
static const struct {
	const char *vm, *name;
	int64_t s;
	const char *disk;
} rows[] = {
	{ "2026-01-01T10:15:00Z", "1970-01-01T000010Z", 10, NULL },
	{ "latest", "1970-01-01T000010Z", 10, NULL },
	{ "rack1", "1970-01-01T000140Z", 100, "vda" },
	{ "rack1", "2026-11-22T101500Z", 1795342500, "vda" },
	{ "rack1:web", "2026-11-22T101500Z", 1795342500, "a.raw" },
	{ "rack1:web:files", "1970-01-01T000140Z", 100, NULL },
	{ "web", "1970-01-01T000140Z", 100, NULL },
	{ "web1", "1970-01-01T000320Z", 200, NULL },
};

static struct point points[ARRAY_SIZE(rows)], *pointers[ARRAY_SIZE(rows)];
static struct point_disk disks[ARRAY_SIZE(rows)];
static char names[ARRAY_SIZE(rows)][64];
static struct point_list list = { .points = pointers,
				  .names = names,
				  .n = ARRAY_SIZE(rows),
				  .refs = 1 };

static int set_up(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		points[i].vm = (char *)rows[i].vm;
		points[i].time_ns = rows[i].s * 1000000000;
		snprintf(points[i].id, sizeof(points[i].id), ID "%05zu", i);
		snprintf(names[i], sizeof(names[i]), "%s", rows[i].name);
		disks[i].name = (char *)rows[i].disk;
		points[i].disks = &disks[i];
		points[i].ndisks = rows[i].disk != NULL;
		pointers[i] = &points[i];
	}
	return 0;
}

static void takes_places_apart(void **state)
{
	static const struct {
		const char *text;
		size_t index, point_len;
		enum place_kind kind;
		const char *path, *inside;
	} good[] = {
		{ "rack1", 3, 5, PLACE_POINT, "", "" },
		{ "rack1:", 3, 5, PLACE_POINT, "", "" },
		{ "rack1:/", 3, 5, PLACE_POINT, "", "" },
		{ "rack1:files", 3, 5, PLACE_FILES, "files", "" },
		{ "rack1:filesystem", 3, 5, PLACE_OTHER, "filesystem", "" },
		{ "rack1:point.json", 3, 5, PLACE_OTHER, "point.json", "" },
		{ "rack1/latest~1:disks/vda.raw", 2, 14, PLACE_DISKS,
		  "disks/vda.raw", "vda.raw" },
		{ "rack1:volumes/vda1/etc", 3, 5, PLACE_VOLUMES,
		  "volumes/vda1/etc", "vda1/etc" },
		{ "rack1:config/domain.xml", 3, 5, PLACE_CONFIG,
		  "config/domain.xml", "domain.xml" },
		/* Slashes and dots that say nothing. */
		{ "web1://files/.//a/./b/", 7, 4, PLACE_FILES, "files/a/b",
		  "a/b" },
		{ "web1:files/../a", 7, 4, PLACE_FILES, "files/../a", "../a" },
		{ "web1:files/.a/b.", 7, 4, PLACE_FILES, "files/.a/b.",
		  ".a/b." },
		/* Colons of a time, and those of a path. */
		{ "rack1/2026-11-22T10:15:00Z:files/a:b", 3, 26, PLACE_FILES,
		  "files/a:b", "a:b" },
		{ "rack1/2026-11-22T10:15:00Z", 3, 26, PLACE_POINT, "", "" },
		{ "rack1/2026-11-22T101500Z:files", 3, 24, PLACE_FILES, "files",
		  "" },
		{ "web1:files/T10:15:00", 7, 4, PLACE_FILES, "files/T10:15:00",
		  "T10:15:00" },
		{ "web1:files/2026-11-22T10:15:00Z:x", 7, 4, PLACE_FILES,
		  "files/2026-11-22T10:15:00Z:x", "2026-11-22T10:15:00Z:x" },
		/* Colons of machines; the longest that there is. */
		{ "rack1:web", 4, 9, PLACE_POINT, "", "" },
		{ "rack1:web/2026-11-22T10:15:00Z:files/x", 4, 30, PLACE_FILES,
		  "files/x", "x" },
		{ "rack1:web/latest:files", 4, 16, PLACE_FILES, "files", "" },
		{ "rack1:web:files", 5, 15, PLACE_POINT, "", "" },
		{ "rack1:web:files/latest", 5, 22, PLACE_POINT, "", "" },
		{ "rack1:web:disks/a.raw", 4, 9, PLACE_DISKS, "disks/a.raw",
		  "a.raw" },
		{ "rack1:webfiles", 3, 5, PLACE_OTHER, "webfiles", "" },
		{ "web:files", 6, 3, PLACE_FILES, "files", "" },
		{ "2026-01-01T10:15:00Z:files", 0, 20, PLACE_FILES, "files",
		  "" },
		/* No machine's name. */
		{ "latest:files", 4, 6, PLACE_FILES, "files", "" },
		{ "latest/latest:files", 1, 13, PLACE_FILES, "files", "" },
		{ "latest~1:files", 3, 8, PLACE_FILES, "files", "" },
		{ ID "00006:files/x", 6, 32, PLACE_FILES, "files/x", "x" },
	};
	struct place p;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		support_assert_result(place_parse(&list, good[i].text, &p), 0,
				      good[i].text, __FILE__, __LINE__);
		if (p.index != good[i].index || p.kind != good[i].kind)
			print_error("%s\n", good[i].text);
		assert_int_equal(p.index, good[i].index);
		assert_ptr_equal(p.point, &points[p.index]);
		assert_int_equal(p.point_len, good[i].point_len);
		assert_int_equal(p.kind, good[i].kind);
		assert_string_equal(p.path, good[i].path);
		assert_string_equal(p.inside, good[i].inside);
		place_release(&p);
	}
	assert_int_equal(list.refs, 1);
}

static void says_what_is_no_point(void **state)
{
	static const char *const bad[][2] = {
		{ "nosuch:files", "nosuch" },
		{ "", "\"\" does not begin with the name of a point" },
		{ ":files", "\":files\" does not begin" },
		{ "/etc/passwd", "\"/etc/passwd\" does not begin" },
		{ "::", "\"::\" does not begin" },
		{ "web1/2030-11-22T10:15:00Z:files",
		  "web1/2030-11-22T10:15:00Z: the machine" },
		{ "other/2030-11-22T10:15:00Z:files", "other: no machine" },
		{ "0011:files", "points have ids" },
	};
	struct place p;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		support_log_clear();
		assert_true(place_parse(&list, bad[i][0], &p) < 0);
		assert_said(bad[i][1]);
		assert_null(p.list);
		assert_null(p.path);
		place_release(&p);
	}
	assert_int_equal(list.refs, 1);
}

static int disk_of(const char *text, const char *name,
		   const struct point_disk **out)
{
	struct place p;
	int r;

	assert_ok(place_parse(&list, text, &p));
	r = place_disk(&p, text, name, out);
	place_release(&p);
	return r;
}

static void finds_disks(void **state)
{
	const struct point_disk *d;

	(void)state;
	assert_ok(disk_of("rack1:disks/vda.raw", NULL, &d));
	assert_ptr_equal(d, &disks[3]);
	assert_ok(disk_of("rack1/latest~1:/disks//vda.raw", "vda", &d));
	assert_ptr_equal(d, &disks[2]);
	assert_ok(disk_of("rack1", "vda", &d));
	assert_ptr_equal(d, &disks[3]);
	assert_ok(disk_of("rack1:web:disks/a.raw.raw", NULL, &d));
	assert_ptr_equal(d, &disks[4]);
	assert_result(disk_of("rack1", NULL, &d), -EINVAL);
	assert_result(disk_of("rack1:disks", "vda", &d), -EINVAL);
	assert_result(disk_of("rack1:disks/vda", NULL, &d), -EINVAL);
	assert_result(disk_of("rack1:disks/.raw", NULL, &d), -EINVAL);
	assert_result(disk_of("rack1:disks/vda.raw/x", NULL, &d), -EINVAL);
	assert_result(disk_of("rack1:files/vda.raw", NULL, &d), -EINVAL);
	assert_result(disk_of("rack1:disks/vda.raw", "vdb", &d), -EINVAL);
	assert_null(d);
	support_log_clear();
	assert_result(disk_of("rack1:disks/vdb.raw", NULL, &d), -ENOENT);
	assert_said("no disk \"vdb\"; the first that it has is \"vda\"");
	assert_result(disk_of("web1", "vda", &d), -ENOENT);
	assert_said("has no disks");
}

static void finds_machines(void **state)
{
	static const struct {
		const char *text, *vm, *rest;
	} cases[] = {
		{ "web:etc", "web", "etc" },
		{ "rack1:web:/etc/a:b", "rack1:web", "/etc/a:b" },
		{ "rack1:web", "rack1", "web" },
		{ "rack1:web/etc", "rack1", "web/etc" },
		{ "rack1:web:files:x", "rack1:web:files", "x" },
		{ "web", NULL, NULL },
		{ "/etc/web1:x", NULL, NULL },
		{ "rack:x", NULL, NULL },
	};
	const char *vm, *rest;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		vm = NULL;
		rest = place_machine(&list, cases[i].text, &vm);
		assert_true(!rest == !cases[i].rest);
		if (!rest)
			continue;
		assert_string_equal(vm, cases[i].vm);
		assert_string_equal(rest, cases[i].rest);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_places_apart),
		cmocka_unit_test(says_what_is_no_point),
		cmocka_unit_test(finds_disks),
		cmocka_unit_test(finds_machines),
	};

	support_log_capture();
	return cmocka_run_group_tests(tests, set_up, NULL);
}
