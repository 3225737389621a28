/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The directories of packs, as the database keeps them.
 *
 * A directory has a line for each chunk, behind what it says of frames. The
 * lines are kept in slices, each a row: whoever looks for one chunk reads one
 * slice, and whoever wants the directory reads them all and has it byte by
 * byte. So an id stands in the database once.
 */
#include "config.h"

#include "store/catalog/internal.h"

#include <errno.h>
#include <stdlib.h>

#include "store/base/array.h"
#include "store/base/log.h"

/* Three of them, with what SQLite adds, fill a page of 4 KiB. */
#define SLICE_MAX 1340

void batch_release(struct batch *b)
{
	free(b->postings);
}

int batch_flush(struct catalog *c, struct conn *k, struct batch *b, bool remove)
{
	int r;

	postings_sort(b->postings, &b->n);
	r = postings_change(c, k, b->postings, b->n, remove);
	b->n = 0;
	return r;
}

static int batch_add(struct batch *b, const struct id *id, int64_t slice)
{
	if (array_reserve(&b->postings, &b->cap, b->n + 1) < 0)
		return -ENOMEM;
	b->postings[b->n++] = posting_of(id, slice);
	return 0;
}

/* ---- lines ---- */

int slices_head(const void *dir, size_t len, size_t *out)
{
	struct reader r;
	uint64_t n;

	reader_init(&r, dir, len);
	for (n = reader_varint(&r); n > 0 && !r.bad; n--) {
		(void)reader_varint(&r);
		(void)reader_varint(&r);
		(void)reader_u8(&r);
	}
	(void)reader_varint(&r);
	*out = len - reader_left(&r);
	return r.bad ? -EBADMSG : 0;
}

/* The next line, as format_put_dir() wrote it. */
static bool read_line(struct reader *r, struct chunk_ref *out)
{
	const uint8_t *id;

	out->type = reader_u8(r);
	id = reader_get(r, ID_LEN);
	if (id)
		memcpy(out->id.b, id, ID_LEN);
	out->len = (uint32_t)reader_varint_max(r, FORMAT_CHUNK_MAX);
	out->frame = (uint32_t)reader_varint_max(r, UINT32_MAX);
	out->off = (uint32_t)reader_varint_max(r, UINT32_MAX);
	return !r->bad;
}

/* How many of the @left bytes at @p make the next slice: 0 where they are no
 * lines. */
static size_t slice_len(const uint8_t *p, size_t left)
{
	struct chunk_ref line;
	struct reader r;
	size_t len = 0;

	reader_init(&r, p, left);
	while (reader_left(&r) > 0 && read_line(&r, &line)) {
		size_t end = left - reader_left(&r);

		if (end > SLICE_MAX)
			return len;
		len = end;
	}
	return r.bad ? 0 : len;
}

static int add_lines(struct batch *b, const uint8_t *p, size_t len,
		     int64_t slice)
{
	struct chunk_ref line;
	struct reader r;
	int err = 0;

	reader_init(&r, p, len);
	while (err == 0 && reader_left(&r) > 0 && read_line(&r, &line))
		err = batch_add(b, &line.id, slice);
	return err;
}

/* ---- slices ---- */

static bool range_ok(const struct slice_range *range)
{
	return range->first >= 0 && range->first <= POSTING_SLICE_MAX &&
	       range->n >= 0 && range->n <= FORMAT_DIR_MAX / 36 + 1;
}

/* What a broken row says, or lacks, is missing in the directory, whose seal
 * then tells. Call @fn for the slices in @range that are pack @no's, in their order, until
 * it returns other than 0. Return that, 0 or a negative errno. */
static int each_slice(struct catalog *c, struct conn *k, int64_t no,
		      const struct slice_range *range,
		      int (*fn)(void *arg, int64_t slice, const uint8_t *data,
				size_t len),
		      void *arg)
{
	int rc, r;

	if (!range_ok(range))
		return 0;
	rc = conn_step(k, STMT_PACK_SLICES, "iii", no, range->first, range->n);
	while (rc == SQLITE_ROW) {
		sqlite3_stmt *st = k->stmts[STMT_PACK_SLICES];
		const uint8_t *data = sqlite3_column_blob(st, 1);
		size_t len = (size_t)sqlite3_column_bytes(st, 1);

		r = data && len <= SLICE_MAX
			    ? fn(arg, sqlite3_column_int64(st, 0), data, len)
			    : 0;
		if (r != 0)
			return r;
		rc = conn_next(k, STMT_PACK_SLICES);
	}
	return rc == SQLITE_DONE
		       ? 0
		       : catalog_fail(c, k, rc, "reading a directory");
}

