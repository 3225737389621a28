/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bytes flipped, objects cut, exchanged, renamed, gone: reading gives an error
 * or the right data, never other data; and check finds it. Two points of files
 * and a disk share a vault that has objects of all kinds. With SOAK=1 every
 * byte is flipped.
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
static char first_commit[OBJECT_NAME_MAX];

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
	snprintf(first_commit, sizeof(first_commit), "commit/%s",
		 l->points[0]->session);
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

/*
 * Look at a damaged vault and close it. @least: points that must be told of
 * (read right, or damaged); @silent: what was done may be beyond detection.
 */
static void examine(struct backend *b, const char *what, const char *name,
		    size_t at, int least, bool silent)
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	int r = vaults_points(&o, &expected), damages = 0;

	if (r == -EILSEQ)
		fail_msg("%s %s at %zu: wrong data", what, name, at);
	if (r >= 0 && r < least)
		fail_msg("%s %s at %zu: a point is gone in silence", what, name,
			 at);
	if (r >= 0 && !silent) {
		damages = vaults_check(&o);
		if (damages == 0)
			fail_msg("%s %s at %zu: not detected", what, name, at);
	}
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
	examine(b, "flipped in", name, at, 2, false);
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

/* The fields of headers and trailers, where lengths and versions are. */
static void every_byte_of_headers_and_ends(void **state)
{
	size_t i, at, len;

	(void)state;
	for (i = 0; i < backend_mem_nobjects(base); i++) {
		const char *name = backend_mem_name(base, i);

		assert_non_null(backend_mem_data(base, name, &len));
		for (at = 0; at < 16; at++)
			flip(name, at);
		for (at = len - 24; at < len; at += 3)
			flip(name, at);
	}
}

static void resized(const char *name, size_t len, const char *what)
{
	struct backend *b = damaged_copy();

	assert_ok(backend_mem_resize(b, name, len));
	if (is_pack(name))
		assert_true(scrub_finds(b));
	examine(b, what, name, len, 2, false);
}

static void cut_and_longer(void **state)
{
	size_t i, len, n;

	(void)state;
	for (i = 0; i < backend_mem_nobjects(base); i++) {
		const char *name = backend_mem_name(base, i);

		assert_non_null(backend_mem_data(base, name, &len));
		resized(name, 0, "cut");
		for (n = 1; n < len; n += getenv("SOAK") ? 1 : len / 5 + 1)
			resized(name, len - n, "cut");
		resized(name, len + 1, "longer");
		resized(name, len + 4096, "longer");
	}
}

/* ---- objects ---- */

/* "pack", "commit", ...: what of a name says the kind. */
static size_t kind_len(const char *name)
{
	return strcspn(name, "/");
}

static bool same_kind(const char *a, const char *b)
{
	size_t n = kind_len(a);

	return n == kind_len(b) && strncmp(a, b, n) == 0;
}

static void set_from(struct backend *b, const char *name, const char *from)
{
	size_t len;
	const uint8_t *data = backend_mem_data(base, from, &len);

	assert_ok(backend_mem_set(b, name, data, len));
}

static void exchanged(void **state)
{
	size_t i, k, n = backend_mem_nobjects(base), pairs = 0;

	(void)state;
	for (i = 0; i < n; i++) {
		for (k = i + 1; k < n; k++) {
			const char *x = backend_mem_name(base, i);
			const char *y = backend_mem_name(base, k);
			struct backend *b;

			if (!same_kind(x, y))
				continue;
			b = damaged_copy();
			set_from(b, x, y);
			set_from(b, y, x);
			examine(b, "exchanged", x, 0, 2, false);
			/* An old object in place of a new one, too. */
			b = damaged_copy();
			set_from(b, x, y);
			examine(b, "replaced", x, 0, 2, false);
			pairs++;
		}
	}
	assert_true(pairs >= 4 + 6); /* session, index, point, commit; packs */
}

static bool is_said(const char *name)
{
	size_t r;

	for (r = 0; r < RECORDS; r++) {
		const char *kind = record_label((enum record)r);

		if (strlen(kind) == kind_len(name) &&
		    strncmp(kind, name, strlen(kind)) == 0)
			return true;
	}
	return false;
}

/* The first point is gone without its register, and forgotten without the answer
 * that keeps it: only what was seen before can miss a register. */
static bool hides_first(const char *name)
{
	return strcmp(name, first_commit) == 0 ||
	       strncmp(name, "purge/", 6) == 0;
}

static void removed(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < backend_mem_nobjects(base); i++) {
		const char *name = backend_mem_name(base, i);
		bool commit = strncmp(name, "commit/", 7) == 0;
		/* A session that is gone takes nothing with it; without its
		 * register a point does not exist; and what was said of it may
		 * never have been. */
		bool silent = commit || is_said(name) ||
			      strncmp(name, "session/", 8) == 0;
		struct backend *b = damaged_copy();

		assert_ok(backend_mem_remove(b, name));
		expected.only_second = hides_first(name);
		examine(b, "removed", name, 0,
			commit || hides_first(name) ? 1 : 2, silent);
		expected.only_second = false;
	}
}

/* Another digit in the name: the last one, and the first behind the kind. */
static void renamed(void **state)
{
	size_t i, k;

	(void)state;
	for (i = 0; i < backend_mem_nobjects(base); i++) {
		const char *name = backend_mem_name(base, i);
		size_t at[] = { strlen(name) - 1, kind_len(name) + 1 };

		for (k = 0; k < ARRAY_SIZE(at) && strchr(name, '/'); k++) {
			struct backend *b = damaged_copy();
			char *other = strdup(name);

			assert_non_null(other);
			other[at[k]] = name[at[k]] == '1' ? '2' : '1';
			assert_ok(backend_mem_rename(b, name, other));
			/* Under another point's id the answer is none. */
			expected.only_second =
				k == 1 && strncmp(name, "purge/", 6) == 0;
			examine(b, "renamed", name, at[k],
				expected.only_second ? 1 : 2, false);
			expected.only_second = false;
			free(other);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_flipped_byte),
		cmocka_unit_test(every_byte_of_headers_and_ends),
		cmocka_unit_test(cut_and_longer),
		cmocka_unit_test(exchanged),
		cmocka_unit_test(removed),
		cmocka_unit_test(renamed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
