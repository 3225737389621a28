/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole collections in a vault of three points: what goes, what stays, and what
 * becomes of it when something fails, dies or is at work beside it. */
#include "config.h"

#include "tests/unit/seam_fault.h"
#include "tests/unit/vaults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/backend/mem.h"
#include "store/base/seam.h"
#include "store/catalog/catalog.h"
#include "store/chunk.h"
#include "store/collect/collect.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/index.h"
#include "store/point.h"
#include "store/record/config.h"
#include "store/record/digest.h"
#include "store/record/forget.h"
#include "store/record/pack_list.h"
#include "store/record/purge.h"
#include "store/writer/internal.h"

#define LONG_AGO "{\"time_ns\":1}"
#define POINTS 3

/* A vault with three points, of three directories. The first and the last have a
 * file in common. Nobody changes it: each test has a copy. */
static struct backend *full;
static const char *dirs[POINTS];
static char ids[POINTS][33];
static uint8_t digests[POINTS][CRYPT_SHA256_LEN];

static void put_file(const char *dir, const char *name, uint64_t seed)
{
	static uint8_t data[40000];

	support_fill(seed, data, sizeof(data));
	support_write(support_path("%s/%s", dir, name), data, sizeof(data));
}

/* Whether point @i is there, whole. */
static bool is_whole(struct backend *b, size_t i)
{
	return vaults_is_whole(b, ids[i], dirs[i], digests[i]);
}

static int setup(void **state)
{
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
		dirs[i] = support_path("%s/%zu", support_tmpdir_fast(), i);
		assert_int_equal(mkdir(dirs[i], 0755), 0);
		put_file(dirs[i], "own", i + 1);
		if (i != 1)
			put_file(dirs[i], "shared", 99);
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

static size_t count(struct backend *b, const char *prefix)
{
	size_t i, n = 0;

	for (i = 0; i < backend_mem_nobjects(b); i++)
		n += strncmp(backend_mem_name(b, i), prefix, strlen(prefix)) ==
		     0;
	return n;
}

static void put_text(struct backend *b, uint8_t type, const char *name,
		     const char *text)
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	AUTO_BUF struct buf box = BUF_INIT;
	struct vault *v;

	assert_ok(vault_open(&o, &v));
	assert_ok(format_seal_box(vault_keyring(v), NULL, NULL, vault_seam(v),
				  type, name, NULL, 0, text, strlen(text),
				  &box));
	assert_ok(backend_mem_set(b, name, box.data, box.len));
	vault_close(v);
}

/* Point @i was forgotten a long time ago. */
static void forget_point(struct backend *b, size_t i)
{
	char name[OBJECT_NAME_MAX];

	snprintf(name, sizeof(name), "forget/%s-0", ids[i]);
	put_text(b, OBJECT_FORGET, name, LONG_AGO);
	assert_ok(backend_mem_set_time(b, name, 1));
}

/* A copy in which the first two points are due. */
static struct backend *due_vault(void)
{
	struct backend *b = backend_mem_clone(full);

	assert_non_null(b);
	forget_point(b, 0);
	forget_point(b, 1);
	support_log_clear();
	return b;
}

/* ---- running ---- */

struct run {
	struct collect_options o;
	struct collect_result result;
	struct collect_plan plan; /* as it was told */
	size_t ndue, nwaits;
	bool says_yes;
	const char *cache; /* of the client; NULL: none */
	/* Once the plan is made: here the first point is protected, and the second
	 * one brought back. */
	struct backend *protects;
	/* Once the plan is made: here somebody forgot the last point a long time ago,
	 * and another collection removes it. */
	struct backend *other;
	struct seam *seam; /* NULL: that of the system */
};

static void remove_last(struct backend *b);

static int on_plan(void *arg, const struct collect_plan *plan)
{
	struct run *run = arg;
	char name[OBJECT_NAME_MAX];

	run->plan = *plan;
	assert_non_null(plan->points);
	if (run->protects) {
		snprintf(name, sizeof(name), "note/%s-0", ids[0]);
		put_text(run->protects, OBJECT_NOTE, name,
			 "{\"kind\":\"protect\"}");
		snprintf(name, sizeof(name), "purge/%s-0", ids[1]);
		put_text(run->protects, OBJECT_PURGE, name,
			 "{\"verdict\":\"KEPT\"}");
	}
	if (run->other)
		remove_last(run->other);
	run->ndue = plan->due->ndue;
	if (run->says_yes)
		run->o.yes_remove = (int64_t)plan->nremoved;
	return 0;
}

static void on_wait(void *arg, const struct collect_waiting *w)
{
	struct run *run = arg;

	assert_true(w->n > 0);
	run->nwaits++;
}

static struct run new_run(void)
{
	return (struct run){
		.o = { .yes_remove = -1, .max_unused = 100, .by = "root@web1" },
		.says_yes = true
	};
}

static int collect(struct backend *b, struct run *run)
{
	struct vault_options o = vaults_options(NULL, b, run->seam, run->cache);
	struct vault *v;
	int r;

	run->o.on_plan = on_plan;
	run->o.arg = run->o.wait.arg = run;
	run->o.wait.on_wait = on_wait;
	assert_ok(vault_open(&o, &v));
	vault_show_forgotten(v);
	r = collect_run(v, &run->o, &run->result);
	vault_close(v);
	return r;
}

/* It succeeds, and returns what was done. */
static struct run collected(struct backend *b)
{
	struct run run = new_run();

	assert_ok(collect(b, &run));
	return run;
}

static bool is_clean(struct backend *b)
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);

	return vaults_check(&o) == 0;
}

/* What a collection of due_vault() has to come to, sooner or later. */
static void assert_collected(struct backend *b)
{
	assert_false(is_whole(b, 0));
	assert_false(is_whole(b, 1));
	assert_true(is_whole(b, 2));
	/* The first one's data hold what the last one needs. */
	assert_int_equal(count(b, "pack/"), 3);
	assert_int_equal(count(b, "point/"), 1);
	assert_true(count(b, "commit/") >= 3);
	assert_int_equal(count(b, "tomb/"), 0);
	assert_int_equal(count(b, "heartbeat/"), 0);
	/* No index names what is gone, and nothing is named by several. */
	assert_int_equal(count(b, "index/"), 2);
	assert_true(is_clean(b));
}

/* ---- what goes and what stays ---- */

static void what_nobody_needs_goes(void **state)
{
	struct backend *b = due_vault();
	struct run run;

	(void)state;
	assert_int_equal(count(b, "pack/"), 6);
	run = collected(b);
	assert_int_equal(run.plan.npoints, 3);
	assert_int_equal(run.ndue, 2);
	assert_int_equal(run.plan.npacks, 6);
	assert_int_equal(run.plan.ndead, 3);
	assert_int_equal(run.plan.nremoved, 5);
	assert_true(run.plan.is_much);
	assert_true(run.plan.waste_bytes > 40000);
	assert_int_equal(run.result.purged, 2);
	assert_int_equal(run.result.packs, 3);
	assert_int_equal(run.result.bytes, run.plan.dead_bytes);
	assert_collected(b);
	/* Once more there is nothing to do, and to find that costs little. */
	run = collected(b);
	assert_true(run.plan.is_idle);
	assert_int_equal(run.result.packs, 0);
	assert_int_equal(count(b, "sweep/"), 1);
	backend_close(b);
}

/* A dry run says the same, and leaves everything as it is. */
static void a_dry_run_removes_nothing(void **state)
{
	struct backend *b = due_vault();
	size_t n = backend_mem_nobjects(b);
	struct run dry = new_run(), run;

	(void)state;
	dry.o.is_dry_run = true;
	dry.says_yes = false;
	/* Who may only read can see what would go. */
	backend_mem_fail(b, BACKEND_MEM_PUT, "", 1, -EROFS, BACKEND_MEM_STICKY);
	backend_mem_fail(b, BACKEND_MEM_DELETE, "", 1, -EROFS,
			 BACKEND_MEM_STICKY);
	assert_ok(collect(b, &dry));
	assert_int_equal(backend_mem_failures(b), 0);
	backend_mem_heal(b);
	assert_int_equal(backend_mem_nobjects(b), n);
	assert_true(is_whole(b, 0));
	run = collected(b);
	assert_int_equal(dry.plan.npacks, run.plan.npacks);
	assert_int_equal(dry.plan.bytes, run.plan.bytes);
	assert_int_equal(dry.plan.ndead, run.plan.ndead);
	assert_int_equal(dry.plan.dead_bytes, run.plan.dead_bytes);
	assert_int_equal(dry.plan.nremoved, run.plan.nremoved);
	backend_close(b);
}

/* Where this client would see late what others put, nothing is deleted beside them. */
static void a_place_that_lags_is_refused(void **state)
{
	struct backend *b = due_vault();
	size_t n = backend_mem_nobjects(b);
	struct run run = new_run();

	(void)state;
	backend_mem_set_lag(b, true);
	assert_result(collect(b, &run), -EOPNOTSUPP);
	assert_said("say --single-writer");
	assert_int_equal(backend_mem_nobjects(b), n);
	run.o.is_dry_run = true;
	assert_ok(collect(b, &run));
	run = new_run();
	run.o.is_single_writer = true;
	assert_ok(collect(b, &run));
	assert_collected(b);
	backend_close(b);
}

/* Once the tombs stand, packs cannot be read. */
static int fail_packs(void *arg, enum backend_mem_op op, const char *name)
{
	bool *has_tomb = arg;

	*has_tomb |= op == BACKEND_MEM_PUT && strncmp(name, "tomb/", 5) == 0;
	return *has_tomb && op == BACKEND_MEM_GET &&
			       strncmp(name, "pack/", 5) == 0
		       ? -EIO
		       : 0;
}

/* What could not be read stays, and the next collection finds it, on whatever
 * machine. */
