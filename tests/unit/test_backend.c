/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every backend owes, asked of each; and the memory backend's knobs. */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/base/seam.h"
#include "store/base/stop.h"
#include "tests/unit/listed.h"
#include "tests/unit/seam_fault.h"

#define NTHREADS 8
#define ROUNDS 1000

enum kind { DIR_UNNAMED, DIR_NAMED, MEM };

struct place {
	struct backend *b;
	const char *dir; /* NULL: in memory */
	struct seam_fault fault;
};

static int setup(void **state)
{
	enum kind kind = *(enum kind *)*state;
	struct place *p = calloc(1, sizeof(*p));

	support_log_clear();
	seam_fault_init(&p->fault, NULL);
	if (kind == MEM) {
		p->b = backend_mem_new();
	} else {
		p->dir = support_path("%s/vault", support_tmpdir_fast());
		assert_ok(backend_create(p->dir, WITH_SEAM(&p->fault.seam),
					 &p->b));
	}
	/* A filesystem without unnamed files. */
	seam_fault_only(&p->fault, 1 << SEAM_FAULT_OPENAT);
	if (kind == DIR_NAMED)
		seam_fault_at(&p->fault, 1, SEAM_FAULT_FAIL, -EOPNOTSUPP,
			      false);
	assert_non_null(p->b);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	/* Whoever wrote without unnamed files was told so, once. */
	assert_int_equal(p->fault.hits, p->fault.at && p->fault.calls);
	backend_close(p->b);
	seam_fault_release(&p->fault);
	free(p);
	return 0;
}

/* ---- what all owe ---- */

static void check_object(struct backend *b, const char *name, const void *want,
			 size_t len)
{
	AUTO_FREE uint8_t *got = NULL;
	size_t got_len = 0;
	struct backend_info info = { .size = 0 };

	assert_ok(backend_head(b, name, &info));
	assert_int_equal(info.size, len);
	assert_ok(backend_get_all(b, name, len, &got, &got_len));
	assert_int_equal(got_len, len);
	if (len)
		assert_memory_equal(got, want, len);
}

static void put_and_get(void **state)
{
	static const size_t sizes[] = { 0, 1, 511, 4096, (1 << 20) + 3 };
	struct place *p = *state;
	AUTO_FREE uint8_t *data = malloc((1 << 20) + 3);
	AUTO_FREE uint8_t *all = NULL;
	uint8_t part[100];
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		const char *name = support_path("pack/0%zu/a-%zu", i, i);

		support_fill(i, data, sizes[i]);
		assert_ok(backend_put(p->b, name, data, sizes[i]));
		check_object(p->b, name, data, sizes[i]);
	}
	assert_ok(backend_get(p->b, "pack/04/a-4", 777, part, sizeof(part)));
	assert_memory_equal(part, data + 777, sizeof(part));
	assert_ok(backend_get(p->b, "pack/04/a-4", (1 << 20) + 2, part, 1));
	assert_int_equal(part[0], data[(1 << 20) + 2]);
	assert_ok(backend_get(p->b, "pack/04/a-4", 5, part, 0));
	assert_result(backend_get_all(p->b, "pack/03/a-3", 4095, &all, &len),
		      -EFBIG);
	assert_null(all);
	assert_string_equal(support_log_text(), "");
}

static void put_is_once(void **state)
{
	struct place *p = *state;

	assert_ok(backend_put(p->b, "commit/1", "first", 5));
	assert_result(backend_put(p->b, "commit/1", "second", 6), -EEXIST);
	assert_result(backend_put(p->b, "commit/1", "", 0), -EEXIST);
	check_object(p->b, "commit/1", "first", 5);
	assert_string_equal(support_log_text(), "");
}

/* A name of one's own may be there already, by this very put; not as another's
 * object. */
static void own_names_are_compared(void **state)
{
	struct place *p = *state;

	assert_ok(backend_put_own(p->b, "session/1", "first", 5));
	assert_ok(backend_put_own(p->b, "session/1", "first", 5));
	assert_ok(backend_put_own(p->b, "session/2", "", 0));
	assert_ok(backend_put_own(p->b, "session/2", "", 0));
	assert_string_equal(support_log_text(), "");
	assert_result(backend_put_own(p->b, "session/1", "other", 5), -EEXIST);
	assert_said("session/1 is there already");
	assert_result(backend_put_own(p->b, "session/1", "firs", 4), -EEXIST);
	assert_result(backend_put_own(p->b, "session/2", "x", 1), -EEXIST);
	check_object(p->b, "session/1", "first", 5);
}

