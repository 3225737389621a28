/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The local database: its files. Places that cannot be used, damage, and many
 * threads and processes at once.
 */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/catalog/internal.h"
#include "tests/unit/catalog_fixture.h"

static const uint8_t vault_b[VAULT_ID_LEN] = "vault-of-tests-b";

/* ---- opening again ---- */

static void test_reopen(void **state)
{
	const char *dir = catalog_fixture_dir();
	struct catalog *c = catalog_fixture_open(dir);
	int64_t no, again;

	(void)state;
	assert_ok(catalog_fixture_import(c, "index/1", 0, 3));
	assert_ok(catalog_pack_no(c, "pack-00000002", &no));
	catalog_close(c);
	c = catalog_fixture_open(dir);
	assert_int_equal(catalog_fixture_probe(c, 2), 0);
	assert_ok(catalog_pack_no(c, "pack-00000002", &again));
	assert_int_equal(no, again);
	catalog_close(c);
}

static void test_another_vault_begins_anew(void **state)
{
	const char *dir = catalog_fixture_dir();
	struct catalog *c = catalog_fixture_open(dir);

	(void)state;
	assert_ok(catalog_fixture_import(c, "index/1", 0, 3));
	catalog_close(c);
	assert_ok(catalog_open(dir, vault_b, &c));
	assert_int_equal(catalog_has_source(c, "index/1"), 0);
	assert_int_equal(catalog_fixture_probe(c, 2), 1);
	catalog_close(c);
}

static void test_another_version_begins_anew(void **state)
{
	const char *dir = catalog_fixture_dir();
	const char *file = support_path("%s/catalog.db", dir);
	struct catalog *c = catalog_fixture_open(dir);
	uint8_t *data;
	size_t len;

	(void)state;
	assert_ok(catalog_fixture_import(c, "index/1", 0, 3));
	catalog_close(c);
	data = support_read(file, &len);
	assert_non_null(data);
	assert_int_equal(data[63], 4); /* user_version, big-endian */
	data[63]++;
	support_write(file, data, len);
	free(data);
	c = catalog_fixture_open(dir);
	assert_int_equal(catalog_has_source(c, "index/1"), 0);
	assert_ok(catalog_fixture_import(c, "index/1", 0, 3));
	assert_int_equal(catalog_fixture_probe(c, 2), 0);
	catalog_close(c);
}

/* ---- places that cannot be used ---- */

/* Has this process a file open whose path begins with @path? */
static bool has_open_below(const char *path)
{
	char target[4096], fd[64];
	bool found = false;
	ssize_t len;
	int i;

	for (i = 0; i < 256 && !found; i++) {
		snprintf(fd, sizeof(fd), "/proc/self/fd/%d", i);
		len = readlink(fd, target, sizeof(target) - 1);
		if (len < 0)
			continue;
		target[len] = '\0';
		found = strncmp(target, path, strlen(path)) == 0;
	}
	return found;
}

static void test_temporary_leaves_nothing(void **state)
{
	const char *tmp = support_path("%s/tmp", support_tmpdir());
	struct catalog *c;

	(void)state;
	assert_int_equal(mkdir(tmp, 0700), 0);
	assert_int_equal(setenv("TMPDIR", tmp, 1), 0);
	assert_ok(catalog_open(NULL, catalog_fixture_vault, &c));
	assert_null(catalog_dir(c));
	assert_ok(catalog_fixture_import(c, "index/1", 0, 3));
	assert_int_equal(catalog_fixture_probe(c, 2), 0);
	assert_true(support_count(tmp) > 0);
	catalog_close(c);
	assert_int_equal(support_count(tmp), 0);
	/* Not even a place for that. */
	assert_int_equal(setenv("TMPDIR", support_path("%s/none", tmp), 1), 0);
	assert_result(catalog_open(NULL, catalog_fixture_vault, &c),
		      -ENOTRECOVERABLE);
	assert_null(c);
	assert_said("TMPDIR");
	assert_int_equal(unsetenv("TMPDIR"), 0);
	/* Where nobody says where, not in /tmp, which is often in memory. */
	assert_ok(catalog_open(NULL, vault_b, &c));
	assert_true(has_open_below("/var/tmp/vmbackup-"));
	catalog_close(c);
	assert_false(has_open_below("/var/tmp/vmbackup-"));
}

static void assert_falls_back(const char *dir, const char *said)
{
	struct catalog *c;

	support_log_clear();
	assert_ok(catalog_open(dir, catalog_fixture_vault, &c));
	assert_null(catalog_dir(c));
	assert_said(dir);
	assert_said(said);
	assert_ok(catalog_fixture_import(c, "index/1", 0, 1));
	assert_int_equal(catalog_fixture_probe(c, 0), 0);
	catalog_close(c);
}