static void what_was_not_read_is_found_later(void **state)
{
	struct backend *b = due_vault();
	bool has_tomb = false;
	struct run run;

	(void)state;
	backend_mem_watch(b, fail_packs, &has_tomb);
	run = collected(b);
	backend_mem_watch(b, NULL, NULL);
	assert_int_equal(run.result.purged, 2);
	assert_int_equal(run.result.packs, 0);
	run = collected(b);
	assert_false(run.plan.is_idle);
	assert_int_equal(run.result.packs, 3);
	assert_collected(b);
	backend_close(b);
}

static void much_has_to_be_typed(void **state)
{
	struct backend *b = due_vault();
	size_t n = backend_mem_nobjects(b);
	struct run run = new_run();

	(void)state;
	run.says_yes = false;
	assert_result(collect(b, &run), -E2BIG);
	assert_said("say --yes-remove 5");
	run.o.yes_remove = 6;
	assert_result(collect(b, &run), -E2BIG);
	assert_int_equal(backend_mem_nobjects(b), n);
	run.o.yes_remove = 5;
	assert_ok(collect(b, &run));
	assert_collected(b);
	backend_close(b);
}

/* All that has @part in its name was stored a long time ago. */
static void set_times(struct backend *b, const char *part, int64_t time_ns)
{
	size_t i;

	for (i = 0; i < backend_mem_nobjects(b); i++)
		if (strstr(backend_mem_name(b, i), part))
			assert_ok(backend_mem_set_time(
				b, backend_mem_name(b, i), time_ns));
}

static void age_all(struct backend *b, const char *part)
{
	set_times(b, part, 1);
}

static int64_t days_ago(int64_t n)
{
	struct seam *seam = seam_system();

	return seam->ops->realtime_ns(seam) - n * FORGET_DAY_NS;
}

/* The session of a point. */
static void session_of(struct backend *b, const char *id, char out[33])
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	struct point_list *l;
	struct vault *v;

	assert_ok(vault_open(&o, &v));
	assert_ok(vault_points(v, &l));
	memcpy(out, l->points[vaults_find_point(l, id)]->session, 33);
	point_list_put(l);
	vault_close(v);
}

/* A backup that died before its point was made, in a process that is no more. */
static void what_the_dead_left_goes(void **state)
{
	struct backend *b = backend_mem_clone(full);
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	const char *dir = support_path("%s/late", support_tmpdir_fast());
	char id[33], sid[33], name[OBJECT_NAME_MAX];
	struct run run;

	(void)state;
	assert_int_equal(mkdir(dir, 0755), 0);
	put_file(dir, "own", 50);
	assert_ok(vaults_open_and_backup(&o, dir, id));
	session_of(b, id, sid);
	snprintf(name, sizeof(name), "commit/%s", sid);
	assert_ok(backend_mem_remove(b, name));
	snprintf(name, sizeof(name), "session/%s", sid);
	put_text(b, OBJECT_SESSION, name, "{\"host\":\"far away\",\"pid\":1}");
	/* It may be alive: nothing is said of its packs. */
	run = collected(b);
	assert_true(run.plan.is_idle);
	assert_int_equal(count(b, "pack/"), 8);
	age_all(b, sid);
	run = new_run();
	run.o.is_dry_run = true;
	assert_ok(collect(b, &run));
	assert_int_equal(run.result.fenced, 0);
	assert_int_equal(run.plan.ndead, 2);
	run = collected(b);
	assert_int_equal(run.result.fenced, 1);
	assert_int_equal(run.plan.ndead, 2);
	assert_int_equal(run.result.packs, 2);
	assert_int_equal(count(b, "pack/"), 6);
	assert_int_equal(count(b, "point/"), 3);
	assert_true(is_clean(b));
	backend_close(b);
}

/* Put an object of a point that no register names: as point 2, but of the session
 * @sid. */
static void put_void_point(struct backend *b, const char *id, const char *sid)
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	AUTO_BUF struct buf doc = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	struct point_list *l;
	struct point other;
	struct vault *v;

	assert_ok(vault_open(&o, &v));
	assert_ok(vault_points(v, &l));
	other = *l->points[vaults_find_point(l, ids[2])];
	snprintf(other.id, sizeof(other.id), "%s", id);
	snprintf(other.session, sizeof(other.session), "%s", sid);
	assert_ok(point_encode(&other, false, &doc));
	point_list_put(l);
	vault_close(v);
	buf_put_u8(&doc, 0);
	snprintf(name, sizeof(name), "point/%s", id);
	put_text(b, OBJECT_POINT, name, (const char *)doc.data);
}

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define SID_A "cccccccccccccccccccccccccccccccc"
#define SID_B "dddddddddddddddddddddddddddddddd"
#define SID_C "abababababababababababababababab"

/* A point that its session never made goes once that is decided, and so does what
 * sessions said of themselves. */
static void what_never_came_to_be_goes(void **state)
{
	struct backend *b = backend_mem_clone(full);
	struct run run;

	(void)state;
	put_void_point(b, ID_A, SID_A);
	put_void_point(b, ID_B, SID_B);
	put_text(b, OBJECT_COMMIT, "commit/" SID_A,
		 "{\"decision\":\"FENCED\"}");
	put_text(b, OBJECT_SESSION, "session/" SID_A, "{}");
	put_text(b, OBJECT_SESSION, "session/" SID_B, "{}");
	put_text(b, OBJECT_HEARTBEAT, "heartbeat/" SID_A "-0", "{}");
	put_text(b, OBJECT_HEARTBEAT, "heartbeat/" SID_B "-0", "{}");
	/* A collection of which the clock was wrong. */
	put_text(b, OBJECT_HEARTBEAT, "heartbeat/" SID_C "-0", "{}");
	assert_ok(backend_mem_set_time(b, "heartbeat/" SID_C "-0",
				       INT64_MAX / 2));
	run = collected(b);
	assert_true(run.plan.is_idle);
	/* One point, four sessions, and two heartbeats. */
	assert_int_equal(run.result.leftovers, 7);
	assert_int_equal(count(b, "point/"), 4);
	assert_int_equal(count(b, "point/" ID_B), 1);
	assert_int_equal(count(b, "session/"), 1);
	assert_int_equal(count(b, "heartbeat/" SID_B), 1);
	assert_int_equal(count(b, "heartbeat/"), 1);
	backend_close(b);
}

/* ---- packs that are rewritten ---- */

static struct run repacking(void)
{
	struct run run = new_run();

	run.o.max_unused = 5;
	return run;
}

static uint64_t pack_bytes(struct backend *b)
{
	uint64_t n = 0;
	size_t i, len;

	for (i = 0; i < backend_mem_nobjects(b); i++)
		if (strncmp(backend_mem_name(b, i), "pack/", 5) == 0) {
			(void)backend_mem_data(b, backend_mem_name(b, i), &len);
			n += len;
		}
	return n;
}

/* After however many tries: only what the last point needs is left, once. */
static void assert_repacked(struct backend *b)
{
	assert_false(is_whole(b, 0));
	assert_false(is_whole(b, 1));
	assert_true(is_whole(b, 2));
	/* Two files of 40000 bytes, and a tree. */
	assert_in_range(pack_bytes(b), 80000, 90000);
	assert_int_equal(count(b, "tomb/"), 0);
	assert_true(is_clean(b));
}

static void what_is_needed_is_rewritten(void **state)
{
	struct backend *b = due_vault();
	struct run run = repacking(), dry = repacking();
	uint64_t before = pack_bytes(b);

	(void)state;
	dry.o.is_dry_run = true;
	assert_ok(collect(b, &dry));
	assert_int_equal(dry.plan.nrepacked, 1);
	assert_ok(collect(b, &run));
	assert_int_equal(run.plan.nrepacked, 1);
	assert_int_equal(run.plan.nremoved, dry.plan.nremoved);
	assert_int_equal(run.plan.nremoved, 6);
	assert_int_equal(run.result.packs, 4);
	assert_true(run.plan.repack_dead_bytes > 40000);
	assert_int_equal(pack_bytes(b),
			 before - run.result.bytes + run.result.repacked_bytes);
	assert_repacked(b);
	backend_close(b);
}

/* What a prune left in packs goes once somebody wants less of that, though nothing is
 * due, and whether or not this client knows how much there is. */
static void what_was_left_is_rewritten_later(void **state)
{
	static const char *const caches[] = { NULL, "later" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(caches); i++) {
		struct backend *b = due_vault();
		struct run run = new_run();

		run.cache = caches[i] ? support_path("%s/%s", support_tmpdir(),
						     caches[i])
				      : NULL;
		assert_ok(collect(b, &run));
		assert_collected(b);
		assert_true(run.plan.waste_bytes > 40000);
		/* So much may stay. */
		run.o.max_unused = 0;
		run.o.max_unused_bytes = 60000;
		assert_ok(collect(b, &run));
		assert_int_equal(run.plan.is_idle, run.cache != NULL);
		assert_int_equal(run.plan.nrepacked, 0);
		assert_int_equal(run.ndue, 0);
		run.o.max_unused_bytes = 0;
		run.o.max_unused = 5;
		/* Less is rewritten than there is room for: the next one goes on. */
		run.o.max_repack = 1000;
		assert_ok(collect(b, &run));
		assert_int_equal(run.plan.nrepacked, 0);
		run.o.max_repack = 0;
		assert_ok(collect(b, &run));
		assert_false(run.plan.is_idle);
		assert_int_equal(run.plan.nrepacked, 1);
		assert_repacked(b);
		if (run.cache) {
			assert_ok(collect(b, &run));
			assert_true(run.plan.is_idle);
		}
		backend_close(b);
	}
}

/* Whoever has just read the index, and nothing else, finds what is written anew then. */
static void who_reads_finds_it(void **state)
{
	struct backend *b = due_vault();
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	struct run run = repacking();
	uint8_t got[CRYPT_SHA256_LEN];
	struct point_list *l;
	struct vault *v;

	(void)state;
	assert_ok(vault_open(&o, &v));
	assert_ok(vault_points(v, &l));
	assert_ok(vault_refresh(v));
	assert_ok(collect(b, &run));
	assert_int_equal(run.plan.nrepacked, 1);
	assert_ok(vaults_digest(v, l->points[vaults_find_point(l, ids[2])],
				dirs[2], got));
	assert_memory_equal(got, digests[2], sizeof(got));
	point_list_put(l);
	vault_close(v);
	backend_close(b);
}

