/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ledger of checks: its form, what is believed of it, and that many short checks
 * read in turn what one long one would. */
#include "config.h"

#include "tests/unit/plant.h"
#include "tests/unit/seam_fault.h"
#include "tests/unit/support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/mem.h"
#include "store/base/seam.h"
#include "store/base/task.h"
#include "store/check/check.h"
#include "store/format.h"
#include "store/record/verified.h"
#include "store/vault.h"

#define ID "0123456789abcdef0123456789abcdef"
#define DAY_NS (INT64_C(86400) * 1000000000)
#define POINTS 3
#define PACKS (2 * POINTS) /* each point has one of data and one of its tree */

/* ---- the form ---- */

static int count_pack(void *arg, const uint8_t key[VERIFIED_KEY_LEN],
		      int64_t time_s, uint64_t who)
{
	(void)key;
	*(int64_t *)arg += time_s + (int64_t)who;
	return 0;
}

static int end_it(void *arg, const char *name)
{
	(void)arg;
	(void)name;
	return -ECANCELED;
}

static void put_names(struct buf *b, const char *name)
{
	buf_clear(b);
	buf_put_varint(b, 1);
	buf_put_bytes(b, name, strlen(name));
}

static int decode(const struct buf *b)
{
	return verified_decode(b->data, b->len, "test",
			       &(struct verified_visitor){ .arg = NULL });
}

static void form(void **state)
{
	static const uint8_t low[VERIFIED_KEY_LEN],
		high[VERIFIED_KEY_LEN] = { 1 };
	AUTO_BUF struct buf b = BUF_INIT;
	int64_t sum = 0;
	size_t i;

	(void)state;
	support_log_capture();
	put_names(&b, "root@web1");
	buf_put_varint(&b, 2);
	verified_put_pack(&b, low, 1000, 0);
	verified_put_pack(&b, high, 234, 0);
	buf_put_varint(&b, 1 + 1);
	verified_put_point(&b, ID);
	buf_put_varint(&b, 1);
	buf_put_bytes(&b, ID "-7", strlen(ID "-7"));
	assert_ok(buf_error(&b));
	assert_ok(verified_decode(
		b.data, b.len, "test",
		&(struct verified_visitor){ .pack = count_pack, .arg = &sum }));
	assert_int_equal(sum, 1234);
	assert_result(
		verified_decode(b.data, b.len, "test",
				&(struct verified_visitor){ .gone = end_it }),
		-ECANCELED);
	for (i = 0; i < b.len; i++) {
		struct buf cut = { b.data, i, i, false };

		assert_result(decode(&cut), -EBADMSG);
	}
	buf_put_u8(&b, 0);
	assert_result(decode(&b), -EBADMSG);
}

/* Not in order, twice, of nobody, a name that is none, another's object. */
static void wrong_forms(void **state)
{
	static const uint8_t low[VERIFIED_KEY_LEN],
		high[VERIFIED_KEY_LEN] = { 1 };
	static const uint8_t *const pairs[][2] = { { high, low },
						   { low, low } };
	static const char *const others[] = { ID, ID "-01", ID "-1.m", "x-1" };
	AUTO_BUF struct buf b = BUF_INIT;
	size_t i;

	(void)state;
	support_log_capture();
	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		put_names(&b, "");
		buf_put_varint(&b, 2);
		verified_put_pack(&b, pairs[i][0], 1, 0);
		verified_put_pack(&b, pairs[i][1], 1, 0);
		buf_put_varint(&b, 0);
		buf_put_varint(&b, 0);
		assert_result(decode(&b), -EBADMSG);
	}
	for (i = 0; i < 3; i++) {
		put_names(&b, i == 2 ? "a\nb" : "a");
		buf_put_varint(&b, 1);
		verified_put_pack(&b, low, i == 1 ? INT64_MAX : 1, i == 0);
		buf_put_varint(&b, 0);
		buf_put_varint(&b, 0);
		assert_result(decode(&b), -EBADMSG);
	}
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		put_names(&b, "");
		buf_put_varint(&b, 0);
		buf_put_varint(&b, 0);
		buf_put_varint(&b, 1);
		buf_put_bytes(&b, others[i], strlen(others[i]));
		assert_result(decode(&b), -EBADMSG);
	}
}

/* ---- checks ---- */

static struct check_options quick,
	thorough = { .read_data = true, .by = "tester@host" };

/* The clock of the checks is behind that of the store, as it is right. */
static int64_t day(int n)
{
	static int64_t now;

	if (!now)
		now = seam_system()->ops->realtime_ns(seam_system());
	return now + (n - 200) * DAY_NS;
}

static int check_at(struct plant *p, int64_t now_ns, int64_t step_ns,
		    const struct check_options *o, struct task *task,
		    struct check_result *out)
{
	struct vault_options with;
	struct seam_fault f;
	struct vault *v;
	int r;

