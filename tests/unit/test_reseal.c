/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Collections in a vault whose keys were rotated: what goes, whatever epoch it is of;
 * and packs with keys of before that are sealed anew, a bit each time, and however often
 * somebody dies over it.
 */
#include "config.h"

#include "tests/unit/vaults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/backend/mem.h"
#include "store/base/bytes.h"
#include "store/collect/collect.h"
#include "store/crypt/keyring.h"
#include "store/epoch/epoch.h"
#include "store/epoch/rotate.h"
#include "store/format.h"
#include "store/point.h"

#define POINTS 3 /* of epochs 0, 1 and 2 */

/* Nobody changes it: each test has a copy. */
static struct backend *full;
static const char *dirs[POINTS];
static char ids[POINTS][33];
static uint8_t digests[POINTS][CRYPT_SHA256_LEN];

/* Whether point @i is there, whole. */
static bool is_whole(struct backend *b, size_t i)
{
	return vaults_is_whole(b, ids[i], dirs[i], digests[i]);
}

static void rotate(struct backend *b)
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	struct rotate_key key = { .credential = &o.credential };
	struct vault *v;
	uint32_t epoch;

	assert_ok(vault_open(&o, &v));
	assert_ok(rotate_run(v, &key, 1, 0, &epoch));
	vault_close(v);
}

static int setup(void **state)
{
	static uint8_t data[40000];
	struct vault_options o;
	char id[33];
	size_t i;

	(void)state;
	support_log_capture();
	full = backend_mem_new();
	assert_non_null(full);
	o = vaults_options(NULL, full, NULL, NULL);
	assert_ok(vault_create(&o, 0, id));
	for (i = 0; i < POINTS; i++) {
		if (i > 0)
			rotate(full);
		dirs[i] = support_path("%s/%zu", support_tmpdir_fast(), i);
		assert_int_equal(mkdir(dirs[i], 0755), 0);
		support_fill(i + 1, data, sizeof(data));
		support_write(support_path("%s/own", dirs[i]), data,
			      sizeof(data));
		support_fill(99, data, sizeof(data));
		support_write(support_path("%s/shared", dirs[i]), data,
			      sizeof(data));
		assert_ok(vaults_open_and_backup(&o, dirs[i], ids[i]));
		assert_true(is_whole(full, i));
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	backend_close(full);
	return 0;
}

static struct backend *copy(void)
{
	struct backend *b = backend_mem_clone(full);

	assert_non_null(b);
	support_log_clear();
	return b;
}

/* Of how many packs the header says an earlier epoch than the newest. */
static size_t nold(struct backend *b)
{
	size_t i, n = 0, len;

	for (i = 0; i < backend_mem_nobjects(b); i++) {
		const char *name = backend_mem_name(b, i);
		const uint8_t *data = backend_mem_data(b, name, &len);

		n += strncmp(name, "pack/", 5) == 0 && get_le32(data + 12) < 2;
	}
	return n;
}

static void assert_counted(struct backend *b)
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	struct epoch_old old;
	struct vault *v;

	assert_ok(vault_open(&o, &v));
	assert_ok(epoch_count_old(v, &old));
	assert_int_equal(old.packs, nold(b));
	assert_int_equal(old.bytes > 0, old.packs > 0);
	vault_close(v);
}

/* A day has passed for who left these. */
static void age_all(struct backend *b)
{
	static const char *const kinds[] = { "heartbeat/", "session/",
					     "pack/" };
	size_t i, k;

	for (i = 0; i < backend_mem_nobjects(b); i++)
		for (k = 0; k < ARRAY_SIZE(kinds); k++) {
			const char *name = backend_mem_name(b, i);

			if (strncmp(name, kinds[k], strlen(kinds[k])) == 0)
				assert_ok(backend_mem_set_time(b, name, 1));
		}
}

static int on_plan(void *arg, const struct collect_plan *plan)
{
	struct collect_options *o = arg;

	o->yes_remove = (int64_t)plan->nremoved;
	return 0;
}

static int collect(struct backend *b, uint64_t reseal,
		   struct collect_result *out)
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	struct collect_options co = { .yes_remove = -1,
				      .max_unused = 100,
				      .reseal = reseal,
				      .by = "root@web1",
				      .on_plan = on_plan };
	struct vault *v;
	int r;

	co.arg = &co;
	assert_ok(vault_open(&o, &v));
	vault_show_forgotten(v);
	r = collect_run(v, &co, out);
	vault_close(v);
	return r;
}

