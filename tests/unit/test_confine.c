/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a confined process may do: its own files, and nothing else. */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/disk/confine.h"

static const char *dir;

static const char *file(const char *name)
{
	if (!dir)
		dir = support_tmpdir_fast();
	return support_path("%s/%s", dir, name);
}

static int open_errno(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? errno : 0;
}

struct paths {
	char read[200], write[200], other[200], new[200];
};

/* In a child: the number of the first thing that is not as it should be, or 0. */
static int try_all(const struct confinement *c, const struct paths *p,
		   int given)
{
	char by_fd[64];

	(void)snprintf(by_fd, sizeof(by_fd), "/proc/self/fd/%d", given);
	if (confinement_enter(c) < 0)
		return 1;
	if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || errno != EACCES)
		return 2;
	if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EACCES)
		return 3;
	if (c->ruleset < 0)
		return 0;
	if (open_errno(p->read, O_RDONLY) != 0 ||
	    open_errno(by_fd, O_RDONLY) != 0)
		return 4;
	if (open_errno(p->read, O_RDWR) != EACCES)
		return 5;
	if (open_errno(p->write, O_RDWR) != 0)
		return 6;
	if (open_errno(p->other, O_RDONLY) != EACCES ||
	    open_errno("/etc/passwd", O_RDONLY) != EACCES ||
	    open_errno("/proc/self/status", O_RDONLY) != EACCES)
		return 7;
	if (open(p->new, O_CREAT | O_WRONLY | O_CLOEXEC, 0600) >= 0)
		return 8;
	return open_errno("/usr", O_RDONLY | O_DIRECTORY) == 0 ? 0 : 9;
}

static void confines(void **state)
{
	struct confinement c;
	struct confine_file files[2];
	struct paths p;
	int status = 0;
	pid_t pid;

	(void)state;
	(void)snprintf(p.read, sizeof(p.read), "%s", file("read"));
	(void)snprintf(p.write, sizeof(p.write), "%s", file("write"));
	(void)snprintf(p.other, sizeof(p.other), "%s", file("other"));
	(void)snprintf(p.new, sizeof(p.new), "%s", file("new"));
	support_write(p.read, "r", 1);
	support_write(p.write, "w", 1);
	support_write(p.other, "o", 1);
	files[0] = (struct confine_file){ .fd = open(p.read,
						     O_RDONLY | O_CLOEXEC) };
	files[1] = (struct confine_file){
		.fd = open(p.write, O_RDONLY | O_CLOEXEC), .writable = true
	};
	assert_ok(confinement_open("/bin/sh", files, 2, &c));
	assert_int_equal(c.ruleset >= 0, confinement_available());
	pid = fork();
	if (pid == 0)
		_exit(try_all(&c, &p, files[0].fd));
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	confinement_close(&c);
	close(files[0].fd);
	close(files[1].fd);
	/* And who is not confined is as before. */
	assert_int_equal(open_errno(p.other, O_RDWR), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(confines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
