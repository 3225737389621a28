/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A mount whose backend can be held up at will: what a client sees of it. The
 * clients are processes of their own, as a process that waits for its own mount
 * could not be killed.
 */
#include "config.h"

#include "tests/unit/support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fs/fuse/mount.h"
#include "fs/view.h"
#include "store/backend/mem.h"
#include "store/format.h"
#include "store/vault.h"
#include "store/writer/writer.h"
#include "tests/unit/plant.h"

#define TIME "2026-11-22T101500Z"
#define FILES 40 /* more than there are threads */
#define BIG 5000
#define WATCHDOG 60 /* s; a test that hangs has failed */

static struct plant plant;
static struct view *view;
static struct mount *mount_;
static char *dir;

/* ---- a backend that holds up reads of data packs ---- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool closed;
	unsigned int passes; /* so many come through all the same */
	bool lists; /* for lists of objects, too */
	unsigned int waiting, passed;
} gate = { .lock = PTHREAD_MUTEX_INITIALIZER,
	   .changed = PTHREAD_COND_INITIALIZER };

static int watch(void *arg, enum backend_mem_op op, const char *name)
{
	(void)arg;
	bool list = op == BACKEND_MEM_LIST;

	if (!list && (op != BACKEND_MEM_GET || strncmp(name, "pack/", 5) != 0))
		return 0;
	pthread_mutex_lock(&gate.lock);
	if (list && !gate.lists) {
		pthread_mutex_unlock(&gate.lock);
		return 0;
	}
	gate.waiting++;
	pthread_cond_broadcast(&gate.changed);
	while (gate.closed && gate.passes == 0)
		pthread_cond_wait(&gate.changed, &gate.lock);
	if (gate.closed)
		gate.passes--;
	gate.waiting--;
	gate.passed++;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
	return 0;
}

