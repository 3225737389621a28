/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What killed writers left. Where a filesystem has no unnamed files (NFS, CIFS)
 * a name that begins with ".tmp-" stands in for one while its object is
 * written, and whoever dies then leaves it, with up to 64 MiB. Nobody else
 * knows whether its writer lives, so only age decides: no put takes a day. Both
 * times are the file server's, for the clocks of its clients may be off.
 */
#include "config.h"

#include "store/backend/dir_internal.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/seam.h"

#define DEAD_S (24 * 60 * 60)
#define DIGITS (2 * DIR_TMP_RANDOM)

/* Is it called as our stand-ins are, and by nobody else's program? */
static bool is_stand_in(const char *leaf)
{
	const char *digits = leaf + strlen(DIR_TMP_PREFIX);

	return strncmp(leaf, DIR_TMP_PREFIX, strlen(DIR_TMP_PREFIX)) == 0 &&
	       strlen(digits) == DIGITS &&
	       strspn(digits, "0123456789abcdef") == DIGITS;
}

static bool is_dead(int folder, const char *leaf, time_t now)
{
	struct stat st;

	return is_stand_in(leaf) &&
	       fstatat(folder, leaf, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode) && st.st_mtime < now - DEAD_S;
}

void dir_sweep(struct backend_dir *d, int folder, int file)
{
	struct seam *s = dir_seam(d);
	struct dirent *e;
	struct stat now;
	DIR *dir;
	int fd;

	if (fstat(file, &now) < 0)
		return;
	fd = openat(folder, ".", O_RDONLY | DIR_FOLDER);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir && fd >= 0)
		close(fd);
	/* One that stays does no harm: it is for the next to sweep. */
	while (dir && (e = readdir(dir)))
		if (is_dead(folder, e->d_name, now.st_mtime) &&
		    s->ops->unlinkat(s, folder, e->d_name, 0) == 0)
			log_info(
				"vault %s: removed %s, which a backup that was killed left",
				d->base.url, e->d_name);
	if (dir)
		closedir(dir);
}
