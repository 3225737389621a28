/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What only a local directory has: modes, foreign files, faults, kills. */
#include "config.h"

#include "tests/unit/support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/backend/backend.h"
#include "store/backend/dir_internal.h"
#include "store/base/seam.h"
#include "tests/unit/seam_fault.h"

/* What a test's child says when the machine does not let it try. */
#define CANNOT_TRY 77

static const char *new_vault(struct backend **out)
{
	const char *dir = support_path("%s/vault", support_tmpdir_fast());

	support_log_clear();
	assert_ok(backend_create(dir, WITH_SEAM(seam_system()), out));
	return dir;
}

static int count_one(void *arg, const char *name,
		     const struct backend_info *info)
{
	(void)name;
	(void)info;
	++*(int *)arg;
	return 0;
}

/* Objects under @prefix, or the error. */
static int count_objects(struct backend *b, const char *prefix)
{
	int n = 0;
	int r = backend_list(b, prefix, count_one, &n);

	return r < 0 ? r : n;
}

static unsigned int mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

#define FOLDERS 18 /* one for each kind of objects */

/* ---- create ---- */

static void create_makes_folders(void **state)
{
	struct backend *b;
	const char *dir = new_vault(&b);
	struct stat st;
	int i;

	(void)state;
	assert_int_equal(mode_of(dir), 0700);
	for (i = 0; i < 256; i++) {
		assert_int_equal(
			stat(support_path("%s/pack/%02x", dir, i), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0700);
	}
	assert_int_equal(support_count(dir), FOLDERS + 256);
	assert_ok(backend_put(b, "pack/7f/x", "x", 1));
	assert_int_equal(mode_of(support_path("%s/pack/7f/x", dir)), 0600);
	/* Later versions have other kinds of objects. */
	assert_ok(backend_put(b, "later/1", "x", 1));
	assert_int_equal(mode_of(support_path("%s/later", dir)), 0700);
	backend_close(b);
}

static void create_wants_an_empty_place(void **state)
{
	const char *dir = support_tmpdir_fast();
	struct seam *seam = seam_system();
	struct backend *b;

	(void)state;
	support_log_clear();
	assert_result(backend_create(support_path("%s/a/b", dir),
				     WITH_SEAM(seam), &b),
		      -ENOENT);
	assert_said("make the one above it first");
	assert_null(b);
	/* A new filesystem's own folder, and what a killed create leaves. */
	assert_int_equal(mkdir(support_path("%s/lost+found", dir), 0700), 0);
	assert_int_equal(mkdir(support_path("%s/pack", dir), 0700), 0);
	assert_int_equal(mkdir(support_path("%s/pack/00", dir), 0700), 0);
	assert_ok(backend_create(dir, WITH_SEAM(seam), &b));
	backend_close(b);
	/* Twice is no harm while nothing is in it. */
	assert_ok(backend_create(dir, WITH_SEAM(seam), &b));
	assert_ok(backend_put(b, "key/1", "x", 1));
	assert_ok(backend_put(b, "probe/1", "x", 1));
	backend_close(b);
	assert_ok(backend_create(dir, WITH_SEAM(seam), &b));
	assert_ok(backend_put(b, "point/1", "x", 1));
	backend_close(b);
	assert_result(backend_create(dir, WITH_SEAM(seam), &b), -EEXIST);
	assert_said("it has point/1");
	assert_int_equal(unlink(support_path("%s/point/1", dir)), 0);
	support_write(support_path("%s/.profile", dir), "", 0);
	assert_result(backend_create(dir, WITH_SEAM(seam), &b), -EEXIST);
	assert_said("it has .profile");
	assert_int_equal(unlink(support_path("%s/.profile", dir)), 0);
	assert_int_equal(mkdir(support_path("%s/photos", dir), 0700), 0);
	assert_result(backend_create(dir, WITH_SEAM(seam), &b), -EEXIST);
	assert_null(b);
}

/* ---- what does not belong there ---- */

static void truncated_file(void **state)
{
	struct backend *b;
	const char *dir = new_vault(&b);
	char got[8];

	(void)state;
	assert_ok(backend_put(b, "pack/00/x", "12345678", 8));
	assert_ok(backend_get(b, "pack/00/x", 0, got, 8));
	assert_int_equal(truncate(support_path("%s/pack/00/x", dir), 5), 0);
	/* The file is open; all the same. */
	assert_result(backend_get(b, "pack/00/x", 0, got, 8), -EBADMSG);
	assert_said("pack/00/x ends at byte 5 where 8 are needed");
	assert_ok(backend_get(b, "pack/00/x", 0, got, 5));
	backend_close(b);
}

static void misfits(void **state)
{
	static const char *const names[] = { "pack/00/link", "pack/00/fifo",
					     "pack/00/dir", "file/x",
					     "elsewhere/x" };
	struct backend *b;
	const char *dir = new_vault(&b);
	const char *other = support_tmpdir_fast();
	struct backend_info info;
	size_t i;
	char c;

	(void)state;
	support_write(support_path("%s/x", other), "secret", 6);
	assert_int_equal(symlink(support_path("%s/x", other),
				 support_path("%s/pack/00/link", dir)),
			 0);
	assert_int_equal(mkfifo(support_path("%s/pack/00/fifo", dir), 0600), 0);
	assert_int_equal(mkdir(support_path("%s/pack/00/dir", dir), 0700), 0);
	support_write(support_path("%s/file", dir), "", 0);
	assert_int_equal(symlink(other, support_path("%s/elsewhere", dir)), 0);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		support_log_clear();
		assert_result(backend_get(b, names[i], 0, &c, 1), -EBADMSG);
		assert_said(names[i]);
		assert_result(backend_head(b, names[i], &info), -EBADMSG);
		if (i < 3)
			assert_result(backend_put(b, names[i], "", 0), -EEXIST);
		else
			assert_result(backend_put(b, names[i], "", 0),
				      -EBADMSG);
	}
	/* Nothing was written through the link. */
	assert_int_equal(support_count(other), 1);
	assert_result(count_objects(b, "elsewhere/"), -EBADMSG);
	assert_result(count_objects(b, "file/"), -EBADMSG);
	/* They are listed, so that nobody takes an object for deleted whose
	 * place they have; and they hide nothing else. */
	assert_ok(backend_put(b, "pack/00/x", "", 0));
	assert_int_equal(count_objects(b, "pack/"), 4);
	assert_int_equal(count_objects(b, ""), 6);
	assert_int_equal(mkdir(support_path("%s/commit/dir", dir), 0), 0);
	assert_int_equal(count_objects(b, "commit/"), 1);
	assert_result(backend_get(b, "commit/dir", 0, &c, 1), -EBADMSG);
	/* But where a whole folder of objects is not to be seen, nobody is told
	 * that there are none. */
	assert_int_equal(rmdir(support_path("%s/pack/80", dir)), 0);
	assert_int_equal(symlink(other, support_path("%s/pack/80", dir)), 0);
	assert_result(count_objects(b, "pack/"), -EBADMSG);
	assert_result(count_objects(b, ""), -EBADMSG);
	backend_close(b);
}

