/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/disk_blocks.h"
#include "fs/place.h"
#include "fs/view.h"
#include "store/backend/mem.h"
#include "store/point.h"
#include "store/vault.h"
#include "tests/unit/plant_disk.h"

#define T1 "2026-11-22T101500Z"
#define T2 "2026-11-23T101500Z"
#define W1 "vms/web1/" T1
#define W2 "vms/web1/" T2
#define DATA (5 * PLANT_CELL)
#define HOLE (1u << 20)
#define ZEROS 100000u
#define TAIL 4608u /* no whole cell */
#define SIZE (DATA + HOLE + ZEROS + TAIL)

static struct plant plant;
static struct view *view;
static uint8_t data[DATA], image[SIZE];

static void make_point(const char *time, bool disks)
{
	const struct plant_range x[] = {
		{ DATA, EXTENT_DATA, data },
		{ HOLE, EXTENT_HOLE, NULL },
		{ ZEROS, EXTENT_ZERO, NULL },
		{ TAIL, EXTENT_DATA, data + 77 },
	};
	const struct plant_range tebi = { UINT64_C(64) << 40, EXTENT_HOLE,
					  NULL };

	plant_begin(&plant);
	plant_file(&plant, "", "plain", "text");
	if (disks) {
		plant_disk(&plant, "vdb", &tebi, 1);
		plant_disk(&plant, "vda", x, ARRAY_SIZE(x));
		plant_disk(&plant, "none", x, 0);
		plant_config(&plant, "domain.xml", "<domain/>");
		plant_config(&plant, "empty", "");
	}
	plant_commit(&plant, "web1", time, NULL);
}

static int setup(void **state)
{
	(void)state;
	support_log_capture();
	support_fill(3, data, sizeof(data));
	memcpy(image, data, DATA);
	memcpy(image + SIZE - TAIL, data + 77, TAIL);
	plant_init(&plant, 16 << 20);
	make_point(T1, true);
	make_point(T2, false);
	assert_ok(view_new(plant.vault, &view));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	view_free(view);
	plant_release(&plant);
	return 0;
}

static struct view_attr at(const char *path)
{
	struct view_attr a;

	assert_ok(view_lookup_path(view, VIEW_ROOT, path, &a));
	return a;
}

static int add_name(void *arg, const char *name, size_t len,
		    const struct view_attr *a, uint64_t cookie)
{
	struct view_attr again;

	assert_true(cookie >= 3);
	assert_ok(view_getattr(view, a->node, &again));
	assert_memory_equal(a, &again, sizeof(again));
	buf_put(arg, name, len);
	buf_put_u8(arg, ' ');
	return 0;
}

static void lists(const char *path, const char *want)
{
	AUTO_BUF struct buf text = BUF_INIT;

	assert_ok(view_readdir(view, at(path).node, 0, add_name, &text));
	buf_put_u8(&text, 0);
	assert_ok(buf_error(&text));
	assert_string_equal((char *)text.data, want);
}

static void shows_what_is_there(void **state)
{
	struct view_attr a;

	(void)state;
	lists(W1, "point.json files disks volumes config ");
	lists(W2, "point.json files ");
	lists(W1 "/disks", "none.raw vda.raw vdb.raw ");
	lists(W1 "/config", "domain.xml empty ");
	assert_result(view_lookup_path(view, VIEW_ROOT, W2 "/disks", &a),
		      -ENOENT);
	assert_result(view_lookup_path(view, VIEW_ROOT, W2 "/volumes", &a),
		      -ENOENT);
	assert_result(view_lookup_path(view, VIEW_ROOT, W1 "/disks/vda", &a),
		      -ENOENT);
	assert_result(view_lookup_path(view, VIEW_ROOT, W1 "/disks/.raw", &a),
		      -ENOENT);
	assert_result(view_lookup_path(view, VIEW_ROOT, W1 "/config/vda.raw",
				       &a),
		      -ENOENT);
	assert_true(view_is_fixed(at(W1 "/disks").node));
	assert_true(view_is_fixed(at(W1 "/volumes").node));
}

static void resumes_behind_a_cookie(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT;
	uint64_t dir = at(W1 "/disks").node;

	(void)state;
	assert_ok(view_readdir(view, dir, 3, add_name, &text));
	buf_put_u8(&text, 0);
	assert_string_equal((char *)text.data, "vda.raw vdb.raw ");
	assert_ok(view_readdir(view, at(W1).node, 4, add_name, &text));
	assert_ok(view_readdir(view, dir, UINT64_MAX, add_name, &text));
}

static void has_true_sizes(void **state)
{
	struct view_attr a = at(W1 "/disks/vda.raw");

	(void)state;
	assert_int_equal(a.st.st_size, SIZE);
	assert_int_equal(a.st.st_blocks, (DATA + TAIL) / 512);
	assert_int_equal(a.st.st_mode, S_IFREG | 0400);
	assert_true(a.immutable);
	a = at(W1 "/disks/vdb.raw");
	assert_true(a.st.st_size == INT64_C(64) << 40);
	assert_int_equal(a.st.st_blocks, 0);
	assert_int_equal(at(W1 "/disks/none.raw").st.st_size, 0);
	assert_int_equal(at(W1 "/config/domain.xml").st.st_size, 9);
	assert_int_not_equal(at(W1 "/disks/vda.raw").st.st_ino, a.st.st_ino);
}