static void test_unusable_directories(void **state)
{
	const char *top = catalog_fixture_dir();
	const char *dir = support_path("%s/dir", top);
	struct catalog *c = catalog_fixture_open(dir);

	(void)state;
	catalog_close(c);
	assert_falls_back("", "empty");
	assert_falls_back(support_path("%s/catalog.db", dir),
			  "not a directory");
	assert_falls_back(support_path("%s/catalog.db/x", dir),
			  "Not a directory");
	assert_falls_back("/proc/vmbackup-none", "No such file");
	assert_int_equal(chmod(dir, 0770), 0);
	assert_falls_back(dir, "others may write");
	assert_int_equal(chmod(dir, 0755), 0);
	c = catalog_fixture_open(dir);
	catalog_close(c);
	if (geteuid() != 0)
		return;
	assert_int_equal(chown(dir, 65534, 65534), 0);
	assert_falls_back(dir, "another user");
}

/* Files that others may change, or that are another's, are begun anew. */
static void test_foreign_files(void **state)
{
	const char *dir = catalog_fixture_dir();
	const char *file = support_path("%s/catalog.db", dir);
	const char *other = support_path("%s/other", dir);
	struct catalog *c;
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		c = catalog_fixture_open(dir);
		assert_ok(catalog_fixture_import(c, "index/1", 0, 3));
		catalog_close(c);
		if (i == 0)
			assert_int_equal(chmod(file, 0620), 0);
		else if (i == 1)
			assert_int_equal(link(file, other), 0);
		else if (i == 2)
			assert_true(rename(file, other) == 0 &&
				    symlink("other", file) == 0);
		else if (geteuid() == 0)
			assert_int_equal(chown(file, 65534, 65534), 0);
		else
			continue;
		c = catalog_fixture_open(dir);
		assert_int_equal(catalog_has_source(c, "index/1"), 0);
		catalog_close(c);
		assert_int_equal(access(other, F_OK) == 0, i > 0);
	}
}

static int open_as_nobody(void *arg)
{
	struct catalog *c;
	int r;

	if (catalog_open(arg, catalog_fixture_vault, &c) < 0)
		return 1;
	r = catalog_dir(c) || catalog_fixture_import(c, "index/1", 0, 1) < 0 ||
	    catalog_fixture_probe(c, 0) != 0;
	catalog_close(c);
	return r ? 2 : 0;
}

static void test_read_only_directory(void **state)
{
	const char *dir = support_path("%s/ro", support_tmpdir());

	(void)state;
	assert_int_equal(mkdir(dir, 0555), 0);
	assert_int_equal(support_fork_nobody(open_as_nobody, (void *)dir), 0);
	assert_int_equal(support_count(dir), 0);
}

/* ---- damage ---- */

/* Whatever stands in the file: opening works, what is answered is right. */
static void assert_survives(const char *dir)
{
	struct catalog *c = catalog_fixture_open(dir);
	uint32_t n;

	for (n = 0; n < 8; n++) {
		int r = catalog_fixture_probe(c, n);

		assert_true(r == 0 || r == 1 || r == -ENOTRECOVERABLE);
	}
	catalog_close(c);
	c = catalog_fixture_open(dir);
	if (catalog_has_source(c, "index/9") == 0) {
		int r = catalog_fixture_import(c, "index/9", 20, 22);

		assert_true(r == 0 || r == -ENOTRECOVERABLE);
		assert_true(catalog_fixture_probe(c, 21) == (r == 0 ? 0 : 1) ||
			    r == -ENOTRECOVERABLE);
	}
	catalog_close(c);
}

static void test_damaged_at_open(void **state)
{
	const char *dir = catalog_fixture_dir();
	const char *file = support_path("%s/catalog.db", dir);
	struct catalog *c = catalog_fixture_open(dir);
	uint8_t *good, *bad;
	size_t len, cut;

	(void)state;
	assert_ok(catalog_fixture_import(c, "index/1", 0, 8));
	catalog_close(c);
	good = support_read(file, &len);
	assert_non_null(good);
	for (cut = 0; cut < len; cut += cut < 200 ? 1 : 1711) {
		support_write(file, good, cut);
		assert_survives(dir);
	}
	bad = malloc(len);
	assert_non_null(bad);
	for (cut = 0; cut < len; cut += 4096) {
		memcpy(bad, good, len);
		memset(bad + cut, 0xff, len - cut < 4096 ? len - cut : 4096);
		support_write(file, bad, len);
		assert_survives(dir);
	}
	memset(bad, 0, len);
	support_write(file, bad, len);
	assert_survives(dir);
	free(good);
	free(bad);
}

