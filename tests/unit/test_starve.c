/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Memory that runs out ends what is done, with a word that says so, and nothing else:
 * whatever is asked for when it does. Nobody is told then that something is damaged,
 * missing or done that is not, and what is in the vault stays whole.
 *
 * With SOAK=1 each request is refused in turn; else some are.
 */
#include "config.h"

#include "tests/unit/repairs.h"
#include "tests/unit/starve.h"
#include "tests/unit/vaults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "src/backup/backup.h"
#include "store/backend/mem.h"
#include "store/base/log.h"
#include "store/base/task.h"
#include "store/check/check.h"
#include "store/collect/collect.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/point.h"
#include "store/record/forget.h"
#include "store/writer/forget.h"
#include "store/writer/note.h"

#define POINTS 3

static struct backend *full; /* a vault of three points */
static struct backend *due; /* the first of them is to be collected */
static struct backend
	*hurt; /* a pack, an index and a point of it are damaged */
static const char *dir, *local;
static struct backup_disk disk = { .name = "vda" };
static char ids[POINTS][33];
static uint8_t digests[POINTS][CRYPT_SHA256_LEN];

/* So many requests of each are refused; 0: all. */
static unsigned long tries;

/* What is said needs no memory here. */
static void say_line(void *arg, enum log_level level, const char *text)
{
	(void)arg;
	(void)level;
	if (getenv("STARVE_LOG"))
		fprintf(stderr, "        %s\n", text);
}

/* ---- the vaults ---- */

static struct vault_options options(struct backend *b, bool warm)
{
	struct vault_options o =
		vaults_options(NULL, b, NULL, warm ? local : NULL);

	o.state_dir = o.cache_dir;
	return o;
}

static size_t number_of(const char *id)
{
	size_t i;

	for (i = 0; i < POINTS && strcmp(ids[i], id) != 0; i++)
		;
	return i;
}

/* Read the points that are there; those that are known are what they were. Return how
 * many there are. */
static size_t whole_points(struct backend *b)
{
	struct vault_options o = options(b, false);
	uint8_t got[CRYPT_SHA256_LEN];
	struct point_list *l;
	struct vault *v;
	size_t i, n;

	assert_ok(vault_open(&o, &v));
	vault_show_forgotten(v);
	assert_ok(vault_points(v, &l));
	assert_int_equal(l->ndamaged, 0);
	n = l->n;
	for (i = 0; i < n; i++) {
		size_t k = number_of(l->points[i]->id);

		assert_ok(vaults_digest(v, l->points[i], dir, got));
		if (k < POINTS)
			assert_memory_equal(got, digests[k], sizeof(got));
	}
	point_list_put(l);
	vault_close(v);
	return n;
}

static void put_text(struct backend *b, uint8_t type, const char *name,
		     const char *text)
{
	struct vault_options o = options(b, false);
	AUTO_BUF struct buf box = BUF_INIT;
	struct vault *v;

	assert_ok(vault_open(&o, &v));
	assert_ok(format_seal_box(vault_keyring(v), NULL, NULL, vault_seam(v),
				  type, name, NULL, 0, text, strlen(text),
				  &box));
	assert_ok(backend_mem_set(b, name, box.data, box.len));
	vault_close(v);
}

static void put_source(size_t version)
{
	uint8_t noise[20000];
	static const char value[3000] = "long";

	support_fill(version, noise, sizeof(noise));
	support_write(support_path("%s/noise%zu", dir, version), noise,
		      sizeof(noise));
	support_write(support_path("%s/sub/small", dir), noise, 100 + version);
	(void)!setxattr(support_path("%s/sub/small", dir), "user.long", value,
			sizeof(value), 0);
}