static void absent_is_silent(void **state)
{
	static const char *const names[] = { "config", "pack/00/no",
					     "never/was/there" };
	struct place *p = *state;
	AUTO_FREE uint8_t *all = NULL;
	struct backend_info info;
	size_t i, len;
	char c;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		assert_result(backend_get(p->b, names[i], 0, &c, 1), -ENOENT);
		assert_result(backend_get_all(p->b, names[i], 9, &all, &len),
			      -ENOENT);
		assert_result(backend_head(p->b, names[i], &info), -ENOENT);
		assert_result(backend_delete(p->b, names[i]), -ENOENT);
	}
	assert_string_equal(support_log_text(), "");
}

/* To sync is no way to make an object, nor to bring one back. */
static void sync_makes_nothing(void **state)
{
	struct place *p = *state;
	size_t before = p->dir ? support_count(p->dir) : 0;
	struct backend_info info;

	assert_result(backend_sync(p->b, "tomb/1"), -ENOENT);
	assert_result(backend_sync(p->b, "never/was/there"), -ENOENT);
	assert_int_equal(p->dir ? support_count(p->dir) : 0, before);
	assert_ok(backend_put(p->b, "tomb/1", "data", 4));
	assert_ok(backend_sync(p->b, "tomb/1"));
	check_object(p->b, "tomb/1", "data", 4);
	assert_ok(backend_delete(p->b, "tomb/1"));
	assert_result(backend_sync(p->b, "tomb/1"), -ENOENT);
	assert_result(backend_head(p->b, "tomb/1", &info), -ENOENT);
	assert_string_equal(support_log_text(), "");
}

static void short_is_damage(void **state)
{
	struct place *p = *state;
	char got[8];

	assert_ok(backend_put(p->b, "pack/00/x", "12345", 5));
	assert_ok(backend_get(p->b, "pack/00/x", 1, got, 4));
	assert_result(backend_get(p->b, "pack/00/x", 1, got, 5), -EBADMSG);
	assert_said("pack/00/x ends at byte 5 where 6 are needed");
	assert_result(backend_get(p->b, "pack/00/x", 5, got, 1), -EBADMSG);
	assert_result(backend_get(p->b, "pack/00/x", 1u << 30, got, 1),
		      -EBADMSG);
	assert_result(backend_get(p->b, "pack/00/x", UINT64_MAX, got, 1),
		      -EINVAL);
	assert_result(backend_get(p->b, "pack/00/x", INT64_MAX, got, 1),
		      -EINVAL);
}

static size_t count_objects(struct backend *b, const char *prefix)
{
	struct listed s = { 0 };

	assert_ok(backend_list(b, prefix, listed_add, &s));
	return s.n;
}

/* Both say when an object was stored, and the same. */
static void times_are_known(void **state)
{
	struct place *p = *state;
	struct seam *s = seam_system();
	/* A filesystem may look at a clock that ticks. */
	int64_t before = s->ops->realtime_ns(s) - 100000000;
	struct backend_info info;
	struct listed seen = { 0 };

	assert_ok(backend_put(p->b, "tomb/1", "1", 1));
	assert_ok(backend_head(p->b, "tomb/1", &info));
	assert_true(info.stored_ns >= before);
	assert_true(info.stored_ns <= s->ops->realtime_ns(s));
	assert_ok(backend_list(p->b, "tomb/", listed_add, &seen));
	assert_int_equal(seen.stored_ns, info.stored_ns);
	if (p->dir) {
		const struct timespec at[2] = { { 5, 7 }, { 5, 7 } };

		assert_int_equal(utimensat(AT_FDCWD,
					   support_path("%s/tomb/1", p->dir),
					   at, 0),
				 0);
	} else {
		assert_ok(backend_mem_set_time(p->b, "tomb/1", 5000000007));
	}
	assert_ok(backend_head(p->b, "tomb/1", &info));
	assert_int_equal(info.stored_ns, 5000000007);
}