static int refuse_merged(void *arg, enum backend_mem_op op, const char *name)
{
	size_t len = strlen(name);

	(void)arg;
	return op == BACKEND_MEM_PUT && strncmp(name, "index/", 6) == 0 &&
			       strcmp(name + len - 2, ".m") == 0
		       ? -EIO
		       : 0;
}

/* It was decided that they go: an index object that cannot be replaced does not keep
 * them. */
static void packs_go_without_an_index(void **state)
{
	struct backend *b = due_vault();
	struct run run = repacking();

	(void)state;
	backend_mem_watch(b, refuse_merged, NULL);
	assert_result(collect(b, &run), -EIO);
	backend_mem_watch(b, NULL, NULL);
	assert_int_equal(run.result.packs, 4);
	assert_int_equal(count(b, "tomb/"), 0);
	run = repacking();
	assert_ok(collect(b, &run));
	assert_repacked(b);
	backend_close(b);
}

/* Less is rewritten than there is room for. */
static void how_much_is_rewritten_has_bounds(void **state)
{
	struct backend *b = due_vault();
	struct run run = repacking();

	(void)state;
	run.o.max_repack = 1000;
	assert_ok(collect(b, &run));
	assert_int_equal(run.plan.nrepacked, 0);
	assert_collected(b);
	backend_close(b);
}

/* What was rewritten is damaged, is not listed, or its own name is condemned. */
static int spoil(void *arg, enum backend_mem_op op, const char *name)
{
	struct backend *b = arg;
	size_t len;
	uint8_t *data;

	if (op == BACKEND_MEM_GET && strncmp(name, "pack/", 5) == 0 &&
	    count(b, "pack/") > 6) {
		data = backend_mem_data(b, name, &len);
		/* The packs of before are left alone. */
		if (data && !backend_mem_data(full, name, &len))
			data[200] ^= 1;
	}
	return 0;
}

static void a_bad_copy_stands_for_nothing(void **state)
{
	struct backend *b = due_vault();
	struct run run = repacking();

	(void)state;
	backend_mem_watch(b, spoil, b);
	assert_ok(collect(b, &run));
	backend_mem_watch(b, NULL, NULL);
	assert_int_equal(run.plan.nrepacked, 1);
	/* The old one stays, and what it holds is read from there. */
	assert_int_equal(run.result.packs, 3);
	assert_true(is_whole(b, 2));
	backend_close(b);
}

/* A power cut would take it away: nobody may be made to rely on it. */
static void a_copy_that_is_not_durable_stands_for_nothing(void **state)
{
	static const char *const kinds[] = { "pack/", "index/" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct backend *b = due_vault();
		struct run run = repacking();

		backend_mem_fail(b, BACKEND_MEM_SYNC, kinds[i], 1,
				 i == 0 ? -ENOENT : -EIO, BACKEND_MEM_STICKY);
		assert_ok(collect(b, &run));
		assert_true(backend_mem_failures(b) > 0);
		backend_mem_heal(b);
		assert_int_equal(run.plan.nrepacked, 1);
		assert_int_equal(run.result.packs, 3);
		assert_true(is_whole(b, 2));
		backend_close(b);
	}
}

/* Somebody whose memory was bad stored the chunk that two points have in common once
 * more, with a wrong bit under the right seal. */
static void a_wrong_copy_stands_for_nothing(void **state)
{
	struct backend *b = backend_mem_clone(full);
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	static uint8_t data[40000], bad[sizeof(data)];
	AUTO_BUF struct buf got = BUF_INIT;
	struct run run = repacking();
	struct writer *w;
	struct vault *v;
	struct id id;

	(void)state;
	support_fill(99, data, sizeof(data));
	memcpy(bad, data, sizeof(bad));
	bad[100] ^= 4;
	assert_ok(vault_open(&o, &v));
	assert_ok(writer_begin(v, 1, NULL, &w));
	assert_ok(keyring_id(vault_keyring(v), CHUNK_DATA, data, sizeof(data),
			     &id));
	assert_result(writer_chunk_anew(w, CHUNK_DATA, &id, bad, sizeof(bad)),
		      -EBADMSG);
	assert_ok(writer_store(w, CHUNK_DATA, &id, bad, sizeof(bad)));
	assert_ok(writer_finish(w));
	writer_free(w);
	vault_close(v);
	forget_point(b, 0);
	run.o.max_unused = 0;
	assert_ok(collect(b, &run));
	assert_int_equal(run.plan.nrepacked, 1);
	assert_ok(vault_open(&o, &v));
	assert_ok(chunk_read_all(v, CHUNK_DATA, &id, &got));
	assert_int_equal(got.len, sizeof(data));
	assert_memory_equal(got.data, data, sizeof(data));
	vault_close(v);
	backend_close(b);
}

/* Another collection wants the new pack. */
static int condemn_copy(void *arg, enum backend_mem_op op, const char *name)
{
	struct backend *b = arg;
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	AUTO_BUF struct buf plain = BUF_INIT, box = BUF_INIT;
	struct pack_list l = { .n = 0 };
	char other[OBJECT_NAME_MAX] = "tomb/" ID_A;
	struct vault *v;
	size_t i, len;

	if (op != BACKEND_MEM_PUT || strncmp(name, "commit/", 7) != 0)
		return 0;
	backend_mem_watch(b, NULL, NULL);
	for (i = 0; i < backend_mem_nobjects(b); i++)
		if (strncmp(backend_mem_name(b, i), "pack/", 5) == 0 &&
		    !backend_mem_data(full, backend_mem_name(b, i), &len))
			assert_ok(pack_list_add(
				&l, strrchr(backend_mem_name(b, i), '/') + 1));
	assert_int_equal(l.n, 1);
	tomb_encode(&l, &plain);
	assert_ok(vault_open(&o, &v));
	assert_ok(format_seal_box(vault_keyring(v), NULL, NULL, vault_seam(v),
				  OBJECT_TOMB, other, NULL, 0, plain.data,
				  plain.len, &box));
	assert_ok(backend_put(b, other, box.data, box.len));
	vault_close(v);
	pack_list_release(&l);
	return 0;
}

static void a_condemned_copy_stands_for_nothing(void **state)
{
	struct backend *b = due_vault();
	struct run run = repacking();

	(void)state;
	backend_mem_watch(b, condemn_copy, b);
	assert_ok(collect(b, &run));
	assert_int_equal(run.plan.nrepacked, 1);
	assert_int_equal(run.result.packs, 3);
	assert_int_equal(count(b, "tomb/"), 1);
	assert_true(is_whole(b, 2));
	backend_close(b);
}

/* ---- others at work ---- */

#define HOUR_NS (INT64_C(3600) * 1000000000)

/* A clock that goes on by an hour whenever a pack is read. */
struct slow {
	struct seam_fault clock;
	int64_t beat_ns, silent_ns; /* the longest silence that could be seen */
	size_t nreads;
};

static int take_long(void *arg, enum backend_mem_op op, const char *name)
{
	struct slow *s = arg;
	int64_t now = s->clock.now_ns;

	if (op == BACKEND_MEM_GET && strncmp(name, "pack/", 5) == 0) {
		seam_fault_clock(&s->clock, now + HOUR_NS, 1);
		s->nreads++;
	} else if (op == BACKEND_MEM_PUT && strncmp(name, "heartb", 6) == 0)
		s->beat_ns = now;
	else if (op == BACKEND_MEM_PUT && (strncmp(name, "tomb/", 5) == 0 ||
					   strncmp(name, "sweep/", 6) == 0))
		s->silent_ns = MAX(s->silent_ns, now - s->beat_ns);
	return 0;
}

/* A mark may take hours; who comes meanwhile may not take it for dead. */
static void one_that_takes_long_is_alive(void **state)
{
	struct backend *b = due_vault();
	struct run run = new_run();
	struct slow slow = { .nreads = 0 };

	(void)state;
	seam_fault_init(&slow.clock, NULL);
	seam_fault_clock(&slow.clock,
			 seam_system()->ops->realtime_ns(seam_system()), 1);
	run.seam = &slow.clock.seam;
	backend_mem_watch(b, take_long, &slow);
	assert_ok(collect(b, &run));
	backend_mem_watch(b, NULL, NULL);
	assert_true(slow.nreads > 1);
	assert_in_range(slow.silent_ns, 1, HOUR_NS / 6);
	seam_fault_release(&slow.clock);
	assert_collected(b);
	backend_close(b);
}

/* A backup is at work, and has not said what it uses. */
static void a_session_is_waited_for(void **state)
{
	struct backend *b = due_vault();
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	struct run run = new_run();
	struct writer *w;
	struct vault *v;

	(void)state;
	assert_ok(vault_open(&o, &v));
	assert_ok(writer_begin(v, 1, NULL, &w));
	assert_result(collect(b, &run), -EBUSY);
	assert_int_equal(run.nwaits, 1);
	assert_int_equal(run.result.purged, 2);
	assert_int_equal(run.result.packs, 0);
	assert_int_equal(count(b, "pack/"), 6);
	assert_int_equal(count(b, "tomb/"), 0);
	assert_int_equal(count(b, "sweep/"), 1);
	writer_abandon(w);
	writer_free(w);
	vault_close(v);
	collected(b);
	assert_collected(b);
	backend_close(b);
}

/* A backup of the second directory finds all of it in packs that are about to be
 * condemned, and is done before they are. */
static int back_up_late(void *arg, enum backend_mem_op op, const char *name)
{
	struct backend *b = arg;
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);

	if (op != BACKEND_MEM_PUT || strncmp(name, "tomb/", 5) != 0)
		return 0;
	backend_mem_watch(b, NULL, NULL);
	assert_ok(vaults_open_and_backup(&o, dirs[1], ids[1]));
	return 0;
}

