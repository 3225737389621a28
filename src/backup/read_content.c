/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The content of one file, as extents of data and holes.
 *
 * The size that stat tells is a hint. Files of the kernel's own filesystems and
 * documents on network mounts have content and say that they are empty; others
 * say less than they hold. So each file is read until it ends. One byte more
 * than expected is asked for, and where that comes and the file has not simply
 * grown, the rest follows.
 *
 * Where holes are is a hint as well. A filesystem that cannot say, or whose
 * answers make no sense, has its file read plainly.
 */
#include "config.h"

#include "src/backup/read_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/backup/internal.h"
#include "store/content.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/vault.h"
#include "store/writer/bundle.h"
#include "store/writer/cdc.h"
#include "store/writer/content_build.h"
#include "store/writer/writer.h"

/* How far a file may go on behind its size. Some of the kernel's are endless,
 * and no document that does not know its size is larger. */
#define REST_MAX (UINT64_C(1) << 30)

/* ---- bytes ---- */

/*
 * Read @len bytes at @off, or up to the file's end. A read that stops short,
 * but not before @enough bytes, is taken for its end.
 */
static ssize_t read_at(struct reading *r, uint8_t *out, size_t len,
		       size_t enough, uint64_t off)
{
	struct backup *b = r->backup;
	size_t done = 0;

	if (task_stopped(b->task)) {
		atomic_store(&b->failed, -EINTR);
		return -EINTR;
	}
	while (done < len) {
		ssize_t n = pread(r->fd, out + done, len - done,
				  (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
		if (n == 0 || done == enough)
			break;
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

static int put_chunk(struct reading *r, const uint8_t *data, size_t len)
{
	struct backup *b = r->backup;
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

static int put_small(struct reading *r, size_t len)
{
	struct backup *b = r->backup;
	struct id id;
	int err;

	if (len == 0)
		return 0;
	if (len <= FORMAT_SMALL_CHUNK)
		err = bundle_add(r->bundle, CHUNK_DATA, r->small, len, &id);
	else
		err = writer_chunk(b->writer, CHUNK_DATA, r->small, len, &id);
	if (err < 0) {
		atomic_store(&b->failed, err);
		return err;
	}
	return add_extent(r, EXTENT_DATA, len, &id);
}

/* ---- ranges ---- */

/* Read [@off, @end), or up to the file's end, in content-defined chunks.
 * *@len_out is how far the file went. */
static int read_range(struct reading *r, uint64_t off, uint64_t end,
		      uint64_t *len_out)
{
	const uint64_t *gear = keyring_gear(vault_keyring(r->backup->vault));
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
			got = read_at(r, r->large + have, want, want, off);
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
		err = put_chunk(r, r->large + pos, n);
		if (err < 0)
			return err;
		pos += n;
	}
}

/*
 * Find the data at or behind @off: [*@from, *@to), both @size where there is
 * none. False: the filesystem cannot say.
 */
static bool find_data(const struct reading *r, uint64_t off, uint64_t size,
		      uint64_t *from, uint64_t *to)
{
	off_t data = lseek(r->fd, (off_t)off, SEEK_DATA), hole;

	if (data < 0 && errno != ENXIO)
		return false;
	if (data < 0 || (uint64_t)data >= size) {
		*from = *to = size;
		return true;
	}
	hole = lseek(r->fd, data, SEEK_HOLE);
	if (hole <= data || (uint64_t)data < off)
		return false;
	*from = (uint64_t)data;
	*to = MIN((uint64_t)hole, size);
	return true;
}

/* Read a file of @size bytes that has holes. */
static int read_sparse(struct reading *r, uint64_t size, uint64_t *len_out)
{
	uint64_t off = 0, from, to;
	int err = 0;

	while (off < size && err == 0) {
		if (!find_data(r, off, size, &from, &to)) {
			from = off;
			to = size;
		}
		if (from > off)
			err = add_extent(r, EXTENT_HOLE, from - off, NULL);
		*len_out = off = from;
		if (err == 0 && to > from)
			err = read_range(r, from, to, len_out);
		if (err == 0 && *len_out < to)
			return 0; /* it shrank meanwhile */
		off = to;
	}
	return err;
}

/* ---- what comes behind the size ---- */

/* Is the file, which holds more than @size bytes, still said to hold only
 * that? Otherwise it has grown, and will be looked at again. */
static bool is_said_to_end(const struct reading *r, uint64_t size)
{
	struct stat now;

	return fstat(r->fd, &now) == 0 && (uint64_t)now.st_size <= size;
}

/* Read [@off, the file's end); @size is what the file is said to hold. */
static int read_on(struct reading *r, uint64_t off, uint64_t size,
		   uint64_t *len_out)
{
	uint64_t end = MIN(size + REST_MAX, CONTENT_SIZE_MAX);
	int err = read_range(r, off, end, len_out);

	return err == 0 && *len_out == end ? -EFBIG : err;
}

static int read_rest(struct reading *r, uint64_t size, uint64_t *len_out)
{
	uint8_t byte;
	ssize_t n = read_at(r, &byte, 1, 1, size);

	if (n <= 0 || !is_said_to_end(r, size))
		return n < 0 ? (int)n : 0;
	return read_on(r, size, size, len_out);
}

/* A file of one chunk. */
static int read_small(struct reading *r, size_t size, uint64_t *len_out)
{
	ssize_t n = read_at(r, r->small, size + 1, size, 0);

	if (n < 0)
		return (int)n;
	if ((size_t)n > size && is_said_to_end(r, size))
		return read_on(r, 0, size, len_out);
	*len_out = MIN((size_t)n, size);
	return put_small(r, (size_t)*len_out);
}

int reading_content(struct reading *r, const struct stat *st, uint64_t *len_out)
{
	uint64_t size = (uint64_t)st->st_size;
	int err;

	*len_out = 0;
	if ((uint64_t)st->st_blocks * 512 < size)
		err = read_sparse(r, size, len_out);
	else if (size <= CDC_MIN)
		return read_small(r, (size_t)size, len_out);
	else
		err = read_range(r, 0, size, len_out);
	if (err == 0 && *len_out == size && size < CONTENT_SIZE_MAX)
		err = read_rest(r, size, len_out);
	return err;
}