static void foreign_names_are_skipped(void **state)
{
	struct backend *b;
	const char *dir = new_vault(&b);

	(void)state;
	support_write(support_path("%s/pack/00/.tmp-0123", dir), "", 0);
	support_write(support_path("%s/README", dir), "", 0);
	support_write(support_path("%s/pack/a b", dir), "", 0);
	assert_int_equal(mkdir(support_path("%s/lost+found", dir), 0), 0);
	assert_int_equal(symlink("x", support_path("%s/.link", dir)), 0);
	assert_ok(backend_put(b, "pack/00/x", "", 0));
	assert_int_equal(count_objects(b, ""), 1);
	backend_close(b);
}

static void removed_vault_is_not_empty(void **state)
{
	struct backend *b;
	const char *dir = new_vault(&b);

	(void)state;
	support_remove(dir);
	assert_result(count_objects(b, ""), -EIO);
	assert_said("has been removed");
	assert_result(backend_put(b, "config", "", 0), -ENOENT);
	backend_close(b);
}

/* ---- rights ---- */

/* -errno to an exit status, and back. */
static int exit_with(int r)
{
	return r < 0 ? -r : 0;
}

static int list_pack(void *arg)
{
	return exit_with(count_objects(arg, "pack/"));
}

static void unreadable_folder(void **state)
{
	struct backend *b;
	const char *dir = new_vault(&b);

	(void)state;
	assert_ok(backend_put(b, "pack/80/x", "", 0));
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(chmod(support_path("%s/pack", dir), 0755), 0);
	/* Closed to nobody if this is root, to all if it is not. */
	assert_int_equal(chmod(support_path("%s/pack/80", dir), 0), 0);
	assert_int_equal(support_fork_nobody(list_pack, b), EACCES);
	assert_int_equal(chmod(support_path("%s/pack/80", dir), 0700), 0);
	backend_close(b);
}

