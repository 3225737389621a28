/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a backup must bear: few descriptors, new files, a damaged parent, another
 * backup of the machine at the same time. */
#include "config.h"

#include "tests/unit/vaults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/backup/backup.h"
#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/base/task.h"
#include "store/format.h"
#include "store/point.h"
#include "tests/unit/seam_fault.h"

static struct vault_options new_vault(struct backend **out)
{
	struct vault_options o;
	char id[33];

	support_log_capture();
	*out = backend_mem_new();
	assert_non_null(*out);
	o = vaults_options(NULL, *out, NULL, NULL);
	assert_ok(vault_create(&o, 0, id));
	return o;
}

/* @n directories of one file, in @dir. */
static void make_dirs(const char *dir, unsigned int n)
{
	unsigned int i;

	assert_int_equal(mkdir(dir, 0755), 0);
	for (i = 0; i < n; i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%u", dir, i);
		assert_int_equal(mkdir(path, 0755), 0);
		snprintf(path, sizeof(path), "%s/%u/file", dir, i);
		support_write(path, path, strlen(path));
	}
}

struct last {
	uint64_t entries, errors;
	bool incomplete;
};

static struct last last_point(const struct vault_options *o)
{
	struct point_list *l;
	struct last last;
	struct vault *v;

	assert_ok(vault_open(o, &v));
	assert_ok(vault_points(v, &l));
	assert_true(l->n > 0);
	last.entries = l->points[l->n - 1]->entries;
	last.errors = l->points[l->n - 1]->errors;
	last.incomplete = l->points[l->n - 1]->incomplete;
	point_list_put(l);
	vault_close(v);
	return last;
}

/* Readers lag behind the scan with one large file; the directories of the
 * files that wait cannot all be kept open. */
static void few_descriptors(void **state)
{
	const char *dir = support_path("%s/src", support_tmpdir_fast());
	struct rlimit old, few;
	struct vault_options o;
	struct backend *b;
	uint8_t *large = calloc(1, 20 << 20);
	struct last last;
	int r;

	(void)state;
	make_dirs(dir, 700);
	support_write(support_path("%s/0/large", dir), large, 20 << 20);
	free(large);
	o = new_vault(&b);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = 128;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	r = vaults_open_and_backup(&o, dir, NULL);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_ok(r);
	last = last_point(&o);
	assert_false(last.incomplete);
	assert_true(last.entries > 1401);
	backend_close(b);
}

/* Where the parent's tree ends in damage, files are read anew. */
static void a_damaged_parent(void **state)
{
	const char *dir = support_path("%s/src", support_tmpdir_fast());
	struct vault_options o;
	struct backend *b;
	size_t i, len;
	struct last first, second;

	(void)state;
	make_dirs(dir, 3000);
	o = new_vault(&b);
	assert_ok(vaults_open_and_backup(&o, dir, NULL));
	first = last_point(&o);
	for (i = 0; i < backend_mem_nobjects(b); i++) {
		const char *name = backend_mem_name(b, i);
		uint8_t *data = backend_mem_data(b, name, &len);

		/* The frames of a tree's pack: leaves, in order. */
		if (strncmp(name, "pack/", 5) == 0 &&
		    data[10] == OBJECT_TREE_PACK)
			data[len / 2] ^= 1;
	}
	support_log_clear();
	assert_ok(vaults_open_and_backup(&o, dir, NULL));
	assert_said("the parent cannot be read to its end");
	second = last_point(&o);
	assert_int_equal(second.entries, first.entries);
	backend_close(b);
}

static size_t count_objects(struct backend *b, const char *prefix)
{
	size_t i, n = 0;

	for (i = 0; i < backend_mem_nobjects(b); i++)
		n += strncmp(backend_mem_name(b, i), prefix, strlen(prefix)) ==
		     0;
	return n;
}

/* Of what is so new that it may have changed since, only looking again tells. */
static void new_files_are_compared(void **state)
{
	const char *dir = support_path("%s/src", support_tmpdir_fast());
	struct backup_options bo = { .vm = "m",
				     .sources = &dir,
				     .nsources = 1,
				     .level = 1,
				     .skip_if_unchanged = true };
	struct backup_result result;
	struct task task = { .stop = NULL };
	struct seam_fault f;
	struct vault_options o;
	struct backend *b;
	struct vault *v;

	(void)state;
	make_dirs(dir, 3);
	assert_int_equal(symlink("0", support_path("%s/link", dir)), 0);
	o = new_vault(&b);
	seam_fault_init(&f, NULL);
	/* Long before the files were made. */
	seam_fault_clock(&f, INT64_C(1000000000000000000), 1000);
	o.seam = &f.seam;
	assert_ok(vault_open(&o, &v));
	assert_ok(backup_run(v, &bo, &task, &result));
	assert_false(result.skipped);
	assert_ok(backup_run(v, &bo, &task, &result));
	assert_true(result.progress.bytes_read > 0);
	assert_true(result.skipped);
	/* Nobody has to wait for the session that made nothing. */
	assert_int_equal(count_objects(b, "session/"), 2);
	assert_int_equal(count_objects(b, "commit/"), 2);
	assert_int_equal(result.progress.files_unmodified, 3);
	assert_int_equal(result.progress.files_changed, 0);
	support_write(support_path("%s/1/file", dir), "new", 3);
	assert_ok(backup_run(v, &bo, &task, &result));
	assert_false(result.skipped);
	assert_int_equal(result.progress.files_changed, 1);
	vault_close(v);
	seam_fault_release(&f);
	backend_close(b);
}