static void test_damage_in_use(void **state)
{
	const char *dir = catalog_fixture_dir();
	const char *file = support_path("%s/catalog.db", dir);
	struct catalog *c = catalog_fixture_open(dir);
	uint32_t n, broken = 0;
	uint8_t *data;
	size_t len;

	(void)state;
	assert_ok(catalog_fixture_import(c, "index/1", 0, 60));
	catalog_close(c);
	data = support_read(file, &len);
	assert_non_null(data);
	/* Beyond the schema and the small tables: most of the chunks. */
	memset(data + 20 * 4096, 0xa5, len - 20 * 4096);
	support_write(file, data, len);
	free(data);
	c = catalog_fixture_open(dir);
	support_log_clear();
	for (n = 0; n < 60; n++) {
		int r = catalog_fixture_probe(c, n);

		assert_true(r == 0 || r == -ENOTRECOVERABLE);
		broken += r == -ENOTRECOVERABLE;
	}
	assert_true(broken > 0);
	assert_said(file);
	assert_said("damaged");
	assert_said("deleted");
	assert_result(catalog_fixture_import(c, "index/2", 60, 61),
		      -ENOTRECOVERABLE);
	assert_int_equal(access(file, F_OK), -1);
	catalog_close(c);
	c = catalog_fixture_open(dir);
	assert_int_equal(catalog_fixture_probe(c, 0), 1);
	assert_ok(catalog_fixture_import(c, "index/1", 0, 60));
	assert_int_equal(catalog_fixture_probe(c, 59), 0);
	catalog_close(c);
}

/* One who met damage does not delete what another has made anew since. */
static void test_deletes_only_its_own(void **state)
{
	const char *dir = catalog_fixture_dir();
	const char *file = support_path("%s/catalog.db", dir);
	struct catalog *c = catalog_fixture_open(dir), *other;
	uint8_t *data;
	uint32_t n;
	size_t len;

	(void)state;
	assert_ok(catalog_fixture_import(c, "index/1", 0, 60));
	catalog_close(c);
	data = support_read(file, &len);
	assert_non_null(data);
	memset(data + 20 * 4096, 0xa5, len - 20 * 4096);
	support_write(file, data, len);
	free(data);
	c = catalog_fixture_open(dir);
	support_remove(dir);
	other = catalog_fixture_open(dir);
	assert_ok(catalog_fixture_import(other, "index/1", 0, 2));
	for (n = 0; n < 60; n++)
		assert_true(catalog_fixture_probe(c, n) <= 0);
	assert_said("damaged");
	assert_int_equal(access(file, F_OK), 0);
	assert_int_equal(catalog_fixture_probe(other, 1), 0);
	catalog_close(c);
	assert_int_equal(access(file, F_OK), 0);
	assert_ok(catalog_fixture_import(other, "index/2", 2, 4));
	catalog_close(other);
	other = catalog_fixture_open(dir);
	assert_int_equal(catalog_fixture_probe(other, 3), 0);
	catalog_close(other);
}

/* ---- threads ---- */

#define THREADS 24

struct crowd {
	struct catalog *c;
	pthread_barrier_t *all; /* NULL: do not wait for the others */
	uint32_t first; /* pack */
	int r;
};

static int wait_for_all(void *arg, const char *source)
{
	struct crowd *me = arg;

	(void)source;
	pthread_barrier_wait(me->all);
	return 1;
}

/* All hold a connection at one moment: more than are kept. */
static void *hold(void *arg)
{
	struct crowd *me = arg;

	me->r = catalog_sources(me->c, wait_for_all, me);
	return NULL;
}

static void *work(void *arg)
{
	struct crowd *me = arg;
	uint32_t i;

	for (i = 0; i < 4 && me->r == 0; i++) {
		char source[32];

		snprintf(source, sizeof(source), "index/%u", me->first + i);
		me->r = catalog_fixture_import(me->c, source, me->first + i,
					       me->first + i + 2);
		if (me->r == 0)
			me->r = catalog_fixture_probe(me->c, me->first + i);
		if (me->r == 0)
			me->r = catalog_put_object(me->c, source, source, 5);
	}
	return NULL;
}