static void a_late_point_is_counted(void **state)
{
	struct backend *b = due_vault();
	char before[33];
	struct run run;

	(void)state;
	memcpy(before, ids[1], sizeof(before));
	backend_mem_watch(b, back_up_late, b);
	run = collected(b);
	assert_int_equal(run.plan.ndead, 3);
	assert_int_equal(run.result.purged, 2);
	/* Of three that were condemned the first one's tree is left. */
	assert_true(run.result.packs < 3);
	assert_string_not_equal(before, ids[1]);
	assert_true(is_whole(b, 1));
	assert_true(is_whole(b, 2));
	assert_true(is_clean(b));
	memcpy(ids[1], before, sizeof(before));
	backend_close(b);
}

static void purge_point(struct backend *b, const char *id)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX];

	snprintf(name, sizeof(name), "forget/%s-0", id);
	put_text(b, OBJECT_FORGET, name, LONG_AGO);
	assert_ok(backend_mem_set_time(b, name, 1));
	snprintf(name, sizeof(name), "purge/%s-0", id);
	assert_ok(purge_encode(true, id, NULL, 1, &plain));
	buf_put_u8(&plain, 0);
	assert_ok(buf_error(&plain));
	put_text(b, OBJECT_PURGE, name, (const char *)plain.data);
}

/* Another client removes a point for ever, after it was found that it stays. */
static int purge_beside(void *arg, enum backend_mem_op op, const char *name)
{
	struct backend *b = arg;

	if (op != BACKEND_MEM_PUT || strncmp(name, "purge/", 6) != 0)
		return 0;
	backend_mem_watch(b, NULL, NULL);
	purge_point(b, ids[1]);
	return 0;
}

/* Its packs are not those that this collection looked for. The next one has to. */
static void who_is_removed_meanwhile_is_not_forgotten(void **state)
{
	struct backend *b = backend_mem_clone(full);
	struct run run;

	(void)state;
	assert_non_null(b);
	forget_point(b, 0);
	backend_mem_watch(b, purge_beside, b);
	run = collected(b);
	assert_int_equal(run.result.purged, 1);
	assert_false(is_whole(b, 1));
	run = collected(b);
	assert_false(run.plan.is_idle);
	assert_true(is_whole(b, 2));
	assert_int_equal(count(b, "pack/"), 3);
	assert_int_equal(count(b, "point/"), 1);
	assert_true(is_clean(b));
	backend_close(b);
}

/* Or one that was made since, whose packs nobody has looked for. */
static int make_and_purge(void *arg, enum backend_mem_op op, const char *name)
{
	struct backend *b = arg;
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	const char *dir;
	char id[33];

	if (op != BACKEND_MEM_PUT || strncmp(name, "purge/", 6) != 0)
		return 0;
	backend_mem_watch(b, NULL, NULL);
	dir = support_path("%s/late", support_tmpdir_fast());
	assert_int_equal(mkdir(dir, 0755), 0);
	put_file(dir, "own", 77);
	assert_ok(vaults_open_and_backup(&o, dir, id));
	purge_point(b, id);
	return 0;
}

static void who_is_made_and_removed_meanwhile_leaves_nothing(void **state)
{
	struct backend *b = backend_mem_clone(full);
	struct backend *alone = backend_mem_clone(full);
	struct run run;

	(void)state;
	assert_non_null(b);
	assert_non_null(alone);
	forget_point(b, 0);
	forget_point(alone, 0);
	backend_mem_watch(b, make_and_purge, b);
	run = collected(b);
	assert_int_equal(run.result.purged, 1);
	assert_int_equal(count(b, "point/"), 3);
	run = collected(b);
	assert_false(run.plan.is_idle);
	collected(alone);
	assert_int_equal(count(b, "point/"), 2);
	assert_int_equal(count(b, "pack/"), count(alone, "pack/"));
	assert_true(is_clean(b));
	backend_close(alone);
	backend_close(b);
}

/* Somebody protects a point after it was told that it goes. */
static int protect_late(void *arg, enum backend_mem_op op, const char *name)
{
	struct backend *b = arg;
	char note[OBJECT_NAME_MAX];

	if (op != BACKEND_MEM_LIST || strcmp(name, "tomb/") != 0)
		return 0;
	backend_mem_watch(b, NULL, NULL);
	snprintf(note, sizeof(note), "note/%s-0", ids[0]);
	put_text(b, OBJECT_NOTE, note, "{\"kind\":\"protect\"}");
	return 0;
}

/* All of another collection, by which the last point goes. */
static void remove_last(struct backend *b)
{
	struct run other = new_run();

	forget_point(b, 2);
	assert_ok(collect(b, &other));
	assert_true(other.result.purged > 0);
	assert_true(other.result.packs > 0);
}

/* What another collection has removed, and what it deleted with it, is no damage. */
static void who_removes_meanwhile_damages_nothing(void **state)
{
	struct backend *b = backend_mem_clone(full);
	struct run run = new_run();

	(void)state;
	forget_point(b, 0);
	support_log_clear();
	run.other = b;
	assert_ok(collect(b, &run));
	assert_null(strstr(support_log_text(), "damage"));
	assert_false(is_whole(b, 0));
	assert_true(is_whole(b, 1));
	assert_int_equal(count(b, "point/"), 1);
	assert_int_equal(count(b, "pack/"), 2);
	assert_int_equal(count(b, "tomb/"), 0);
	assert_true(is_clean(b));
	backend_close(b);
}

struct removal {
	struct backend *vault; /* NULL: it is done */
	char sid[33]; /* the session of the last point */
};

/* The same as the first node of the last point is about to be read. */
static int remove_then(void *arg, enum backend_mem_op op, const char *name)
{
	struct removal *r = arg;
	struct backend *b = r->vault;

	if (!b || op != BACKEND_MEM_GET || strncmp(name, "pack/", 5) != 0 ||
	    strncmp(strrchr(name, '/') + 1, r->sid, 32) != 0)
		return 0;
	r->vault = NULL;
	remove_last(b);
	return 0;
}

static void who_removes_what_is_marked_damages_nothing(void **state)
{
	struct backend *b = backend_mem_clone(full);
	struct removal removal = { .vault = b };
	struct run run = new_run();

	(void)state;
	session_of(b, ids[2], removal.sid);
	forget_point(b, 0);
	support_log_clear();
	backend_mem_watch(b, remove_then, &removal);
	assert_ok(collect(b, &run));
	backend_mem_watch(b, NULL, NULL);
	assert_null(removal.vault);
	assert_null(strstr(support_log_text(), "chunk"));
	assert_false(is_whole(b, 0));
	assert_true(is_whole(b, 1));
	assert_int_equal(count(b, "point/"), 1);
	assert_true(is_clean(b));
	backend_close(b);
}

static void who_is_protected_stays(void **state)
{
	struct backend *b = due_vault();
	struct run run;

	(void)state;
	backend_mem_watch(b, protect_late, b);
	run = collected(b);
	assert_int_equal(run.result.purged, 1);
	assert_true(is_whole(b, 0));
	assert_true(is_whole(b, 2));
	assert_false(is_whole(b, 1));
	assert_true(is_clean(b));
	backend_close(b);
}

/* One who is protected, and one who is brought back, after it was said that they
 * go. */
static void who_is_wanted_after_all_is_counted(void **state)
{
	struct backend *b = due_vault();
	struct run run = new_run();
	char name[OBJECT_NAME_MAX];

	(void)state;
	run.protects = b;
	assert_ok(collect(b, &run));
	assert_int_equal(run.ndue, 2);
	assert_int_equal(run.result.purged, 0);
	assert_int_equal(run.result.ntaken_back, 2);
	snprintf(name, sizeof(name), "purge/%s-0", ids[1]);
	assert_non_null(backend_mem_data(b, name, &(size_t){ 0 }));
	assert_true(is_whole(b, 0));
	assert_true(is_whole(b, 1));
	backend_close(b);
}

/* ---- damage ends it ---- */

static void flip(struct backend *b, const char *name)
{
	size_t len;
	uint8_t *data = backend_mem_data(b, name, &len);

	assert_non_null(data);
	data[len / 2] ^= 1;
}

static void refuses(struct backend *b, int err)
{
	size_t npacks = count(b, "pack/"), nverdicts = count(b, "purge/");
	struct run run = new_run();

	assert_result(collect(b, &run), err);
	assert_int_equal(count(b, "pack/"), npacks);
	assert_int_equal(count(b, "purge/"), nverdicts);
	assert_int_equal(count(b, "tomb/"), 0);
	backend_close(b);
}

static void name_of(struct backend *b, const char *prefix, size_t i,
		    char out[OBJECT_NAME_MAX])
{
	size_t k;

	for (k = 0; k < backend_mem_nobjects(b); k++)
		if (strncmp(backend_mem_name(b, k), prefix, strlen(prefix)) ==
			    0 &&
		    i-- == 0) {
			snprintf(out, OBJECT_NAME_MAX, "%s",
				 backend_mem_name(b, k));
			return;
		}
	fail_msg("no such object");
}

static void damage_ends_it(void **state)
{
	char name[OBJECT_NAME_MAX];
	struct backend *b = due_vault();

	(void)state;
	/* A point that stays is damaged, or gone. */
	snprintf(name, sizeof(name), "point/%s", ids[2]);
	flip(b, name);
	refuses(b, -EBADMSG);
	b = due_vault();
	assert_ok(backend_mem_remove(b, name));
	refuses(b, -EBADMSG);
	/* What a session made is not known. */
	b = due_vault();
	name_of(b, "commit/", 1, name);
	flip(b, name);
	refuses(b, -EBADMSG);
	/* All that points need is gone. */
	b = due_vault();
	while (count(b, "pack/") > 0) {
		name_of(b, "pack/", 0, name);
		assert_ok(backend_mem_remove(b, name));
	}
	refuses(b, -EBADMSG);
	/* A listing that fails says nothing. */
	b = due_vault();
	backend_mem_fail(b, BACKEND_MEM_LIST, "pack/", 1, -EACCES, 0);
	refuses(b, -EACCES);
	b = due_vault();
	backend_mem_fail(b, BACKEND_MEM_LIST, "purge/", 1, -EACCES, 0);
	refuses(b, -EACCES);
}