static int use_readonly(void *arg)
{
	struct backend *b;
	char got[5];
	struct backend_info info;
	int put = *(int *)((void **)arg)[1];

	if (backend_open(((void **)arg)[0], WITH_SEAM(seam_system()), &b) < 0)
		return 1;
	if (backend_get(b, "pack/00/x", 0, got, 5) < 0 ||
	    memcmp(got, "12345", 5) != 0)
		return 2;
	if (backend_head(b, "config", &info) < 0 || info.size != 1)
		return 3;
	if (count_objects(b, "") != 2)
		return 4;
	if (backend_put(b, "pack/00/y", "", 0) != put)
		return 5;
	if (backend_put(b, "tomb/y", "", 0) != put)
		return 6;
	if (backend_delete(b, "pack/00/x") != put)
		return 7;
	if (backend_probe(b) != put)
		return 8;
	if (count_objects(b, "") != 2)
		return 9;
	backend_close(b);
	return 0;
}

/* A vault of two objects that everybody may read and nobody may change. */
static const char *readonly_vault(void)
{
	struct backend *b;
	const char *dir = new_vault(&b);

	assert_ok(backend_put(b, "pack/00/x", "12345", 5));
	assert_ok(backend_put(b, "config", "1", 1));
	backend_close(b);
	assert_int_equal(system(support_path("chmod -R a=rX %s", dir)), 0);
	return dir;
}

static void readonly_directory(void **state)
{
	const char *dir = readonly_vault();
	int err = -EACCES;
	void *arg[] = { (void *)(uintptr_t)dir, &err };

	(void)state;
	assert_int_equal(support_fork_nobody(use_readonly, arg), 0);
	assert_int_equal(system(support_path("chmod -R u+w %s", dir)), 0);
}

/* In a mount namespace of its own, which goes with the process. */
static int use_readonly_mount(void *arg)
{
	const char *dir = ((void **)arg)[0];

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(dir, dir, NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, dir, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0)
		return CANNOT_TRY;
	return use_readonly(arg);
}

static void readonly_filesystem(void **state)
{
	const char *dir = readonly_vault();
	int err = -EROFS;
	void *arg[] = { (void *)(uintptr_t)dir, &err };
	int r = support_fork(use_readonly_mount, arg);

	(void)state;
	assert_int_equal(system(support_path("chmod -R u+w %s", dir)), 0);
	if (r == CANNOT_TRY)
		skip();
	assert_int_equal(r, 0);
}

/* ---- faults ---- */

#define OBJECT "tomb/1" /* its folder must be made, too */
#define OBJECT_LEN 10000

/* The vault that faults happen in: a new folder per test, not per fault. */
static void clear(const char *dir)
{
	support_remove(support_path("%s/tomb", dir));
}

/* How many names there are that nobody asked for? One object may be there. */
static void check_leftovers(const char *dir, struct backend *b, bool there)
{
	size_t folder = access(support_path("%s/tomb", dir), F_OK) == 0;

	assert_int_equal(count_objects(b, ""), there);
	assert_int_equal(support_count(dir),
			 FOLDERS - 1 + 256 + folder + there);
}

/* True when it is there, whole; false when it is not. */
static bool whole(struct backend *b, const uint8_t *want)
{
	AUTO_FREE uint8_t *got = NULL;
	size_t len;
	int r = backend_get_all(b, OBJECT, OBJECT_LEN, &got, &len);

	if (r == -ENOENT)
		return false;
	assert_ok(r);
	assert_int_equal(len, OBJECT_LEN);
	assert_memory_equal(got, want, OBJECT_LEN);
	return true;
}

