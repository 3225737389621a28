/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * At every instant a vault is either as before or has one more point. A second
 * backup, of files and a disk, into a local directory is killed at each of its
 * state-changing calls, each of them fails in each way, and the power is cut at
 * each moment. With SOAK=1 that is so; else it is killed before every other call
 * and behind some, each call fails in one of the ways, and of the moments some
 * are left out.
 */
#include "config.h"

#include "tests/unit/vaults.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/point.h"
#include "store/writer/note.h"
#include "tests/unit/seam_crash.h"
#include "tests/unit/seam_fault.h"

struct scene {
	const char *root; /* everything but the source lies here */
	const char *base; /* a vault with one point */
	struct vaults_expected expected;
};

static struct scene scene;

static void create(const char *url, struct seam *seam)
{
	struct vault_options o = vaults_options(url, NULL, seam, NULL);
	char id[33];

	assert_ok(vault_create(&o, 0, id));
}

/* Take the hash of the @i-th point of a vault for the right one. */
static void expect(const char *url, size_t i)
{
	struct vault_options o = vaults_options(url, NULL, NULL, NULL);
	struct point_list *l;
	struct vault *v;

	assert_ok(vault_open(&o, &v));
	assert_ok(vault_points(v, &l));
	assert_int_equal(l->n, i + 1);
	assert_int_equal(l->points[i]->ndisks, 1);
	assert_ok(vaults_digest(v, l->points[i], scene.expected.dir,
				scene.expected.digest[i]));
	point_list_put(l);
	vault_close(v);
}

static int setup(void **state)
{
	struct vault_options o;
	const char *copy;

	(void)state;
	support_log_capture();
	scene.root = support_tmpdir_fast();
	scene.base = support_path("%s/base", scene.root);
	scene.expected.dir = support_path("%s/src", support_tmpdir_fast());
	/* Who is killed leaves its private database there. */
	assert_int_equal(setenv("TMPDIR", support_tmpdir(), 1), 0);
	vaults_make_source(scene.expected.dir);
	vaults_make_disk(scene.expected.dir);
	create(scene.base, NULL);
	o = vaults_options(scene.base, NULL, NULL, NULL);
	assert_ok(vaults_open_and_backup(&o, scene.expected.dir, NULL));
	expect(scene.base, 0);
	vaults_change_source(scene.expected.dir);
	vaults_change_disk(scene.expected.dir);
	copy = support_path("%s/reference", scene.root);
	vaults_copy(scene.base, copy);
	o = vaults_options(copy, NULL, NULL, NULL);
	assert_ok(vaults_open_and_backup(&o, scene.expected.dir, NULL));
	expect(copy, 1);
	assert_memory_not_equal(scene.expected.digest[0],
				scene.expected.digest[1], CRYPT_SHA256_LEN);
	return 0;
}

/* A copy of the vault with one point, in place of the last one. */
static const char *fresh_vault(void)
{
	const char *vault = support_path("%s/vault", scene.root);

	support_remove(vault);
	vaults_copy(scene.base, vault);
	support_log_clear();
	return vault;
}

/* The points are 1, whole, or 2, whole. */
static int whole_points(const char *vault)
{
	struct vault_options o = vaults_options(vault, NULL, NULL, NULL);

	return vaults_points(&o, &scene.expected);
}

/* ---- kill -9 ---- */

struct killed {
	const char *vault, *cache;
	unsigned long n;
	enum seam_fault_action action;
};

static int backup_to_death(void *arg)
{
	struct killed *k = arg;
	struct vault_options o;
	struct seam_fault f;
	int r;

	seam_fault_init(&f, NULL);
	seam_fault_at(&f, k->n, k->action, 0, false);
	o = vaults_options(k->vault, NULL, &f.seam, k->cache);
	r = vaults_open_and_backup(&o, scene.expected.dir, NULL);
	/* Not reached but where there is no such call. */
	return r == 0 && f.hits == 0 ? 0 : 1;
}

/* What a run after the kill finds and leaves. */
static void assert_recovers(const struct killed *k)
{
	struct vault_options o;
	int before = whole_points(k->vault), after;

	assert_true(before == 1 || before == 2);
	o = vaults_options(k->vault, NULL, NULL, k->cache);
	if (before == 1) {
		assert_ok(vaults_open_and_backup(&o, scene.expected.dir, NULL));
		after = whole_points(k->vault);
		assert_int_equal(after, 2);
	}
	o = vaults_options(k->vault, NULL, NULL, NULL);
	assert_int_equal(vaults_check(&o), 0);
}