	seam_fault_init(&f, NULL);
	seam_fault_clock(&f, now_ns, step_ns);
	with = support_vault_options(p->backend, &f.seam);
	assert_ok(vault_open(&with, &v));
	r = check_run(v, o, task, out);
	vault_close(v);
	seam_fault_release(&f);
	return r;
}

static void check_on(struct plant *p, int n, const struct check_options *o,
		     struct check_result *out)
{
	struct task task = { .stop = NULL };

	assert_ok(check_at(p, day(n), 0, o, &task, out));
	assert_int_equal(out->ledger_error, 0);
}

/* How many packs does it read? */
static uint64_t reads(struct plant *p, int n, const struct check_options *o)
{
	struct check_result found;
	uint64_t packs;

	check_on(p, n, o, &found);
	packs = found.packs_read;
	assert_int_equal(found.damages, 0);
	check_release(&found);
	return packs;
}

static void begin(struct plant *p)
{
	char text[] = "point 0";
	int i;

	support_log_capture();
	plant_init(p, 4 << 20);
	for (i = 0; i < POINTS; i++) {
		text[6] = (char)('0' + i);
		plant_begin(p);
		plant_file(p, "", "file", text);
		plant_commit(p, "web1", "2026-11-22T101500Z", NULL);
	}
}

static size_t count_ledgers(struct plant *p, char last[OBJECT_NAME_MAX])
{
	size_t i, n = 0;

	for (i = 0; i < backend_mem_nobjects(p->backend); i++) {
		const char *name = backend_mem_name(p->backend, i);

		if (strncmp(name, "ledger/", 7) == 0 && ++n)
			snprintf(last, OBJECT_NAME_MAX, "%s", name);
	}
	return n;
}

static const char *a_pack(struct plant *p)
{
	size_t i;

	for (i = 0; i < backend_mem_nobjects(p->backend); i++)
		if (strncmp(backend_mem_name(p->backend, i), "pack/", 5) == 0)
			return backend_mem_name(p->backend, i);
	fail_msg("no pack");
	return NULL;
}

static void flip(struct plant *p, const char *name, size_t at)
{
	size_t len;
	uint8_t *data = backend_mem_data(p->backend, name, &len);

	assert_non_null(data);
	data[at < len ? at : len - 1] ^= 1;
}

/* One pack a day: after as many days all have been read, each once, and then it
 * begins again with the first. Objects are merged on the way. */
static void in_turn(void **state)
{
	struct check_options o = { .read_data = true,
				   .budget_bytes = 1,
				   .by = "tester@host" };
	char first[PACK_NAME_MAX], last[OBJECT_NAME_MAX];
	struct check_result found;
	struct plant p;
	int i;

	(void)state;
	begin(&p);
	for (i = 0; i < PACKS; i++) {
		check_on(&p, i, &o, &found);
		assert_int_equal(found.packs_read, 1);
		assert_int_equal(found.left, PACKS - 1);
		assert_int_equal(found.coverage.never, PACKS - 1 - i);
		assert_int_equal(found.coverage.oldest_s, day(0) / 1000000000);
		assert_string_equal(found.coverage.oldest_by, "tester@host");
		if (i > 0)
			assert_string_equal(found.coverage.oldest, first);
		snprintf(first, sizeof(first), "%s", found.coverage.oldest);
		check_release(&found);
	}
	assert_int_equal(count_ledgers(&p, last), PACKS);
	for (; i < 3 * PACKS; i++) {
		check_on(&p, i, &o, &found);
		assert_int_equal(found.coverage.never, 0);
		assert_int_equal(found.coverage.oldest_s,
				 day(i - PACKS + 1) / 1000000000);
		assert_int_equal(found.coverage.bytes_verified,
				 found.coverage.bytes);
		check_release(&found);
	}
	/* What is older than the age asked for, and no more. */
	o = (struct check_options){ .read_data = true,
				    .max_age_s = PACKS / 2 * 86400 };
	assert_int_equal(reads(&p, 3 * PACKS, &o), PACKS / 2);
	assert_int_equal(reads(&p, 3 * PACKS, &o), 0);
	assert_int_equal(reads(&p, 3 * PACKS, &quick), 0);
	assert_int_equal(reads(&p, 3 * PACKS, &thorough), PACKS);
	plant_release(&p);
}