/* Nobody has to have a key for that. */
static void an_unreadable_sweep_ends_nothing_else(void **state)
{
	struct backend *b = due_vault();
	struct run run = repacking();

	(void)state;
	put_text(b, OBJECT_TOMB, "tomb/" ID_A, "");
	put_text(b, OBJECT_SWEEP, "sweep/" ID_A, "");
	assert_ok(collect(b, &run));
	assert_int_equal(run.result.purged, 2);
	/* Nothing was written for nothing. */
	assert_int_equal(run.result.packs, 3);
	assert_int_equal(count(b, "pack/"), 3);
	assert_int_equal(count(b, "tomb/" ID_A), 1);
	assert_int_equal(count(b, "tomb/"), 1);
	assert_true(is_whole(b, 2));
	backend_close(b);
}

static void put_lists(struct backend *b, const struct pack_list *l)
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	static const char *const names[] = { "tomb/" ID_A, "sweep/" ID_A };
	struct vault *v;
	size_t i;

	assert_ok(vault_open(&o, &v));
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		AUTO_BUF struct buf plain = BUF_INIT, box = BUF_INIT;

		if (i == 0)
			tomb_encode(l, &plain);
		else
			sweep_encode(l, &plain);
		assert_ok(format_seal_box(
			vault_keyring(v), NULL, NULL, vault_seam(v),
			i == 0 ? OBJECT_TOMB : OBJECT_SWEEP, names[i], NULL, 0,
			plain.data, plain.len, &box));
		assert_ok(backend_put(b, names[i], box.data, box.len));
	}
	vault_close(v);
}

static struct pack_list all_packs(struct backend *b)
{
	struct pack_list l = { .n = 0 };
	size_t i;

	for (i = 0; i < backend_mem_nobjects(b); i++)
		if (strncmp(backend_mem_name(b, i), "pack/", 5) == 0)
			assert_ok(pack_list_add(
				&l, strrchr(backend_mem_name(b, i), '/') + 1));
	pack_list_sort(&l);
	return l;
}

/* Anybody who may store objects can put a sweep: what it deletes may be needed. */
static void a_sweep_of_what_is_needed_is_not_carried_out(void **state)
{
	struct backend *b = backend_mem_clone(full);
	struct pack_list all = all_packs(b), one = { .n = 0 };
	struct run run = new_run();
	size_t i, refused = 0;

	(void)state;
	put_lists(b, &all);
	assert_result(collect(b, &run), -EBADMSG);
	assert_int_equal(count(b, "pack/"), 6);
	assert_int_equal(count(b, "tomb/"), 1);
	for (i = 0; i < POINTS; i++)
		assert_true(is_whole(b, i));
	backend_close(b);
	/* Of points that are due, too, as long as they are not removed: what
	 * somebody protects at the last moment stays. */
	for (i = 0; i < all.n; i++) {
		b = due_vault();
		one.n = 0;
		assert_ok(pack_list_add(&one, all.names[i]));
		put_lists(b, &one);
		run = new_run();
		backend_mem_watch(b, protect_late, b);
		refused += collect(b, &run) == -EBADMSG;
		backend_mem_watch(b, NULL, NULL);
		assert_true(is_whole(b, 2));
		assert_true(is_whole(b, 0));
		backend_close(b);
	}
	assert_in_range(refused, 1, all.n);
	pack_list_release(&one);
	pack_list_release(&all);
}

/* What was left by one that died is as much as what this one decides. */
static void what_was_left_is_not_deleted_unasked(void **state)
{
	struct backend *b = backend_mem_clone(full);
	struct run run = new_run();

	(void)state;
	assert_non_null(b);
	forget_point(b, 1);
	forget_point(b, 2);
	/* It dies before it deletes anything. */
	backend_mem_fail(b, BACKEND_MEM_DELETE, "pack/", 1, -EACCES,
			 BACKEND_MEM_STICKY);
	assert_result(collect(b, &run), -EACCES);
	backend_mem_heal(b);
	assert_int_equal(count(b, "tomb/"), 1);
	age_all(b, "heartbeat/");
	run = new_run();
	run.says_yes = false;
	assert_result(collect(b, &run), -E2BIG);
	assert_int_equal(run.plan.ndead, 4);
	assert_int_equal(count(b, "pack/"), 6);
	assert_int_equal(count(b, "tomb/"), 1);
	run.says_yes = true;
	assert_ok(collect(b, &run));
	assert_int_equal(run.result.taken_over, 4);
	assert_true(is_whole(b, 0));
	assert_int_equal(count(b, "pack/"), 2);
	assert_int_equal(count(b, "tomb/"), 0);
	assert_true(is_clean(b));
	backend_close(b);
}

/* A point with an unreadable verdict stays, and so does all that it needs. */
static void an_unreadable_verdict_keeps(void **state)
{
	struct backend *b = due_vault();
	char name[OBJECT_NAME_MAX];

	(void)state;
	snprintf(name, sizeof(name), "purge/%s-0", ids[1]);
	put_text(b, OBJECT_PURGE, name, "{\"verdict\":\"PERHAPS\"}");
	collected(b);
	assert_false(is_whole(b, 0));
	assert_true(is_whole(b, 1));
	assert_true(is_whole(b, 2));
	backend_close(b);
}

/* Another copy of the vault was seen under this name, in which the point was
 * removed, and its session fenced off. Here they are not. */
static void the_database_decides_nothing(void **state)
{
	struct backend *b = due_vault();
	struct vault_options o = vaults_options(
		NULL, b, NULL, support_path("%s/cache", support_tmpdir_fast()));
	char verdict[OBJECT_NAME_MAX], commit[OBJECT_NAME_MAX], sid[33];
	AUTO_FREE uint8_t *kept = NULL;
	struct run run = new_run();
	struct point_list *l;
	struct vault *v;
	uint8_t *data;
	size_t len, i;

	(void)state;
	session_of(b, ids[2], sid);
	snprintf(verdict, sizeof(verdict), "purge/%s-0", ids[1]);
	put_text(b, OBJECT_PURGE, verdict, "{\"verdict\":\"PURGED\"}");
	snprintf(commit, sizeof(commit), "commit/%s", sid);
	data = backend_mem_data(b, commit, &len);
	kept = malloc(len);
	assert_non_null(kept);
	memcpy(kept, data, len);
	put_text(b, OBJECT_COMMIT, commit, "{\"decision\":\"FENCED\"}");
	assert_ok(vault_open(&o, &v));
	assert_ok(vault_points(v, &l));
	assert_int_equal(l->n, 0);
	point_list_put(l);
	vault_close(v);
	/* The true ones. */
	put_text(b, OBJECT_PURGE, verdict, "{\"verdict\":\"KEPT\"}");
	assert_ok(backend_mem_set(b, commit, kept, len));
	run.cache = o.cache_dir;
	for (i = 0; i < 2; i++)
		(void)!collect(b, &run);
	assert_true(is_whole(b, 1));
	assert_true(is_whole(b, 2));
	backend_close(b);
}

/* Somebody who may put objects puts a digest that tells of another point of the
 * session than its register names. So many sessions without a point were put beside
 * that digests are looked at. */
static void put_false_digest(struct backend *b, const char *sid)
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	AUTO_BUF struct buf doc = BUF_INIT, plain = BUF_INIT, box = BUF_INIT;
	static const char name[] = "digest/" ID_A "-0";
	AUTO_BUF struct buf reg = BUF_INIT;
	struct digest_entry e = { .commit = { .point = ID_B } };
	struct point_list *l;
	struct point other;
	struct vault *v;
	size_t i;

	for (i = 0; i < 101; i++) {
		char commit[OBJECT_NAME_MAX];

		snprintf(commit, sizeof(commit), "commit/%032zx", i + 1);
		put_text(b, OBJECT_COMMIT, commit, "{\"decision\":\"FENCED\"}");
	}
	assert_ok(vault_open(&o, &v));
	assert_ok(vault_points(v, &l));
	other = *l->points[vaults_find_point(l, ids[1])];
	memcpy(other.id, ID_B, sizeof(other.id));
	snprintf(other.session, sizeof(other.session), "%s", sid);
	assert_ok(point_encode(&other, false, &doc));
	snprintf(e.sid, sizeof(e.sid), "%s", sid);
	e.point = doc.data;
	e.point_len = doc.len;
	commit_encode(&e.commit, sid, &reg);
	e.reg = reg.data;
	e.reg_len = reg.len;
	buf_put_varint(&plain, 1);
	digest_put(&plain, &e);
	buf_put_varint(&plain, 0);
	assert_ok(format_seal_box(vault_keyring(v), NULL, NULL, vault_seam(v),
				  OBJECT_DIGEST, name, NULL, 0, plain.data,
				  plain.len, &box));
	assert_ok(backend_put(b, name, box.data, box.len));
	point_list_put(l);
	vault_close(v);
}

static bool lists_point(struct vault *v, const char *id)
{
	struct point_list *l;
	bool found;

	assert_ok(vault_points(v, &l));
	found = vaults_find_point(l, id) != SIZE_MAX;
	point_list_put(l);
	return found;
}

