/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * qemu takes open file description locks on single bytes of each image, from the
 * 100th on, backing files among them (block/file-posix.c, RAW_LOCK_PERM_BASE);
 * others lock their disks otherwise. Whoever locks any byte uses the file.
 */
#include "config.h"

#include "src/disk/in_use.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/log.h"

static bool is_locked(int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

/* Whether the loop device that @info tells of lies on @wanted. */
static bool is_backing(const char *info, const struct stat *wanted)
{
	FILE *f = fopen(info, "re");
	AUTO_FREE char *path = NULL;
	size_t cap = 0;
	struct stat st;
	ssize_t n;

	if (!f)
		return false;
	n = getline(&path, &cap, f);
	fclose(f);
	if (n <= 0)
		return false;
	if (path[n - 1] == '\n')
		path[n - 1] = '\0';
	return stat(path, &st) == 0 && st.st_ino == wanted->st_ino &&
	       st.st_dev == wanted->st_dev;
}

/* Put the name of a loop device that lies on @wanted into @out, which has
 * @cap bytes. Return whether there is one. */
static bool find_loop(const struct stat *wanted, char *out, size_t cap)
{
	bool found = false;
	glob_t g;
	size_t i;

	if (glob("/sys/block/loop*/loop/backing_file", 0, NULL, &g) != 0)
		return false;
	for (i = 0; i < g.gl_pathc && !found; i++) {
		found = is_backing(g.gl_pathv[i], wanted);
		if (found)
			(void)snprintf(
				out, cap, "/dev/%.*s",
				(int)strcspn(g.gl_pathv[i] +
						     strlen("/sys/block/"),
					     "/"),
				g.gl_pathv[i] + strlen("/sys/block/"));
	}
	globfree(&g);
	return found;
}

int disk_in_use(int fd, const char *path)
{
	struct stat st;
	char loop[32];

	if (is_locked(fd))
		return fail(-EBUSY,
			    "%s: another program has locked it, as qemu does"
			    " while a machine runs (lslocks may say which):"
			    " stop that first",
			    path);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    find_loop(&st, loop, sizeof(loop)))
		return fail(-EBUSY,
			    "%s: %s lies on it (losetup tells): release it"
			    " first",
			    path, loop);
	return 0;
}

int disk_in_use_at(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return fail(-errno, "%s: cannot be opened: %s", path,
			    strerror(errno));
	return disk_in_use(fd, path);
}