static int append(void *arg, int64_t slice, const uint8_t *data, size_t len)
{
	(void)slice;
	buf_put(arg, data, len);
	return buf_error(arg);
}

int slices_get(struct catalog *c, struct conn *k, int64_t no,
	       const struct slice_range *range, struct buf *out)
{
	return each_slice(c, k, no, range, append, out);
}

static int add_postings(void *arg, int64_t slice, const uint8_t *data,
			size_t len)
{
	return add_lines(arg, data, len, slice);
}

int slices_drop(struct catalog *c, struct conn *k, struct batch *b, int64_t no,
		const struct slice_range *range)
{
	int rc, r = b ? each_slice(c, k, no, range, add_postings, b) : 0;

	if (r < 0)
		return r;
	rc = conn_step(k, STMT_DROP_SLICES, "iii", no, range->first, range->n);
	return rc == SQLITE_DONE
		       ? 0
		       : catalog_fail(c, k, rc, "dropping a directory");
}

static int count_slice(void *arg, int64_t slice, const uint8_t *data,
		       size_t len)
{
	(void)slice;
	(void)data;
	(void)len;
	++*(int64_t *)arg;
	return 0;
}

/* Make @range one of @n slices, all of which are the pack's or nobody's. */
static int take_range(struct catalog *c, struct conn *k, struct batch *b,
		      int64_t no, int64_t n, struct slice_range *range)
{
	int64_t have = 0;
	int rc, r = 0;

	if (range->n > 0 && range_ok(range)) {
		r = each_slice(c, k, no, range, count_slice, &have);
		if (r < 0 || (have == n && range->n == n))
			return r;
		r = slices_drop(c, k, NULL, no, range);
	}
	if (r == 0 && b->last_slice == 0) {
		rc = conn_step(k, STMT_LAST_SLICE, "");
		if (rc != SQLITE_ROW)
			return catalog_fail(c, k, rc, "adding a directory");
		b->last_slice =
			sqlite3_column_int64(k->stmts[STMT_LAST_SLICE], 0);
		conn_reset(k, STMT_LAST_SLICE);
	}
	if (r < 0)
		return r;
	/* The numbers last for 4 * 10^9 chunks, and begin anew with the
	 * database. */
	if (b->last_slice < 0 || b->last_slice + n > POSTING_SLICE_MAX)
		return catalog_fail_row(c, "numbering slices");
	range->first = b->last_slice + 1;
	range->n = n;
	b->last_slice += n;
	return 0;
}

int slices_put(struct catalog *c, struct conn *k, struct batch *b, int64_t no,
	       const void *chunks, size_t len, struct slice_range *range)
{
	const uint8_t *p = chunks;
	int64_t n = 0, slice;
	size_t at, step;
	int r;

	for (at = 0; at < len; at += step, n++) {
		step = slice_len(p + at, len - at);
		if (step == 0)
			return -EBADMSG;
	}
	r = take_range(c, k, b, no, n, range);
	slice = range->first;
	for (at = 0; at < len && r == 0; at += step, slice++) {
		int rc;

		step = slice_len(p + at, len - at);
		rc = conn_step(k, STMT_PUT_SLICE, "iib", slice, no, p + at,
			       step);
		r = rc == SQLITE_DONE
			    ? add_lines(b, p + at, step, slice)
			    : catalog_fail(c, k, rc, "adding a directory");
	}
	return r;
}

int slice_find(struct catalog *c, struct conn *k, int64_t slice,
	       const struct id *id, struct chunk_loc *out)
{
	int rc = conn_step(k, STMT_GET_SLICE, "i", slice), r = 0;
	struct chunk_ref line = { .len = 0 };
	sqlite3_stmt *st = k->stmts[STMT_GET_SLICE];
	struct reader reader;
	const uint8_t *data;
	size_t len;

	if (rc == SQLITE_DONE)
		return 0;
	if (rc != SQLITE_ROW)
		return catalog_fail(c, k, rc, "looking up a chunk");
	data = sqlite3_column_blob(st, 1);
	len = (size_t)sqlite3_column_bytes(st, 1);
	out->pack = sqlite3_column_int64(st, 0);
	reader_init(&reader, data, data && len <= SLICE_MAX ? len : 0);
	while (r == 0 && reader_left(&reader) > 0 && read_line(&reader, &line))
		r = id_equal(&line.id, id);
	conn_reset(k, STMT_GET_SLICE);
	out->len = line.len;
	out->frame = line.frame;
	out->off = line.off;
	out->type = line.type;
	return r == 1 && out->pack > 0;
}