static unsigned long kill_at_each_call(enum seam_fault_action action,
				       unsigned long step)
{
	struct killed k = { .action = action };
	int r = -SIGKILL;

	for (k.n = 1; r == -SIGKILL; k.n += step) {
		k.vault = fresh_vault();
		k.cache = support_path("%s/cache", scene.root);
		support_remove(k.cache);
		r = support_fork(backup_to_death, &k);
		if (r == -SIGKILL)
			assert_recovers(&k);
	}
	assert_int_equal(r, 0);
	return k.n - step;
}

static void killed_at_each_call(void **state)
{
	(void)state;
	/* Five objects of six calls each at the least. */
	assert_true(kill_at_each_call(SEAM_FAULT_KILL_BEFORE,
				      getenv("SOAK") ? 1 : 2) > 36);
}

/* Mostly what the next kill before is; another thread may come between. */
static void killed_after_calls(void **state)
{
	(void)state;
	assert_true(kill_at_each_call(SEAM_FAULT_KILL_AFTER,
				      getenv("SOAK") ? 1 : 5) > 36);
}

/* A run that is killed again and again comes to its end: what was uploaded
 * once is not uploaded again. */
static void killed_again_and_again(void **state)
{
	struct killed k = { .action = SEAM_FAULT_KILL_BEFORE };
	int r = -SIGKILL, runs = 0;

	(void)state;
	k.vault = fresh_vault();
	for (k.n = 8; r == -SIGKILL; k.n += 5) {
		r = support_fork(backup_to_death, &k);
		if (r == -SIGKILL)
			assert_int_equal(whole_points(k.vault), 1);
		runs++;
		assert_true(runs < 40);
	}
	assert_int_equal(r, 0);
	assert_int_equal(whole_points(k.vault), 2);
}

/* ---- errors ---- */

/* Return how many calls there were, 0 where the @n-th was never made. */
static unsigned long fail_at(unsigned long n, enum seam_fault_action action,
			     int err, bool sticky)
{
	const char *vault = fresh_vault();
	struct vault_options o;
	struct seam_fault f;
	unsigned long hits;
	int r, points;

	seam_fault_init(&f, NULL);
	seam_fault_at(&f, n, action, err, sticky);
	o = vaults_options(vault, NULL, &f.seam, NULL);
	r = vaults_open_and_backup(&o, scene.expected.dir, NULL);
	hits = f.hits;
	points = whole_points(vault);
	if (hits == 0 || action == SEAM_FAULT_SHORT) {
		assert_ok(r);
		assert_int_equal(points, 2);
	} else {
		/* The register is put again where it is not there, and made
		 * durable where it is. */
		if (r >= 0 && (sticky || points != 2))
			fail_msg("call %lu, a %s: error %d went unnoticed", n,
				 seam_fault_name(f.hit), err);
		/* A lost reply of the very last call is all that can leave
		 * a point that nobody was promised. */
		if (action == SEAM_FAULT_FAIL_AFTER ||
		    f.hit == SEAM_FAULT_FSYNC || f.hit == SEAM_FAULT_CLOSE)
			assert_true(points == 1 || points == 2);
		else
			assert_int_equal(points, r < 0 ? 1 : 2);
	}
	seam_fault_release(&f);
	return hits;
}

/* Or at each third one from @first on: three ways take turns. */
static void fail_at_each_call(unsigned long first,
			      enum seam_fault_action action, int err,
			      bool sticky)
{
	bool all = getenv("SOAK") != NULL;
	unsigned long n = all ? 1 : first;

	while (fail_at(n, action, err, sticky) > 0)
		n += all ? 1 : 3;
	assert_true(n > (action == SEAM_FAULT_SHORT ? 6 : 36));
}

static void eio_at_each_call(void **state)
{
	(void)state;
	fail_at_each_call(1, SEAM_FAULT_FAIL, -EIO, false);
}

static void enospc_from_each_call_on(void **state)
{
	(void)state;
	fail_at_each_call(2, SEAM_FAULT_FAIL, -ENOSPC, true);
}

