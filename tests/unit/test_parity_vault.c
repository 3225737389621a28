/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Parity in the life of a vault: a session that dies between a pack and its parity, and
 * packs that all lose a sector. */
#include "config.h"

#include "tests/unit/vaults.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/base/buf.h"
#include "store/base/task.h"
#include "store/check/check.h"
#include "store/format.h"
#include "store/parity/parity.h"
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

enum parity_fate { JUNK, LIE, ZEROS, GONE };

/* What a stranger, who can put objects, or a disk makes of parity of number @n. */
static void spoil(const char *pack, uint32_t n, enum parity_fate fate)
{
	char object[OBJECT_NAME_MAX], name[OBJECT_NAME_MAX];
	static const uint8_t nobody[16] = { 0 };
	struct buf made = BUF_INIT;
	uint8_t *data, *own;
	size_t len;

	snprintf(object, sizeof(object), "pack/%.2s/%s", strrchr(pack, '-') + 1,
		 pack);
	assert_ok(parity_object_name(pack, n, name));
	data = backend_mem_data(base, object, &len);
	assert_non_null(data);
	switch (fate) {
	case JUNK:
		assert_ok(backend_put(base, name, "junk", 4));
		break;
	case LIE:
		data[0] ^= 1;
		assert_ok(parity_make(pack, data, len, 10, nobody, &made));
		data[0] ^= 1;
		assert_ok(backend_put(base, name, made.data, made.len));
		break;
	case ZEROS:
		own = backend_mem_data(base, name, &len);
		assert_non_null(own);
		memset(own, 0, len);
		break;
	case GONE:
		assert_ok(backend_delete(base, name));
		break;
	}
	buf_release(&made);
}

/* The same of all packs. Return how many there are. */
static size_t spoil_all(uint32_t n, enum parity_fate fate)
{
	char(*packs)[PACK_NAME_MAX];
	size_t i, npacks = 0;

	packs = test_malloc(backend_mem_nobjects(base) * sizeof(*packs));
	for (i = 0; i < backend_mem_nobjects(base); i++) {
		const char *name = backend_mem_name(base, i);

		if (strncmp(name, "pack/", 5) == 0)
			snprintf(packs[npacks++], sizeof(*packs), "%s",
				 strrchr(name, '/') + 1);
	}
	for (i = 0; i < npacks; i++)
		spoil(packs[i], n, fate);
	test_free(packs);
	return npacks;
}

/* Of what a pack has any object mends it, and none stands in the way of another. */
static void any_number_serves(void **state)
{
	uint8_t before[CRYPT_SHA256_LEN], after[CRYPT_SHA256_LEN];
	struct repair_result res;
	size_t npacks;
	uint32_t n;

	(void)state;
	take_digest(before);
	npacks = spoil_all(9, JUNK);
	repair(repair_parity, true, &res);
	assert_int_equal(res.repaired, 0);
	spoil_all(0, ZEROS);
	repair(repair_parity, true, &res);
	assert_int_equal(res.repaired, npacks);
	repair(repair_parity, true, &res);
	assert_int_equal(res.repaired, 0);
	/* It is of number 1, and that of number 0 is lost altogether. */
	spoil_all(0, GONE);
	assert_int_equal(lose_in_each(), npacks);
	take_digest(after);
	assert_memory_equal(before, after, sizeof(before));
	assert_int_equal(lose_in_each(), npacks);
	/* That all its checksums are right does not make it that of the pack. */
	spoil_all(1, GONE);
	spoil_all(1, LIE);
	repair(repair_parity, false, &res);
	assert_int_equal(res.repaired, 0);
	repair(repair_parity, true, &res);
	assert_int_equal(res.repaired, npacks);
	assert_int_equal(res.left, 0);
	/* Where no number is free, that is said. */
	spoil_all(0, GONE);
	for (n = 0; n < 9; n++)
		if (n != 1)
			spoil_all(n, JUNK);
	repair(repair_parity, true, &res);
	assert_int_equal(res.repaired, 0);
	assert_int_equal(res.left, npacks);
	for (n = 0; n <= 9; n++)
		spoil_all(n, GONE);
	repair(repair_parity, false, &res);
	assert_int_equal(res.repaired, npacks);
}

/* The objects that there were before packs were written anew. */
static char (*old)[OBJECT_NAME_MAX];
static size_t nold;

static void keep_names(void)
{
	size_t i;

	nold = backend_mem_nobjects(base);
	old = calloc(nold, sizeof(*old));
	assert_non_null(old);
	for (i = 0; i < nold; i++)
		snprintf(old[i], sizeof(*old), "%s", backend_mem_name(base, i));
}

/* Delete of what is below @prefix what there was then, or what there was not. */
static void drop(const char *prefix, bool is_old)
{
	size_t i = 0, k;

	while (i < backend_mem_nobjects(base)) {
		char name[OBJECT_NAME_MAX];
		bool was_there = false;
		const uint8_t *data;
		size_t len;

		snprintf(name, sizeof(name), "%s", backend_mem_name(base, i));
		for (k = 0; k < nold && !was_there; k++)
			was_there = strcmp(old[k], name) == 0;
		data = backend_mem_data(base, name, &len);
		if (strncmp(name, prefix, strlen(prefix)) != 0 ||
		    was_there != is_old ||
		    (strcmp(prefix, "pack/") == 0 &&
		     data[10] != OBJECT_DATA_PACK))
			i++;
		else
			assert_ok(backend_delete(base, name));
	}
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
	keep_names();
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

/* Of all that a check finds, also where it is no more than that a pack is gone. */
static uint64_t count_lost_chunks(void)
{
	struct check_options o = { .read_data = true, .threads = 1 };
	struct task task = { .stop = NULL };
	struct check_result res;
	struct vault *v;
	uint64_t n = 0;
	size_t i;

	assert_ok(vault_open(&options, &v));
	assert_ok(check_run(v, &o, &task, &res));
	assert_true(res.nfindings > 0);
	for (i = 0; i < res.nfindings; i++)
		n += res.findings[i]->nchunks;
	check_release(&res);
	vault_close(v);
	return n;
}

/* After the last one. A copy that was begun before packs were written anew, and ended
 * when the old ones were gone: what it has of the new ones no index object of it
 * names. */
static void a_copy_of_two_times(void **state)
{
	uint8_t before[CRYPT_SHA256_LEN], after[CRYPT_SHA256_LEN];

	(void)state;
	take_digest(before);
	drop("commit/", false);
	drop("session/", false);
	drop("index/", false);
	drop("ledger/", true);
	drop("quarantine/", true);
	/* Those of files and disks: trees are mended by their parity. */
	drop("pack/", true);
	assert_true(count("pack/") > 0);
	assert_int_equal(count_lost_chunks(), 0);
	take_digest(after);
	assert_memory_equal(before, after, sizeof(before));
	free(old);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dies_in_between),
		cmocka_unit_test(any_number_serves),
		cmocka_unit_test(all_packs_damaged),
		cmocka_unit_test(a_copy_of_two_times),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