/* No digest says what goes, be it in the vault or in what is remembered here. */
static void a_digest_removes_nothing(void **state)
{
	struct backend *b = backend_mem_clone(full);
	struct vault_options o = vaults_options(
		NULL, b, NULL, support_path("%s/false", support_tmpdir_fast()));
	char sid[33], name[OBJECT_NAME_MAX];
	struct run run = new_run();
	struct vault *v;
	size_t len;

	(void)state;
	session_of(b, ids[2], sid);
	put_false_digest(b, sid);
	forget_point(b, 0);
	assert_ok(vault_open(&o, &v));
	assert_true(lists_point(v, ID_B));
	assert_false(lists_point(v, ids[2]));
	vault_distrust_digests(v);
	assert_true(lists_point(v, ids[2]));
	assert_false(lists_point(v, ID_B));
	vault_close(v);
	run.cache = o.cache_dir;
	assert_ok(collect(b, &run));
	/* What it says is not so. */
	assert_int_equal(count(b, "digest/"), 0);
	/* Its first point had a tree and a file of its own. */
	assert_int_equal(run.result.purged, 1);
	assert_int_equal(run.result.packs, 1);
	snprintf(name, sizeof(name), "point/%s", ids[2]);
	assert_non_null(backend_mem_data(b, name, &len));
	backend_close(b);
}

/* Put a digest that tells of points @from to 2 as their registers do, and supersedes
 * @gone, "" for none. */
static void put_digest(struct backend *b, const char *name, size_t from,
		       const char *gone)
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	AUTO_BUF struct buf plain = BUF_INIT, box = BUF_INIT;
	char object[OBJECT_NAME_MAX];
	struct vault *v;
	size_t i, len;

	assert_ok(vault_open(&o, &v));
	buf_put_varint(&plain, 3 - from);
	for (i = from; i < 3; i++) {
		AUTO_BUF struct buf reg = BUF_INIT, doc = BUF_INIT;
		struct digest_entry e = { .point_len = 0 };
		const uint8_t *data;

		session_of(b, ids[i], e.sid);
		snprintf(object, sizeof(object), "commit/%s", e.sid);
		data = backend_mem_data(b, object, &len);
		assert_ok(format_read_box(vault_keyring(v), data, len,
					  OBJECT_COMMIT, object, &reg));
		assert_ok(commit_decode(reg.data, reg.len, object, &e.commit));
		snprintf(object, sizeof(object), "point/%s", ids[i]);
		data = backend_mem_data(b, object, &len);
		assert_ok(format_read_box(vault_keyring(v), data, len,
					  OBJECT_POINT, object, &doc));
		e.reg = reg.data;
		e.reg_len = reg.len;
		e.point = doc.data;
		e.point_len = doc.len;
		digest_put(&plain, &e);
	}
	buf_put_varint(&plain, *gone ? 1 : 0);
	if (*gone)
		buf_put_bytes(&plain, gone, strlen(gone));
	assert_ok(format_seal_box(vault_keyring(v), NULL, NULL, vault_seam(v),
				  OBJECT_DIGEST, name, NULL, 0, plain.data,
				  plain.len, &box));
	assert_ok(backend_put(b, name, box.data, box.len));
	vault_close(v);
}

static int count_entry(void *arg, const struct digest_entry *e)
{
	struct digest_entry whole = *e;
	size_t *n = arg;

	assert_ok(digest_entry_decode(&whole));
	assert_string_not_equal(whole.commit.point, ids[0]);
	assert_true(whole.commit.point[0]);
	++*n;
	return 0;
}

/* What was removed is in no digest any more, and those that are of no use go. */
static void digests_forget_what_was_removed(void **state)
{
	struct backend *b = backend_mem_clone(full);
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX], again[OBJECT_NAME_MAX];
	const uint8_t *data;
	size_t len, n = 0;
	struct vault *v;

	(void)state;
	put_digest(b, "digest/" ID_B "-0", 1, "");
	put_digest(b, "digest/" ID_A "-0", 0, ID_B "-0");
	assert_ok(backend_put(b, "probe/" ID_A, "x", 1));
	age_all(b, "probe/");
	assert_ok(backend_put(b, "probe/" ID_B, "x", 1));
	assert_true(is_clean(b));
	(void)collected(b);
	/* One that others supersede goes; one that somebody may be trying stays. */
	assert_int_equal(count(b, "digest/"), 1);
	assert_int_equal(count(b, "probe/"), 1);
	name_of(b, "digest/", 0, name);
	assert_string_equal(name, "digest/" ID_A "-0");
	forget_point(b, 0);
	(void)collected(b);
	assert_int_equal(count(b, "digest/"), 1);
	name_of(b, "digest/", 0, name);
	assert_string_not_equal(name, "digest/" ID_A "-0");
	assert_ok(vault_open(&o, &v));
	data = backend_mem_data(b, name, &len);
	assert_ok(format_read_box(vault_keyring(v), data, len, OBJECT_DIGEST,
				  name, &plain));
	vault_close(v);
	assert_ok(digest_decode(plain.data, plain.len, name, count_entry, NULL,
				&n));
	assert_int_equal(n, 2);
	assert_true(is_clean(b));
	/* There is nothing more to do. */
	(void)collected(b);
	name_of(b, "digest/", 0, again);
	assert_string_equal(name, again);
	backend_close(b);
}

/* A register that is gone does not mean that there never was a point: its object
 * tells of the session, of which nothing else is left. */
static void a_lost_register_ends_it(void **state)
{
	struct backend *b = due_vault();
	char sid[33], name[OBJECT_NAME_MAX];
	struct run run = new_run();

	(void)state;
	session_of(b, ids[2], sid);
	run.o.is_dry_run = true;
	snprintf(name, sizeof(name), "session/%s", sid);
	assert_ok(backend_mem_remove(b, name));
	/* As after each collection: it is decided. */
	assert_ok(collect(b, &run));
	snprintf(name, sizeof(name), "commit/%s", sid);
	assert_ok(backend_mem_remove(b, name));
	refuses(b, -EREMCHG);
	assert_said("bring it back from a copy");
}

/* Somebody put a register that names the point of another. The point goes and stays by
 * that of its own session. */
static void who_claims_anothers_point_ends_nothing(void **state)
{
	struct backend *b = due_vault();
	AUTO_BUF struct buf plain = BUF_INIT;
	struct commit c = { .point = "" };

	(void)state;
	memcpy(c.point, ids[2], sizeof(c.point));
	commit_encode(&c, ID_A, &plain);
	buf_put_u8(&plain, 0);
	assert_ok(buf_error(&plain));
	put_text(b, OBJECT_COMMIT, "commit/" ID_A, (const char *)plain.data);
	(void)collected(b);
	assert_true(is_whole(b, 2));
	assert_int_equal(count(b, "pack/"), 3);
	assert_int_equal(count(b, "point/"), 1);
	backend_close(b);
}

static void put_purged(struct backend *b, size_t i, unsigned int n)
{
	char name[OBJECT_NAME_MAX];

	snprintf(name, sizeof(name), "purge/%s-%u", ids[i], n);
	put_text(b, OBJECT_PURGE, name, "{\"verdict\":\"PURGED\"}");
}

static void put_wish(struct backend *b, size_t i, unsigned int n)
{
	char name[OBJECT_NAME_MAX];

	snprintf(name, sizeof(name), "forget/%s-%u", ids[i], n);
	put_text(b, OBJECT_FORGET, name, LONG_AGO);
}

/* Whoever may put objects says that points were removed: nobody wished it, or only
 * just. What they need stays; and what others removed by right is shown. */
static void a_verdict_needs_a_wish_that_is_old(void **state)
{
	struct backend *b = backend_mem_clone(full);
	struct run run;

	(void)state;
	put_purged(b, 0, 0);
	put_purged(b, 1, 5);
	put_wish(b, 1, 5);
	put_wish(b, 1, 4);
	run = collected(b);
	assert_said("nobody wished that");
	assert_said("the wish is younger");
	assert_true(run.plan.is_idle);
	assert_int_equal(run.plan.npoints, 3);
	/* It looks at the packs, too. */
	forget_point(b, 2);
	run = collected(b);
	assert_int_equal(run.result.purged, 1);
	assert_int_equal(count(b, "point/"), 2);
	assert_int_equal(run.result.packs, 2);
	/* It is older than 14 days, but the vault asks for more. */
	set_times(b, "forget/", days_ago(20));
	put_text(b, OBJECT_WINDOW, "window/21", "{}");
	run = collected(b);
	assert_said("the wish is younger");
	assert_int_equal(run.plan.npurged, 0);
	assert_true(run.plan.is_idle);
	/* Its time is over. */
	set_times(b, "forget/", days_ago(22));
	run = collected(b);
	assert_int_equal(run.plan.npurged, 1);
	assert_int_equal(count(b, "point/"), 1);
	backend_close(b);

	b = backend_mem_clone(full);
	forget_point(b, 1);
	put_purged(b, 1, 0);
	run = new_run();
	run.says_yes = false;
	assert_result(collect(b, &run), -E2BIG);
	assert_said("1 of 3 points");
	run = collected(b);
	assert_int_equal(run.plan.npurged, 1);
	assert_int_equal(run.plan.npoints, 2);
	assert_int_equal(run.result.packs, 2);
	assert_int_equal(count(b, "point/"), 2);
	assert_true(is_clean(b));
	backend_close(b);
}

/* A store that does not list the register @hidden when it is asked for the second
 * time after the tombs stand. */
struct lagging {
	struct backend *b;
	char hidden[OBJECT_NAME_MAX];
	bool is_late; /* a backup ends before the tombs stand: hide that one */
	unsigned int nlists;
	bool has_tomb;
	uint8_t *data; /* of the hidden one, while it is */
	size_t len;
};

static void back_up_and_hide(struct lagging *l)
{
	struct vault_options o = vaults_options(NULL, l->b, NULL, NULL);
	char id[33], sid[33];

	assert_ok(vaults_open_and_backup(&o, dirs[1], id));
	session_of(l->b, id, sid);
	snprintf(l->hidden, sizeof(l->hidden), "commit/%s", sid);
}

