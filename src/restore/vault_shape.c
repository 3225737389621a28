/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether a directory is a vault, of whomever: no vault is ever the leftover of
 * something else. One that has lost a part is all that is left of its points,
 * so that less than the whole shape must do.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/restore/internal.h"
#include "store/format.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
#define ABOVE_MAX 4096
#define OBJECTS_MAX 3 /* that are looked at */

/* Does the regular file @name begin as every object of a vault does? */
static bool is_object(int dirfd, const char *name)
{
	AUTO_CLOSE int fd = openat(dirfd, name,
				   O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
					   O_NOCTTY | O_CLOEXEC);
	char head[FORMAT_HEADER_LEN];
	struct stat st;

	/* The magic alone may be the first word of a text. */
	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
	       memcmp(head, FORMAT_MAGIC, strlen(FORMAT_MAGIC)) == 0 &&
	       head[11] == 0;
}

/* Packs lie in directories named by the first two digits of a hash, which are
 * made when they are needed. Is there one, and nothing else? */
static bool holds_packs(int dirfd, const char *name)
{
	AUTO_CLOSE int fd = openat(dirfd, name, DIR_FLAGS);
	struct dir_list list = { .n = 0 };
	bool all;
	size_t i;

	if (fd < 0)
		return false;
	all = dir_list_read(&list, fd) == 0 && list.n > 0;
	for (i = 0; i < list.n && all; i++)
		all = list.names[i].len == 2 &&
		      strspn(list.text + list.names[i].off,
			     "0123456789abcdef") == 2 &&
		      (list.names[i].type == DT_DIR ||
		       list.names[i].type == DT_UNKNOWN);
	dir_list_release(&list);
	return all;
}

bool dir_is_vault(int fd)
{
	static const char *const parts[] = { "config", "pack", "point",
					     "commit" };
	bool has[4];
	struct stat st;
	size_t i, n = 0;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		has[i] = fstatat(fd, parts[i], &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			 (i == 0 ? S_ISREG(st.st_mode) : S_ISDIR(st.st_mode));
		n += has[i];
	}
	return n >= 2 || (has[0] && is_object(fd, parts[0])) ||
	       (has[1] && holds_packs(fd, parts[1]));
}

bool dir_holds_objects(int fd, const struct dir_list *list)
{
	unsigned int looked = 0;
	size_t i;

	for (i = 0; i < list->n && looked < OBJECTS_MAX; i++) {
		if (list->names[i].type != DT_REG &&
		    list->names[i].type != DT_UNKNOWN)
			continue;
		if (is_object(fd, list->text + list->names[i].off))
			return true;
		looked++;
	}
	return false;
}

bool dir_lies_in_vault(int fd)
{
	AUTO_CLOSE int at = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st, above;
	int i, up;

	if (fstat(fd, &st) < 0)
		return false;
	for (i = 0; at >= 0 && i < ABOVE_MAX; i++) {
		if (fstat(at, &above) < 0 ||
		    (above.st_ino == st.st_ino && above.st_dev == st.st_dev))
			return false;
		if (dir_is_vault(at))
			return true;
		st = above;
		up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		close(at);
		at = up;
	}
	return false;
}