static void run_crowd(struct catalog *c, void *(*fn)(void *), unsigned int n,
		      int want, bool together)
{
	struct crowd crowd[THREADS];
	pthread_barrier_t all;
	pthread_t threads[THREADS];
	unsigned int i;

	assert_int_equal(pthread_barrier_init(&all, NULL, n), 0);
	for (i = 0; i < n; i++) {
		crowd[i] =
			(struct crowd){ c, together ? &all : NULL, i * 3, 0 };
		assert_int_equal(
			pthread_create(&threads[i], NULL, fn, &crowd[i]), 0);
	}
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < n; i++)
		assert_int_equal(crowd[i].r, want);
	pthread_barrier_destroy(&all);
}

static void test_threads(void **state)
{
	struct catalog *c = catalog_fixture_open(catalog_fixture_dir());
	uint32_t n;

	(void)state;
	assert_ok(catalog_fixture_import(c, "index/x", 1000, 1001));
	run_crowd(c, hold, THREADS, 1, true);
	run_crowd(c, work, THREADS, 0, false);
	run_crowd(c, hold, THREADS, 1, true);
	for (n = 0; n < 3 * (THREADS - 1) + 5; n++)
		assert_int_equal(catalog_fixture_probe(c, n), 0);
	catalog_close(c);
}

/* "Deleting the cache directory is always safe": also of a running mount. */
static void test_directory_deleted_in_use(void **state)
{
	const char *dir = catalog_fixture_dir();
	struct catalog *c = catalog_fixture_open(dir), *other;

	(void)state;
	assert_ok(catalog_fixture_import(c, "index/1", 0, 3));
	support_remove(dir);
	run_crowd(c, work, THREADS, 0, false);
	assert_int_equal(catalog_fixture_probe(c, 2), 0);
	other = catalog_fixture_open(dir);
	assert_int_equal(catalog_fixture_probe(other, 2), 1);
	run_crowd(c, work, 8, 0, false);
	assert_ok(catalog_fixture_import(other, "index/2", 5, 6));
	assert_int_equal(catalog_fixture_probe(c, 2), 0);
	catalog_close(c);
	assert_int_equal(catalog_fixture_probe(other, 5), 0);
	catalog_close(other);
	other = catalog_fixture_open(dir);
	assert_int_equal(catalog_fixture_probe(other, 5), 0);
	catalog_close(other);
}

/* ---- processes ---- */

/* Import sources that the others import too, in another order. */
static int share(const char *dir, uint32_t me)
{
	struct catalog *c;
	uint32_t i;
	int r;

	r = catalog_open(dir, catalog_fixture_vault, &c);
	if (r < 0 || !catalog_dir(c))
		return 1;
	for (i = 0; i < 16 && r == 0; i++) {
		uint32_t n = (i * 5 + me * 3) % 16;
		char source[32];

		snprintf(source, sizeof(source), "index/%u", n);
		r = catalog_fixture_import(c, source, 2 * n, 2 * n + 3);
		if (r == 0)
			r = catalog_fixture_probe(c, 2 * n + 1);
	}
	catalog_close(c);
	return r ? 2 : 0;
}