/* It ends in time, but not before a pack was read. */
static void in_time(void **state)
{
	struct check_options o = { .read_data = true, .budget_ns = 1 };
	struct task task = { .stop = NULL };
	struct check_result found;
	struct plant p;

	(void)state;
	begin(&p);
	assert_ok(check_at(&p, day(0), 1000, &o, &task, &found));
	assert_int_equal(found.packs_read, 1);
	assert_int_equal(found.left, PACKS - 1);
	check_release(&found);
	o.budget_ns = DAY_NS;
	assert_ok(check_at(&p, day(0), 1000, &o, &task, &found));
	assert_int_equal(found.packs_read, PACKS);
	assert_int_equal(found.left, 0);
	check_release(&found);
	plant_release(&p);
}

static bool stop;

static void stop_at_packs(void *arg, const void *progress)
{
	const struct check_progress *p = progress;

	(void)arg;
	stop = strcmp(p->phase, "packs") == 0 && p->items_done >= 2;
}

/* Whoever ends it early keeps what was done. */
static void ended_early(void **state)
{
	struct task task = { .stop = &stop, .tick = stop_at_packs };
	struct check_result found;
	struct plant p;

	(void)state;
	begin(&p);
	stop = false;
	/* Ticks are a few a second, by this clock. */
	assert_result(check_at(&p, day(0), 1000000000, &thorough, &task,
			       &found),
		      -EINTR);
	check_release(&found);
	check_on(&p, 1, &quick, &found);
	assert_in_range(found.coverage.never, 1, PACKS - 2);
	check_release(&found);
	plant_release(&p);
}

static void no_right_to_write(void **state)
{
	struct task task = { .stop = NULL };
	struct check_result found;
	struct plant p;

	(void)state;
	begin(&p);
	backend_mem_fail(p.backend, BACKEND_MEM_PUT, "", 1, -EROFS,
			 BACKEND_MEM_STICKY);
	assert_ok(check_at(&p, day(0), 0, &thorough, &task, &found));
	assert_int_equal(found.packs_read, PACKS);
	assert_int_equal(found.damages, 0);
	assert_int_equal(found.ledger_error, -EROFS);
	check_release(&found);
	plant_release(&p);
}

/* A put that fails once loses nothing: what was to be merged is merged the next time,
 * and what was read then is noted at the end. */
static void one_put_fails(void **state)
{
	struct check_options o = { .read_data = true,
				   .budget_bytes = 1,
				   .by = "tester@host" };
	struct task task = { .stop = NULL };
	struct check_result found;
	struct plant p;
	int i;

	(void)state;
	begin(&p);
	for (i = 0; i < 8; i++)
		assert_int_equal(reads(&p, i, &o), 1);
	/* Each look at the clock takes so long that each pack is noted. */
	backend_mem_fail(p.backend, BACKEND_MEM_PUT, "ledger/", 1, -EIO, 0);
	assert_ok(check_at(&p, day(8), INT64_C(700000000000), &thorough, &task,
			   &found));
	assert_int_equal(found.packs_read, PACKS);
	assert_int_equal(found.ledger_error, 0);
	check_release(&found);
	o.budget_bytes = 0;
	o.max_age_s = 2 * 86400;
	assert_int_equal(reads(&p, 9, &o), 0);
	plant_release(&p);
}

/* ---- what is believed ---- */

/* Put an object that says that all packs were whole at @time_ns, superseding @gone,
 * which may be NULL. */
static void forge(struct plant *p, const char *name, int64_t time_ns,
		  int64_t stored_ns, const char *gone)
{
	AUTO_BUF struct buf plain = BUF_INIT, box = BUF_INIT;
	uint8_t keys[PACKS][CRYPT_SHA256_LEN], swap[CRYPT_SHA256_LEN];
	size_t i, j, n = 0;

	for (i = 0; i < backend_mem_nobjects(p->backend); i++) {
		const char *at = backend_mem_name(p->backend, i);

		if (strncmp(at, "pack/", 5) == 0)
			assert_ok(format_pack_hash(at + 8, keys[n++]));
	}
	assert_int_equal(n, PACKS);
	for (i = 0; i < n; i++)
		for (j = i + 1; j < n; j++)
			if (memcmp(keys[i], keys[j], sizeof(swap)) > 0) {
				memcpy(swap, keys[i], sizeof(swap));
				memcpy(keys[i], keys[j], sizeof(swap));
				memcpy(keys[j], swap, sizeof(swap));
			}
	put_names(&plain, "mallory");
	buf_put_varint(&plain, gone ? 0 : n);
	for (i = 0; i < n && !gone; i++)
		verified_put_pack(&plain, keys[i], time_ns / 1000000000, 0);
	buf_put_varint(&plain, 0);
	buf_put_varint(&plain, gone != NULL);
	if (gone)
		buf_put_bytes(&plain, gone + 7, strlen(gone + 7));
	assert_ok(format_seal_box(vault_keyring(p->vault), NULL, NULL,
				  vault_seam(p->vault), OBJECT_LEDGER, name,
				  NULL, 0, plain.data, plain.len, &box));
	assert_ok(backend_mem_set(p->backend, name, box.data, box.len));
	assert_ok(backend_mem_set_time(p->backend, name, stored_ns));
}