static void make_full(void)
{
	struct vault_options o;
	struct point_list *l;
	struct vault *v;
	char id[33];
	size_t i;

	full = backend_mem_new();
	assert_non_null(full);
	o = options(full, false);
	o.parity = 5;
	assert_ok(vault_create(&o, 0, id));
	for (i = 0; i < POINTS; i++) {
		put_source(i);
		assert_ok(vaults_open_and_backup(&o, dir, ids[i]));
		if (i == 0)
			support_remove(support_path("%s/noise0", dir));
	}
	assert_ok(vault_open(&o, &v));
	assert_ok(vault_points(v, &l));
	assert_int_equal(l->n, POINTS);
	for (i = 0; i < POINTS; i++)
		assert_ok(vaults_digest(v, l->points[i], dir,
					digests[number_of(l->points[i]->id)]));
	point_list_put(l);
	vault_close(v);
}

static void flip(struct backend *b, const char *prefix)
{
	size_t i, len;

	for (i = 0; i < backend_mem_nobjects(b); i++) {
		const char *name = backend_mem_name(b, i);

		if (strncmp(name, prefix, strlen(prefix)) != 0)
			continue;
		backend_mem_data(b, name, &len)[len / 2] ^= 1;
		return;
	}
	fail_msg("there is no %s", prefix);
}

static int setup(void **state)
{
	char name[OBJECT_NAME_MAX];

	(void)state;
	log_set(LOG_LEVEL_WARN, say_line, NULL);
	dir = support_path("%s/src", support_tmpdir_fast());
	local = support_path("%s/local", support_tmpdir_fast());
	assert_int_equal(setenv("TMPDIR", support_tmpdir_fast(), 1), 0);
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(mkdir(support_path("%s/sub", dir), 0755), 0);
	assert_int_equal(symlink("sub", support_path("%s/link", dir)), 0);
	vaults_make_disk(dir);
	disk.source = support_path("%s.disk", dir);
	make_full();
	due = backend_mem_clone(full);
	assert_non_null(due);
	snprintf(name, sizeof(name), "forget/%s-0", ids[0]);
	put_text(due, OBJECT_FORGET, name, "{\"time_ns\":1}");
	hurt = backend_mem_clone(full);
	assert_non_null(hurt);
	flip(hurt, "index/");
	flip(hurt, "pack/");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	backend_close(full);
	backend_close(due);
	backend_close(hurt);
	return 0;
}

/* ---- what is tried ---- */

struct trial {
	const char *name;
	struct backend **from;
	bool changes; /* the vault, so that each run has one of its own */
	bool warm; /* there is a local database */
	/* What is done while memory is out; it returns what the work did. */
	int (*run)(struct vault *v, struct backend *b);
	/* Whether its success was one. NULL: that is all there is. */
	bool (*judge)(struct backend *b);
};

static size_t answer; /* of the last run */
static uint8_t answer_bytes[CRYPT_SHA256_LEN];

/* @v is the vault, but for this one. */
static int run_open(struct vault *v, struct backend *b)
{
	struct vault_options o = options(b, false);
	int r = vault_open(&o, &v);

	if (r == 0)
		vault_close(v);
	return r;
}

static int run_list(struct vault *v, struct backend *b)
{
	struct point_list *l;
	int r = vault_points(v, &l);

	(void)b;
	if (r < 0)
		return r;
	answer = l->n - l->ndamaged;
	point_list_put(l);
	return 0;
}

static bool judge_list(struct backend *b)
{
	(void)b;
	return answer == POINTS;
}

static int run_read(struct vault *v, struct backend *b)
{
	struct point_list *l;
	int r = vault_points(v, &l);

	(void)b;
	if (r < 0)
		return r;
	answer = number_of(l->points[0]->id);
	r = vaults_digest(v, l->points[0], dir, answer_bytes);
	point_list_put(l);
	return r;
}

static bool judge_read(struct backend *b)
{
	(void)b;
	return answer < POINTS &&
	       memcmp(answer_bytes, digests[answer], sizeof(answer_bytes)) == 0;
}