/* ---- two points of one second ---- */

static struct {
	struct vault_options options;
	struct backup_options backup;
	struct backup_result result;
	bool done;
} twin;

/* Another backup of the machine begins and ends. */
static int make_twin(void *arg, enum backend_mem_op op, const char *name)
{
	struct task task = { .stop = NULL };
	struct vault *v;

	(void)arg;
	if (op != BACKEND_MEM_PUT || twin.done || strncmp(name, "pack/", 5))
		return 0;
	twin.done = true;
	assert_ok(vault_open(&twin.options, &v));
	assert_ok(backup_run(v, &twin.backup, &task, &twin.result));
	vault_close(v);
	return 0;
}

static void a_point_tells_its_name(void **state)
{
	const char *dir = support_path("%s/src", support_tmpdir_fast());
	struct backup_result result;
	struct task task = { .stop = NULL };
	struct point_list *l;
	struct backend *b;
	struct vault *v;
	char name[100];
	size_t at;

	(void)state;
	make_dirs(dir, 1);
	twin.options = new_vault(&b);
	twin.backup = (struct backup_options){ .vm = "m",
					       .sources = &dir,
					       .nsources = 1,
					       .level = 1,
					       .time_ns = 1000000000 };
	backend_mem_watch(b, make_twin, NULL);
	assert_ok(vault_open(&twin.options, &v));
	assert_ok(backup_run(v, &twin.backup, &task, &result));
	backend_mem_watch(b, NULL, NULL);
	assert_true(twin.done);
	assert_string_equal(twin.result.point_name, "m/1970-01-01T000001Z");
	snprintf(name, sizeof(name), "m/1970-01-01T000001Z-%.8s",
		 result.point_id);
	assert_string_equal(result.point_name, name);
	assert_ok(vault_points(v, &l));
	assert_ok(point_find(l, result.point_name, &at));
	assert_string_equal(l->points[at]->id, result.point_id);
	point_list_put(l);
	vault_close(v);
	backend_close(b);
}

/* The parent of the point @id. */
static const char *parent_of(struct vault *v, const char *id)
{
	static char parent[POINT_ID_HEX + 1];
	struct point_list *l;
	size_t at;

	assert_ok(vault_points(v, &l));
	assert_ok(point_find(l, id, &at));
	memcpy(parent, l->points[at]->parent, sizeof(parent));
	point_list_put(l);
	return parent;
}

/* A clock was wrong once. That point stays the latest, but is nobody's parent for
 * ever. */
static void a_point_of_the_future(void **state)
{
	const char *dir = support_path("%s/src", support_tmpdir_fast());
	struct backup_options o = {
		.vm = "m", .sources = &dir, .nsources = 1, .level = 1
	};
	struct backup_result future, second, third;
	struct task task = { .stop = NULL };
	struct vault_options options;
	struct point_list *l;
	struct backend *b;
	struct vault *v;
	size_t at;

	(void)state;
	make_dirs(dir, 1);
	options = new_vault(&b);
	assert_ok(vault_open(&options, &v));
	o.time_ns = INT64_C(9000000000) * 1000000000;
	assert_ok(backup_run(v, &o, &task, &future));
	o.time_ns = 0;
	support_log_clear();
	assert_ok(backup_run(v, &o, &task, &second));
	assert_said("m/2255-03-14T160000Z is dated in the future");
	assert_string_equal(parent_of(v, second.point_id), future.point_id);
	assert_ok(backup_run(v, &o, &task, &third));
	assert_string_equal(parent_of(v, third.point_id), second.point_id);
	assert_ok(vault_points(v, &l));
	assert_ok(point_find(l, "m/latest", &at));
	assert_string_equal(l->points[at]->id, future.point_id);
	point_list_put(l);
	vault_close(v);
	backend_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_files_are_compared),
		cmocka_unit_test(few_descriptors),
		cmocka_unit_test(a_point_tells_its_name),
		cmocka_unit_test(a_damaged_parent),
		cmocka_unit_test(a_point_of_the_future),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
