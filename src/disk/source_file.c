/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Raw files, whose holes SEEK_DATA finds, and block devices. */
#include "config.h"

#include "src/disk/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/fs.h>

#include "store/base/log.h"

#define SECTOR 512

struct file {
	struct disk_source s; /* must come first */
	int fd;
	bool device;
	bool seekable; /* SEEK_DATA works */
	struct stat st; /* when it was opened */
};

static struct file *file_of(struct disk_source *s)
{
	return container_of(s, struct file, s);
}

static int file_extent(struct disk_source *s, uint64_t off,
		       struct disk_extent *out)
{
	struct file *f = file_of(s);
	off_t data, hole;

	*out = (struct disk_extent){ .off = off, .len = s->size - off };
	if (!f->seekable)
		return 0;
	data = lseek(f->fd, (off_t)off, SEEK_DATA);
	if (data < 0 && errno == ENXIO) {
		out->state = DISK_HOLE; /* to the end */
		return 0;
	}
	if (data < 0)
		return fail(-errno,
			    "disk %s: cannot find the data of %s "
			    "behind byte %llu: %s",
			    s->name, s->source, (unsigned long long)off,
			    strerror(errno));
	if ((uint64_t)data > off) {
		out->state = DISK_HOLE;
		out->len = (uint64_t)data - off;
		return 0;
	}
	hole = lseek(f->fd, (off_t)off, SEEK_HOLE);
	if (hole > data)
		out->len = (uint64_t)hole - off;
	return 0; /* else it shrank: reading meets it */
}

static int file_read(struct disk_source *s, uint64_t off, void *out, size_t len)
{
	struct file *f = file_of(s);
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(f->fd, (char *)out + done, len - done,
				  (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(-EIO,
				    "disk %s: cannot read %s at byte "
				    "%llu: %s",
				    s->name, s->source,
				    (unsigned long long)(off + done),
				    strerror(errno));
		if (n == 0)
			return fail(-EIO,
				    "disk %s: %s ends at byte %llu: it "
				    "became shorter while it was read",
				    s->name, s->source,
				    (unsigned long long)(off + done));
		done += (size_t)n;
	}
	return 0;
}

static void file_prefetch(struct disk_source *s, uint64_t off, size_t len)
{
	struct file *f = file_of(s);
	char last;
	struct iovec v = { &last, 1 };

	/* To look for each page is dear where all are there already. */
	if (preadv2(f->fd, &v, 1, (off_t)(off + len - 1), RWF_NOWAIT) != 1)
		(void)posix_fadvise(f->fd, (off_t)off, (off_t)len,
				    POSIX_FADV_WILLNEED);
}

static int device_size(int fd, uint64_t *size)
{
	return ioctl(fd, BLKGETSIZE64, size) < 0 ? -errno : 0;
}

static int file_finish(struct disk_source *s)
{
	struct file *f = file_of(s);
	uint64_t size = 0;
	struct stat st;
	int r = 0;

	if (fstat(f->fd, &st) < 0)
		return fail(-EIO, "disk %s: cannot examine %s: %s", s->name,
			    s->source, strerror(errno));
	size = (uint64_t)st.st_size;
	if (f->device)
		r = device_size(f->fd, &size);
	if (r < 0 || size != s->size)
		return fail(-EIO,
			    "disk %s: %s had %llu bytes and now has "
			    "%llu: it changed while it was read",
			    s->name, s->source, (unsigned long long)s->size,
			    (unsigned long long)size);
	if (f->device || (st.st_mtim.tv_sec == f->st.st_mtim.tv_sec &&
			  st.st_mtim.tv_nsec == f->st.st_mtim.tv_nsec))
		return 0;
	(void)fail(-EAGAIN,
		   "disk %s: %s was written to while it was read: "
		   "the point holds no single moment of it",
		   s->name, s->source);
	return 1;
}

static void file_close(struct disk_source *s)
{
	struct file *f = file_of(s);

	if (f->fd >= 0)
		close(f->fd);
	free(s->source);
	free(f);
}

static const struct disk_source_ops file_ops = {
	.extent = file_extent,
	.read = file_read,
	.prefetch = file_prefetch,
	.finish = file_finish,
	.close = file_close,
};

static int examine(struct file *f, const struct disk_source_options *o,
		   const char *path)
{
	int sector = 0;

	if (fstat(f->fd, &f->st) < 0)
		return fail(-errno, "disk %s: cannot examine %s: %s", o->name,
			    path, strerror(errno));
	if (S_ISREG(f->st.st_mode)) {
		f->s.size = (uint64_t)f->st.st_size;
		f->seekable = lseek(f->fd, 0, SEEK_HOLE) >= 0;
		return 0;
	}
	f->device = true;
	if (device_size(f->fd, &f->s.size) < 0)
		return fail(-EIO, "disk %s: cannot ask for the size of %s: %s",
			    o->name, path, strerror(errno));
	if (ioctl(f->fd, BLKSSZGET, &sector) == 0 && sector >= SECTOR &&
	    sector <= 65536 && (sector & (sector - 1)) == 0)
		f->s.sector = (uint32_t)sector;
	return 0;
}

int disk_source_file(const struct disk_source_options *o, int fd,
		     const char *path, struct disk_source **out)
{
	struct file *f = calloc(1, sizeof(*f));
	int r;

	*out = NULL;
	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	f->fd = fd;
	f->s = (struct disk_source){
		.ops = &file_ops,
		.name = o->name,
		.source = strdup(path),
		.format = "raw",
		.sector = SECTOR,
		.granule = SECTOR,
	};
	r = f->s.source ? examine(f, o, path) : -ENOMEM;
	if (r < 0) {
		file_close(&f->s);
		return r;
	}
	if (o->bitmap)
		log_warn("disk %s: a raw source has no bitmap \"%s\": all of "
			 "it is read",
			 o->name, o->bitmap);
	*out = &f->s;
	return 0;
}
