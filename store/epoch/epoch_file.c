/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/epoch/epoch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/log.h"

char *epoch_file_name(const char *state_dir, const char *vault_id)
{
	char *path = NULL;

	if (!state_dir ||
	    asprintf(&path, "%s/%s.epoch", state_dir, vault_id) < 0)
		return NULL;
	return path;
}

uint32_t epoch_file_read(const char *path)
{
	AUTO_CLOSE int fd = -1;
	char text[16];
	ssize_t n;

	if (path)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	return (uint32_t)strtoul(text, NULL, 10);
}

/* mkdir -p of what the file lies in, 0700. */
static int make_dirs(char *path)
{
	char *at = path;

	while ((at = strchr(at + 1, '/'))) {
		*at = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST) {
			*at = '/';
			return -errno;
		}
		*at = '/';
	}
	return 0;
}

/* The number has as many digits each time, and so replaces the one before. */
static int write_number(const char *path, uint32_t epoch)
{
	AUTO_CLOSE int fd =
		open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	char text[16];
	ssize_t len = snprintf(text, sizeof(text), "%010u\n", epoch);

	if (fd < 0 || write(fd, text, (size_t)len) != len || fsync(fd) < 0)
		return errno ? -errno : -EIO;
	return 0;
}

void epoch_file_write(const char *path, uint32_t epoch)
{
	AUTO_FREE char *copy = path ? strdup(path) : NULL;
	int r;

	if (!copy)
		return;
	r = make_dirs(copy);
	if (r == 0)
		r = write_number(path, epoch);
	if (r < 0)
		log_warn("%s: cannot be written (%s): that the vault's keys "
			 "were rotated is not remembered",
			 path, strerror(-r));
}