static size_t count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* @named: on a filesystem without unnamed files, which is found out before. */
static int put_faulty(const char *dir, struct seam_fault *f, bool named,
		      unsigned long n, enum seam_fault_action action, int err,
		      bool sticky, const uint8_t *data)
{
	/* A server that was restarted is asked again, for a moment. */
	struct backend_options with = { .timeout_ns = 40000000,
					.pause_ns = 100000 };
	struct seam_fault first;
	struct backend *b;
	int r;

	seam_fault_init(&first, NULL);
	if (named) {
		seam_fault_only(&first, 1 << SEAM_FAULT_OPENAT);
		seam_fault_at(&first, 1, SEAM_FAULT_FAIL, -EOPNOTSUPP, false);
	}
	seam_fault_init(f, &first.seam);
	seam_fault_at(f, n, action, err, sticky);
	with.seam = &f->seam;
	assert_ok(backend_open(dir, &with, &b));
	r = backend_put(b, OBJECT, data, OBJECT_LEN);
	backend_close(b);
	seam_fault_release(&first);
	seam_fault_release(f);
	return r;
}

static void put_with_fault(const char *dir, struct backend *b, bool named,
			   unsigned long n, enum seam_fault_action action,
			   int err, bool sticky, const uint8_t *data)
{
	struct seam_fault f;
	int r = put_faulty(dir, &f, named, n, action, err, sticky, data);
	bool there = whole(b, data);

	assert_true(f.hits > 0);
	if (r == 0)
		assert_true(there);
	else if (action == SEAM_FAULT_SHORT)
		assert_ok(r);
	if (action == SEAM_FAULT_FAIL && !sticky && err == -ESTALE)
		assert_true(f.hit == SEAM_FAULT_FSYNC	? r == -EIO
			    : f.hit == SEAM_FAULT_CLOSE ? r == -EEXIST
							: r == 0);
	else if (action == SEAM_FAULT_FAIL && !sticky &&
		 f.hit != SEAM_FAULT_UNLINKAT)
		assert_result(r, err);
	/* A stand-in that could not be unlinked stays, but is no object. */
	if (!named || (!sticky && f.hit != SEAM_FAULT_UNLINKAT &&
		       f.hit != SEAM_FAULT_OPENAT))
		check_leftovers(dir, b, there);
	assert_int_equal(count_objects(b, ""), there);
	r = backend_put(b, OBJECT, data, OBJECT_LEN);
	assert_result(r, there ? -EEXIST : 0);
	assert_true(whole(b, data));
	clear(dir);
}

static void faults(bool named)
{
	static const int errs[] = { -EIO,    -ENOSPC, -EDQUOT,
				    -EMFILE, -EACCES, -ESTALE };
	uint8_t data[OBJECT_LEN];
	struct backend *b;
	const char *dir = new_vault(&b);
	struct seam_fault f;
	size_t fds = count_fds(), i;
	unsigned long n, calls;

	support_fill(1, data, sizeof(data));
	clear(dir);
	assert_ok(
		put_faulty(dir, &f, named, 0, SEAM_FAULT_NONE, 0, false, data));
	calls = f.calls;
	/* mkdir, fsync, open, write, sync, link, (unlink,) fsync, close */
	assert_int_equal(calls, named ? 10 : 8);
	clear(dir);
	for (n = 1; n <= calls; n++) {
		for (i = 0; i < ARRAY_SIZE(errs); i++) {
			put_with_fault(dir, b, named, n, SEAM_FAULT_FAIL,
				       errs[i], false, data);
			put_with_fault(dir, b, named, n, SEAM_FAULT_FAIL,
				       errs[i], true, data);
			put_with_fault(dir, b, named, n, SEAM_FAULT_FAIL_AFTER,
				       errs[i], false, data);
		}
		put_with_fault(dir, b, named, n, SEAM_FAULT_SHORT, 0, true,
			       data);
	}
	assert_int_equal(count_fds(), fds);
	backend_close(b);
}

static void put_faults_unnamed(void **state)
{
	(void)state;
	faults(false);
}