static int run_backup(struct vault *v, struct backend *b)
{
	struct backup_options o = {
		.vm = "m",
		.host = "h",
		.sources = &dir,
		.nsources = 1,
		.disks = &disk,
		.ndisks = 1,
		.level = 1,
		.disk_level = 1,
		.threads = 2,
	};
	struct task task = { .stop = NULL };
	struct backup_result result;

	(void)b;
	return backup_run(v, &o, &task, &result);
}

static bool judge_backup(struct backend *b)
{
	return whole_points(b) == POINTS + 1;
}

static int run_forget(struct vault *v, struct backend *b)
{
	const struct forget_wish wish = { .window_ns = FORGET_WINDOW_MIN_NS,
					  .reason = "old",
					  .by = "me" };
	const struct note_wish note = { NOTE_PROTECT, NULL };
	struct point_list *l;
	int r = vault_points(v, &l);

	(void)b;
	if (r < 0)
		return r;
	r = forget_points(v, (const struct point *const *)&l->points[0], 1,
			  &wish, NULL);
	if (r == 0)
		r = note_points(v, (const struct point *const *)&l->points[1],
				1, &note, 1, "me");
	point_list_put(l);
	return r;
}

static size_t count(struct backend *b, const char *prefix)
{
	size_t i, n = 0;

	for (i = 0; i < backend_mem_nobjects(b); i++)
		n += strncmp(backend_mem_name(b, i), prefix, strlen(prefix)) ==
		     0;
	return n;
}

static bool judge_forget(struct backend *b)
{
	return count(b, "forget/") == 1 && count(b, "note/") == 1;
}

/* Whoever is asked how much may go says yes. */
static int on_plan(void *arg, const struct collect_plan *plan)
{
	struct collect_options *o = arg;

	o->yes_remove = (int64_t)plan->nremoved;
	return 0;
}

static int run_prune(struct vault *v, struct backend *b)
{
	struct collect_options o = { .on_plan = on_plan,
				     .arg = &o,
				     .max_unused = 0 };
	struct collect_result result;

	(void)b;
	vault_show_forgotten(v);
	return collect_run(v, &o, &result);
}

static bool judge_prune(struct backend *b)
{
	return whole_points(b) == POINTS - 1 && count(b, "tomb/") == 0;
}

static int run_check(struct vault *v, struct backend *b)
{
	struct check_options o = { .read_data = true,
				   .threads = 1,
				   .look_only = true };
	struct task task = { .stop = NULL };
	struct check_result result;
	int r = check_run(v, &o, &task, &result);

	(void)b;
	answer = result.damages;
	check_release(&result);
	return r;
}

static bool judge_check(struct backend *b)
{
	(void)b;
	return answer == 0;
}

static int run_repair(struct vault *v, struct backend *b)
{
	repair_fn *const repairs[] = { repair_packs, repair_index,
				       repair_points, repair_parity };
	struct repair_options o = {
		.apply = true, .read_data = true, .level = 1, .disk_level = 1
	};
	struct task task = { .stop = NULL };
	struct repair_result result;
	size_t i;
	int r = 0;

	(void)b;
	for (i = 0; i < ARRAY_SIZE(repairs) && r == 0; i++)
		r = repairs[i](v, &o, &task, &result);
	return r;
}

static const struct trial trials[] = {
	{ "open", &full, false, false, run_open, NULL },
	{ "list", &full, false, false, run_list, judge_list },
	{ "list, warm", &full, false, true, run_list, judge_list },
	{ "read", &full, false, true, run_read, judge_read },
	{ "backup", &full, true, false, run_backup, judge_backup },
	{ "backup, warm", &full, true, true, run_backup, judge_backup },
	{ "forget", &full, true, false, run_forget, judge_forget },
	{ "prune", &due, true, false, run_prune, judge_prune },
	{ "check", &full, false, false, run_check, judge_check },
	{ "repair", &hurt, true, false, run_repair, NULL },
};

/* ---- trying ---- */

