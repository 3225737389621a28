/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From the first bits of an id to the slices of directories that may name it.
 *
 * A row of SQLite costs more than such a pair does. So pairs are numbers, and
 * runs of them, sorted, are the rows of a table: the leaves of a B+ tree whose
 * inner nodes are SQLite's own. A row's key is not above its first number, and
 * above all of the row before; the first row's key is 0.
 *
 * Ids are hashes under the vault's key: that two agree in all bits that are
 * kept happens to one lookup in thousands, with 10^8 chunks, and costs it the
 * look into a slice that does not name the id. Numbers of slices that are gone
 * may stand here, too, and cost no more.
 */
#include "config.h"

#include "store/catalog/internal.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "store/base/bytes.h"
#include "store/base/log.h"

/* A row of more is split into rows of about RUN_FILL. A row of 512 bytes is
 * cheap to write again, and leaves little of a page unused. */
#define RUN_MAX 64
#define RUN_FILL 48

static uint64_t key_of(const struct id *id)
{
	return be64toh(id_hash(id)) >> (64 - POSTING_KEY_BITS);
}

uint64_t posting_of(const struct id *id, int64_t slice)
{
	return key_of(id) << POSTING_SLICE_BITS | (uint64_t)slice;
}

/* A row of the table, as it is read. */
struct posting_run {
	int64_t first;
	uint64_t postings[RUN_MAX];
	size_t n;
};

