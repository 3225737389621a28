/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What all kinds of files that a disk is written to share. */
#include "config.h"

#include "src/disk/target.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/log.h"
#include "store/base/seam.h"

static void check_range(const struct disk_target *t, uint64_t off, uint64_t len)
{
	assert(off <= t->size && len <= t->size - off);
}

int disk_target_read(struct disk_target *t, uint64_t off, void *out, size_t len)
{
	check_range(t, off, len);
	return t->ops->read(t, off, out, len);
}

int disk_target_write(struct disk_target *t, uint64_t off, const void *data,
		      size_t len)
{
	check_range(t, off, len);
	return t->ops->write(t, off, data, len);
}

int disk_target_zero(struct disk_target *t, uint64_t off, uint64_t len)
{
	check_range(t, off, len);
	return t->ops->zero(t, off, len);
}

int disk_target_data(struct disk_target *t, uint64_t off, uint64_t end,
		     uint64_t *start_out, uint64_t *end_out)
{
	int r;

	assert(off <= end && end <= t->size);
	r = t->ops->data(t, off, end, start_out, end_out);
	/* A range that ends where it begins would be asked for for ever. */
	if (r == 0 &&
	    (*start_out < off || *start_out >= *end_out || *end_out > end))
		return -EPROTO;
	return r;
}

int disk_target_settle(struct disk_target *t)
{
	return t->ops->settle(t);
}

int disk_target_finish(struct disk_target *t)
{
	return t->ops->finish(t);
}

void disk_target_free(struct disk_target *t)
{
	if (t)
		t->ops->free(t);
}

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

/* What the filesystem makes of a new file of ours: some keep no modes, and a
 * server may have another name for us. */
static int stat_new(struct seam *s, const char *beside, struct stat *out)
{
	AUTO_FREE char *path = NULL;
	uint64_t token;
	int fd, r = s->ops->random(s, &token, sizeof(token));

	if (r < 0)
		return r;
	if (asprintf(&path, "%s-%016llx", beside, (unsigned long long)token) <
	    0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = s->ops->openat(s, AT_FDCWD, path,
			    O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return fd;
	r = fstat(fd, out) < 0 ? -errno : 0;
	(void)s->ops->close(s, fd);
	(void)s->ops->unlinkat(s, AT_FDCWD, path, 0);
	return r;
}

int disk_target_is_ours(struct seam *s, int fd, const char *path)
{
	struct stat st, ours;
	int r;

	if (fstat(fd, &st) < 0)
		return fail(-errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(-EEXIST, "%s: it is no file: remove it", path);
	r = stat_new(s, path, &ours);
	if (r < 0)
		return fail(r, "%s: no file can be made beside it: %s", path,
			    strerror(-r));
	if (st.st_nlink == 1 && st.st_uid == ours.st_uid &&
	    st.st_mode == ours.st_mode)
		return 0;
	return fail(-EEXIST,
		    "%s: it is not what an earlier run of yours left: its"
		    " owner, its mode or a second name of it say that others"
		    " may get at it; remove it to begin anew",
		    path);
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
