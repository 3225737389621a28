/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What all kinds of files that a disk is written to share. */
#include "config.h"

#include "src/disk/target.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
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