static void forged(void **state)
{
	struct check_options o = { .read_data = true,
				   .max_age_s = 30 * 86400,
				   .look_only = true };
	static const struct {
		int claimed, stored;
		uint64_t read;
	} cases[] = {
		{ 99, 99, 0 }, /* it could be true */
		{ 99, 50, PACKS }, /* it stands there since before that */
		{ 50, 99, PACKS }, /* an old one put back */
		{ 300, 99, 0 }, /* from its putting on, and no longer */
		{ 300, 69, PACKS },
		{ 300, 300, PACKS }, /* by a clock that is no clock */
	};
	struct plant p;
	size_t i;

	(void)state;
	begin(&p);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		forge(&p, "ledger/" ID "-0", day(cases[i].claimed),
		      day(cases[i].stored), NULL);
		assert_int_equal(reads(&p, 100, &o), cases[i].read);
		/* Whatever it says, who is to read all does. */
		thorough.look_only = true;
		assert_int_equal(reads(&p, 100, &thorough), PACKS);
		thorough.look_only = false;
	}
	plant_release(&p);
}

/* Others that say that nobody needs it, or each other: it is read again. */
static void superseded(void **state)
{
	struct check_options o = { .read_data = true,
				   .max_age_s = 30 * 86400,
				   .look_only = true };
	struct plant p;

	(void)state;
	begin(&p);
	forge(&p, "ledger/" ID "-0", day(99), day(99), NULL);
	forge(&p, "ledger/" ID "-1", 0, day(100), "ledger/" ID "-0");
	assert_int_equal(reads(&p, 100, &o), PACKS);
	forge(&p, "ledger/" ID "-2", 0, day(100), "ledger/" ID "-1");
	forge(&p, "ledger/" ID "-1", 0, day(100), "ledger/" ID "-2");
	assert_int_equal(reads(&p, 100, &o), 0);
	plant_release(&p);
}

/* A damaged one is reported, and the next that is put stands for it. */
static void damaged(void **state)
{
	static const char *const cases[] = { "flipped", "nonsense" };
	struct check_options o = { .read_data = true, .max_age_s = 86400 };
	char last[OBJECT_NAME_MAX];
	struct check_result found;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct plant p;

		begin(&p);
		assert_int_equal(reads(&p, 0, &o), PACKS);
		assert_int_equal(count_ledgers(&p, last), 1);
		if (i == 0)
			flip(&p, last, 130);
		else
			assert_ok(backend_mem_set(p.backend, last, "x", 1));
		check_on(&p, 0, &o, &found);
		assert_int_equal(found.packs_read, PACKS);
		assert_int_equal(found.damages, 1);
		assert_string_equal(found.findings[0]->object, last);
		assert_non_null(
			strstr(found.findings[0]->text, "nothing is lost"));
		check_release(&found);
		assert_int_equal(reads(&p, 0, &o), 0);
		plant_release(&p);
	}
}

/* ---- what was lost and is there again ---- */

static void whole_again(void **state)
{
	struct check_result found;
	const char *pack;
	struct plant p;
	int i;

	(void)state;
	begin(&p);
	pack = a_pack(&p);
	flip(&p, pack, 100);
	for (i = 0; i < 2; i++) {
		check_on(&p, i, &thorough, &found);
		assert_int_equal(found.damages, 1);
		assert_int_equal(found.nmended, 0);
		/* A damaged pack is not verified. */
		assert_int_equal(found.coverage.never, 0);
		assert_true(found.coverage.bytes_verified <
			    found.coverage.bytes);
		check_release(&found);
	}
	flip(&p, pack, 100);
	check_on(&p, 2, &quick, &found);
	assert_int_equal(found.damages, 0);
	assert_int_equal(found.nmended, 1);
	assert_int_equal(found.released, 1);
	assert_int_equal(found.nfindings, 1);
	assert_string_equal(found.findings[0]->object, pack);
	assert_true(found.findings[0]->is_mended);
	check_release(&found);
	check_on(&p, 3, &quick, &found);
	assert_int_equal(found.nmended + found.nfindings, 0);
	check_release(&found);
	plant_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(form),
		cmocka_unit_test(wrong_forms),
		cmocka_unit_test(in_turn),
		cmocka_unit_test(in_time),
		cmocka_unit_test(ended_early),
		cmocka_unit_test(no_right_to_write),
		cmocka_unit_test(one_put_fails),
		cmocka_unit_test(forged),
		cmocka_unit_test(superseded),
		cmocka_unit_test(damaged),
		cmocka_unit_test(whole_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
