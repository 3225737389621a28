/* SPDX-License-Identifier: GPL-3.0-or-later */
/* New image files, which qemu-img makes. */
#include "config.h"

#include "src/disk/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/base/buf.h"
#include "store/base/log.h"
#include "store/base/text.h"

#define SAID_MAX 500

static int spawn(char *const argv[], int said, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	int r = posix_spawn_file_actions_init(&actions);

	if (r != 0)
		return -r;
	r = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY,
					     0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, said, 1);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, said, 2);
	if (r == 0)
		r = posix_spawnp(pid, argv[0], &actions, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int run(char *const argv[], struct buf *words)
{
	AUTO_CLOSE int said = memfd_create("qemu-img", MFD_CLOEXEC);
	char text[SAID_MAX];
	int status, r;
	ssize_t n;
	pid_t pid;

	if (said < 0)
		return -errno;
	r = spawn(argv, said, &pid);
	if (r < 0)
		return r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	n = pread(said, text, sizeof(text), 0);
	while (n > 0 && text[n - 1] == '\n')
		n--;
	if (n > 0)
		text_put_plain(words, text, (size_t)n);
	return -EIO;
}

int disk_image_create(const char *path, const char *format, uint64_t size)
{
	/* As it is, not as the geometry of a VHD would have it. */
	char *opts = strcmp(format, "vpc") == 0
			     ? (char *)"subformat=dynamic,force_size=on"
			     : (char *)"compat=1.1";
	AUTO_BUF struct buf words = BUF_INIT;
	AUTO_FREE char *name = NULL;
	char bytes[24];
	char *argv[] = { (char *)"qemu-img",
			 (char *)"create",
			 (char *)"-q",
			 (char *)"-f",
			 (char *)format,
			 (char *)"-o",
			 opts,
			 (char *)"--",
			 NULL,
			 bytes,
			 NULL };
	int r;

	/* A name with a colon is no protocol. */
	if (asprintf(&name, "%s%s", path[0] == '/' ? "" : "./", path) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	argv[8] = name;
	snprintf(bytes, sizeof(bytes), "%" PRIu64, size);
	r = run(argv, &words);
	if (r == -ENOENT)
		return fail(r,
			    "%s: images need qemu-img and qemu-nbd, which"
			    " are not installed (Debian's package is"
			    " qemu-utils)",
			    path);
	if (r < 0)
		return fail(r, "%s: the image cannot be made: %s%.*s", path,
			    words.len ? "" : strerror(-r), (int)words.len,
			    (const char *)words.data);
	return 0;
}