static void reads(const char *path, uint64_t off, size_t len, const void *want,
		  size_t want_len)
{
	static uint8_t got[SIZE + 1];
	size_t n = 0;

	memset(got, 'x', sizeof(got));
	assert_ok(view_read(view, at(path).node, off, got, len, &n));
	assert_int_equal(n, want_len);
	if (n > 0)
		assert_memory_equal(got, want, n);
}

static void reads_anywhere(void **state)
{
	static const size_t offs[] = {
		0,	  1,	PLANT_CELL - 1,	 PLANT_CELL,
		DATA - 1, DATA, DATA + HOLE - 3, SIZE - TAIL - 1,
		SIZE - 1, SIZE
	};
	static const size_t lens[] = { 0, 1, 511, 4096, PLANT_CELL + 2, SIZE };
	size_t i, j;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(offs); i++)
		for (j = 0; j < ARRAY_SIZE(lens); j++)
			reads(W1 "/disks/vda.raw", offs[i], lens[j],
			      image + offs[i], MIN(lens[j], SIZE - offs[i]));
	reads(W1 "/disks/vda.raw", UINT64_C(1) << 60, 10, NULL, 0);
	reads(W1 "/disks/vdb.raw", (UINT64_C(64) << 40) - 5, 10, image + DATA,
	      5);
	reads(W1 "/disks/none.raw", 0, 10, NULL, 0);
	reads(W1 "/config/domain.xml", 1, 100, "domain/>", 8);
	reads(W1 "/config/empty", 0, 100, NULL, 0);
}

static uint64_t seek(const char *path, uint64_t off, bool hole)
{
	uint64_t to = 0;

	assert_ok(view_seek(view, at(path).node, off, hole, &to));
	return to;
}

static void seeks_holes(void **state)
{
	const char *vda = W1 "/disks/vda.raw", *vdb = W1 "/disks/vdb.raw";
	uint64_t to;

	(void)state;
	assert_int_equal(seek(vda, 0, true), DATA);
	assert_int_equal(seek(vda, 5, false), 5);
	assert_int_equal(seek(vda, DATA, true), DATA);
	/* Zeros are data: they were allocated. */
	assert_int_equal(seek(vda, DATA + 1, false), DATA + HOLE);
	assert_int_equal(seek(vda, DATA + HOLE, true), SIZE);
	assert_int_equal(seek(vdb, 0, true), 0);
	assert_result(view_seek(view, at(vdb).node, 0, false, &to), -ENXIO);
	assert_result(view_seek(view, at(vda).node, SIZE, true, &to), -ENXIO);
	assert_int_equal(seek(W1 "/config/domain.xml", 0, true), 9);
}

static void names_its_point(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT;

	(void)state;
	assert_ok(view_getxattr(view, at(W1 "/disks/vda.raw").node,
				"user.vmbackup.point", &text));
	buf_put_u8(&text, 0);
	assert_string_equal((char *)text.data, "web1/" T1);
	buf_clear(&text);
	view_describe(view, at(W1 "/config/domain.xml").node, &text);
	buf_put_u8(&text, 0);
	assert_string_equal((char *)text.data, W1 "/config/domain.xml");
}

static int resolve(const char *text, struct view_attr *out)
{
	struct place place;
	int r = place_find(view, text, &place, out);

	place_release(&place);
	return r;
}

static void resolves_what_people_type(void **state)
{
	struct view_attr a;

	(void)state;
	assert_ok(resolve("web1/" T1 ":disks/vda.raw", &a));
	assert_int_equal(a.node, at(W1 "/disks/vda.raw").node);
	assert_result(resolve("web1/latest:disks/vda.raw", &a), -ENOENT);
	assert_said("has no disks/vda.raw");
}

static void refuses_made_up_nodes(void **state)
{
	uint64_t disk = at(W1 "/disks/vda.raw").node, to;
	struct view_attr a;
	uint8_t out[16];
	size_t n;

	(void)state;
	/* Another disk of the point; another point. */
	assert_result(view_getattr(view, disk + (UINT64_C(9) << 36), &a),
		      -ESTALE);
	assert_result(view_read(view, disk + 77, 0, out, 16, &n), -ENOENT);
	assert_result(view_seek(view, disk + (UINT64_C(9) << 36), 0, true, &to),
		      -ESTALE);
}

static void reads_as_blocks(void **state)
{
	struct point_list *l = view_points(view);
	static uint8_t got[SIZE];
	struct blocks *b;
	uint64_t to;

	(void)state;
	assert_ok(disk_blocks_new(plant.vault,
				  point_find_disk(l->points[0], "vda"), &b));
	point_list_put(l); /* it has what it needs */
	assert_int_equal(b->size, SIZE);
	assert_ok(blocks_read(b, 0, got, SIZE));
	assert_memory_equal(got, image, SIZE);
	assert_result(blocks_read(b, SIZE - 1, got, 2), -ERANGE);
	assert_ok(blocks_seek(b, DATA, false, &to));
	assert_int_equal(to, DATA + HOLE);
	assert_result(blocks_seek(b, SIZE, false, &to), -ENXIO);
	blocks_put(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shows_what_is_there),
		cmocka_unit_test(resumes_behind_a_cookie),
		cmocka_unit_test(has_true_sizes),
		cmocka_unit_test(reads_anywhere),
		cmocka_unit_test(seeks_holes),
		cmocka_unit_test(names_its_point),
		cmocka_unit_test(resolves_what_people_type),
		cmocka_unit_test(refuses_made_up_nodes),
		cmocka_unit_test(reads_as_blocks),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