static void lost_reply_at_each_call(void **state)
{
	(void)state;
	fail_at_each_call(3, SEAM_FAULT_FAIL_AFTER, -EIO, false);
}

static void short_write_at_each_call(void **state)
{
	(void)state;
	fail_at_each_call(2, SEAM_FAULT_SHORT, 0, false);
}

/* ---- power cuts ---- */

enum { MARK_CREATED = 1, MARK_FIRST, MARK_SECOND };

/* How many points a state must have at the least, and at the most. */
static void bounds(struct seam_crash *c, size_t cut, int base, int *least,
		   int *most)
{
	*least = base;
	*most = 2;
	if (seam_crash_marked(c, cut, MARK_FIRST))
		*least = 1;
	if (seam_crash_marked(c, cut, MARK_SECOND))
		*least = 2;
}

/* Is a promise broken in this state? @base: points from before. */
static bool broken(struct seam_crash *c, size_t cut, unsigned int nth, int base)
{
	struct backend *mem = backend_mem_new();
	struct vault_options o = vaults_options(NULL, mem, NULL, NULL);
	int r, least, most;

	assert_non_null(mem);
	assert_ok(seam_crash_to_mem(c, cut, seam_crash_nth_state(nth), "vault",
				    mem));
	r = vaults_points(&o, &scene.expected);
	backend_close(mem);
	bounds(c, cut, base, &least, &most);
	/* Before init has returned there may be no vault. */
	if (base == 0 && !seam_crash_marked(c, cut, MARK_CREATED))
		return false;
	return r < least || r > most;
}

static void assert_survives(struct seam_crash *c, int base, unsigned int states,
			    size_t step)
{
	size_t cut, last = seam_crash_length(c);
	unsigned int i;

	for (cut = 0; cut <= last;
	     cut = cut < last && cut + step > last ? last : cut + step) {
		for (i = 0; i < states; i++)
			if (broken(c, cut, i, base))
				fail_msg("cut %zu of %zu (%s), state %u", cut,
					 last,
					 cut ? seam_crash_describe(c, cut - 1)
					     : "start",
					 i);
	}
}

/* Is any state at or behind the end of the backup broken? */
static bool any_broken(struct seam_crash *c, int base)
{
	size_t cut = seam_crash_length(c);
	unsigned int i;

	for (i = 0; i < 12; i++)
		if (broken(c, cut, i, base))
			return true;
	return false;
}

static struct seam_crash *record_second(void)
{
	struct seam_crash *c;
	struct vault_options o;
	const char *vault, *top;

	vault = fresh_vault();
	/* Nothing else below the recorded root. */
	top = support_path("%s/recorded", scene.root);
	support_remove(top);
	assert_int_equal(mkdir(top, 0755), 0);
	assert_int_equal(rename(vault, support_path("%s/vault", top)), 0);
	vault = support_path("%s/vault", top);
	c = seam_crash_new(top, NULL);
	o = vaults_options(vault, NULL, seam_crash_seam(c), NULL);
	assert_ok(vaults_open_and_backup(&o, scene.expected.dir, NULL));
	seam_crash_mark(c, MARK_SECOND);
	return c;
}

static void power_cut_at_each_moment(void **state)
{
	struct seam_crash *c = record_second();

	(void)state;
	assert_true(seam_crash_length(c) > 30);
	assert_survives(c, 1, getenv("SOAK") ? 50 : 5, 1);
	seam_crash_free(c);
}

static void each_kind_of_sync_is_needed(void **state)
{
	static const unsigned int kinds[] = { SEAM_CRASH_DATA,
					      SEAM_CRASH_FILE_NAMES,
					      SEAM_CRASH_DIR_NAMES };
	struct seam_crash *c = record_second();
	size_t i;

	(void)state;
	assert_false(any_broken(c, 1));
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		seam_crash_ignore(c, kinds[i]);
		if (!any_broken(c, 1))
			fail_msg("without syncs of kind %u all is well",
				 kinds[i]);
	}
	seam_crash_free(c);
}

/* A new vault, and its first point. */
static struct seam_crash *record_creation(void)
{
	const char *top = support_path("%s/recorded", scene.root);
	const char *vault = support_path("%s/vault", top);
	struct seam_crash *c;
	struct vault_options o;

