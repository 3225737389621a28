/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Raw files and block devices. A new file is written under another name, which
 * says that it is not whole; a device is held exclusively, which the kernel
 * refuses while it is mounted or part of something.
 *
 * What is there is written over only where it is a disk: a device, which is
 * given to be that, or a file that has the disk's size and does not look like an
 * image. A text file that was named by mistake stays as it is.
 */
#include "config.h"

#include "src/disk/target.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/disk/chain.h"
#include "src/disk/format.h"
#include "src/disk/in_use.h"
#include "store/base/log.h"
#include "store/base/seam.h"

#define ZEROS (256u << 10)
#define END_LEN (UINT64_C(1) << 20) /* where signatures at a device's end lie */

struct raw {
	struct disk_target target;
	struct seam *seam;
	int fd;
	bool is_device;
	/* Of a device that is larger: what is to be cleared at its end. */
	uint64_t end_off, end_len;
	bool replace; /* a file of that name goes */
	bool dry_run; /* a file that is too short stays so */
	char *to; /* owned; NULL: written in place */
	char *partial; /* owned */
};

static struct raw *raw_of(struct disk_target *t)
{
	return container_of(t, struct raw, target);
}

static int raw_read(struct disk_target *t, uint64_t off, void *out, size_t len)
{
	struct raw *f = raw_of(t);
	uint8_t *p = out;
	ssize_t n;

	for (; len > 0; len -= (size_t)n) {
		n = pread(f->fd, p, len, (off_t)off);
		if (n < 0 && errno == EINTR) {
			n = 0;
			continue;
		}
		if (n == 0 && f->dry_run) {
			memset(p, 0, len);
			return 0;
		}
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		off += (uint64_t)n;
	}
	return 0;
}

static int raw_write(struct disk_target *t, uint64_t off, const void *data,
		     size_t len)
{
	struct raw *f = raw_of(t);

	return seam_pwrite_all(f->seam, f->fd, data, len, (off_t)off);
}

static int raw_zero(struct disk_target *t, uint64_t off, uint64_t len)
{
	static const uint8_t zeros[ZEROS];
	struct raw *f = raw_of(t);
	int r = 0;

	/* On a device this is a write of zeros, or a discard that promises
	 * them; where the target cannot, it is written. */
	if (fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)off, (off_t)len) == 0)
		return 0;
	while (r == 0 && len > 0) {
		size_t n = (size_t)MIN(len, (uint64_t)ZEROS);

		r = raw_write(t, off, zeros, n);
		off += n;
		len -= n;
	}
	return r;
}

static int raw_data(struct disk_target *t, uint64_t off, uint64_t end,
		    uint64_t *start_out, uint64_t *end_out)
{
	struct raw *f = raw_of(t);
	off_t data, hole;

	*start_out = off;
	*end_out = end;
	if (off >= end)
		return -ENXIO;
	data = f->is_device ? -1 : lseek(f->fd, (off_t)off, SEEK_DATA);
	if (data < 0)
		return !f->is_device && errno == ENXIO ? -ENXIO : 0;
	if ((uint64_t)data >= end)
		return -ENXIO;
	hole = lseek(f->fd, data, SEEK_HOLE);
	*start_out = MAX(off, (uint64_t)data);
	if (hole > data)
		*end_out = MIN(end, (uint64_t)hole);
	return 0;
}

static int raw_settle(struct disk_target *t)
{
	struct raw *f = raw_of(t);
	int r = f->seam->ops->fdatasync(f->seam, f->fd);

	if (r == 0)
		(void)posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);
	return r;
}

static int raw_finish(struct disk_target *t)
{
	struct raw *f = raw_of(t);
	int r = f->end_len ? raw_zero(t, f->end_off, f->end_len) : 0;

	if (r == 0)
		r = f->seam->ops->fsync(f->seam, f->fd);
	if (r == 0 && f->partial)
		r = disk_target_place(f->seam, f->partial, f->to, f->replace);
	return r;
}

static void raw_free(struct disk_target *t)
{
	struct raw *f = raw_of(t);

	if (!f)
		return;
	if (f->fd >= 0)
		(void)f->seam->ops->close(f->seam, f->fd);
	free(f->to);
	free(f->partial);
	free(f);
}

static const struct disk_target_ops raw_ops = {
	.read = raw_read,
	.write = raw_write,
	.zero = raw_zero,
	.data = raw_data,
	.settle = raw_settle,
	.finish = raw_finish,
	.free = raw_free,
};

/*
 * A device that is larger than the disk. RAID, ZFS and GPT keep what tells of
 * them at a device's end: what an earlier use left there would be found beside
 * the disk's own, so it goes.
 */
static void plan_end(struct raw *f, const struct disk_target_options *o,
		     uint64_t size)
{
	bool clears = !o->keep_end;

	if (clears) {
		f->end_off = MAX(o->size, size - MIN(size, END_LEN));
		f->end_len = size - f->end_off;
	}
	log_warn("%s: it is %llu bytes larger than the disk: a GPT's backup"
		 " will not be at its end (sgdisk -e moves it there)%s%s",
		 o->to, (unsigned long long)(size - o->size),
		 clears ? "; the last MiB of the device "
			  "behind the disk is cleared, where stale signatures"
			  " lie"
			: "",
		 clears ? " (--keep-end leaves it)" : "");
}