static void list_finds_all(void **state)
{
	struct place *p = *state;
	struct listed s = { 0 };

	assert_int_equal(count_objects(p->b, ""), 0);
	assert_int_equal(count_objects(p->b, "pack/"), 0);
	assert_int_equal(count_objects(p->b, "nobody/was/here/"), 0);
	assert_ok(backend_put(p->b, "config", "c", 1));
	assert_ok(backend_put(p->b, "pack/00/a", "aa", 2));
	assert_ok(backend_put(p->b, "pack/ff/b", "bbb", 3));
	assert_ok(backend_put(p->b, "packs/0", "", 0));
	assert_ok(backend_put(p->b, "later/deep/er/x", "xxxx", 4));
	assert_int_equal(count_objects(p->b, ""), 5);
	assert_int_equal(count_objects(p->b, "later/"), 1);
	assert_int_equal(count_objects(p->b, "later/deep/er/"), 1);
	assert_int_equal(count_objects(p->b, "pack/"), 2);
	assert_ok(backend_list(p->b, "pack/", listed_add, &s));
	assert_int_equal(s.bytes, 5);
	assert_non_null(strstr(s.names, "pack/00/a "));
	assert_non_null(strstr(s.names, "pack/ff/b "));
}

static void list_can_be_ended(void **state)
{
	struct place *p = *state;
	struct listed s = { .stop_at = 2, .stop_with = 7 };
	struct listed t = { .stop_at = 1, .stop_with = -ECANCELED };

	assert_ok(backend_put(p->b, "index/1", "", 0));
	assert_ok(backend_put(p->b, "index/2", "", 0));
	assert_ok(backend_put(p->b, "pack/00/3", "", 0));
	assert_int_equal(backend_list(p->b, "", listed_add, &s), 7);
	assert_int_equal(s.n, 2);
	assert_result(backend_list(p->b, "", listed_add, &t), -ECANCELED);
	assert_int_equal(t.n, 1);
}

static void deleted_is_gone(void **state)
{
	struct place *p = *state;
	char got[1];

	assert_ok(backend_put(p->b, "pack/00/x", "1", 1));
	assert_ok(backend_put(p->b, "pack/00/y", "2", 1));
	/* Once read, a pack's file stays open. */
	assert_ok(backend_get(p->b, "pack/00/x", 0, got, 1));
	assert_ok(backend_delete(p->b, "pack/00/x"));
	assert_result(backend_get(p->b, "pack/00/x", 0, got, 1), -ENOENT);
	assert_result(backend_delete(p->b, "pack/00/x"), -ENOENT);
	assert_int_equal(count_objects(p->b, ""), 1);
	assert_ok(backend_put(p->b, "pack/00/x", "3", 1));
	check_object(p->b, "pack/00/x", "3", 1);
	assert_string_equal(support_log_text(), "");
}

static void bad_names_are_refused(void **state)
{
	static const char *const bad[] = {
		"",	     "/",	 "/etc/passwd",
		"..",	     "../x",	 "pack/..",
		"pack/../x", "pack//x",	 "pack/",
		"./x",	     ".tmp-1",	 "pack/.x",
		"Pack/x",    "pack/a b", "pack/\n",
		"pack/a\\b", "pack/a:b", "pack/\xc3\xa4",
	};
	static const char *const bad_prefixes[] = { "/",      "../", "pack",
						    "pack//", ".x/", "A/" };
	struct place *p = *state;
	char name[BACKEND_NAME_MAX + 2];
	struct listed s = { 0 };
	struct backend_info info;
	size_t i;
	char c;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_result(backend_put(p->b, bad[i], "x", 1), -EINVAL);
		assert_result(backend_get(p->b, bad[i], 0, &c, 1), -EINVAL);
		assert_result(backend_head(p->b, bad[i], &info), -EINVAL);
		assert_result(backend_delete(p->b, bad[i]), -EINVAL);
		assert_result(backend_sync(p->b, bad[i]), -EINVAL);
	}
	for (i = 0; i < ARRAY_SIZE(bad_prefixes); i++)
		assert_result(backend_list(p->b, bad_prefixes[i], listed_add,
					   &s),
			      -EINVAL);
	memset(name, 'a', sizeof(name));
	name[BACKEND_NAME_MAX + 1] = '\0';
	assert_result(backend_put(p->b, name, "x", 1), -EINVAL);
	name[BACKEND_NAME_MAX] = '\0';
	assert_ok(backend_put(p->b, name, "x", 1));
	assert_ok(backend_list(p->b, "", listed_add, &s));
	assert_int_equal(s.n, 1);
	assert_memory_equal(s.names, name, BACKEND_NAME_MAX);
}

