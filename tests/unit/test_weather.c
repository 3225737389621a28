/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Backups, reads, the mounted view and checks on a store that delays, loses
 * answers, asks for patience and lists out of order: all of them succeed, and
 * are right. And what hangs ends.
 */
#include "config.h"

#include "tests/unit/vaults.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/view.h"
#include "store/backend/mem.h"
#include "store/base/array.h"
#include "store/point.h"

#define SEEDS 6
#define SECOND INT64_C(1000000000)

static struct vaults_expected expected;
/* A vault with the first point, made in fair weather. */
static struct backend *fair;

static void create(struct backend *b)
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	char id[33];

	assert_ok(vault_create(&o, 0, id));
}

static int back_up(struct backend *b)
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);

	return vaults_open_and_backup(&o, expected.dir, NULL);
}

/* Take the hash of the @i-th point for the right one. */
static void expect(size_t i)
{
	struct vault_options o = vaults_options(NULL, fair, NULL, NULL);
	struct point_list *l;
	struct vault *v;

	assert_ok(vault_open(&o, &v));
	assert_ok(vault_points(v, &l));
	assert_int_equal(l->n, i + 1);
	assert_ok(vaults_digest(v, l->points[i], expected.dir,
				expected.digest[i]));
	point_list_put(l);
	vault_close(v);
}

static int setup(void **state)
{
	(void)state;
	support_log_capture();
	expected.dir = support_path("%s/src", support_tmpdir_fast());
	assert_int_equal(setenv("TMPDIR", support_tmpdir(), 1), 0);
	vaults_make_source(expected.dir);
	vaults_make_disk(expected.dir);
	fair = backend_mem_new();
	assert_non_null(fair);
	create(fair);
	assert_ok(back_up(fair));
	expect(0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	backend_close(fair);
	return 0;
}

static void set_weather(struct backend *b, uint64_t seed)
{
	struct backend_mem_weather w = {
		.seed = seed,
		.lost = 10,
		.throttled = 30,
		.delay_us = 200,
		.shuffle = true,
		.page_names = 3,
		.list_threads = 4,
	};

	backend_mem_set_patience(b, 60 * SECOND, NULL);
	backend_mem_set_weather(b, &w);
}

/* ---- the mounted view ---- */

struct walk {
	struct view *view;
	struct sha256 *hash;
	uint64_t *dirs; /* yet to be looked at; owned */
	size_t n, cap;
	uint64_t *files; /* of the last directory; owned */
	size_t nfiles, files_cap;
};

static int on_row(void *arg, const char *name, size_t name_len,
		  const struct view_attr *attr, uint64_t cookie)
{
	struct walk *w = arg;
	int64_t size = attr->st.st_size;

	(void)cookie;
	assert_ok(sha256_update(w->hash, name, name_len));
	if (S_ISDIR(attr->st.st_mode)) {
		assert_ok(array_reserve(&w->dirs, &w->cap, w->n + 1));
		w->dirs[w->n++] = attr->node;
	} else if (S_ISREG(attr->st.st_mode)) {
		assert_ok(sha256_update(w->hash, &size, sizeof(size)));
		assert_ok(
			array_reserve(&w->files, &w->files_cap, w->nfiles + 1));
		w->files[w->nfiles++] = attr->node;
	}
	return 0;
}

static void read_file(struct walk *w, uint64_t node)
{
	static uint8_t piece[64 << 10];
	uint64_t off = 0;
	size_t len = 1;

	for (; len > 0; off += len) {
		assert_ok(view_read(w->view, node, off, piece, sizeof(piece),
				    &len));
		assert_ok(sha256_update(w->hash, piece, len));
	}
}

/* The hash of all names and bytes that a mount of the vault would show. */
static void digest_view(struct backend *b, uint8_t out[CRYPT_SHA256_LEN])
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	struct walk w = { .n = 0 };
	struct vault *v;
	size_t i;

	assert_ok(vault_open(&o, &v));
	assert_ok(view_new(v, &w.view));
	assert_ok(sha256_new(&w.hash));
	assert_ok(array_reserve(&w.dirs, &w.cap, 1));
	w.dirs[w.n++] = VIEW_ROOT;
	while (w.n > 0) {
		uint64_t dir = w.dirs[--w.n];

		w.nfiles = 0;
		assert_ok(view_readdir(w.view, dir, 0, on_row, &w));
		for (i = 0; i < w.nfiles; i++)
			read_file(&w, w.files[i]);
	}
	assert_ok(sha256_finish(w.hash, out));
	sha256_free(w.hash);
	free(w.dirs);
	free(w.files);
	view_free(w.view);
	vault_close(v);
}

/* ---- all of it succeeds ---- */

/* The second backup, in the weather of @seed; return how often it was bad. */
static unsigned int brave(uint64_t seed)
{
	uint8_t calm_view[CRYPT_SHA256_LEN], view[CRYPT_SHA256_LEN];
	struct backend *b = backend_mem_clone(fair);
	struct backend *other = backend_mem_new();
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	unsigned int n;

	assert_non_null(b);
	assert_non_null(other);
	set_weather(b, seed);
	set_weather(other, seed);
	support_log_clear();
	create(other);
	assert_ok(back_up(b));
	assert_int_equal(vaults_points(&o, &expected), 2);
	assert_int_equal(vaults_check(&o), 0);
	digest_view(b, view);
	n = backend_mem_failures(b);
	/* Nobody had to be told. */
	assert_string_equal(support_log_text(), "");
	/* And nothing is amiss when the weather is over. */
	backend_mem_heal(b);
	assert_int_equal(vaults_points(&o, &expected), 2);
	assert_int_equal(vaults_check(&o), 0);
	digest_view(b, calm_view);
	assert_memory_equal(view, calm_view, sizeof(view));
	assert_int_equal(backend_mem_failures(b), n);
	backend_close(other);
	backend_close(b);
	return n;
}

