/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The readers: a file's content, its extended attributes, and whether it held
 * still meanwhile.
 *
 * A file that changes while it is read gives a mixture that never was. It is
 * read again a few times; if it will not hold still it is stored as it was read
 * last, and that is said.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/backup/internal.h"
#include "src/scan/scan.h"
#include "store/base/log.h"
#include "store/cdc.h"
#include "store/content.h"
#include "store/crypt/crypt.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/vault.h"
#include "store/writer/bundle.h"
#include "store/writer/content_build.h"
#include "store/writer/writer.h"

/* How often a file that changes is read anew before it is taken as it is. */
#define ATTEMPTS 3

void backup_complain(struct backup *b, const struct slot *s, const char *what,
		     int err)
{
	const char *path = (const char *)s->dir->path.data;

	atomic_fetch_add(&b->errors, 1);
	(void)fail(err, "%s%s%.*s: %s%s%s", path,
		   path[1] && s->name.len ? "/" : "", (int)s->name.len,
		   (const char *)s->name.data, what, err ? ": " : "",
		   err ? strerror(-err) : "");
}

/* What a reading thread works with; kept for the next batch. */
struct reading {
	struct reading *next; /* idle too */
	struct bundle *bundle; /* owned, as all below */
	struct content_builder *builder;
	uint8_t *small; /* CDC_MIN + 1 */
	uint8_t *large; /* 2 * CDC_MAX; NULL until needed */
	/* of the file in hand: */
	uint64_t ahead; /* as in struct slot */
	int xattrs_error; /* why they are missing; 0: they are not */
};

static struct reading *reading_get(struct backup *b)
{
	struct reading *r;

	pthread_mutex_lock(&b->lock);
	r = b->idle;
	if (r)
		b->idle = r->next;
	pthread_mutex_unlock(&b->lock);
	if (r)
		return r;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->bundle = bundle_new(b->writer);
	r->builder = content_builder_new(b->writer);
	r->small = malloc(CDC_MIN + 1);
	if (r->bundle && r->builder && r->small)
		return r;
	bundle_free(r->bundle);
	content_builder_free(r->builder);
	free(r->small);
	free(r);
	return NULL;
}

static void reading_put(struct backup *b, struct reading *r)
{
	pthread_mutex_lock(&b->lock);
	r->next = b->idle;
	b->idle = r;
	pthread_mutex_unlock(&b->lock);
}

int backup_end_readers(struct backup *b)
{
	int r = 0;

	while (b->idle) {
		struct reading *i = b->idle;

		b->idle = i->next;
		if (r == 0)
			r = bundle_flush(i->bundle);
		bundle_free(i->bundle);
		content_builder_free(i->builder);
		free(i->small);
		free(i->large);
		free(i);
	}
	return r;
}

static int open_source(const struct slot *s)
{
	static const int flags =
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
	AUTO_BUF struct buf name = BUF_INIT;
	int fd;

	buf_put(&name, s->name.data, s->name.len);
	buf_put_u8(&name, 0);
	if (buf_error(&name) < 0)
		return -ENOMEM;
	fd = openat(s->dir->fd, (char *)name.data, flags | O_NOATIME);
	if (fd < 0 && errno == EPERM)
		fd = openat(s->dir->fd, (char *)name.data, flags);
	return fd < 0 ? -errno : fd;
}