static void put_faults_named(void **state)
{
	(void)state;
	faults(true);
}

/* What is there is the old object or the new one at any moment, and nothing else. */
static void replaced(void **state)
{
	uint8_t old[OBJECT_LEN], new[OBJECT_LEN];
	struct backend *b;
	const char *dir = new_vault(&b);
	unsigned long n, calls = 1;

	(void)state;
	support_fill(1, old, sizeof(old));
	support_fill(2, new, sizeof(new));
	clear(dir);
	for (n = 1; n <= calls; n++) {
		struct seam_fault f;
		struct backend *faulty;
		AUTO_FREE uint8_t *got = NULL;
		size_t len;
		bool is_new;
		int r;

		assert_ok(backend_put(b, OBJECT, old, OBJECT_LEN));
		seam_fault_init(&f, NULL);
		assert_ok(backend_open(dir, WITH_SEAM(&f.seam), &faulty));
		seam_fault_at(&f, n, SEAM_FAULT_FAIL, -EIO, false);
		r = backend_replace(faulty, OBJECT, new, OBJECT_LEN);
		assert_int_equal(f.hits, 1);
		backend_close(faulty);
		assert_ok(backend_get_all(b, OBJECT, OBJECT_LEN, &got, &len));
		assert_int_equal(len, OBJECT_LEN);
		is_new = memcmp(got, new, OBJECT_LEN) == 0;
		assert_true(is_new || memcmp(got, old, OBJECT_LEN) == 0);
		assert_true(is_new || r < 0);
		check_leftovers(dir, b, true);
		/* All of them, where none fails. */
		seam_fault_at(&f, 0, SEAM_FAULT_NONE, 0, false);
		assert_ok(backend_open(dir, WITH_SEAM(&f.seam), &faulty));
		assert_ok(backend_replace(faulty, OBJECT, new, OBJECT_LEN));
		calls = f.calls;
		backend_close(faulty);
		assert_true(whole(b, new));
		seam_fault_release(&f);
		clear(dir);
	}
	/* open, write, sync, rename, fsync, close, and those of the opening. */
	assert_true(calls >= 6);
	backend_close(b);
}

#define STAND_IN(digit) ".tmp-0123456789abcdef0123456789abcde" digit

static void make_leftover(const char *dir, const char *leaf, time_t age)
{
	const struct timespec at[2] = { { .tv_sec = time(NULL) - age },
					{ .tv_sec = time(NULL) - age } };
	const char *path = support_path("%s/tomb/%s", dir, leaf);

	support_write(path, "x", 1);
	assert_int_equal(utimensat(AT_FDCWD, path, at, 0), 0);
}

static bool is_there(const char *dir, const char *leaf)
{
	return access(support_path("%s/tomb/%s", dir, leaf), F_OK) == 0;
}

/* What a killed writer left goes when it is old; what may be in work stays, and
 * so does what is not ours. */
static void dead_stand_ins_are_swept(void **state)
{
	uint8_t data[OBJECT_LEN] = { 0 };
	struct backend *b;
	const char *dir = new_vault(&b);
	struct seam_fault f;

	(void)state;
	assert_ok(backend_put(b, "tomb/other", "", 0));
	backend_close(b);
	make_leftover(dir, STAND_IN("0"), 25 * 60 * 60);
	make_leftover(dir, STAND_IN("1"), 23 * 60 * 60);
	make_leftover(dir, STAND_IN("g"), 1000 * 60 * 60);
	make_leftover(dir, ".tmp-", 1000 * 60 * 60);
	/* With unnamed files nothing is looked for. */
	assert_ok(
		put_faulty(dir, &f, false, 0, SEAM_FAULT_NONE, 0, false, data));
	assert_true(is_there(dir, STAND_IN("0")));
	assert_int_equal(unlink(support_path("%s/" OBJECT, dir)), 0);
	assert_ok(
		put_faulty(dir, &f, true, 0, SEAM_FAULT_NONE, 0, false, data));
	assert_false(is_there(dir, STAND_IN("0")));
	assert_true(is_there(dir, STAND_IN("1")));
	assert_true(is_there(dir, STAND_IN("g")));
	assert_true(is_there(dir, ".tmp-"));
}