static int compare_postings(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void postings_sort(uint64_t *postings, size_t *n)
{
	size_t i, kept = 0;

	if (*n > 1)
		qsort(postings, *n, sizeof(*postings), compare_postings);
	for (i = 0; i < *n; i++)
		if (kept == 0 || postings[kept - 1] != postings[i])
			postings[kept++] = postings[i];
	*n = kept;
}

/* The disk may have changed a row: what cannot stand in it is left out, and is
 * missed by whoever looks for it, as any that are not there. */
static void read_run(struct conn *k, enum catalog_stmt which,
		     struct posting_run *out)
{
	sqlite3_stmt *st = k->stmts[which];
	const uint8_t *data = sqlite3_column_blob(st, 1);
	size_t n = (size_t)sqlite3_column_bytes(st, 1) / 8, i;
	bool sorted = true;

	out->first = sqlite3_column_int64(st, 0);
	out->n = 0;
	for (i = 0; data && i < MIN(n, (size_t)RUN_MAX); i++) {
		uint64_t posting = get_le64(data + 8 * i);

		if (posting > INT64_MAX || (int64_t)posting < out->first)
			continue;
		sorted = sorted &&
			 (out->n == 0 || posting > out->postings[out->n - 1]);
		out->postings[out->n++] = posting;
	}
	if (!sorted)
		postings_sort(out->postings, &out->n);
}

/* The run where @posting is, or belongs. The statement stays at its row, so that
 * what is asked next is answered in the same transaction. Return 1, 0 (the table is empty) or a
 * negative errno. */
static int run_at(struct catalog *c, struct conn *k, uint64_t posting,
		  struct posting_run *out)
{
	int rc = conn_step(k, STMT_RUN_AT, "i", (int64_t)posting);

	if (rc == SQLITE_DONE)
		return 0;
	if (rc != SQLITE_ROW)
		return catalog_fail(c, k, rc, "looking up a chunk");
	read_run(k, STMT_RUN_AT, out);
	return 1;
}

/* The run behind the one whose key is @first; likewise. */
static int run_after(struct catalog *c, struct conn *k, int64_t first,
		     struct posting_run *out)
{
	int rc = conn_step(k, STMT_RUN_AFTER, "i", first);

	if (rc == SQLITE_DONE)
		return 0;
	if (rc != SQLITE_ROW)
		return catalog_fail(c, k, rc, "looking up a chunk");
	read_run(k, STMT_RUN_AFTER, out);
	return 1;
}

int postings_find(struct catalog *c, struct conn *k, const struct id *id,
		  int (*fn)(void *arg, int64_t slice), void *arg)
{
	uint64_t from = posting_of(id, 0);
	struct posting_run run;
	int r = run_at(c, k, from, &run);

	while (r > 0) {
		size_t i, low = 0, high = run.n;

		while (low < high) {
			i = low + (high - low) / 2;
			if (run.postings[i] < from)
				low = i + 1;
			else
				high = i;
		}
		for (i = low; i < run.n; i++) {
			if (run.postings[i] >> POSTING_SLICE_BITS != key_of(id))
				return 0;
			r = fn(arg,
			       (int64_t)(run.postings[i] & POSTING_SLICE_MAX));
			if (r != 0)
				return r;
		}
		r = run_after(c, k, run.first, &run);
	}
	return r;
}

/* ---- changes ---- */

static int put_run(struct catalog *c, struct conn *k, int64_t first,
		   const uint64_t *postings, size_t n)
{
	uint8_t data[8 * RUN_MAX];
	size_t i;
	int rc;

	for (i = 0; i < n; i++)
		put_le64(data + 8 * i, postings[i]);
	rc = conn_step(k, STMT_PUT_RUN, "ib", first, data, 8 * n);
	return rc == SQLITE_DONE ? 0
				 : catalog_fail(c, k, rc, "changing postings");
}

/* Write what stands in the place of one run: as many rows as it takes. */
static int put_runs(struct catalog *c, struct conn *k, int64_t first,
		    const uint64_t *postings, size_t n)
{
	size_t rows = n > RUN_MAX ? (n + RUN_FILL - 1) / RUN_FILL : 1, i;
	int r = 0;

	if (n == 0 && first > 0) {
		int rc = conn_step(k, STMT_DROP_RUN, "i", first);

		return rc == SQLITE_DONE
			       ? 0
			       : catalog_fail(c, k, rc, "changing postings");
	}
	for (i = 0; i < rows && r == 0; i++) {
		size_t begin = i * n / rows, end = (i + 1) * n / rows;

		r = put_run(c, k, i ? (int64_t)postings[begin] : first,
			    postings + begin, end - begin);
	}
	return r;
}

/* Merge @add of @n into @run, or take them out of it. Both are sorted, and so
 * is @out, which has room for all. Return how many there are. */
static size_t merge(const struct posting_run *run, const uint64_t *change,
		    size_t n, bool remove, uint64_t *out)
{
	size_t i = 0, j = 0, len = 0;

	while (i < run->n || j < n) {
		bool same =
			i < run->n && j < n && run->postings[i] == change[j];

		if (same && remove) {
			i++;
			j++;
		} else if (i < run->n &&
			   (j == n || run->postings[i] <= change[j])) {
			out[len++] = run->postings[i++];
			j += same;
		} else {
			if (!remove)
				out[len++] = change[j];
			j++;
		}
	}
	return len;
}

int postings_change(struct catalog *c, struct conn *k, const uint64_t *sorted,
		    size_t n, bool remove)
{
	AUTO_FREE uint64_t *merged = NULL;
	size_t i = 0, end;
	int r = 0;

	if (n == 0)
		return 0;
	merged = alloc_array(n + RUN_MAX, sizeof(*merged));
	if (!merged)
		return -ENOMEM;
	for (; i < n && r >= 0; i = end) {
		struct posting_run run = { .n = 0 };
		uint64_t next = UINT64_MAX;
		int rc;

		r = run_at(c, k, sorted[i], &run);
		if (r < 0)
			break;
		conn_reset(k, STMT_RUN_AT);
		rc = conn_step(k, STMT_NEXT_RUN, "i", (int64_t)sorted[i]);
		if (rc == SQLITE_ROW)
			next = (uint64_t)sqlite3_column_int64(
				k->stmts[STMT_NEXT_RUN], 0);
		else if (rc != SQLITE_DONE)
			return catalog_fail(c, k, rc, "changing postings");
		conn_reset(k, STMT_NEXT_RUN);
		while (run.n && run.postings[run.n - 1] >= next)
			run.n--;
		for (end = i + 1; end < n && sorted[end] < next;)
			end++;
		r = put_runs(c, k, run.first, merged,
			     merge(&run, sorted + i, end - i, remove, merged));
	}
	return MIN(r, 0);
}
