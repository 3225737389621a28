/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a backup knows of files beyond stat(2): from the filesystem into the
 * entries, and from one point to the next. */
#include "config.h"

#include "tests/unit/vaults.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/backup/backup.h"
#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/base/task.h"
#include "store/entry.h"
#include "store/point.h"
#include "store/tree.h"
#include "tests/unit/seam_fault.h"

static struct {
	const char *dir; /* the source */
	struct backend *backend;
	struct vault *vault;
	struct seam_fault seam;
} here;

static const char *in(const char *name)
{
	return support_path("%s/%s", here.dir, name);
}

static int setup(void **state)
{
	struct vault_options o;
	char id[33];

	(void)state;
	support_log_capture();
	here.dir = support_path("%s/src", support_tmpdir());
	assert_int_equal(mkdir(here.dir, 0755), 0);
	here.backend = backend_mem_new();
	assert_non_null(here.backend);
	seam_fault_init(&here.seam, NULL);
	/* Of the year 2100: no file is so new that it is looked at again. */
	seam_fault_clock(&here.seam, INT64_C(4102444800000000000), 1000);
	o = vaults_options(NULL, here.backend, &here.seam.seam, NULL);
	assert_ok(vault_create(&o, 0, id));
	assert_ok(vault_open(&o, &here.vault));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vault_close(here.vault);
	backend_close(here.backend);
	seam_fault_release(&here.seam);
	return 0;
}

static struct backup_result back_up(void)
{
	struct backup_options o = { .vm = "m",
				    .sources = &here.dir,
				    .nsources = 1,
				    .level = 1,
				    .skip_if_unchanged = true };
	struct task task = { .stop = NULL };
	struct backup_result result;

	assert_ok(backup_run(here.vault, &o, &task, &result));
	assert_int_equal(result.progress.errors, 0);
	return result;
}

/* What the newest point says of @name. */
static struct entry_extra known(const char *name)
{
	AUTO_BUF struct buf key = BUF_INIT;
	struct cursor c = { 0 };
	struct entry_extra x;
	struct point_list *l;
	struct entry e;

	assert_ok(vault_points(here.vault, &l));
	assert_ok(tree_path_key(&key, here.dir));
	assert_ok(tree_lookup(here.vault, &l->points[l->n - 1]->root, key.data,
			      key.len, name, strlen(name), &c));
	cursor_entry(&c, &e);
	entry_extra_get(&e, &x);
	cursor_release(&c);
	point_list_put(l);
	return x;
}

/* Set chattr's d, that a file is not to be dumped, or take it away. Return false
 * where the filesystem does not know of flags. */
static bool set_nodump(const char *name, bool set)
{
	int fd = open(in(name), O_RDONLY | O_CLOEXEC), flags = 0;
	bool can;

	assert_true(fd >= 0);
	can = ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0;
	flags = set ? flags | FS_NODUMP_FL : flags & ~FS_NODUMP_FL;
	if (can)
		assert_int_equal(ioctl(fd, FS_IOC_SETFLAGS, &flags), 0);
	close(fd);
	return can;
}

static void assert_birth(const char *name)
{
	struct entry_extra x = known(name);
	struct statx sx;

	assert_int_equal(statx(AT_FDCWD, in(name), AT_SYMLINK_NOFOLLOW,
			       STATX_BTIME, &sx),
			 0);
	assert_true(x.has_birth == !!(sx.stx_mask & STATX_BTIME));
	if (!x.has_birth)
		return;
	assert_int_equal(x.birth.sec, sx.stx_btime.tv_sec);
	assert_int_equal(x.birth.nsec, sx.stx_btime.tv_nsec);
}

static void of_every_kind(void **state)
{
	static const char *const names[] = { "dir", "fifo", "file", "hard",
					     "link" };
	size_t i;

	(void)state;
	assert_int_equal(mkdir(in("dir"), 0755), 0);
	assert_int_equal(mkfifo(in("fifo"), 0600), 0);
	support_write(in("file"), "x", 1);
	assert_int_equal(link(in("file"), in("hard")), 0);
	assert_int_equal(symlink("file", in("link")), 0);
	if (!set_nodump("file", true) || !set_nodump("dir", true))
		skip();
	(void)back_up();
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		bool set = strchr("dh", names[i][0]) ||
			   strcmp(names[i], "file") == 0;

		assert_birth(names[i]);
		assert_int_equal(known(names[i]).inode_flags,
				 set ? FS_NODUMP_FL : 0);
	}
}

/* Set it until the stamp of the change is another one than before. */
static bool change_nodump(const char *name)
{
	struct stat before, now;

	assert_int_equal(stat(in(name), &before), 0);
	do {
		if (!set_nodump(name, false) || !set_nodump(name, true))
			return false;
		assert_int_equal(stat(in(name), &now), 0);
	} while (now.st_ctim.tv_sec == before.st_ctim.tv_sec &&
		 now.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
	return true;
}

/* A change of flags alone makes a new entry; no change makes none. */
static void from_point_to_point(void **state)
{
	struct backup_result r;

	(void)state;
	support_write(in("file"), "x", 1);
	support_write(in("other"), "x", 1);
	(void)back_up();
	if (!change_nodump("file"))
		skip();
	assert_int_equal(known("file").inode_flags, 0);
	r = back_up();
	assert_false(r.skipped);
	assert_int_equal(known("file").inode_flags, FS_NODUMP_FL);
	assert_int_equal(known("other").inode_flags, 0);
	assert_birth("other");
	assert_int_equal(r.progress.files_unmodified, 1);
	support_write(in("more"), "x", 1);
	r = back_up();
	assert_false(r.skipped);
	assert_int_equal(r.progress.files_unmodified, 2);
	assert_int_equal(known("file").inode_flags, FS_NODUMP_FL);
	assert_birth("file");
	assert_birth("other");
	r = back_up();
	assert_true(r.skipped);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(of_every_kind, setup, teardown),
		cmocka_unit_test_setup_teardown(from_point_to_point, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
