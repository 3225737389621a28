/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The counting and the guards of blocks, and the simple kinds of it. */
#include "config.h"

#include "fs/guest/blocks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/log.h"
#include "store/base/stop.h"

void blocks_init(struct blocks *b, const struct blocks_ops *ops, uint64_t size)
{
	b->ops = ops;
	b->size = size;
	atomic_init(&b->refs, 1);
}

struct blocks *blocks_get(struct blocks *b)
{
	atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

void blocks_put(struct blocks *b)
{
	if (b &&
	    atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
		b->ops->free(b);
}

int blocks_read(struct blocks *b, uint64_t off, void *out, size_t len)
{
	if (off > b->size || len > b->size - off)
		return -ERANGE;
	if (stop_asked())
		return -ECANCELED;
	return len ? b->ops->read(b, off, out, len) : 0;
}

int blocks_seek(struct blocks *b, uint64_t off, bool hole, uint64_t *out)
{
	uint64_t at;
	int r;

	if (off >= b->size)
		return -ENXIO;
	if (stop_asked())
		return -ECANCELED;
	if (!b->ops->seek) {
		*out = hole ? b->size : off;
		return 0;
	}
	r = b->ops->seek(b, off, hole, &at);
	if (r < 0)
		return r;
	if (at >= b->size && !hole)
		return -ENXIO;
	*out = MIN(at, b->size);
	return 0;
}

/* ---- a slice ---- */

struct slice {
	struct blocks b;
	struct blocks *of; /* held; never a slice itself */
	uint64_t off;
};

static int slice_read(struct blocks *b, uint64_t off, void *out, size_t len)
{
	struct slice *s = container_of(b, struct slice, b);

	return blocks_read(s->of, s->off + off, out, len);
}

static int slice_seek(struct blocks *b, uint64_t off, bool hole, uint64_t *out)
{
	struct slice *s = container_of(b, struct slice, b);
	int r = blocks_seek(s->of, s->off + off, hole, out);

	if (r == 0)
		*out -= s->off; /* what is behind the end is seen to above */
	return r;
}

static void slice_free(struct blocks *b)
{
	struct slice *s = container_of(b, struct slice, b);

	blocks_put(s->of);
	free(s);
}

static const struct blocks_ops slice_ops = {
	.read = slice_read,
	.seek = slice_seek,
	.free = slice_free,
};

int blocks_slice(struct blocks *b, uint64_t off, uint64_t len,
		 struct blocks **out)
{
	struct slice *s;

	*out = NULL;
	if (off > b->size || len > b->size - off)
		return -ERANGE;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	blocks_init(&s->b, &slice_ops, len);
	if (b->ops == &slice_ops) {
		struct slice *outer = container_of(b, struct slice, b);

		off += outer->off;
		b = outer->of;
	}
	s->of = blocks_get(b);
	s->off = off;
	*out = &s->b;
	return 0;
}

/* ---- memory ---- */

struct memory {
	struct blocks b;
	size_t len;
	uint8_t data[];
};

static int memory_read(struct blocks *b, uint64_t off, void *out, size_t len)
{
	struct memory *m = container_of(b, struct memory, b);
	size_t have = off < m->len ? m->len - (size_t)off : 0;

	have = MIN(have, len);
	if (have)
		memcpy(out, m->data + off, have);
	memset((uint8_t *)out + have, 0, len - have);
	return 0;
}

static int memory_seek(struct blocks *b, uint64_t off, bool hole, uint64_t *out)
{
	struct memory *m = container_of(b, struct memory, b);

	if (off >= m->len && !hole)
		return -ENXIO;
	*out = hole && off < m->len ? m->len : off;
	return 0;
}

static void memory_free(struct blocks *b)
{
	free(container_of(b, struct memory, b));
}

static const struct blocks_ops memory_ops = {
	.read = memory_read,
	.seek = memory_seek,
	.free = memory_free,
};

int blocks_memory(const void *data, size_t len, uint64_t size,
		  struct blocks **out)
{
	struct memory *m;

	*out = NULL;
	len = (size_t)MIN((uint64_t)len, size);
	if (len > SIZE_MAX - sizeof(*m))
		return -ENOMEM;
	m = malloc(sizeof(*m) + len);
	if (!m)
		return -ENOMEM;
	blocks_init(&m->b, &memory_ops, size);
	m->len = len;
	if (len)
		memcpy(m->data, data, len);
	*out = &m->b;
	return 0;
}

/* ---- a file or a block device ---- */

struct file {
	struct blocks b;
	int fd; /* owned */
};

static int file_read(struct blocks *b, uint64_t off, void *out, size_t len)
{
	struct file *f = container_of(b, struct file, b);
	uint8_t *p = out;
	ssize_t n;

	while (len > 0) {
		n = pread(f->fd, p, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(-errno, "image: read at %llu: %s",
				    (unsigned long long)off, strerror(errno));
		if (n == 0)
			return fail(-EIO,
				    "image: it ends at %llu: it became "
				    "shorter while it was read",
				    (unsigned long long)off);
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int file_seek(struct blocks *b, uint64_t off, bool hole, uint64_t *out)
{
	struct file *f = container_of(b, struct file, b);
	off_t at = lseek(f->fd, (off_t)off, hole ? SEEK_HOLE : SEEK_DATA);

	if (at >= 0) {
		*out = (uint64_t)at;
		return 0;
	}
	if (errno == ENXIO)
		return -ENXIO;
	/* Block devices and some filesystems know of no holes. */
	*out = hole ? b->size : off;
	return 0;
}

static void file_free(struct blocks *b)
{
	struct file *f = container_of(b, struct file, b);

	close(f->fd);
	free(f);
}

static const struct blocks_ops file_ops = {
	.read = file_read,
	.seek = file_seek,
	.free = file_free,
};

int blocks_file(int fd, struct blocks **out)
{
	off_t size = lseek(fd, 0, SEEK_END);
	struct file *f;
	struct stat st;

	*out = NULL;
	if (fstat(fd, &st) < 0)
		return fail(-errno, "image: fstat: %s", strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return fail(-EINVAL,
			    "image: neither a file nor a block device");
	if (size < 0)
		return fail(-errno, "image: lseek: %s", strerror(errno));
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	blocks_init(&f->b, &file_ops, (uint64_t)size);
	f->fd = fd;
	*out = &f->b;
	return 0;
}