static void probe_leaves_nothing(void **state)
{
	struct place *p = *state;
	size_t before;

	/* Its folder is made, and stays. */
	assert_ok(backend_probe(p->b));
	before = p->dir ? support_count(p->dir) : 0;
	assert_ok(backend_probe(p->b));
	assert_int_equal(count_objects(p->b, ""), 0);
	assert_int_equal(p->dir ? support_count(p->dir) : 0, before);
	assert_string_equal(support_log_text(), "");
}

/* ---- many at once ---- */

struct race {
	struct backend *b;
	pthread_barrier_t barrier;
	int winner[ROUNDS]; /* the thread, + 1 */
	atomic_int wins[ROUNDS], losses[ROUNDS], errors;
};

struct racer {
	struct race *race;
	pthread_t thread;
	int id;
};

static void *run_racer(void *arg)
{
	struct racer *me = arg;
	struct race *race = me->race;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		char name[32];
		uint32_t data[256];
		size_t k;
		int r;

		snprintf(name, sizeof(name), "commit/%d", i);
		for (k = 0; k < ARRAY_SIZE(data); k++)
			data[k] = (uint32_t)me->id;
		pthread_barrier_wait(&race->barrier);
		r = backend_put(race->b, name, data, sizeof(data));
		if (r == 0) {
			atomic_fetch_add(&race->wins[i], 1);
			race->winner[i] = me->id + 1;
		} else if (r == -EEXIST) {
			atomic_fetch_add(&race->losses[i], 1);
			/* Who lost can read who won. */
			if (backend_get(race->b, name, 0, data, sizeof(data)) <
			    0)
				atomic_fetch_add(&race->errors, 1);
		} else {
			atomic_fetch_add(&race->errors, 1);
		}
	}
	return NULL;
}

static void one_winner(void **state)
{
	struct place *p = *state;
	struct race *race = calloc(1, sizeof(*race));
	struct racer racers[NTHREADS];
	uint32_t data[256];
	size_t k;
	int i;

	race->b = p->b;
	pthread_barrier_init(&race->barrier, NULL, NTHREADS);
	for (i = 0; i < NTHREADS; i++) {
		racers[i] = (struct racer){ .race = race, .id = i };
		assert_int_equal(pthread_create(&racers[i].thread, NULL,
						run_racer, &racers[i]),
				 0);
	}
	for (i = 0; i < NTHREADS; i++)
		pthread_join(racers[i].thread, NULL);
	assert_int_equal(race->errors, 0);
	for (i = 0; i < ROUNDS; i++) {
		assert_int_equal(race->wins[i], 1);
		assert_int_equal(race->losses[i], NTHREADS - 1);
		assert_ok(backend_get(p->b, support_path("commit/%d", i), 0,
				      data, sizeof(data)));
		for (k = 0; k < ARRAY_SIZE(data); k++)
			assert_int_equal(data[k] + 1, race->winner[i]);
	}
	pthread_barrier_destroy(&race->barrier);
	free(race);
}

#define NPACKS 150 /* more than a directory keeps open */
#define PACK_LEN 3000

struct reader_thread {
	struct backend *b;
	pthread_t thread;
	uint64_t seed;
	int errors;
};

static void *run_reader(void *arg)
{
	struct reader_thread *me = arg;
	uint8_t want[PACK_LEN], got[PACK_LEN];
	int i;

	for (i = 0; i < 2000; i++) {
		uint64_t dice;
		char name[32];
		size_t pack, off, len;

		support_fill(me->seed + (uint64_t)i, &dice, sizeof(dice));
		pack = dice % NPACKS;
		off = (dice >> 16) % PACK_LEN;
		len = (dice >> 32) % (PACK_LEN - off + 1);
		snprintf(name, sizeof(name), "pack/00/%zu", pack);
		support_fill(pack, want, sizeof(want));
		if (backend_get(me->b, name, off, got, len) < 0 ||
		    memcmp(got, want + off, len) != 0)
			me->errors++;
	}
	return NULL;
}

