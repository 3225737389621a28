/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What all kinds of files that a disk is written to share. */
#include "config.h"

#include "src/disk/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/base/log.h"
#include "store/base/seam.h"

int disk_target_allowed(const struct disk_target_options *o, bool there)
{
	if (o->dry_run && !o->delta)
		return fail(-EINVAL, "--dry-run of a disk compares: say --delta"
				     " too");
	if (o->dry_run && !there)
		return fail(-ENOENT, "%s: there is nothing to compare with",
			    o->to);
	if (there && !o->delta && !o->force)
		return fail(-EEXIST,
			    "%s: it is there: say --delta to bring it"
			    " to the point's state, --overwrite=always to"
			    " replace it",
			    o->to);
	return 0;
}

/* The folder that a name stands in, durable. */
static int sync_folder(struct seam *s, const char *path)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *dir = NULL;
	int fd, r, c;

	dir = slash ? strndup(path, MAX((size_t)(slash - path), (size_t)1))
		    : strdup(".");
	if (!dir)
		return -ENOMEM;
	fd = s->ops->openat(s, AT_FDCWD, dir,
			    O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	r = s->ops->fsync(s, fd);
	c = s->ops->close(s, fd);
	return r < 0 ? r : c;
}

int disk_target_place(struct seam *s, const char *partial, const char *to,
		      bool replace)
{
	int r;

	if (replace) {
		r = s->ops->renameat(s, AT_FDCWD, partial, AT_FDCWD, to);
	} else {
		/* link, not rename: what came meanwhile is not replaced */
		r = s->ops->linkat(s, AT_FDCWD, partial, AT_FDCWD, to, 0);
		if (r == 0)
			r = s->ops->unlinkat(s, AT_FDCWD, partial, 0);
		else if (r == -EPERM || r == -EOPNOTSUPP)
			r = s->ops->renameat(s, AT_FDCWD, partial, AT_FDCWD,
					     to);
	}
	return r < 0 ? r : sync_folder(s, to);
}