static int lag(void *arg, enum backend_mem_op op, const char *name)
{
	struct lagging *l = arg;
	uint8_t *data;

	backend_mem_watch(l->b, NULL, NULL);
	if (l->data) {
		assert_ok(backend_mem_set(l->b, l->hidden, l->data, l->len));
		free(l->data);
		l->data = NULL;
	}
	if (op == BACKEND_MEM_PUT && strncmp(name, "tomb/", 5) == 0) {
		l->has_tomb = true;
		if (l->is_late)
			back_up_and_hide(l);
	}
	if (l->has_tomb && op == BACKEND_MEM_LIST &&
	    strcmp(name, "commit/") == 0 && ++l->nlists == 2) {
		data = backend_mem_data(l->b, l->hidden, &l->len);
		assert_non_null(data);
		l->data = malloc(l->len);
		assert_non_null(l->data);
		memcpy(l->data, data, l->len);
		assert_ok(backend_mem_remove(l->b, l->hidden));
	}
	backend_mem_watch(l->b, lag, l);
	return 0;
}

/* Whether it is one of before, or one that was made meanwhile: nothing is deleted by a
 * listing that does not show it. */
static void a_listing_that_lags_deletes_nothing(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct lagging l = { .b = due_vault(), .is_late = i == 1 };
		struct run run = new_run();
		char sid[33];

		session_of(l.b, ids[2], sid);
		snprintf(l.hidden, sizeof(l.hidden), "commit/%s", sid);
		backend_mem_watch(l.b, lag, &l);
		assert_result(collect(l.b, &run), -EIO);
		backend_mem_watch(l.b, NULL, NULL);
		assert_null(l.data);
		assert_true(l.nlists >= 2);
		assert_said("the listing of commit/ lacks");
		assert_true(count(l.b, "pack/") >= 6);
		assert_int_equal(count(l.b, "tomb/"), 0);
		assert_true(is_clean(l.b));
		backend_close(l.b);
	}
}

/* A later program adds something to the vault, in which points are found that this one
 * does not know. */
static int add_feature(void *arg, enum backend_mem_op op, const char *name)
{
	struct backend *b = arg;
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	const struct feature_words f = { .collect = 1 };
	static const char feature[] = "feature/0";
	AUTO_BUF struct buf box = BUF_INIT;
	uint8_t clear[FEATURES_LEN];
	struct vault *v;

	if (op != BACKEND_MEM_PUT || strncmp(name, "tomb/", 5) != 0)
		return 0;
	backend_mem_watch(b, NULL, NULL);
	features_encode(&f, clear);
	assert_ok(vault_open(&o, &v));
	assert_ok(format_seal_box(vault_keyring(v), NULL, NULL, vault_seam(v),
				  OBJECT_FEATURE, feature, clear, sizeof(clear),
				  "{}", 2, &box));
	assert_ok(backend_put(b, feature, box.data, box.len));
	vault_close(v);
	return 0;
}

static void what_later_programs_add_ends_it(void **state)
{
	struct backend *b = due_vault();
	struct run run = new_run();

	(void)state;
	backend_mem_watch(b, add_feature, b);
	assert_result(collect(b, &run), -EOPNOTSUPP);
	assert_said("needs a newer vmbackup to be collected");
	assert_int_equal(count(b, "pack/"), 6);
	assert_int_equal(count(b, "tomb/"), 0);
	assert_true(is_whole(b, 2));
	backend_close(b);
}

/* ---- deaths and lost replies at each step ---- */

struct fate {
	unsigned int calls; /* that changed something */
	unsigned int dies_after; /* so many; 0: never */
	unsigned int fails_at; /* this one is done, and its reply is lost */
	bool is_dead;
};

static int strike(void *arg, enum backend_mem_op op, const char *name)
{
	struct fate *f = arg;

	(void)name;
	if (f->dies_after && (f->is_dead || ((op == BACKEND_MEM_PUT ||
					      op == BACKEND_MEM_DELETE) &&
					     f->calls == f->dies_after)))
		f->is_dead = true;
	f->calls += op == BACKEND_MEM_PUT || op == BACKEND_MEM_DELETE;
	return f->is_dead ? -EACCES : 0;
}

static void a_death_anywhere_is_made_up_for(void **state)
{
	struct fate f = { .dies_after = 0 };
	unsigned int n, calls;
	struct backend *b = due_vault();

	(void)state;
	backend_mem_watch(b, strike, &f);
	collected(b);
	backend_mem_watch(b, NULL, NULL);
	assert_collected(b);
	backend_close(b);
	calls = f.calls;
	assert_in_range(calls, 10, 100);
	for (n = 1; n < calls; n++) {
		struct run run = new_run();

		b = due_vault();
		f = (struct fate){ .dies_after = n };
		backend_mem_watch(b, strike, &f);
		(void)!collect(b, &run);
		backend_mem_watch(b, NULL, NULL);
		assert_true(f.is_dead);
		assert_true(is_whole(b, 2));
		age_all(b, "heartbeat/");
		collected(b);
		assert_collected(b);
		backend_close(b);
	}
}

/* The same where a pack is rewritten: what was written is used by the next. */
static void a_death_while_rewriting_is_made_up_for(void **state)
{
	struct fate f = { .dies_after = 0 };
	unsigned int n, calls;
	struct backend *b = due_vault();
	struct run run = repacking();

	(void)state;
	backend_mem_watch(b, strike, &f);
	assert_ok(collect(b, &run));
	backend_mem_watch(b, NULL, NULL);
	backend_close(b);
	calls = f.calls;
	assert_in_range(calls, 10, 100);
	for (n = 1; n < calls; n++) {
		b = due_vault();
		f = (struct fate){ .dies_after = n };
		run = repacking();
		backend_mem_watch(b, strike, &f);
		(void)!collect(b, &run);
		backend_mem_watch(b, NULL, NULL);
		assert_true(f.is_dead);
		assert_true(is_whole(b, 2));
		age_all(b, "heartbeat/");
		age_all(b, "session/");
		age_all(b, "pack/");
		run = repacking();
		assert_ok(collect(b, &run));
		assert_repacked(b);
		backend_close(b);
	}
}

/* What is gone is counted, however it ends. */
static void what_is_gone_is_counted(void **state)
{
	static const struct {
		const char *prefix;
		size_t packs;
	} cases[] = { { "tomb/", 3 }, { "pack/", 2 } };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct backend *b = due_vault();
		struct run run = new_run();

		backend_mem_fail(b, BACKEND_MEM_DELETE, cases[i].prefix, 1,
				 -EIO, 0);
		assert_result(collect(b, &run), -EIO);
		assert_int_equal(run.result.packs, cases[i].packs);
		assert_true(run.result.bytes > 0);
		assert_int_equal(run.result.bytes == run.plan.dead_bytes,
				 cases[i].packs == 3);
		collected(b);
		assert_collected(b);
		backend_close(b);
	}
}

static void a_lost_reply_loses_nothing(void **state)
{
	static const struct {
		enum backend_mem_op op;
		const char *prefix;
	} cases[] = {
		{ BACKEND_MEM_PUT, "heartbeat/" },
		{ BACKEND_MEM_PUT, "purge/" },
		{ BACKEND_MEM_PUT, "tomb/" },
		{ BACKEND_MEM_PUT, "sweep/" },
		{ BACKEND_MEM_DELETE, "pack/" },
		{ BACKEND_MEM_DELETE, "tomb/" },
		{ BACKEND_MEM_DELETE, "point/" },
		{ BACKEND_MEM_PUT, "index/" },
		{ BACKEND_MEM_DELETE, "index/" },
	};
	unsigned int flags;
	size_t i;

	(void)state;
	for (i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		struct backend *b = due_vault();
		struct run run = new_run();

		flags = i % 2 ? BACKEND_MEM_LOST_REPLY : 0;
		backend_mem_fail(b, cases[i / 2].op, cases[i / 2].prefix, 1,
				 -EACCES, flags);
		(void)!collect(b, &run);
		assert_int_equal(backend_mem_failures(b), 1);
		backend_mem_heal(b);
		assert_true(is_whole(b, 2));
		age_all(b, "heartbeat/");
		collected(b);
		assert_collected(b);
		backend_close(b);
	}
}

/* ---- what somebody with a key has forged ---- */

static int add_pack(void *arg, const char *object,
		    const struct backend_info *info)
{
	(void)info;
	return pack_list_add(arg, strrchr(object, '/') + 1);
}

/* Say of a pack that it is empty, and of one that was never read that it holds all
 * that the first one does. */
static void forge_entries(struct backend *b, struct vault *v, const char *pack,
			  struct buf *entries, size_t *n)
{
	AUTO_BUF struct buf dir = BUF_INIT;
	AUTO_BUF struct buf none = BUF_INIT;
	AUTO_FREE uint8_t *junk = NULL;
	char name[PACK_NAME_MAX], object[OBJECT_NAME_MAX];
	struct pack_row row;
	int64_t no;

	assert_ok(catalog_pack_no(vault_catalog(v), pack, &no));
	assert_ok(catalog_get_pack(vault_catalog(v), no, &row, &dir));
	if (row.kind != OBJECT_DATA_PACK)
		return;
	buf_put_varint(&none, 0);
	buf_put_varint(&none, 0);
	snprintf(name, sizeof(name), "%032d-%zu-%s", 0, *n,
		 strrchr(pack, '-') + 1);
	assert_ok(format_pack_object_name(name, object));
	junk = calloc(1, row.size);
	assert_non_null(junk);
	assert_ok(backend_put(b, object, junk, row.size));
	index_put_pack(entries, pack, row.size, row.kind, row.epoch, row.salt,
		       none.data, none.len);
	index_put_pack(entries, name, row.size, row.kind, row.epoch, row.salt,
		       dir.data, dir.len);
	*n += 2;
}

/* That a pack holds nothing is said by itself: what others say of it counts for
 * nothing, and what goes is what would have gone. */