	support_remove(top);
	assert_int_equal(mkdir(top, 0755), 0);
	c = seam_crash_new(top, NULL);
	create(vault, seam_crash_seam(c));
	seam_crash_mark(c, MARK_CREATED);
	o = vaults_options(vault, NULL, seam_crash_seam(c), NULL);
	assert_ok(vaults_open_and_backup(&o, scene.expected.dir, NULL));
	seam_crash_mark(c, MARK_FIRST);
	return c;
}

/* Of this source there is but the second version now. */
static void swap_expected(void)
{
	uint8_t digest[CRYPT_SHA256_LEN];

	memcpy(digest, scene.expected.digest[0], sizeof(digest));
	memcpy(scene.expected.digest[0], scene.expected.digest[1],
	       sizeof(digest));
	memcpy(scene.expected.digest[1], digest, sizeof(digest));
}

static void power_cut_while_a_vault_is_made(void **state)
{
	static const unsigned int kinds[] = { SEAM_CRASH_DATA,
					      SEAM_CRASH_FILE_NAMES,
					      SEAM_CRASH_DIR_NAMES };
	struct seam_crash *c = record_creation();
	struct point_list *l;
	struct vault_options o;
	struct vault *v;
	size_t i;

	(void)state;
	/* Another vault has other keys, and other ids in its entries. */
	o = vaults_options(support_path("%s/recorded/vault", scene.root), NULL,
			   NULL, NULL);
	swap_expected();
	assert_ok(vault_open(&o, &v));
	assert_ok(vault_points(v, &l));
	assert_ok(vaults_digest(v, l->points[0], scene.expected.dir,
				scene.expected.digest[0]));
	point_list_put(l);
	vault_close(v);
	assert_survives(c, 0, 4, getenv("SOAK") ? 1 : 2);
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		seam_crash_ignore(c, kinds[i]);
		assert_true(any_broken(c, 0));
	}
	seam_crash_free(c);
	expect(support_path("%s/base", scene.root), 0);
	expect(support_path("%s/reference", scene.root), 1);
}

/*
 * A writer that died leaves packs that can be seen but whose names no fsync
 * has followed. Who reuses them must not promise more than he knows.
 */
static void power_cut_after_reuse(void **state)
{
	unsigned long n, reused = 0, cut = 0;

	(void)state;
	for (n = 3; n < 100; n += getenv("SOAK") ? 1 : 2) {
		const char *top = support_path("%s/recorded", scene.root);
		const char *vault = support_path("%s/vault", top);
		struct vault_options o;
		struct seam_crash *c;
		struct seam_fault f;
		bool done;

		support_remove(top);
		assert_int_equal(mkdir(top, 0755), 0);
		vaults_copy(scene.base, vault);
		c = seam_crash_new(top, NULL);
		seam_fault_init(&f, seam_crash_seam(c));
		/* Dead: nothing that it tries happens any more. */
		seam_fault_only(&f,
				1 << SEAM_FAULT_FSYNC | 1 << SEAM_FAULT_LINKAT);
		seam_fault_at(&f, n, SEAM_FAULT_FAIL, -EIO, true);
		o = vaults_options(vault, NULL, &f.seam, NULL);
		done = vaults_open_and_backup(&o, scene.expected.dir, NULL) ==
		       0;
		seam_fault_release(&f);
		if (!done) {
			struct vault_options next = vaults_options(
				vault, NULL, seam_crash_seam(c), NULL);

			assert_ok(vaults_open_and_backup(
				&next, scene.expected.dir, NULL));
			seam_crash_mark(c, MARK_SECOND);
			/* The dead one's register may stand: then the second
			 * run made a third point. */
			reused++;
			if (whole_points(vault) == 2) {
				cut++;
				if (any_broken(c, 1))
					fail_msg("killed at sync or link %lu",
						 n);
			}
		}
		seam_crash_free(c);
		if (done)
			break;
	}
	assert_true(reused > 6);
	assert_true(cut + 2 >= reused);
}

/* ---- notes and names ---- */

#define NEW_NAME "renamed"

/* Protect the point of the vault, then rename its machine. @c may be NULL. */
static int note_and_rename(const char *vault, struct seam *seam,
			   struct seam_crash *c)
{
	struct vault_options o = vaults_options(vault, NULL, seam, NULL);
	struct point_list *l = NULL;
	struct vault *v;
	int r = vault_open(&o, &v);