/* After a folder's sync has failed once, a later yes proves nothing. */
static void no_put_after_failed_sync(void **state)
{
	struct backend *b;
	const char *dir = new_vault(&b);
	struct seam_fault f;
	struct backend_info info;

	(void)state;
	backend_close(b);
	seam_fault_init(&f, NULL);
	seam_fault_only(&f, 1 << SEAM_FAULT_FSYNC);
	assert_ok(backend_open(dir, WITH_SEAM(&f.seam), &b));
	assert_ok(backend_put(b, "index/1", "", 0));
	seam_fault_at(&f, 1, SEAM_FAULT_FAIL, -EIO, false);
	assert_result(backend_put(b, "index/2", "", 0), -EIO);
	assert_result(backend_put(b, "index/3", "", 0), -EIO);
	assert_said("index/3 is not stored: an earlier sync");
	assert_result(backend_head(b, "index/3", &info), -ENOENT);
	backend_close(b);
	seam_fault_release(&f);
}

/* A filesystem that cannot sync folders is not to blame for it. */
static void folders_without_sync(void **state)
{
	struct backend *b;
	const char *dir = new_vault(&b);
	struct seam_fault f;

	(void)state;
	backend_close(b);
	seam_fault_init(&f, NULL);
	seam_fault_only(&f, 1 << SEAM_FAULT_FSYNC);
	seam_fault_at(&f, 1, SEAM_FAULT_FAIL, -EINVAL, true);
	assert_ok(backend_open(dir, WITH_SEAM(&f.seam), &b));
	assert_ok(backend_put(b, "tomb/1", "", 0));
	assert_ok(backend_delete(b, "tomb/1"));
	assert_true(f.hits > 0);
	backend_close(b);
	seam_fault_release(&f);
}

/* Whoever deleted it may have died before that was durable. */
static void what_is_gone_is_gone_durably(void **state)
{
	static const char *const name = "pack/00/x";
	struct backend *b;
	const char *dir = new_vault(&b);
	struct seam_fault f;

	(void)state;
	backend_close(b);
	seam_fault_init(&f, NULL);
	assert_ok(backend_open(dir, WITH_SEAM(&f.seam), &b));
	assert_ok(backend_put(b, name, "", 0));
	assert_int_equal(unlink(support_path("%s/%s", dir, name)), 0);
	seam_fault_only(&f, 1 << SEAM_FAULT_FSYNC);
	seam_fault_at(&f, 1, SEAM_FAULT_NONE, 0, false);
	assert_ok(backend_delete_many(b, &name, 1));
	assert_int_equal(f.calls, 1);
	assert_result(backend_delete(b, name), -ENOENT);
	assert_int_equal(f.calls, 2);
	seam_fault_at(&f, 1, SEAM_FAULT_FAIL, -EIO, false);
	assert_result(backend_delete_many(b, &name, 1), -EIO);
	backend_close(b);
	seam_fault_release(&f);
}

static void said_what_to_do(void **state)
{
	static const struct {
		int err;
		const char *words;
	} cases[] = {
		{ -ENOSPC, "free space there" },
		{ -EROFS, "make the filesystem writable" },
		{ -EACCES, "run it as the vault's owner" },
		{ -EMFILE, "ulimit -n" },
		{ -EIO, "see to the disk" },
	};
	uint8_t data[OBJECT_LEN] = { 0 };
	struct backend *b;
	const char *dir = new_vault(&b);
	struct seam_fault f;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		support_log_clear();
		assert_result(put_faulty(dir, &f, false, 4, SEAM_FAULT_FAIL,
					 cases[i].err, false, data),
			      cases[i].err);
		clear(dir);
		assert_said(cases[i].words);
		assert_said(dir);
		assert_said(OBJECT);
	}
	/* A link that is not allowed: no filesystem for a vault. */
	support_log_clear();
	assert_result(put_faulty(dir, &f, false, 6, SEAM_FAULT_FAIL, -EPERM,
				 false, data),
		      -EOPNOTSUPP);
	assert_int_equal(f.hit, SEAM_FAULT_LINKAT);
	assert_said("hard links");
	backend_close(b);
}

/* ---- kills ---- */