static ssize_t read_at(struct backup *b, struct reading *r, int fd,
		       uint8_t *out, size_t len, uint64_t off)
{
	size_t done = 0;

	if (task_stopped(b->task)) {
		atomic_store(&b->failed, -EINTR);
		return -EINTR;
	}
	while (done < len) {
		ssize_t n =
			pread(fd, out + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	atomic_fetch_add(&b->bytes_read, done);
	atomic_fetch_add(&b->bytes_ahead, done);
	r->ahead += done;
	return (ssize_t)done;
}

static int add_extent(struct reading *r, enum extent_type type, uint64_t len,
		      const struct id *id)
{
	struct extent e = { .len = len, .type = type };

	if (id)
		e.id = *id;
	return content_builder_add(r->builder, &e);
}

/* A file of one chunk. */
static int read_small(struct backup *b, struct reading *r, int fd,
		      uint64_t size, uint64_t *len_out)
{
	struct id id;
	ssize_t n = read_at(b, r, fd, r->small, (size_t)size, 0);
	int err;

	if (n < 0)
		return (int)n;
	*len_out = (uint64_t)n;
	if (n == 0)
		return 0;
	if (n <= FORMAT_SMALL_CHUNK)
		err = bundle_add(r->bundle, CHUNK_DATA, r->small, (size_t)n,
				 &id);
	else
		err = writer_chunk(b->writer, CHUNK_DATA, r->small, (size_t)n,
				   &id);
	if (err < 0) {
		atomic_store(&b->failed, err);
		return err;
	}
	return add_extent(r, EXTENT_DATA, (uint64_t)n, &id);
}

static int put_chunk(struct backup *b, struct reading *r, const uint8_t *data,
		     size_t len)
{
	uint8_t *copy = malloc(len);
	struct id id;
	int err = copy ? 0 : -ENOMEM;

	if (err == 0) {
		memcpy(copy, data, len);
		err = writer_chunk_take(b->writer, CHUNK_DATA, copy, len, &id);
	}
	if (err < 0) {
		atomic_store(&b->failed, err);
		return err;
	}
	return add_extent(r, EXTENT_DATA, len, &id);
}

/* Bytes [@off, @end) in content-defined chunks. */
static int read_range(struct backup *b, struct reading *r, int fd, uint64_t off,
		      uint64_t end, uint64_t *len_out)
{
	const uint64_t *gear = keyring_gear(vault_keyring(b->vault));
	size_t have = 0, pos = 0, n;
	bool eof = false;
	int err;

	if (!r->large)
		r->large = malloc(2 * CDC_MAX);
	if (!r->large)
		return -ENOMEM;
	for (;;) {
		if (!eof && have - pos < CDC_MAX) {
			size_t want;
			ssize_t got;

			memmove(r->large, r->large + pos, have - pos);
			have -= pos;
			pos = 0;
			want = (size_t)MIN((uint64_t)(2 * CDC_MAX - have),
					   end - off);
			got = read_at(b, r, fd, r->large + have, want, off);
			if (got < 0)
				return (int)got;
			eof = (size_t)got < want || off + want == end;
			have += (size_t)got;
			off += (size_t)got;
			*len_out = off;
		}
		if (pos == have)
			return 0;
		n = cdc_cut(gear, r->large + pos, have - pos);
		err = put_chunk(b, r, r->large + pos, n);
		if (err < 0)
			return err;
		pos += n;
	}
}

/* Data between holes. @len_out is how far the file went. */
static int read_sparse(struct backup *b, struct reading *r, int fd,
		       uint64_t size, uint64_t *len_out)
{
	uint64_t off = 0;
	int err = 0;

	while (off < size && err == 0) {
		off_t data = lseek(fd, (off_t)off, SEEK_DATA), hole;

		if (data < 0 && errno != ENXIO)
			return -errno;
		if (data < 0 || (uint64_t)data >= size) {
			err = add_extent(r, EXTENT_HOLE, size - off, NULL);
			off = size;
			break;
		}
		if ((uint64_t)data > off)
			err = add_extent(r, EXTENT_HOLE, (uint64_t)data - off,
					 NULL);
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		off = MIN((uint64_t)hole, size);
		if (err == 0)
			err = read_range(b, r, fd, (uint64_t)data, off,
					 len_out);
		if (err == 0 && *len_out < off)
			return 0; /* it shrank meanwhile */
	}
	*len_out = off;
	return err;
}

static int read_content(struct backup *b, struct reading *r, int fd,
			const struct stat *st, uint64_t *len_out)
{
	uint64_t size = (uint64_t)st->st_size;

	*len_out = 0;
	if (size == 0)
		return 0;
	if ((uint64_t)st->st_blocks * 512 < size)
		return read_sparse(b, r, fd, size, len_out);
	if (size <= CDC_MIN)
		return read_small(b, r, fd, size, len_out);
	return read_range(b, r, fd, 0, size, len_out);
}

static bool held_still(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_ino == b->st_ino &&
	       a->st_dev == b->st_dev &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* One look at the file; 1 when it changed under it. */
static int attempt(struct backup *b, struct reading *r, int fd, struct slot *s,
		   const char **what)
{
	struct stat after;
	uint64_t len;
	int err;

	buf_clear(&s->content);
	buf_clear(&s->xattrs);
	s->has_acl = false;
	atomic_fetch_sub(&b->bytes_ahead, r->ahead);
	r->ahead = 0;
	*what = "cannot be read";
	err = read_content(b, r, fd, &s->st, &len);
	if (content_builder_finish(r->builder, &s->content) < 0)
		return -ENOMEM;
	if (err < 0 && fstat(fd, &after) == 0 && !S_ISREG(after.st_mode))
		goto replaced;
	if (err < 0)
		return err;
	err = scan_fd_xattrs(fd, &s->xattrs, &s->has_acl);
	if (err == -ENOMEM)
		return err;
	s->partial = err < 0;
	r->xattrs_error = err;
	if (err < 0)
		buf_clear(&s->xattrs);
	s->has_acl &= err == 0;
	*what = "cannot be examined";
	if (fstat(fd, &after) < 0)
		return -errno;
	if (!S_ISREG(after.st_mode))
		goto replaced;
	err = !held_still(&s->st, &after) || len != (uint64_t)after.st_size;
	s->st = after;
	s->st.st_size = (off_t)len;
	/* Removed meanwhile; in the point it has its name. */
	if (s->st.st_nlink == 0)
		s->st.st_nlink = 1;
	return err;
replaced:
	*what = "was replaced by something else while it was read";
	return -EAGAIN;
}

static void read_file(struct backup *b, struct reading *r, struct slot *s)
{
	const char *what = "cannot be opened";
	AUTO_CLOSE int fd = -1;
	int err = 0, i;

	fd = open_source(s);
	if (fd < 0) {
		err = fd;
		if (err == -ENOENT)
			what = "vanished before it was read";
	}
	for (i = 0; fd >= 0 && i < ATTEMPTS; i++) {
		err = attempt(b, r, fd, s, &what);
		if (err <= 0 || i + 1 == ATTEMPTS)
			break;
		s->st.st_size = lseek(fd, 0, SEEK_END);
	}
	if (err > 0)
		backup_complain(b, s, "changed while it was read", 0);
	if (err >= 0 && s->partial)
		backup_complain(b, s, "its extended attributes cannot be read",
				r->xattrs_error);
	if (err < 0 && atomic_load(&b->failed) == 0)
		backup_complain(b, s, what, err == -EAGAIN ? 0 : err);
	s->ahead = r->ahead;
	r->ahead = 0;
	atomic_store(&s->state, err < 0 ? SLOT_DROPPED : SLOT_READY);
}

void backup_read_batch(void *arg)
{
	struct batch *batch = arg;
	struct backup *b = batch->backup;
	struct reading *r = reading_get(b);
	size_t i;

	if (!r)
		atomic_store(&b->failed, -ENOMEM);
	for (i = 0; i < batch->n; i++) {
		if (r && atomic_load(&b->failed) == 0)
			read_file(b, r, batch->slots[i]);
		else
			atomic_store(&batch->slots[i]->state, SLOT_DROPPED);
	}
	if (r)
		reading_put(b, r);
	free(batch);
	pthread_mutex_lock(&b->lock);
	pthread_cond_signal(&b->ready);
	pthread_mutex_unlock(&b->lock);
}