static void assert_all_whole(struct backend *b, size_t first)
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	size_t i;

	for (i = first; i < POINTS; i++)
		assert_true(is_whole(b, i));
	assert_int_equal(vaults_check(&o), 0);
}

/* ---- tests ---- */

/* The first point goes, and what only it needs. */
static void what_nobody_needs_goes(void **state)
{
	struct backend *b = copy();
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	AUTO_BUF struct buf box = BUF_INIT;
	struct collect_result res;
	char name[OBJECT_NAME_MAX];
	static const char text[] = "{\"time_ns\":1}";
	struct vault *v;

	(void)state;
	snprintf(name, sizeof(name), "forget/%s-0", ids[0]);
	assert_ok(vault_open(&o, &v));
	assert_ok(format_seal_box(vault_keyring(v), NULL, NULL, vault_seam(v),
				  OBJECT_FORGET, name, NULL, 0, text,
				  strlen(text), &box));
	assert_ok(backend_mem_set(b, name, box.data, box.len));
	assert_ok(backend_mem_set_time(b, name, 1));
	vault_close(v);
	assert_int_equal(nold(b), 4);
	assert_ok(collect(b, 0, &res));
	assert_int_equal(res.purged, 1);
	/* Its tree; its data have what all have in common. */
	assert_int_equal(res.packs, 1);
	assert_int_equal(res.plan.nold, 3);
	assert_int_equal(nold(b), 3);
	assert_counted(b);
	assert_all_whole(b, 1);
	/* Sealed anew, only what is needed stays. */
	assert_ok(collect(b, UINT64_MAX, &res));
	assert_int_equal(res.plan.nresealed, 3);
	assert_int_equal(nold(b), 0);
	assert_counted(b);
	assert_all_whole(b, 1);
	backend_close(b);
}

/* A pack each time, until there is none; and nothing after that. */
static void a_bit_each_time(void **state)
{
	struct backend *b = copy();
	struct collect_result res;
	size_t i, n = nold(b);

	(void)state;
	assert_int_equal(n, 4);
	assert_ok(collect(b, 0, &res));
	assert_int_equal(nold(b), n);
	for (i = n; i-- > 0;) {
		assert_ok(collect(b, 1, &res));
		assert_int_equal(res.plan.nold, i + 1);
		assert_int_equal(res.plan.nresealed, 1);
		assert_int_equal(nold(b), i);
		assert_counted(b);
		assert_all_whole(b, 0);
	}
	assert_ok(collect(b, 1, &res));
	assert_int_equal(res.plan.nold, 0);
	assert_int_equal(res.plan.nrepacked, 0);
	assert_int_equal(res.packs, 0);
	backend_close(b);
}

struct fate {
	unsigned int calls; /* that changed something */
	unsigned int dies_after; /* so many; 0: never */
	bool is_dead;
};

static int strike(void *arg, enum backend_mem_op op, const char *name)
{
	struct fate *f = arg;
	bool changes = op == BACKEND_MEM_PUT || op == BACKEND_MEM_DELETE;

	(void)name;
	f->is_dead |= f->dies_after && changes && f->calls == f->dies_after;
	f->calls += changes;
	return f->is_dead ? -EACCES : 0;
}

static void a_death_anywhere_is_made_up_for(void **state)
{
	struct fate f = { .dies_after = 0 };
	struct collect_result res;
	unsigned int n, calls;
	struct backend *b = copy();

	(void)state;
	backend_mem_watch(b, strike, &f);
	assert_ok(collect(b, UINT64_MAX, &res));
	backend_mem_watch(b, NULL, NULL);
	assert_int_equal(nold(b), 0);
	backend_close(b);
	calls = f.calls;
	assert_in_range(calls, 15, 100);
	for (n = 1; n < calls; n++) {
		b = copy();
		f = (struct fate){ .dies_after = n };
		backend_mem_watch(b, strike, &f);
		(void)!collect(b, UINT64_MAX, &res);
		backend_mem_watch(b, NULL, NULL);
		assert_true(f.is_dead);
		assert_true(is_whole(b, 0));
		assert_true(is_whole(b, 1));
		age_all(b);
		assert_ok(collect(b, UINT64_MAX, &res));
		if (nold(b) > 0) {
			/* What the dead one had condemned, and was not decided. */
			age_all(b);
			assert_ok(collect(b, UINT64_MAX, &res));
		}
		assert_int_equal(nold(b), 0);
		assert_all_whole(b, 0);
		backend_close(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_nobody_needs_goes),
		cmocka_unit_test(a_bit_each_time),
		cmocka_unit_test(a_death_anywhere_is_made_up_for),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