struct kill_at {
	const char *dir;
	const uint8_t *data;
	unsigned long n;
	enum seam_fault_action action;
	bool named, create;
};

static int run_killed(void *arg)
{
	const struct kill_at *k = arg;
	struct seam_fault f;
	struct backend *b;
	int r;

	if (!k->create)
		return put_faulty(k->dir, &f, k->named, k->n, k->action, 0,
				  false, k->data) == 0
			       ? 0
			       : 1;
	seam_fault_init(&f, NULL);
	seam_fault_at(&f, k->n, k->action, 0, false);
	r = backend_create(k->dir, WITH_SEAM(&f.seam), &b);
	if (r == 0)
		backend_close(b);
	seam_fault_release(&f);
	return r == 0 ? 0 : 1;
}

static void kills(bool named)
{
	uint8_t data[OBJECT_LEN];
	struct backend *b;
	struct kill_at k = { .dir = new_vault(&b),
			     .data = data,
			     .named = named };
	int r = -SIGKILL;

	support_fill(2, data, sizeof(data));
	for (k.n = 1; r == -SIGKILL; k.n++) {
		for (k.action = SEAM_FAULT_KILL_BEFORE;
		     k.action <= SEAM_FAULT_KILL_AFTER; k.action++) {
			bool there;

			r = support_fork(run_killed, &k);
			assert_true(r == 0 || r == -SIGKILL);
			there = whole(b, data);
			assert_int_equal(count_objects(b, ""), there);
			if (!named)
				check_leftovers(k.dir, b, there);
			assert_result(backend_put(b, OBJECT, data, OBJECT_LEN),
				      there ? -EEXIST : 0);
			assert_true(whole(b, data));
			clear(k.dir);
		}
	}
	/* Every call of a put, and the round that none was left for. */
	assert_int_equal(k.n - 2, named ? 10 : 8);
	backend_close(b);
}

static void put_kills_unnamed(void **state)
{
	(void)state;
	kills(false);
}

static void put_kills_named(void **state)
{
	(void)state;
	kills(true);
}

static void create_kills(void **state)
{
	const char *parent = support_tmpdir_fast();
	struct kill_at k = { .action = SEAM_FAULT_KILL_AFTER, .create = true };
	int r = -SIGKILL;

	(void)state;
	support_log_clear();
	for (k.n = 1; r == -SIGKILL; k.n += k.n > 9 && k.n < 250 ? 20 : 1) {
		struct backend *b;

		k.dir = support_path("%s/%lu", parent, k.n);
		r = support_fork(run_killed, &k);
		assert_true(r == 0 || r == -SIGKILL);
		assert_ok(backend_create(k.dir, WITH_SEAM(seam_system()), &b));
		assert_int_equal(support_count(k.dir), FOLDERS + 256);
		backend_close(b);
		support_remove(k.dir);
	}
	/* The directory, its folders, 256 more, three syncs. */
	assert_int_equal(k.n - 2, 1 + FOLDERS + 256 + 3);
}

/* ---- stamps ---- */

/* A clock that is ahead of the times that the filesystem gives. */
static int64_t later_ns(struct seam *s)
{
	(void)s;
	return seam_system()->ops->realtime_ns(seam_system()) + 60000000000;
}

static int64_t earlier_ns(struct seam *s)
{
	return later_ns(s) - 120000000000;
}