static void any_weather(void **state)
{
	struct backend *first = backend_mem_clone(fair);
	unsigned int failures = 0;
	struct backend *both;
	uint64_t seed;

	(void)state;
	/* What the second version of the source must be read as. */
	vaults_change_source(expected.dir);
	vaults_change_disk(expected.dir);
	assert_ok(back_up(fair));
	expect(1);
	both = fair;
	fair = first;
	for (seed = 1; seed <= SEEDS; seed++)
		failures += brave(seed);
	assert_true(failures > 2 * SEEDS);
	backend_close(both);
}

/* ---- a store that is away ---- */

/* A list of points never shrinks for a fault of the moment: there is an error,
 * and the list of before. */
static void the_list_of_points_stays(void **state)
{
	static const char *const prefixes[] = { "commit/", "point/", "purge/" };
	static const int errs[] = { -ETIMEDOUT, -EAGAIN, -EHOSTUNREACH };
	struct backend *b = backend_mem_clone(fair);
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	struct point_list *l;
	struct view *view;
	struct vault *v;
	size_t i, k;

	(void)state;
	backend_mem_set_patience(b, SECOND / 50, NULL);
	assert_ok(vault_open(&o, &v));
	assert_ok(view_new(v, &view));
	assert_ok(back_up(b));
	for (i = 0; i < ARRAY_SIZE(prefixes); i++) {
		for (k = 0; k < ARRAY_SIZE(errs); k++) {
			backend_mem_fail(
				b, i == 2 ? BACKEND_MEM_LIST : BACKEND_MEM_GET,
				prefixes[i], 1, errs[k], BACKEND_MEM_STICKY);
			assert_result(view_refresh(view), errs[k]);
			l = view_points(view);
			assert_int_equal(l->n, 1);
			assert_int_equal(l->ndamaged, 0);
			point_list_put(l);
			backend_mem_heal(b);
		}
	}
	assert_int_equal(view_refresh(view), 1);
	l = view_points(view);
	assert_int_equal(l->n, 2);
	point_list_put(l);
	view_free(view);
	vault_close(v);
	backend_close(b);
}

/* None of them damaged. */
static size_t npoints(const struct vault_options *o)
{
	struct point_list *l;
	struct vault *v;
	size_t n;

	assert_ok(vault_open(o, &v));
	assert_ok(vault_points(v, &l));
	assert_int_equal(l->ndamaged, 0);
	n = l->n;
	point_list_put(l);
	vault_close(v);
	return n;
}

/* Each kind of object hangs when it is put: the backup ends at the deadline, with
 * an error and without a point, and the next one succeeds. */
static void hanging_backups_end(void **state)
{
	static const char *const prefixes[] = { "session/", "pack/", "index/",
						"point/", "commit/" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(prefixes); i++) {
		struct backend *b = backend_mem_new();
		struct vault_options o = vaults_options(NULL, b, NULL, NULL);

		create(b);
		backend_mem_set_patience(b, SECOND / 20, NULL);
		backend_mem_fail(b, BACKEND_MEM_PUT, prefixes[i], 1, 0,
				 BACKEND_MEM_HANGS | BACKEND_MEM_STICKY);
		assert_result(back_up(b), -ETIMEDOUT);
		backend_mem_heal(b);
		assert_int_equal(npoints(&o), 0);
		assert_ok(back_up(b));
		assert_int_equal(npoints(&o), 1);
		assert_int_equal(vaults_check(&o), 0);
		backend_close(b);
	}
}

struct interrupted {
	struct backend *b;
	pthread_t thread;
	int r;
};

static void *run_backup(void *arg)
{
	struct interrupted *i = arg;

	i->r = back_up(i->b);
	return NULL;
}

/* Somebody asks for an end while the store hangs: it is not waited for. */
static void hanging_backups_are_interrupted(void **state)
{
	struct interrupted i = { .b = backend_mem_new() };
	volatile bool stop = false;

	(void)state;
	create(i.b);
	backend_mem_set_patience(i.b, INT64_MAX / 2, &stop);
	backend_mem_fail(i.b, BACKEND_MEM_PUT, "pack/", 1, 0,
			 BACKEND_MEM_HANGS | BACKEND_MEM_STICKY);
	assert_int_equal(pthread_create(&i.thread, NULL, run_backup, &i), 0);
	while (backend_mem_hanging(i.b) == 0)
		sched_yield();
	stop = true;
	pthread_join(i.thread, NULL);
	assert_result(i.r, -EINTR);
	backend_close(i.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_list_of_points_stays),
		cmocka_unit_test(hanging_backups_end),
		cmocka_unit_test(hanging_backups_are_interrupted),
		cmocka_unit_test(any_weather),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