	if (r < 0)
		return r;
	r = vault_points(v, &l);
	if (r == 0)
		r = note_point(v, l->points[0], NOTE_PROTECT, NULL, NULL);
	if (r == 0 && c)
		seam_crash_mark(c, MARK_FIRST);
	if (r == 0)
		r = note_rename(v, l, l->points[0]->vm, NEW_NAME, NULL);
	if (r == 0 && c)
		seam_crash_mark(c, MARK_SECOND);
	point_list_put(l);
	vault_close(v);
	return r;
}

/* How many of the two are in the vault, whose point is whole; none of them is
 * there in part, nor the second without the first. */
static int noted(struct vault_options o)
{
	struct point_list *l;
	struct vault *v;
	int n;

	assert_int_equal(vaults_points(&o, &scene.expected), 1);
	assert_int_equal(vaults_check(&o), 0);
	assert_ok(vault_open(&o, &v));
	assert_ok(vault_points(v, &l));
	n = l->points[0]->is_protected;
	if (strcmp(l->points[0]->vm, NEW_NAME) == 0) {
		assert_int_equal(n, 1);
		n = 2;
	}
	point_list_put(l);
	vault_close(v);
	return n;
}

static void power_cut_while_noting(void **state)
{
	const char *top = support_path("%s/recorded", scene.root);
	size_t cut;
	struct seam_crash *c;
	unsigned int i;

	(void)state;
	support_remove(top);
	assert_int_equal(mkdir(top, 0755), 0);
	vaults_copy(scene.base, support_path("%s/vault", top));
	c = seam_crash_new(top, NULL);
	assert_ok(note_and_rename(support_path("%s/vault", top),
				  seam_crash_seam(c), c));
	assert_true(seam_crash_length(c) >= 8);
	for (cut = 0; cut <= seam_crash_length(c); cut++)
		for (i = 0; i < 5; i++) {
			struct backend *mem = backend_mem_new();
			int n;

			assert_non_null(mem);
			assert_ok(seam_crash_to_mem(
				c, cut, seam_crash_nth_state(i), "vault", mem));
			n = noted(vaults_options(NULL, mem, NULL, NULL));
			if (n < seam_crash_marked(c, cut, MARK_FIRST) +
					seam_crash_marked(c, cut, MARK_SECOND))
				fail_msg("cut %zu, state %u: %d", cut, i, n);
			backend_close(mem);
		}
	seam_crash_free(c);
}

static void errors_while_noting(void **state)
{
	static const enum seam_fault_action actions[] = { SEAM_FAULT_FAIL,
							  SEAM_FAULT_FAIL_AFTER,
							  SEAM_FAULT_SHORT };
	unsigned long n, hits;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(actions); i++) {
		for (n = 1, hits = 1; hits > 0; n++) {
			const char *vault = fresh_vault();
			struct seam_fault f;
			int r;

			seam_fault_init(&f, NULL);
			seam_fault_at(&f, n, actions[i], -EIO, false);
			r = note_and_rename(vault, &f.seam, NULL);
			hits = f.hits;
			seam_fault_release(&f);
			/* What was promised is there. */
			if (noted(vaults_options(vault, NULL, NULL, NULL)) <
			    (r == 0 ? 2 : 0))
				fail_msg("call %lu: lost", n);
			assert_true(r == 0 || hits > 0);
		}
		assert_true(n > (actions[i] == SEAM_FAULT_SHORT ? 2 : 8));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_at_each_call),
		cmocka_unit_test(killed_after_calls),
		cmocka_unit_test(killed_again_and_again),
		cmocka_unit_test(eio_at_each_call),
		cmocka_unit_test(enospc_from_each_call_on),
		cmocka_unit_test(lost_reply_at_each_call),
		cmocka_unit_test(short_write_at_each_call),
		cmocka_unit_test(power_cut_at_each_moment),
		cmocka_unit_test(each_kind_of_sync_is_needed),
		cmocka_unit_test(power_cut_while_a_vault_is_made),
		cmocka_unit_test(power_cut_after_reuse),
		cmocka_unit_test(power_cut_while_noting),
		cmocka_unit_test(errors_while_noting),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