static void parallel_reads(void **state)
{
	struct place *p = *state;
	struct reader_thread t[NTHREADS];
	uint8_t data[PACK_LEN];
	size_t i;

	for (i = 0; i < NPACKS; i++) {
		support_fill(i, data, sizeof(data));
		assert_ok(backend_put(p->b, support_path("pack/00/%zu", i),
				      data, sizeof(data)));
	}
	for (i = 0; i < NTHREADS; i++) {
		t[i] = (struct reader_thread){ .b = p->b, .seed = i << 32 };
		assert_int_equal(pthread_create(&t[i].thread, NULL, run_reader,
						&t[i]),
				 0);
	}
	for (i = 0; i < NTHREADS; i++) {
		pthread_join(t[i].thread, NULL);
		assert_int_equal(t[i].errors, 0);
	}
}

struct churn {
	struct backend *b;
	atomic_bool stop;
	int errors;
};

/* Objects come and go, folders too. */
static void *run_churn(void *arg)
{
	struct churn *c = arg;

	while (!atomic_load(&c->stop))
		if (backend_probe(c->b) < 0)
			c->errors++;
	return NULL;
}

static void list_beside_changes(void **state)
{
	struct place *p = *state;
	struct churn c[2] = { { .b = p->b }, { .b = p->b } };
	pthread_t threads[2];
	int i;

	assert_ok(backend_put(p->b, "config", "", 0));
	assert_ok(backend_put(p->b, "tomb/1", "", 0));
	for (i = 0; i < 2; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, run_churn, &c[i]), 0);
	for (i = 0; i < 300; i++) {
		struct listed s = { 0 };

		assert_ok(backend_list(p->b, "", listed_add, &s));
		assert_non_null(strstr(s.names, "config "));
		assert_non_null(strstr(s.names, "tomb/1 "));
	}
	for (i = 0; i < 2; i++)
		atomic_store(&c[i].stop, true);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_string_equal(support_log_text(), "");
	assert_int_equal(c[0].errors + c[1].errors, 0);
	assert_int_equal(count_objects(p->b, ""), 2);
}

/* ---- opening ---- */

static void urls(void **state)
{
	const char *dir = support_tmpdir();
	struct seam *seam = seam_system();
	struct backend *b;
	struct backend_info info;

	(void)state;
	support_log_clear();
	assert_result(backend_open("", WITH_SEAM(seam), &b), -EINVAL);
	assert_null(b);
	assert_result(backend_open("file:", WITH_SEAM(seam), &b), -EINVAL);
	assert_result(backend_open("gopher:hole", WITH_SEAM(seam), &b),
		      -EINVAL);
	assert_said("no backend is called 'gopher'");
	assert_said("./gopher:hole");
	assert_result(backend_open(support_path("%s/no", dir), WITH_SEAM(seam),
				   &b),
		      -ENOENT);
	assert_said("vmbackup init");
	support_write(support_path("%s/file", dir), "", 0);
	assert_result(backend_open(support_path("%s/file", dir),
				   WITH_SEAM(seam), &b),
		      -ENOTDIR);
	assert_null(b);
	/* Opening makes nothing, and a colon behind a slash is no scheme. */
	assert_ok(backend_open(dir, WITH_SEAM(seam), &b));
	backend_close(b);
	assert_int_equal(support_count(dir), 1);
	assert_ok(backend_create(support_path("%s/a:b", dir), WITH_SEAM(seam),
				 &b));
	assert_ok(backend_put(b, "config", "", 0));
	backend_close(b);
	assert_ok(backend_open(support_path("file:%s/a:b", dir),
			       WITH_SEAM(seam), &b));
	assert_ok(backend_head(b, "config", &info));
	backend_close(b);
	backend_close(NULL);
}

/* ---- the memory backend's knobs ---- */