static int open_device(struct raw *f, const struct disk_target_options *o)
{
	uint64_t size = 0;
	int r;

	f->is_device = true;
	f->fd = f->seam->ops->openat(
		f->seam, AT_FDCWD, o->to,
		(o->dry_run ? O_RDONLY : O_RDWR) | O_EXCL | O_CLOEXEC, 0);
	if (f->fd == -EBUSY)
		return fail(-EBUSY,
			    "%s: it is mounted, or in use by something"
			    " else (lsblk says by what): release it first",
			    o->to);
	if (f->fd < 0)
		return fail(f->fd, "%s: cannot be opened: %s", o->to,
			    strerror(-f->fd));
	r = o->dry_run ? 0 : disk_in_use(f->fd, o->to);
	if (r < 0)
		return r;
	if (ioctl(f->fd, BLKGETSIZE64, &size) < 0)
		return fail(-errno, "%s: its size cannot be told: %s", o->to,
			    strerror(errno));
	if (size < o->size)
		return fail(-ENOSPC,
			    "%s: it is of %llu bytes, and the disk of"
			    " %llu: choose a device that is not smaller",
			    o->to, (unsigned long long)size,
			    (unsigned long long)o->size);
	if (size > o->size)
		plan_end(f, o, size);
	return 0;
}

/* An image is not the disk that is in it, and most files are no disk at all. */
static int check_is_disk(const struct raw *f,
			 const struct disk_target_options *o, uint64_t size)
{
	AUTO_FREE uint8_t *buffer = malloc(IMAGE_HEAD_LEN + IMAGE_TAIL_LEN);
	const struct image_format *seen = NULL;
	struct image_bytes b;
	int r = buffer ? image_bytes_read(f->fd, buffer, &b) : -ENOMEM;

	if (r < 0)
		return fail(r, "%s: cannot be read: %s", o->to, strerror(-r));
	if (!o->format)
		seen = image_format_recognise(&b);
	if (seen)
		return fail(-EINVAL,
			    "%s: it looks like %s: say --format, raw where it"
			    " is a raw disk all the same",
			    o->to, seen->title);
	if (size == o->size || o->force)
		return 0;
	return fail(-EINVAL,
		    "%s: it has %llu bytes, and the disk %llu: only a disk of"
		    " that size is written onto; say --overwrite=always where"
		    " it is to become the disk all the same",
		    o->to, (unsigned long long)size,
		    (unsigned long long)o->size);
}

/* Open a file that is there, to be written onto. */
static int open_there(struct raw *f, const struct disk_target_options *o)
{
	struct stat st;
	int r;

	f->fd = f->seam->ops->openat(
		f->seam, AT_FDCWD, o->to,
		(o->dry_run ? O_RDONLY : O_RDWR) | O_CLOEXEC, 0);
	if (f->fd < 0)
		return fail(f->fd, "%s: cannot be opened: %s", o->to,
			    strerror(-f->fd));
	if (fstat(f->fd, &st) < 0)
		return fail(-errno, "%s: %s", o->to, strerror(errno));
	r = check_is_disk(f, o, (uint64_t)st.st_size);
	if (r < 0)
		return r;
	if ((uint64_t)st.st_size == o->size || o->dry_run)
		return 0;
	r = f->seam->ops->ftruncate(f->seam, f->fd, (off_t)o->size);
	return r < 0 ? fail(r, "%s: cannot get the disk's size: %s", o->to,
			    strerror(-r))
		     : 0;
}

/* A new file, or what an earlier run left of one. */
static int open_new(struct raw *f, const struct disk_target_options *o,
		    bool *resumed_out)
{
	struct seam *s = f->seam;
	int r;

	f->to = strdup(o->to);
	if (!f->to ||
	    asprintf(&f->partial, "%s" DISK_TARGET_PARTIAL, o->to) < 0) {
		f->partial = NULL;
		return -ENOMEM;
	}
	f->fd = s->ops->openat(s, AT_FDCWD, f->partial,
			       O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (f->fd == -EEXIST) {
		f->fd = s->ops->openat(
			s, AT_FDCWD, f->partial,
			O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
		*resumed_out = true;
	}
	if (f->fd < 0)
		return fail(f->fd, "%s: cannot be made: %s", f->partial,
			    strerror(-f->fd));
	r = *resumed_out ? disk_target_is_ours(s, f->fd, f->partial) : 0;
	if (r < 0)
		return r;
	if (flock(f->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return fail(-EBUSY, "%s: another restore is writing it",
			    f->partial);
	f->target.fresh = !*resumed_out;
	r = s->ops->ftruncate(s, f->fd, (off_t)o->size);
	return r < 0 ? fail(r, "%s: cannot get the disk's size: %s", f->partial,
			    strerror(-r))
		     : 0;
}

static int open_target(struct raw *f, const struct disk_target_options *o,
		       bool *resumed_out)
{
	struct stat st;
	bool there = stat(o->to, &st) == 0;
	int r;

	if (!there && errno != ENOENT)
		return fail(-errno, "%s: %s", o->to, strerror(errno));
	if (there && S_ISBLK(st.st_mode))
		return open_device(f, o);
	if (there && !S_ISREG(st.st_mode))
		return fail(-EINVAL, "%s: neither a file nor a block device",
			    o->to);
	r = disk_target_allowed(o, there);
	if (r == 0 && there && !o->dry_run)
		r = disk_in_use_at(o->to);
	if (r < 0)
		return r;
	if (o->delta && there)
		return open_there(f, o);
	f->replace = there;
	return open_new(f, o, resumed_out);
}

int disk_target_raw(const struct disk_target_options *o, bool *resumed_out,
		    struct disk_target **out)
{
	struct raw *f = calloc(1, sizeof(*f));
	int r;

	*out = NULL;
	*resumed_out = false;
	if (!f)
		return -ENOMEM;
	f->target.ops = &raw_ops;
	f->target.name = o->to;
	f->target.size = o->size;
	f->seam = o->seam;
	f->dry_run = o->dry_run;
	f->fd = -1;
	r = open_target(f, o, resumed_out);
	if (r < 0) {
		raw_free(&f->target);
		return r;
	}
	*out = &f->target;
	return 0;
}
