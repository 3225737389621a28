/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bytes flipped: reading gives an error or the right data, never other data; and
 * check finds it. Two points of files and a disk share a vault that has objects of
 * all kinds. With SOAK=1 every byte is flipped. What else can happen to objects is in
 * test_corpus.c.
 */
#include "config.h"

#include "tests/unit/records.h"
#include "tests/unit/vaults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/base/task.h"
#include "store/check/check.h"
#include "store/format.h"
#include "store/point.h"

static struct backend *base;
static struct vaults_expected expected;

/* A file of 20 islands: its extents go to a map. */
static void write_islands(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0640);
	int i;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 40 * 65536), 0);
	for (i = 0; i < 20; i++)
		assert_int_equal(pwrite(fd, &i, sizeof(i), i * 2 * 65536), 4);
}

static const char *a_pack(void)
{
	size_t i;

	for (i = 0; i < backend_mem_nobjects(base); i++)
		if (strncmp(backend_mem_name(base, i), "pack/", 5) == 0)
			return strrchr(backend_mem_name(base, i), '/') + 1;
	fail_msg("no pack");
	return NULL;
}

static int setup(void **state)
{
	const char *dir = support_path("%s/src", support_tmpdir_fast());
	struct point_list *l;
	struct vault_options o;
	uint8_t noise[3000];
	struct vault *v;
	char id[33];
	size_t i;

	(void)state;
	support_log_capture();
	expected.dir = dir;
	support_fill(7, noise, sizeof(noise));
	assert_int_equal(mkdir(dir, 0755), 0);
	support_write(support_path("%s/noise", dir), noise, sizeof(noise));
	write_islands(support_path("%s/islands", dir));
	assert_int_equal(symlink("noise", support_path("%s/link", dir)), 0);
	vaults_make_disk(dir);
	base = backend_mem_new();
	assert_non_null(base);
	o = vaults_options(NULL, base, NULL, NULL);
	assert_ok(vault_create(&o, 0, id));
	assert_ok(vaults_open_and_backup(&o, dir, NULL));
	support_write(support_path("%s/more", dir), noise, 700);
	vaults_change_disk(dir);
	assert_ok(vaults_open_and_backup(&o, dir, NULL));
	assert_ok(vault_open(&o, &v));
	assert_ok(vault_points(v, &l));
	assert_int_equal(l->n, 2);
	for (i = 0; i < 2; i++) {
		assert_int_equal(l->points[i]->ndisks, 1);
		assert_ok(vaults_digest(v, l->points[i], dir,
					expected.digest[i]));
	}
	records_plant(v, base, l->points[0], a_pack());
	point_list_put(l);
	vault_close(v);
	assert_int_equal(vaults_points(&o, &expected), 2);
	assert_int_equal(vaults_check(&o), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	backend_close(base);
	return 0;
}

static struct backend *damaged_copy(void)
{
	struct backend *b = backend_mem_clone(base);

	assert_non_null(b);
	support_log_clear();
	return b;
}

static bool scrub_finds(struct backend *b)
{
	struct check_options co = { .read_data = true, .threads = 1 };
	struct task task = { .stop = NULL };
	struct check_result result;
	bool found;

	assert_ok(check_scrub(b, NULL, &co, &task, &result));
	found = result.damages > 0;
	check_release(&result);
	return found;
}

/* Look at a damaged vault and close it: each point is read right, or is said to be
 * damaged. */
static void examine(struct backend *b, const char *name, size_t at)
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	int r = vaults_points(&o, &expected);

	if (r == -EILSEQ)
		fail_msg("flipped in %s at %zu: wrong data", name, at);
	if (r >= 0 && r < 2)
		fail_msg("flipped in %s at %zu: a point is gone in silence",
			 name, at);
	if (r >= 0 && vaults_check(&o) == 0)
		fail_msg("flipped in %s at %zu: not detected", name, at);
	backend_close(b);
}

static bool is_pack(const char *name)
{
	return strncmp(name, "pack/", 5) == 0;
}

/* ---- bytes ---- */

static void flip(const char *name, size_t at)
{
	struct backend *b = damaged_copy();
	size_t len;
	uint8_t *data = backend_mem_data(b, name, &len);

	data[at] ^= (uint8_t)(1 << at % 8);
	if (is_pack(name) && !scrub_finds(b))
		fail_msg("%s at %zu: not found by the scrub", name, at);
	examine(b, name, at);
}

static void every_flipped_byte(void **state)
{
	size_t i, at, len, step = getenv("SOAK") ? 1 : 53;

	(void)state;
	for (i = 0; i < backend_mem_nobjects(base); i++) {
		const char *name = backend_mem_name(base, i);

		assert_non_null(backend_mem_data(base, name, &len));
		for (at = i % step; at < len; at += step)
			flip(name, at);
	}
}

/* The one before it in the order of names is of the same kind. */
static bool is_like_the_last(size_t i)
{
	const char *name = backend_mem_name(base, i);
	const char *last = i ? backend_mem_name(base, i - 1) : "";

	return strncmp(name, last, strcspn(name, "/") + 1) == 0;
}

/* The fields of headers and trailers, where lengths and versions are: all of the
 * first object of each kind, some of the others where SOAK is not set. */
static void every_byte_of_headers_and_ends(void **state)
{
	size_t i, at, len, few;

	(void)state;
	for (i = 0; i < backend_mem_nobjects(base); i++) {
		const char *name = backend_mem_name(base, i);

		few = is_like_the_last(i) && !getenv("SOAK") ? 4 : 1;
		assert_non_null(backend_mem_data(base, name, &len));
		for (at = i % few; at < 16; at += few)
			flip(name, at);
		for (at = len - 24 + i % few; at < len; at += 3 * few)
			flip(name, at);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_flipped_byte),
		cmocka_unit_test(every_byte_of_headers_and_ends),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