static void mem_faults(void **state)
{
	struct backend *b = backend_mem_new();
	struct backend_info info;
	char c;

	(void)state;
	support_log_clear();
	backend_mem_fail(b, BACKEND_MEM_PUT, "pack/", 2, -ENOSPC, 0);
	assert_ok(backend_put(b, "pack/00/1", "1", 1));
	assert_ok(backend_put(b, "index/1", "1", 1));
	assert_result(backend_put(b, "pack/00/2", "2", 1), -ENOSPC);
	assert_said("cannot store pack/00/2");
	assert_result(backend_head(b, "pack/00/2", &info), -ENOENT);
	assert_ok(backend_put(b, "pack/00/2", "2", 1));
	backend_mem_fail(b, BACKEND_MEM_GET, "", 1, -EIO, BACKEND_MEM_STICKY);
	assert_result(backend_get(b, "index/1", 0, &c, 1), -EIO);
	assert_result(backend_get(b, "pack/00/1", 0, &c, 1), -EIO);
	assert_int_equal(backend_mem_failures(b), 3);
	backend_mem_heal(b);
	assert_ok(backend_get(b, "pack/00/1", 0, &c, 1));
	backend_mem_fail(b, BACKEND_MEM_PUT, "commit/", 1, -EIO,
			 BACKEND_MEM_LOST_REPLY);
	assert_result(backend_put(b, "commit/1", "x", 1), -EIO);
	assert_result(backend_put(b, "commit/1", "y", 1), -EEXIST);
	check_object(b, "commit/1", "x", 1);
	backend_mem_fail(b, BACKEND_MEM_DELETE, "", 1, -EIO,
			 BACKEND_MEM_LOST_REPLY);
	assert_result(backend_delete(b, "commit/1"), -EIO);
	assert_result(backend_delete(b, "commit/1"), -ENOENT);
	backend_mem_fail(b, BACKEND_MEM_PUT, "", 1, 0, BACKEND_MEM_LIES);
	assert_ok(backend_put(b, "commit/2", "x", 1));
	assert_result(backend_head(b, "commit/2", &info), -ENOENT);
	backend_mem_fail(b, BACKEND_MEM_HEAD, "", 1, -EACCES, 0);
	assert_result(backend_head(b, "index/1", &info), -EACCES);
	backend_mem_fail(b, BACKEND_MEM_LIST, "pack/", 1, -EIO, 0);
	assert_int_equal(count_objects(b, "index/"), 1);
	assert_result(backend_list(b, "pack/", listed_add, NULL), -EIO);
	backend_close(b);
}

static void mem_counts(void **state)
{
	struct backend *b = backend_mem_new();
	struct backend_mem_counts n;
	char got[3];

	(void)state;
	assert_ok(backend_put(b, "pack/00/1", "12345", 5));
	assert_ok(backend_put(b, "index/1", "12", 2));
	assert_result(backend_put(b, "index/1", "12", 2), -EEXIST);
	assert_ok(backend_get(b, "pack/00/1", 1, got, 3));
	assert_int_equal(count_objects(b, "pack/"), 1);
	backend_mem_get_counts(b, "pack", &n);
	assert_int_equal(n.calls[BACKEND_MEM_PUT], 1);
	assert_int_equal(n.calls[BACKEND_MEM_GET], 1);
	assert_int_equal(n.calls[BACKEND_MEM_LIST], 1);
	assert_int_equal(n.bytes_put, 5);
	assert_int_equal(n.bytes_got, 3);
	backend_mem_get_counts(b, NULL, &n);
	assert_int_equal(n.calls[BACKEND_MEM_PUT], 3);
	assert_int_equal(n.bytes_put, 7);
	backend_mem_get_counts(b, "point", &n);
	assert_int_equal(n.calls[BACKEND_MEM_PUT], 0);
	backend_mem_reset_counts(b);
	backend_mem_get_counts(b, NULL, &n);
	assert_int_equal(n.calls[BACKEND_MEM_PUT], 0);
	backend_close(b);
}

