/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Parity in the life of a vault: a session that dies between a pack and its parity, and
 * packs that all lose a sector. */
#include "config.h"

#include "tests/unit/vaults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/base/task.h"
#include "store/point.h"
#include "store/repair/repair.h"

static const char *dir;
static struct backend *base;
static struct vault_options options;

static int setup(void **state)
{
	char id[33];

	(void)state;
	support_log_capture();
	dir = support_path("%s/src", support_tmpdir_fast());
	vaults_make_source(dir);
	vaults_make_disk(dir);
	base = backend_mem_new();
	assert_non_null(base);
	options = vaults_options(NULL, base, NULL, NULL);
	options.parity = 10;
	assert_ok(vault_create(&options, 0, id));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	backend_close(base);
	return 0;
}

static size_t count(const char *prefix)
{
	size_t i, n = 0;

	for (i = 0; i < backend_mem_nobjects(base); i++)
		n += strncmp(backend_mem_name(base, i), prefix,
			     strlen(prefix)) == 0;
	return n;
}

/* The digest of the one point. */
static void take_digest(uint8_t out[CRYPT_SHA256_LEN])
{
	struct point_list *l;
	struct vault *v;

	assert_ok(vault_open(&options, &v));
	assert_int_equal(vault_parity(v), 10);
	assert_ok(vault_points(v, &l));
	assert_int_equal(l->n, 1);
	assert_ok(vaults_digest(v, l->points[0], dir, out));
	point_list_put(l);
	vault_close(v);
}

static void repair(int (*run)(struct vault *v, const struct repair_options *o,
			      struct task *task, struct repair_result *out),
		   bool reads, struct repair_result *out)
{
	struct repair_options o = {
		.apply = true, .read_data = reads, .level = 3, .disk_level = 3
	};
	struct task task = { .stop = NULL };
	struct vault_options with = options;
	struct vault *v;

	with.verify = true;
	assert_ok(vault_open(&with, &v));
	assert_ok(run(v, &o, &task, out));
	vault_close(v);
}

/* Some bytes in the middle of each pack. */
static size_t lose_in_each(void)
{
	size_t i, j, len, n = 0;

	for (i = 0; i < backend_mem_nobjects(base); i++) {
		const char *name = backend_mem_name(base, i);
		uint8_t *data = backend_mem_data(base, name, &len);

		if (strncmp(name, "pack/", 5) != 0)
			continue;
		for (j = len / 2; j < len && j < len / 2 + 100; j++)
			data[j] ^= 0xff;
		n++;
	}
	return n;
}

/* A full disk between a pack and its parity: no point, and what is there serves the next
 * session; only its parity is missing, and can be made. */
static void dies_in_between(void **state)
{
	struct repair_result res;

	(void)state;
	backend_mem_fail(base, BACKEND_MEM_PUT, "parity/", 1, -ENOSPC, 0);
	assert_result(vaults_open_and_backup(&options, dir, NULL), -ENOSPC);
	assert_true(count("pack/") > count("parity/"));
	assert_int_equal(count("point/"), 0);
	assert_ok(vaults_open_and_backup(&options, dir, NULL));
	assert_int_equal(vaults_check(&options), 0);
	assert_true(count("pack/") > count("parity/"));
	repair(repair_parity, false, &res);
	assert_true(res.repaired > 0);
	assert_int_equal(res.left, 0);
	assert_int_equal(count("pack/"), count("parity/"));
	repair(repair_parity, true, &res);
	assert_int_equal(res.repaired, 0);
}

static void all_packs_damaged(void **state)
{
	uint8_t before[CRYPT_SHA256_LEN], after[CRYPT_SHA256_LEN];
	struct repair_result res;
	size_t npacks;

	(void)state;
	take_digest(before);
	npacks = lose_in_each();
	assert_int_equal(vaults_check(&options), (int)npacks);
	take_digest(after);
	assert_memory_equal(before, after, sizeof(before));
	assert_said("mended for now by its parity");
	repair(repair_packs, true, &res);
	assert_true(res.chunks > 0);
	assert_int_equal(res.left, 0);
	assert_int_equal(res.chunks_lost, 0);
	/* What was stored anew stands by itself. */
	assert_int_equal(vaults_check(&options), 0);
	assert_int_equal(count("pack/"), count("parity/"));
	take_digest(after);
	assert_memory_equal(before, after, sizeof(before));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dies_in_between),
		cmocka_unit_test(all_packs_damaged),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