/* What lies there was stored long ago. */
static void age_all(struct backend *b)
{
	size_t i;

	for (i = 0; i < backend_mem_nobjects(b); i++)
		assert_ok(backend_mem_set_time(b, backend_mem_name(b, i), 1));
}

static struct backend *copy_of(struct backend *from)
{
	struct backend *b = backend_mem_clone(from);

	assert_non_null(b);
	age_all(b);
	return b;
}

/* What was left is whole, and whoever comes next ends what was begun. */
static void assert_recovers(const struct trial *t, struct backend *b)
{
	struct vault_options o = options(b, false);
	struct repair_result sum;
	struct idset before = { 0 };
	struct vault *v;

	if (t->run == run_repair) {
		restorable(full, NULL, &before);
		assert_ok(repair_all(b, true, &sum));
		assert_restorable(&before, b, "a repair");
		idset_release(&before);
		return;
	}
	assert_in_range(whole_points(b), POINTS - (t->run == run_prune),
			POINTS + 1);
	if (vaults_check(&o) != 0)
		fail_msg("%s: the vault is not clean", t->name);
	if (t->run != run_prune)
		return;
	age_all(b);
	assert_ok(vault_open(&o, &v));
	assert_ok(run_prune(v, b));
	vault_close(v);
	assert_true(judge_prune(b));
}

static unsigned int complaints;

/* All of them are told. */
PRINTF(4, 5)
static void complain(const struct trial *t, unsigned long n, bool all,
		     const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	print_error("%s, request %lu%s: %s; refused at %s\n", t->name, n,
		    all ? " and all behind it" : "", text, starve_where());
	complaints++;
}

/* Return how much was asked for. */
static unsigned long starved(const struct trial *t, unsigned long n, bool all)
{
	struct backend *b = t->changes ? copy_of(*t->from) : *t->from;
	struct vault_options o = options(b, t->warm);
	struct vault *v = NULL;
	unsigned long asked, leaks;
	void *at;
	int r;

	/* It would remember the points of another run. */
	if (t->changes)
		o.state_dir = NULL;
	assert_ok(vault_open(&o, &v));
	if (getenv("STARVE_LOG"))
		print_message("%s, request %lu\n", t->name, n);
	starve_begin(n, all);
	r = t->run(v, b);
	asked = starve_end();
	vault_close(v);
	if (r != 0 &&
	    ((r != -ENOMEM && r != -EAGAIN) || starve_refusals() == 0))
		complain(t, n, all, "error %d", r);
	if (r == 0 && t->judge && !t->judge(b))
		complain(t, n, all, "it is said to be done, and is not");
	if (t->changes) {
		assert_recovers(t, b);
		backend_close(b);
	}
	leaks = starve_leaks(&at);
	if (leaks > 0 && n > 0)
		complain(t, n, all, "%lu are not freed, of 0x%lx", leaks,
			 starve_offset(at));
	return asked;
}

/* How much is asked for is not the same each time. */
static void try_each(const struct trial *t)
{
	unsigned long n = 1, all = starved(t, 0, false), step;

	step = tries ? MAX(all / tries, 1) : 1;
	for (n = 1 + all % step; n <= all; n += step) {
		(void)starved(t, n, n / step % 2 == 1);
		if (!tries)
			(void)starved(t, n, n % 2 == 0);
	}
}

static void memory_runs_out(void **state)
{
	const char *only = getenv("STARVE_ONLY");
	size_t i;

	(void)state;
	tries = getenv("SOAK") ? 0 : 30;
	if (getenv("STARVE_TRIES"))
		tries = strtoul(getenv("STARVE_TRIES"), NULL, 10);
	for (i = 0; i < ARRAY_SIZE(trials); i++)
		if (!only || strcmp(only, trials[i].name) == 0)
			try_each(&trials[i]);
	assert_int_equal(complaints, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_runs_out),
	};

	starve_setup();
	return cmocka_run_group_tests(tests, setup, teardown);
}