static void mem_objects(void **state)
{
	struct backend *b = backend_mem_new();
	struct backend *copy;
	uint8_t *data;
	size_t len;
	char c;

	(void)state;
	assert_ok(backend_put(b, "b", "two", 3));
	assert_ok(backend_put(b, "a", "one", 3));
	copy = backend_mem_clone(b);
	data = backend_mem_data(b, "b", &len);
	assert_int_equal(len, 3);
	data[1] ^= 0x80;
	assert_ok(backend_get(b, "b", 1, &c, 1));
	assert_int_equal((uint8_t)c, 'w' ^ 0x80);
	check_object(copy, "b", "two", 3);
	assert_int_equal(backend_mem_nobjects(b), 2);
	assert_string_equal(backend_mem_name(b, 0), "a");
	assert_string_equal(backend_mem_name(b, 1), "b");
	assert_null(backend_mem_name(b, 2));
	assert_ok(backend_mem_resize(b, "a", 1));
	check_object(b, "a", "o", 1);
	assert_ok(backend_mem_resize(b, "a", 2));
	check_object(b, "a", "o\0", 2);
	assert_result(backend_mem_rename(b, "a", "b"), -EEXIST);
	assert_result(backend_mem_rename(b, "x", "y"), -ENOENT);
	assert_ok(backend_mem_rename(b, "a", "z"));
	check_object(b, "z", "o\0", 2);
	assert_null(backend_mem_data(b, "a", &len));
	assert_ok(backend_mem_set(b, "z", "new", 3));
	check_object(b, "z", "new", 3);
	assert_ok(backend_mem_remove(b, "z"));
	assert_result(backend_mem_remove(b, "z"), -ENOENT);
	assert_result(backend_mem_resize(b, "z", 1), -ENOENT);
	assert_int_equal(backend_mem_nobjects(b), 1);
	assert_int_equal(backend_mem_nobjects(copy), 2);
	backend_close(b);
	backend_close(copy);
}

/* ---- many at once ---- */

static void many_are_deleted(void **state)
{
	static const char *const names[] = { "pack/00/a",      "pack/00/b",
					     "pack/00/no",     "pack/01/c",
					     "no/such/folder", "tomb/1" };
	static const char *const bad[] = { "pack/00/d", "../x" };
	struct place *p = *state;

	assert_ok(backend_put(p->b, "pack/00/a", "", 0));
	assert_ok(backend_put(p->b, "pack/00/b", "", 0));
	assert_ok(backend_put(p->b, "pack/00/d", "", 0));
	assert_ok(backend_put(p->b, "pack/01/c", "", 0));
	assert_ok(backend_put(p->b, "tomb/1", "", 0));
	assert_ok(backend_delete_many(p->b, names, ARRAY_SIZE(names)));
	assert_int_equal(count_objects(p->b, ""), 1);
	assert_string_equal(support_log_text(), "");
	assert_ok(backend_delete_many(p->b, names, ARRAY_SIZE(names)));
	assert_ok(backend_delete_many(p->b, NULL, 0));
	assert_result(backend_delete_many(p->b, bad, 2), -EINVAL);
	assert_int_equal(count_objects(p->b, ""), 1);
	/* One that cannot go does not keep the others. */
	assert_ok(backend_put(p->b, "tomb/1", "", 0));
	if (p->dir) {
		assert_int_equal(
			mkdir(support_path("%s/pack/00/a", p->dir), 0700), 0);
	} else {
		assert_ok(backend_put(p->b, "pack/00/a", "", 0));
		backend_mem_fail(p->b, BACKEND_MEM_DELETE, "pack/", 1, -EISDIR,
				 0);
	}
	assert_result(backend_delete_many(p->b, names, ARRAY_SIZE(names)),
		      -EISDIR);
	assert_int_equal(count_objects(p->b, "tomb/"), 0);
}

#define EACH(test)                                                             \
	{ #test " (directory)", test, setup, teardown, &kinds[0] },            \
		{ #test " (no O_TMPFILE)", test, setup, teardown, &kinds[1] }, \
	{                                                                      \
#test " (memory)", test, setup, teardown, &kinds[2]            \
	}

int main(void)
{
	static enum kind kinds[] = { DIR_UNNAMED, DIR_NAMED, MEM };
	const struct CMUnitTest tests[] = {
		EACH(put_and_get),
		EACH(put_is_once),
		EACH(own_names_are_compared),
		EACH(absent_is_silent),
		EACH(times_are_known),
		EACH(sync_makes_nothing),
		EACH(short_is_damage),
		EACH(list_finds_all),
		EACH(list_can_be_ended),
		EACH(deleted_is_gone),
		EACH(many_are_deleted),
		EACH(bad_names_are_refused),
		EACH(probe_leaves_nothing),
		EACH(one_winner),
		EACH(parallel_reads),
		EACH(list_beside_changes),
		cmocka_unit_test(urls),
		cmocka_unit_test(mem_faults),
		cmocka_unit_test(mem_counts),
		cmocka_unit_test(mem_objects),
	};

	support_log_capture();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
