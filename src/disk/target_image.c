/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Images of other formats: qemu-img makes them, a qemu-nbd of our own writes
 * them. As a raw file, a new one stands under another name until it is whole,
 * and what an earlier run left under it is compared and gone on with.
 */
#include "config.h"

#include "src/disk/target.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/disk/chain.h"
#include "src/disk/device.h"
#include "src/disk/format.h"
#include "src/disk/in_use.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/base/seam.h"

struct image_target {
	struct disk_target target;
	struct seam *seam;
	const struct image_format *format;
	struct disk_device *image; /* owned */
	pthread_mutex_t lock; /* one asks about allocation at a time */
	uint64_t size; /* of the image */
	bool replace;
	char *to; /* owned; NULL: written in place */
	char *partial; /* owned */
};

static struct image_target *target_of(struct disk_target *t)
{
	return container_of(t, struct image_target, target);
}

static int image_read(struct disk_target *t, uint64_t off, void *out,
		      size_t len)
{
	return disk_device_read(target_of(t)->image, off, out, len);
}

static int image_write(struct disk_target *t, uint64_t off, const void *data,
		       size_t len)
{
	return disk_device_write(target_of(t)->image, off, data, len);
}

static int image_zero(struct disk_target *t, uint64_t off, uint64_t len)
{
	return disk_device_zero(target_of(t)->image, off, len);
}

static int image_data(struct disk_target *t, uint64_t off, uint64_t end,
		      uint64_t *start_out, uint64_t *end_out)
{
	struct image_target *f = target_of(t);

	SCOPED_LOCK(&f->lock);
	return disk_device_data(f->image, off, end, start_out, end_out);
}

static int image_settle(struct disk_target *t)
{
	return disk_device_flush(target_of(t)->image);
}

static int sync_file(struct seam *s, const char *path)
{
	int fd = s->ops->openat(s, AT_FDCWD, path,
				O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0);
	int r, c;

	if (fd < 0)
		return fd;
	r = s->ops->fsync(s, fd);
	c = s->ops->close(s, fd);
	return r < 0 ? r : c;
}

static int image_finish(struct disk_target *t)
{
	struct image_target *f = target_of(t);
	int r = image_settle(t);

	/* Closed by who wrote it, before it gets its name. */
	disk_device_close(f->image);
	f->image = NULL;
	if (r == 0)
		r = sync_file(f->seam, f->partial ? f->partial : t->name);
	if (r == 0 && f->partial)
		r = disk_target_place(f->seam, f->partial, f->to, f->replace);
	return r;
}

static void image_free(struct disk_target *t)
{
	struct image_target *f = target_of(t);

	if (!f)
		return;
	disk_device_close(f->image);
	pthread_mutex_destroy(&f->lock);
	free(f->to);
	free(f->partial);
	free(f);
}

static const struct disk_target_ops image_ops = {
	.read = image_read,
	.write = image_write,
	.zero = image_zero,
	.data = image_data,
	.settle = image_settle,
	.finish = image_finish,
	.free = image_free,
};

/* ---- opening ---- */

/* What is there may refer to files beside it, which are only read. */
static int open_image(struct image_target *f,
		      const struct disk_target_options *o, const char *path,
		      int fd)
{
	struct disk_device_options device = {
		.name = o->disk,
		.source = path,
		.threads = o->threads,
		.stop = o->stop,
	};
	struct image_policy policy = { .disk = o->disk };
	int r;

	r = disk_device_open_image(&device, fd, f->format, &policy, !o->dry_run,
				   &f->image);
	if (r < 0)
		return r;
	if (f->image->size < o->size)
		return fail(-ENOSPC,
			    "%s: the image is of %llu bytes, and the"
			    " disk of %llu: remove the image, or make it"
			    " larger (qemu-img resize)",
			    path, (unsigned long long)f->image->size,
			    (unsigned long long)o->size);
	if (f->image->size > o->size)
		log_warn("%s: the image is of %llu bytes, and the disk of %llu:"
			 " what is behind is left as it is",
			 path, (unsigned long long)f->image->size,
			 (unsigned long long)o->size);
	return 0;
}

static int open_there(struct image_target *f,
		      const struct disk_target_options *o)
{
	AUTO_CLOSE int fd = open(o->to, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return fail(-errno, "%s: cannot be opened: %s", o->to,
			    strerror(errno));
	return open_image(f, o, o->to, fd);
}

static int open_partial(struct image_target *f,
			const struct disk_target_options *o)
{
	AUTO_CLOSE int fd = open(f->partial, O_RDONLY | O_NOFOLLOW |
						     O_NONBLOCK | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return fail(-errno, "%s: cannot be opened: %s", f->partial,
			    strerror(errno));
	if (!f->target.fresh)
		r = disk_target_is_ours(f->seam, fd, f->partial);
	return r < 0 ? r : open_image(f, o, f->partial, fd);
}

static int open_new(struct image_target *f, const struct disk_target_options *o,
		    bool *resumed_out)
{
	struct stat st;
	int r;

	f->to = strdup(o->to);
	if (!f->to ||
	    asprintf(&f->partial, "%s" DISK_TARGET_PARTIAL, o->to) < 0) {
		f->partial = NULL;
		return -ENOMEM;
	}
	*resumed_out = lstat(f->partial, &st) == 0;
	if (!*resumed_out) {
		r = disk_image_create(f->seam, f->partial, f->format, o->size);
		if (r < 0)
			return r;
		f->target.fresh = true;
	}
	r = open_partial(f, o);
	if (r < 0 && f->target.fresh)
		(void)unlink(f->partial);
	else if (r < 0 && r != -EINTR && r != -EEXIST)
		log_warn("remove %s to begin anew", f->partial);
	return r;
}

static int open_target(struct image_target *f,
		       const struct disk_target_options *o, bool *resumed_out)
{
	struct stat st;
	bool there = stat(o->to, &st) == 0;
	int r;

	if (!there && errno != ENOENT)
		return fail(-errno, "%s: %s", o->to, strerror(errno));
	if (there && !S_ISREG(st.st_mode))
		return fail(-EINVAL,
			    "%s: not a file: only files hold images of"
			    " format %s",
			    o->to, o->format);
	r = disk_target_allowed(o, there);
	if (r == 0 && there && !o->dry_run)
		r = disk_in_use_at(o->to);
	if (r < 0)
		return r;
	if (there && o->delta)
		return open_there(f, o);
	f->replace = there;
	return open_new(f, o, resumed_out);
}

int disk_target_image(const struct disk_target_options *o, bool *resumed_out,
		      struct disk_target **out)
{
	struct image_target *f = calloc(1, sizeof(*f));
	int r;

	*out = NULL;
	*resumed_out = false;
	if (!f)
		return -ENOMEM;
	pthread_mutex_init(&f->lock, NULL);
	f->target.ops = &image_ops;
	f->target.name = o->to;
	f->target.size = o->size;
	f->seam = o->seam;
	f->format = image_format_find(o->format, strlen(o->format));
	assert(f->format);
	r = open_target(f, o, resumed_out);
	if (r < 0) {
		image_free(&f->target);
		return r;
	}
	*out = &f->target;
	return 0;
}