static void a_forged_index_lets_nothing_go(void **state)
{
	struct backend *b = due_vault();
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	const char *forged = "index/00000000000000000000000000000000-0.m";
	AUTO_BUF struct buf entries = BUF_INIT;
	AUTO_BUF struct buf plain = BUF_INIT;
	AUTO_BUF struct buf box = BUF_INIT;
	struct pack_list packs = { .n = 0 };
	struct run run = new_run();
	struct vault *v;
	size_t i, n = 0;

	(void)state;
	assert_ok(vault_open(&o, &v));
	assert_ok(vault_list(v, "pack/", add_pack, &packs));
	pack_list_sort(&packs);
	for (i = 0; i < packs.n; i++)
		forge_entries(b, v, packs.names[i], &entries, &n);
	buf_put_varint(&plain, n);
	buf_put(&plain, entries.data, entries.len);
	buf_put_varint(&plain, 0);
	assert_ok(format_seal_box(vault_keyring(v), NULL, NULL, vault_seam(v),
				  OBJECT_INDEX, forged, NULL, 0, plain.data,
				  plain.len, &box));
	assert_ok(backend_put(b, forged, box.data, box.len));
	vault_close(v);
	assert_ok(collect(b, &run));
	assert_true(run.result.packs > 0);
	assert_true(is_whole(b, 2));
	pack_list_release(&packs);
	backend_close(b);
}

/* Take the packs of trees away that a session stored. */
static int drop_trees(void *arg, const struct pack_row *row)
{
	char object[OBJECT_NAME_MAX];

	if (row->kind == OBJECT_TREE_PACK) {
		assert_ok(format_pack_object_name(row->name, object));
		assert_ok(backend_delete(arg, object));
	}
	return 0;
}

/* Put the root of the second point where that of the last one was, and make a point
 * of it. */
static void put_false_root(struct backend *b)
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	AUTO_BUF struct buf node = BUF_INIT;
	struct point *p = point_new();
	struct point_list *l;
	struct id root, other;
	struct writer *w;
	struct vault *v;

	assert_non_null(p);
	assert_ok(vault_open(&o, &v));
	assert_ok(vault_points(v, &l));
	root = l->points[vaults_find_point(l, ids[2])]->root;
	other = l->points[vaults_find_point(l, ids[1])]->root;
	point_list_put(l);
	assert_ok(chunk_read_all(v, CHUNK_NODE, &other, &node));
	assert_ok(writer_begin(v, 1, NULL, &w));
	assert_ok(writer_store(w, CHUNK_NODE, &root, node.data, node.len));
	assert_ok(writer_store(w, CHUNK_NODE, &other, node.data, node.len));
	assert_ok(catalog_packs(vault_catalog(v), drop_trees, b));
	p->vm = strdup("evil");
	p->host = strdup("evil");
	p->program = strdup("evil");
	p->has_tree = true;
	p->root = root;
	assert_ok(writer_commit(w, p));
	point_free(p);
	writer_free(w);
	vault_close(v);
}

/* A node is what its name says, or nothing below it counts as dead. */
static void a_node_in_anothers_place_ends_it(void **state)
{
	struct backend *b = backend_mem_clone(full);
	struct run run = new_run();
	size_t n;

	(void)state;
	forget_point(b, 0);
	put_false_root(b);
	n = count(b, "pack/");
	/* Which node is read first, and so what is said, is a matter of names. */
	assert_result(collect(b, &run), -EBADMSG);
	assert_int_equal(count(b, "pack/"), n);
	backend_close(b);
}

/* ---- roles: a store that lets one do some things and not others ---- */

/* So does a bucket, whose policy nobody can ask for beforehand. */
static void forbid(struct backend *b, enum backend_mem_op op,
		   const char *prefix)
{
	backend_mem_fail(b, op, prefix, 1, -EACCES, BACKEND_MEM_STICKY);
}

static uint64_t calls(struct backend *b, enum backend_mem_op op)
{
	struct backend_mem_counts counts;

	backend_mem_get_counts(b, NULL, &counts);
	return counts.calls[op];
}

static void who_may_not_delete_collects_nothing(void **state)
{
	struct backend *b = due_vault();
	struct run run = new_run();
	size_t before = backend_mem_nobjects(b);

	(void)state;
	forbid(b, BACKEND_MEM_DELETE, "");
	assert_result(collect(b, &run), -EACCES);
	/* What was tried to be deleted, and nothing else. */
	assert_int_equal(count(b, "probe/"), 1);
	assert_int_equal(backend_mem_nobjects(b), before + 1);
	backend_mem_heal(b);
	assert_true(is_whole(b, 0) && is_whole(b, 1) && is_whole(b, 2));
	(void)collected(b);
	assert_collected(b);
	backend_close(b);
}

static void a_writer_only_adds(void **state)
{
	struct backend *b = backend_mem_clone(full);
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	char id[33];

	(void)state;
	assert_non_null(b);
	forbid(b, BACKEND_MEM_DELETE, "");
	assert_ok(vaults_open_and_backup(&o, dirs[0], id));
	/* One that fails in the middle takes nothing back, either. */
	forbid(b, BACKEND_MEM_PUT, "point/");
	assert_result(vaults_open_and_backup(&o, dirs[1], id), -EACCES);
	backend_mem_heal(b);
	forbid(b, BACKEND_MEM_DELETE, "");
	assert_ok(vaults_open_and_backup(&o, dirs[1], id));
	assert_int_equal(calls(b, BACKEND_MEM_DELETE), 0);
	assert_true(is_clean(b));
	backend_close(b);
}

static void a_reader_only_reads(void **state)
{
	struct backend *b = backend_mem_clone(full);

	(void)state;
	assert_non_null(b);
	forbid(b, BACKEND_MEM_DELETE, "");
	forbid(b, BACKEND_MEM_PUT, "");
	assert_true(is_whole(b, 0) && is_whole(b, 1) && is_whole(b, 2));
	assert_int_equal(calls(b, BACKEND_MEM_PUT), 0);
	/* What a check has read it would note, and does without. */
	assert_true(is_clean(b));
	assert_int_equal(calls(b, BACKEND_MEM_DELETE), 0);
	backend_close(b);
}

/* The store lets a put through that was given up as lost, once the pack is gone. */
static void a_late_copy_goes_again(void **state)
{
	struct backend *b = due_vault(), *before = backend_mem_clone(b);
	char name[OBJECT_NAME_MAX];
	struct backend_info info;
	const uint8_t *data;
	size_t i, len, npacks, nlate = 0;

	(void)state;
	(void)collected(b);
	npacks = count(b, "pack/");
	for (i = 0; i < count(before, "pack/") && nlate == 0; i++) {
		name_of(before, "pack/", i, name);
		if (backend_head(b, name, &info) == 0)
			continue;
		data = backend_mem_data(before, name, &len);
		assert_ok(backend_mem_set(b, name, data, len));
		nlate++;
	}
	assert_int_equal(nlate, 1);
	assert_int_equal(count(b, "pack/"), npacks + 1);
	(void)collected(b);
	assert_int_equal(count(b, "pack/"), npacks);
	assert_true(is_whole(b, 2));
	backend_close(before);
	backend_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_may_not_delete_collects_nothing),
		cmocka_unit_test(a_writer_only_adds),
		cmocka_unit_test(a_reader_only_reads),
		cmocka_unit_test(what_nobody_needs_goes),
		cmocka_unit_test(a_late_copy_goes_again),
		cmocka_unit_test(a_dry_run_removes_nothing),
		cmocka_unit_test(what_was_not_read_is_found_later),
		cmocka_unit_test(a_place_that_lags_is_refused),
		cmocka_unit_test(much_has_to_be_typed),
		cmocka_unit_test(what_the_dead_left_goes),
		cmocka_unit_test(what_never_came_to_be_goes),
		cmocka_unit_test(a_session_is_waited_for),
		cmocka_unit_test(one_that_takes_long_is_alive),
		cmocka_unit_test(a_late_point_is_counted),
		cmocka_unit_test(who_is_removed_meanwhile_is_not_forgotten),
		cmocka_unit_test(
			who_is_made_and_removed_meanwhile_leaves_nothing),
		cmocka_unit_test(who_removes_meanwhile_damages_nothing),
		cmocka_unit_test(who_removes_what_is_marked_damages_nothing),
		cmocka_unit_test(who_is_protected_stays),
		cmocka_unit_test(who_is_wanted_after_all_is_counted),
		cmocka_unit_test(damage_ends_it),
		cmocka_unit_test(a_forged_index_lets_nothing_go),
		cmocka_unit_test(a_node_in_anothers_place_ends_it),
		cmocka_unit_test(a_sweep_of_what_is_needed_is_not_carried_out),
		cmocka_unit_test(what_was_left_is_not_deleted_unasked),
		cmocka_unit_test(an_unreadable_sweep_ends_nothing_else),
		cmocka_unit_test(an_unreadable_verdict_keeps),
		cmocka_unit_test(the_database_decides_nothing),
		cmocka_unit_test(a_digest_removes_nothing),
		cmocka_unit_test(digests_forget_what_was_removed),
		cmocka_unit_test(a_lost_register_ends_it),
		cmocka_unit_test(who_claims_anothers_point_ends_nothing),
		cmocka_unit_test(a_verdict_needs_a_wish_that_is_old),
		cmocka_unit_test(a_listing_that_lags_deletes_nothing),
		cmocka_unit_test(what_later_programs_add_ends_it),
		cmocka_unit_test(a_death_anywhere_is_made_up_for),
		cmocka_unit_test(what_is_gone_is_counted),
		cmocka_unit_test(a_lost_reply_loses_nothing),
		cmocka_unit_test(what_is_needed_is_rewritten),
		cmocka_unit_test(what_was_left_is_rewritten_later),
		cmocka_unit_test(who_reads_finds_it),
		cmocka_unit_test(packs_go_without_an_index),
		cmocka_unit_test(how_much_is_rewritten_has_bounds),
		cmocka_unit_test(a_bad_copy_stands_for_nothing),
		cmocka_unit_test(a_copy_that_is_not_durable_stands_for_nothing),
		cmocka_unit_test(a_wrong_copy_stands_for_nothing),
		cmocka_unit_test(a_condemned_copy_stands_for_nothing),
		cmocka_unit_test(a_death_while_rewriting_is_made_up_for),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