static void test_processes(void **state)
{
	const char *dir = catalog_fixture_dir();
	struct id shared = catalog_fixture_chunk_id(0, CATALOG_FIXTURE_SHARED);
	struct chunk_loc loc = { 0 };
	struct catalog *c;
	pid_t pids[4];
	uint32_t i, n = 0;
	int status;

	(void)state;
	for (i = 0; i < 4; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			_exit(share(dir, i));
	}
	for (i = 0; i < 4; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	c = catalog_fixture_open(dir);
	for (i = 0; i < 33; i++)
		assert_int_equal(catalog_fixture_probe(c, i), 0);
	while (catalog_find_chunk(c, &shared, loc.pack, &loc) == 0)
		n++;
	assert_int_equal(n, 33);
	for (i = 0; i < 16; i++)
		assert_ok(catalog_drop_source(c, support_path("index/%u", i)));
	for (i = 0; i < 33; i++)
		assert_int_equal(catalog_fixture_probe(c, i), 1);
	catalog_close(c);
}

/* Hold the database for some 3 seconds; @write: getting on with something. */
static void hold_files(const char *dir, int pipe_fd, bool write_too)
{
	static uint8_t data[2 << 20];
	struct catalog *c;
	struct conn *k;
	int i, r = 0;

	if (catalog_open(dir, catalog_fixture_vault, &c) < 0 ||
	    catalog_borrow_write(c, &k) < 0 || write(pipe_fd, "x", 1) != 1)
		_exit(1);
	for (i = 0; i < 60 && r == 0; i++) {
		if (write_too && conn_step(k, STMT_PUT_OBJECT, "tb", "point/1",
					   data, sizeof(data)) != SQLITE_DONE)
			r = -EIO;
		usleep(50000);
	}
	r = catalog_return(c, k, r);
	catalog_close(c);
	_exit(r < 0);
}

/* Whoever waits for another process waits for as long as that gets on. */
static void test_waits_for_progress(void **state)
{
	int write_too;

	(void)state;
	catalog_db_busy_ms = 1000;
	for (write_too = 1; write_too >= 0; write_too--) {
		const char *dir = catalog_fixture_dir();
		struct catalog *c = catalog_fixture_open(dir);
		int fds[2], status;
		pid_t pid;
		char x;

		assert_int_equal(pipe(fds), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			hold_files(dir, fds[1], write_too);
		assert_int_equal(read(fds[0], &x, 1), 1);
		assert_result(catalog_fixture_import(c, "index/1", 0, 2),
			      write_too ? 0 : -ENOTRECOVERABLE);
		if (!write_too) {
			assert_said("without getting on");
			assert_int_equal(kill(pid, SIGKILL), 0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(!write_too || status == 0);
		assert_ok(catalog_fixture_import(c, "index/1", 0, 2));
		assert_int_equal(catalog_fixture_probe(c, 1), 0);
		catalog_close(c);
		close(fds[0]);
		close(fds[1]);
	}
	catalog_db_busy_ms = 10000;
}

static void import_for_ever(const char *dir, int pipe_fd)
{
	struct catalog *c;
	uint32_t n;

	if (catalog_open(dir, catalog_fixture_vault, &c) < 0)
		return;
	for (n = 0; n < 100000; n++) {
		char source[32];

		snprintf(source, sizeof(source), "index/%u", n);
		if (catalog_fixture_import(c, source, 2 * n, 2 * n + 2) < 0 ||
		    write(pipe_fd, "x", 1) != 1)
			return;
	}
}

static void test_killed_in_import(void **state)
{
	const char *dir = catalog_fixture_dir();
	uint32_t round, n;

	(void)state;
	for (round = 1; round < 12; round++) {
		char source[32], x;
		struct catalog *c;
		uint32_t done = 0;
		int fds[2], status;
		pid_t pid;

		assert_int_equal(pipe(fds), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			close(fds[0]);
			import_for_ever(dir, fds[1]);
			_exit(1);
		}
		close(fds[1]);
		while (done < 5 * round && read(fds[0], &x, 1) == 1)
			done++;
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		close(fds[0]);
		c = catalog_fixture_open(dir);
		for (n = 0; n < 1000; n++) {
			snprintf(source, sizeof(source), "index/%u", n);
			if (catalog_has_source(c, source) == 0)
				break;
			assert_int_equal(catalog_fixture_probe(c, 2 * n), 0);
			assert_int_equal(catalog_fixture_probe(c, 2 * n + 1),
					 0);
		}
		assert_true(n >= done);
		assert_int_equal(catalog_fixture_probe(c, 2 * n), 1);
		catalog_close(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_reopen, catalog_fixture_setup),
		cmocka_unit_test_setup(test_another_vault_begins_anew,
				       catalog_fixture_setup),
		cmocka_unit_test_setup(test_another_version_begins_anew,
				       catalog_fixture_setup),
		cmocka_unit_test_setup(test_temporary_leaves_nothing,
				       catalog_fixture_setup),
		cmocka_unit_test_setup(test_unusable_directories,
				       catalog_fixture_setup),
		cmocka_unit_test_setup(test_foreign_files,
				       catalog_fixture_setup),
		cmocka_unit_test_setup(test_read_only_directory,
				       catalog_fixture_setup),
		cmocka_unit_test_setup(test_damaged_at_open,
				       catalog_fixture_setup),
		cmocka_unit_test_setup(test_damage_in_use,
				       catalog_fixture_setup),
		cmocka_unit_test_setup(test_deletes_only_its_own,
				       catalog_fixture_setup),
		cmocka_unit_test_setup(test_threads, catalog_fixture_setup),
		cmocka_unit_test_setup(test_directory_deleted_in_use,
				       catalog_fixture_setup),
		cmocka_unit_test_setup(test_processes, catalog_fixture_setup),
		cmocka_unit_test_setup(test_waits_for_progress,
				       catalog_fixture_setup),
		cmocka_unit_test_setup(test_killed_in_import,
				       catalog_fixture_setup),
	};

	return cmocka_run_group_tests_name("catalog_files", tests, NULL, NULL);
}