static bool same_stamp(const struct backend_stamp *a,
		       const struct backend_stamp *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void stamps_tell_what_changed(void **state)
{
	struct seam_ops ops = *seam_system()->ops, before = ops;
	struct seam later = { .ops = &ops }, earlier = { .ops = &before };
	struct backend_stamp first, again;
	struct backend *b, *now;
	const char *dir;

	(void)state;
	ops.realtime_ns = later_ns;
	before.realtime_ns = earlier_ns;
	dir = support_path("%s/vault", support_tmpdir_fast());
	assert_ok(backend_create(dir, WITH_SEAM(&later), &b));
	assert_ok(backend_open(dir, WITH_SEAM(&earlier), &now));
	if (!backend_take_stamp(b, "note/", &first))
		skip(); /* on what the network serves nothing can be told */
	assert_true(backend_take_stamp(b, "note/", &again));
	assert_true(same_stamp(&first, &again));
	assert_ok(backend_put(b, "note/x", "x", 1));
	/* It has just changed, and may change again within a tick. */
	assert_false(backend_take_stamp(now, "note/", &again));
	assert_true(backend_take_stamp(b, "note/", &again));
	assert_false(same_stamp(&first, &again));
	first = again;
	assert_ok(backend_delete(b, "note/x"));
	assert_true(backend_take_stamp(b, "note/", &again));
	assert_false(same_stamp(&first, &again));
	/* Another folder is another stamp, and one that is gone is none. */
	assert_true(backend_take_stamp(b, "purge/", &first));
	assert_false(same_stamp(&first, &again));
	assert_int_equal(rmdir(support_path("%s/note", dir)), 0);
	assert_false(backend_take_stamp(b, "note/", &again));
	backend_close(now);
	backend_close(b);
}

/* ---- what others put may be seen late ---- */

static void mounts_that_lag(void **state)
{
	static const struct {
		const char *type, *options;
		bool lags;
	} cases[] = {
		{ "ext4", "rw,relatime", false },
		{ "xfs", "rw", false },
		{ "tmpfs", "rw,size=64k", false },
		{ "ceph", "rw", false },
		{ "fuseblk", "rw,user_id=0", false },
		{ "fuse", "rw", true },
		{ "fuse.sshfs", "rw,user_id=0", true },
		{ "fuse.s3fs", "rw", true },
		{ "virtiofs", "rw", true },
		{ "cifs", "rw,cache=strict,actimeo=1", true },
		{ "smb3", "rw", true },
		{ "nfs4", "rw,relatime,vers=4.2,hard,proto=tcp", false },
		{ "nfs", "rw,vers=3,nocto", true },
		{ "nfs", "nocto,rw", true },
		{ "nfs", "rw,noctopus", false },
		{ "nfs4", "rw,acdirmin=600,acdirmax=600", true },
		{ "nfs4", "rw,acdirmin=1,acdirmax=3600", true },
		{ "nfs4", "rw,acregmax=600,acdirmin=1,acdirmax=1", false },
		{ "9p", "rw,cache=loose", true },
		{ "9p", "rw,cache=none,trans=virtio", false },
		{ "9p", "rw,trans=virtio", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		if ((dir_mount_lag(cases[i].type, cases[i].options) != NULL) !=
		    cases[i].lags)
			fail_msg("%s %s", cases[i].type, cases[i].options);
}

static void a_mount_is_found(void **state)
{
	struct dir_mount mount = { .options = NULL };
	char why[BACKEND_LAG_MAX];
	struct backend *b;
	int fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_ok(dir_mount_of(fd, &mount));
	assert_string_equal(mount.type, "proc");
	assert_int_equal(strncmp(mount.options, "rw,", 3), 0);
	free(mount.options);
	close(fd);
	(void)new_vault(&b);
	assert_false(backend_may_lag(b, why));
	backend_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(create_makes_folders),
		cmocka_unit_test(create_wants_an_empty_place),
		cmocka_unit_test(truncated_file),
		cmocka_unit_test(misfits),
		cmocka_unit_test(foreign_names_are_skipped),
		cmocka_unit_test(removed_vault_is_not_empty),
		cmocka_unit_test(unreadable_folder),
		cmocka_unit_test(readonly_directory),
		cmocka_unit_test(readonly_filesystem),
		cmocka_unit_test(put_faults_unnamed),
		cmocka_unit_test(put_faults_named),
		cmocka_unit_test(replaced),
		cmocka_unit_test(dead_stand_ins_are_swept),
		cmocka_unit_test(no_put_after_failed_sync),
		cmocka_unit_test(folders_without_sync),
		cmocka_unit_test(what_is_gone_is_gone_durably),
		cmocka_unit_test(said_what_to_do),
		cmocka_unit_test(put_kills_unnamed),
		cmocka_unit_test(put_kills_named),
		cmocka_unit_test(create_kills),
		cmocka_unit_test(stamps_tell_what_changed),
		cmocka_unit_test(mounts_that_lag),
		cmocka_unit_test(a_mount_is_found),
	};

	support_log_capture();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