static void set_gate(bool closed)
{
	pthread_mutex_lock(&gate.lock);
	gate.closed = closed;
	gate.lists = false;
	gate.passes = 0;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

/* Let one through, and await that it is. */
static void pass_one(void)
{
	unsigned int before;

	pthread_mutex_lock(&gate.lock);
	before = gate.passed;
	gate.passes = 1;
	pthread_cond_broadcast(&gate.changed);
	while (gate.passed == before)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

static void await_held_up(unsigned int n)
{
	pthread_mutex_lock(&gate.lock);
	while (gate.waiting < n)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

/* ---- a vault of files whose attributes are in chunks of their own ---- */

static void put_file(int i)
{
	AUTO_BUF struct buf list = BUF_INIT, store = BUF_INIT;
	struct entry e;
	uint8_t value[BIG];
	char name[16];

	snprintf(name, sizeof(name), "f%02d", i);
	support_fill((uint64_t)i, value, sizeof(value));
	e = plant_entry(&plant, name, S_IFREG | 0644);
	plant_content(&plant, &e, value, sizeof(value), &store);
	buf_put_varint(&list, 1);
	xattrs_put(&list, "user.a", value, sizeof(value));
	assert_ok(buf_error(&list));
	e.flags = ENTRY_XATTRS_CHUNK;
	e.xattrs_len = (uint32_t)list.len;
	assert_ok(writer_chunk(plant.writer, CHUNK_XATTRS, list.data, list.len,
			       &e.xattrs_id));
	plant_put(&plant, "", &e);
}

static void make_vault(void)
{
	int i;

	plant_init(&plant, 16 << 20);
	plant_begin(&plant);
	for (i = 0; i < FILES; i++)
		put_file(i);
	plant_commit(&plant, "web1", TIME, NULL);
	backend_mem_watch(plant.backend, watch, NULL);
	assert_ok(view_new(plant.vault, &view));
}

static void start(int64_t deadline_ns)
{
	struct mount_config c = { .fsname = "test,with\\signs",
				  .root = VIEW_ROOT,
				  .deadline_ns = deadline_ns };

	assert_ok(mount_start(view, dir, &c, &mount_));
}

/* A test that hangs ends, and leaves no mount behind. */
static void on_alarm(int sig)
{
	static const char text[] = "test_mount hangs\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)n;
	(void)sig;
	umount2(dir, MNT_FORCE | MNT_DETACH);
	_exit(1);
}

static int setup(void **state)
{
	(void)state;
	if (access("/dev/fuse", R_OK | W_OK) < 0)
		return 0;
	signal(SIGALRM, on_alarm);
	alarm(WATCHDOG);
	if (asprintf(&dir, "%s/m", support_tmpdir()) < 0)
		return -1;
	mkdir(dir, 0755);
	make_vault();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (!dir)
		return 0;
	set_gate(false);
	if (!mount_free(mount_))
		return -1;
	if (mount_is_dead(dir) && mount_detach(dir, true) < 0)
		return -1;
	mount_ = NULL;
	view_free(view);
	plant_release(&plant);
	free(dir);
	dir = NULL;
	alarm(0);
	return 0;
}

#define NEEDS_FUSE()                                                           \
	do {                                                                   \
		if (!dir)                                                      \
			skip();                                                \
	} while (0)

/* ---- clients ---- */

static const char *path_of(int i)
{
	return support_path("%s/vms/web1/%s/files/f%02d", dir, TIME, i);
}

/* What a client does with @path: 0 or an errno. It is a fork of a process that
 * has threads, so it may not allocate memory. */
typedef int client_fn(const char *path);

static int get_xattr(const char *path)
{
	static char value[BIG + 1];

	return getxattr(path, "user.a", value, sizeof(value)) == BIG ? 0
								     : errno;
}

static int read_file(const char *path, int flags)
{
	static _Alignas(4096) char data[8192];
	int fd = open(path, O_RDONLY | flags);

	if (fd < 0)
		return errno;
	return read(fd, data, sizeof(data)) == BIG ? 0 : errno;
}

static int read_cached(const char *path)
{
	return read_file(path, 0);
}

static int read_direct(const char *path)
{
	return read_file(path, O_DIRECT);
}

static int list_dir(const char *path)
{
	static char data[65536];
	int fd = open(path, O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		return errno;
	return syscall(SYS_getdents64, fd, data, sizeof(data)) > 0 ? 0 : EIO;
}

static pid_t client_at(client_fn *fn, const char *path)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		/* Above all the FUSE device: a client that has it open keeps
		 * alive the connection that it waits for. */
		close_range(3, ~0u, 0);
		signal(SIGINT, SIG_DFL);
		_exit(fn(path));
	}
	return pid;
}

static pid_t client(client_fn *fn, int i)
{
	return client_at(fn, path_of(i));
}

static int status_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void look_at_all(void)
{
	struct stat st;
	int i;

	for (i = 0; i < FILES; i++)
		assert_int_equal(stat(path_of(i), &st), 0);
}

/* ---- cases ---- */

static void serves(void **state)
{
	(void)state;
	NEEDS_FUSE();
	start(0);
	assert_int_equal(status_of(client(get_xattr, 1)), 0);
	assert_int_equal(status_of(client(read_cached, 1)), 0);
	assert_int_equal(status_of(client(read_direct, 1)), 0);
}

static void interrupt_one(client_fn *fn, int i)
{
	pid_t pid;

	look_at_all();
	set_gate(true);
	pid = client(fn, i);
	await_held_up(1);
	kill(pid, SIGINT);
	/* The gate is still closed. */
	assert_int_equal(status_of(pid), -SIGINT);
	set_gate(false);
	assert_int_equal(status_of(client(fn, i)), 0);
}

static void an_interrupted_request_is_answered_at_once(void **state)
{
	(void)state;
	NEEDS_FUSE();
	start(0);
	interrupt_one(get_xattr, 2);
	interrupt_one(read_direct, 3);
	interrupt_one(read_cached, 4);
}

static void others_are_served_while_one_is_held_up(void **state)
{
	pid_t pid;
	struct stat st;

	(void)state;
	NEEDS_FUSE();
	start(0);
	look_at_all();
	set_gate(true);
	pid = client(read_direct, 6);
	await_held_up(1);
	assert_int_equal(stat(support_path("%s/vms/nobody", dir), &st), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(status_of(client_at(
				 list_dir, support_path("%s/vms/web1/%s/files",
							dir, TIME))),
			 0);
	set_gate(false);
	assert_int_equal(status_of(pid), 0);
}

static void interrupts_are_heard_when_all_threads_are_held_up(void **state)
{
	pid_t pids[FILES];
	int i;

	(void)state;
	NEEDS_FUSE();
	start(0);
	look_at_all();
	set_gate(true);
	for (i = 0; i < FILES; i++)
		pids[i] = client(i % 2 ? get_xattr : read_direct, i);
	await_held_up(15); /* all but the one that listens */
	for (i = 0; i < FILES - 5; i++)
		kill(pids[i], SIGINT);
	for (i = 0; i < FILES - 5; i++)
		assert_int_equal(status_of(pids[i]), -SIGINT);
	/* The rest get what they wait for, put aside or not. */
	set_gate(false);
	for (; i < FILES; i++)
		assert_int_equal(status_of(pids[i]), 0);
}

static void requests_have_a_deadline(void **state)
{
	pid_t pid;

	(void)state;
	NEEDS_FUSE();
	start(200000000);
	look_at_all();
	set_gate(true);
	pid = client(get_xattr, 7);
	assert_int_equal(status_of(pid), EIO);
	set_gate(false);
	assert_int_equal(status_of(client(get_xattr, 7)), 0);
}

/* Let a client do more, that has no handler of its own, in a process that has one
 * for SIGUSR1. */
static void on_usr1(int sig)
{
	(void)sig;
}

static int stat_with_handler(const char *path)
{
	struct sigaction a = { .sa_handler = on_usr1, .sa_flags = SA_RESTART };
	static char value[BIG + 1];

	sigaction(SIGUSR1, &a, NULL);
	return getxattr(path, "user.a", value, sizeof(value)) == BIG ? 0
								     : errno;
}

/* The client waits in this system call. */
static void await_syscall(pid_t pid, long number)
{
	char line[256];
	long now = -1;

	while (now != number) {
		FILE *f =
			fopen(support_path("/proc/%d/syscall", (int)pid), "r");

		assert_non_null(f);
		if (fgets(line, sizeof(line), f) &&
		    sscanf(line, "%ld", &now) != 1)
			now = -1; /* it runs */
		fclose(f);
	}
}

/* The client sleeps so that signals do not wake it: the kernel has told the
 * daemon of the first one. */
static void await_uninterruptible(pid_t pid)
{
	char line[256], state = 0;

	while (state != 'D') {
		FILE *f = fopen(support_path("/proc/%d/stat", (int)pid), "r");

		assert_non_null(f);
		assert_non_null(fgets(line, sizeof(line), f));
		fclose(f);
		state = strrchr(line, ')')[2];
		assert_true(state != 'Z');
	}
}

static void a_signal_with_a_handler_ends_no_request(void **state)
{
	pid_t pid;

	(void)state;
	NEEDS_FUSE();
	start(0);
	look_at_all();
	set_gate(true);
	pid = client(stat_with_handler, 11);
	await_held_up(1);
	kill(pid, SIGUSR1);
	await_uninterruptible(pid);
	/* An interrupt that is answered is answered before this. */
	assert_int_equal(status_of(client_at(list_dir, dir)), 0);
	set_gate(false);
	assert_int_equal(status_of(pid), 0);
	/* But where it takes long, whoever pressed Ctrl-C gets to know. */
	set_gate(true);
	pid = client(stat_with_handler, 12);
	await_held_up(1);
	kill(pid, SIGUSR1);
	assert_int_equal(status_of(pid), EINTR);
	set_gate(false);
}

/* A request that was interrupted when no thread could serve it is so still when
 * one has it in hand. */
static void an_interrupt_is_not_forgotten(void **state)
{
	pid_t pids[15], pid;
	size_t i;

	(void)state;
	NEEDS_FUSE();
	start(0);
	look_at_all();
	set_gate(true);
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		pids[i] = client(get_xattr, (int)i);
	await_held_up(ARRAY_SIZE(pids)); /* all but the one that listens */
	pid = client(stat_with_handler, FILES - 1);
	await_syscall(pid, SYS_getxattr);
	kill(pid, SIGUSR1);
	await_uninterruptible(pid);
	assert_int_equal(status_of(client_at(list_dir, dir)), 0);
	pass_one();
	await_held_up(ARRAY_SIZE(pids)); /* with the one put aside */
	assert_int_equal(status_of(pid), EINTR);
	set_gate(false);
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		assert_int_equal(status_of(pids[i]), 0);
}

static void the_deadline_holds_for_any_number_of_requests(void **state)
{
	const char *point =
		support_path("%s/vms/web1/%s/point.json", dir, TIME);
	struct stat st;
	pid_t pids[FILES];
	char text[8192];
	int i, fd;

	(void)state;
	NEEDS_FUSE();
	start(1000000000);
	look_at_all();
	set_gate(true);
	gate.lists = true;
	for (i = 0; i < FILES; i++)
		pids[i] = client(i % 2 ? get_xattr : read_direct, i);
	await_held_up(15);
	/* What is in memory is shown meanwhile; nothing asks for new points. */
	assert_int_equal(stat(point, &st), 0);
	assert_int_equal(status_of(client_at(list_dir,
					     support_path("%s/vms/web1", dir))),
			 0);
	fd = open(support_path("%s/.vmbackupfs/stats", dir), O_RDONLY);
	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof(text)) > 0);
	close(fd);
	for (i = 0; i < FILES; i++)
		assert_int_equal(status_of(pids[i]), EIO);
	set_gate(false);
	for (i = 0; i < FILES; i++)
		assert_int_equal(status_of(client(get_xattr, i)), 0);
}

static void unmounts_while_readers_are_held_up(void **state)
{
	struct stat up, top;
	pid_t pids[2];
	int r;

	(void)state;
	NEEDS_FUSE();
	start(0);
	look_at_all();
	set_gate(true);
	pids[0] = client(get_xattr, 8);
	pids[1] = client(read_cached, 9);
	await_held_up(2);
	assert_false(mount_free(mount_));
	r = status_of(pids[0]);
	assert_true(r == ECONNABORTED || r == ENOTCONN);
	assert_int_not_equal(status_of(pids[1]), 0);
	/* Nothing is mounted any more. */
	assert_int_equal(stat(dir, &top), 0);
	assert_int_equal(stat(support_tmpdir(), &up), 0);
	assert_int_equal(top.st_dev, up.st_dev);
}

static void ends_when_it_is_unmounted(void **state)
{
	struct stat st;
	uint64_t n;

	(void)state;
	NEEDS_FUSE();
	start(0);
	assert_int_equal(read(mount_fd(mount_), &n, sizeof(n)), -1);
	assert_ok(mount_detach(dir, false));
	while (read(mount_fd(mount_), &n, sizeof(n)) < 0)
		assert_int_equal(errno, EAGAIN);
	assert_int_equal(stat(support_path("%s/vms", dir), &st), -1);
}

static void is_busy_while_in_use(void **state)
{
	int fd;

	(void)state;
	NEEDS_FUSE();
	start(0);
	fd = open(path_of(1), O_RDONLY);
	assert_true(fd >= 0);
	if (geteuid() == 0)
		assert_result(mount_detach(dir, false), -EBUSY);
	else
		assert_true(mount_detach(dir, false) < 0);
	assert_ok(mount_detach(dir, true));
	close(fd);
}

/* In a process that is killed. */
static void die_with_a_mount(void)
{
	struct mount_config c = { .fsname = "dead", .root = VIEW_ROOT };
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (mount_start(view, dir, &c, &mount_) < 0)
			_exit(1);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static void a_dead_mount_is_an_error_and_cleaned_by_the_next(void **state)
{
	struct stat st;

	(void)state;
	NEEDS_FUSE();
	die_with_a_mount();
	assert_true(mount_is_dead(dir));
	/* As soon as the kernel asks. */
	while (stat(dir, &st) == 0)
		;
	assert_int_equal(errno, ENOTCONN);
	assert_null(opendir(dir));
	support_log_capture();
	start(0);
	assert_said("dead");
	assert_false(mount_is_dead(dir));
	assert_int_equal(status_of(client(get_xattr, 1)), 0);
}

static void refuses_what_is_no_mountpoint(void **state)
{
	struct mount_config c = { .fsname = "x", .root = VIEW_ROOT };
	char *missing, *file;

	(void)state;
	NEEDS_FUSE();
	support_log_capture();
	assert_true(asprintf(&missing, "%s/none", support_tmpdir()) > 0);
	assert_result(mount_start(view, missing, &c, &mount_), -ENOENT);
	assert_said("none");
	assert_true(asprintf(&file, "%s/file", support_tmpdir()) > 0);
	support_write(file, "x", 1);
	assert_result(mount_start(view, file, &c, &mount_), -ENOTDIR);
	free(missing);
	free(file);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(serves),
		T(an_interrupted_request_is_answered_at_once),
		T(others_are_served_while_one_is_held_up),
		T(interrupts_are_heard_when_all_threads_are_held_up),
		T(requests_have_a_deadline),
		T(the_deadline_holds_for_any_number_of_requests),
		T(a_signal_with_a_handler_ends_no_request),
		T(an_interrupt_is_not_forgotten),
		T(unmounts_while_readers_are_held_up),
		T(ends_when_it_is_unmounted),
		T(is_busy_while_in_use),
		T(a_dead_mount_is_an_error_and_cleaned_by_the_next),
		T(refuses_what_is_no_mountpoint),
	};

	support_own_namespace();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
