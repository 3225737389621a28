/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Importing and dropping sources.
 *
 * Ids are random, so the postings of one import fall all over their table: they
 * are sorted first, so that each page is touched once. A source of many chunks
 * is imported in several transactions, so that others get their turn and little
 * is in memory. Until the last it bears another name, under which nobody takes
 * it for imported; whoever finds that name goes on with it.
 */
#include "config.h"

#include "store/catalog/catalog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/catalog/internal.h"

/* Chunks of a transaction, about. */
#define BATCH_MAX (1u << 18)
#define BATCH_PACKS (8u << 10) /* they may hold next to nothing */

/* ---- import ---- */

/* As catalog.c reads it. */
static int64_t kind_and_epoch(const struct pack_row *row)
{
	return (int64_t)row->epoch << 8 | row->kind;
}

/* Write the row of a pack, with the statement that adds or changes it. */
static int write_pack(struct catalog *c, struct conn *k,
		      enum catalog_stmt which, const struct catalog_pack *p,
		      size_t head)
{
	const struct pack_row *row = &p->row;
	int rc = conn_step(k, which, "tiibbb", row->name, (int64_t)row->size,
			   kind_and_epoch(row), row->salt, sizeof(row->salt),
			   row->mac, sizeof(row->mac), p->dir, head);

	return rc == SQLITE_DONE ? 0 : catalog_fail(c, k, rc, "adding a pack");
}

/* Remember a pack of which this source does not say what another one did. */
static int note_disputed(struct catalog *c, const char *name)
{
	SCOPED_LOCK(&c->lock);
	if (c->ndisputed == CATALOG_DISPUTED_MAX)
		return 0;
	if (array_reserve(&c->disputed, &c->disputed_cap, c->ndisputed + 1) < 0)
		return -ENOMEM;
	snprintf(c->disputed[c->ndisputed++], PACK_NAME_MAX, "%s", name);
	return 0;
}

size_t catalog_take_disputed(struct catalog *c, char (**out)[PACK_NAME_MAX])
{
	size_t n;

	SCOPED_LOCK(&c->lock);
	n = c->ndisputed;
	*out = c->disputed;
	c->disputed = NULL;
	c->ndisputed = c->disputed_cap = 0;
	return n;
}

/* The pack's number, where its slices are, and whether what is known of it is what
 * is sealed by @mac; 1, 0 (it is not known) or a negative errno. */
static int find_pack(struct catalog *c, struct conn *k, const char *name,
		     const uint8_t mac[CRYPT_SHA256_LEN], int64_t *no,
		     struct slice_range *range, bool *same_out)
{
	int rc = conn_step(k, STMT_PACK_NO, "t", name);
	sqlite3_stmt *st = k->stmts[STMT_PACK_NO];

	if (rc == SQLITE_DONE)
		return 0;
	if (rc != SQLITE_ROW)
		return catalog_fail(c, k, rc, "looking up a pack");
	*no = sqlite3_column_int64(st, 0);
	range->first = sqlite3_column_int64(st, 1);
	range->n = sqlite3_column_int64(st, 2);
	*same_out =
		sqlite3_column_bytes(st, 3) == CRYPT_SHA256_LEN &&
		memcmp(sqlite3_column_blob(st, 3), mac, CRYPT_SHA256_LEN) == 0;
	conn_reset(k, STMT_PACK_NO);
	return 1;
}

static int add_pack(struct catalog *c, struct conn *k,
		    const struct catalog_pack *p, bool again, struct batch *b,
		    int64_t *no)
{
	struct slice_range range = { 0, 0 };
	bool same = true;
	size_t head;
	int r = find_pack(c, k, p->row.name, p->row.mac, no, &range, &same), rc;

	if (r == 1 && !same && note_disputed(c, p->row.name) < 0)
		return -ENOMEM;
	if (r < 0 || (r == 1 && !again))
		return MIN(r, 0);
	if (slices_head(p->dir, p->dir_len, &head) < 0)
		return fail(-EBADMSG, "pack %s: its directory is malformed",
			    p->row.name);
	if (r == 1) {
		r = write_pack(c, k, STMT_SET_PACK, p, head);
	} else {
		r = write_pack(c, k, STMT_ADD_PACK, p, head);
		*no = sqlite3_last_insert_rowid(k->db);
	}
	if (r == 0)
		r = slices_put(c, k, b, *no, p->dir + head, p->dir_len - head,
			       &range);
	if (r == -EBADMSG)
		return fail(r, "pack %s: its directory is malformed",
			    p->row.name);
	if (r < 0)
		return r;
	rc = conn_step(k, STMT_SET_SLICES, "iii", *no, range.first, range.n);
	return rc == SQLITE_DONE ? 0 : catalog_fail(c, k, rc, "adding a pack");
}

/* Add packs from *@at on, until the batch is full. */
static int add_packs(struct catalog *c, struct conn *k, int64_t source,
		     const struct catalog_pack *packs, size_t npacks,
		     bool again, struct batch *b, size_t *at)
{
	size_t i, end = MIN(npacks, *at + BATCH_PACKS);
	int r = 0;

	for (i = *at; i < end && b->n < BATCH_MAX && r == 0; i++) {
		int64_t no = 0;
		int rc;

		r = add_pack(c, k, &packs[i], again, b, &no);
		if (r < 0)
			return r;
		rc = conn_step(k, STMT_ADD_LINK, "ii", source, no);
		if (rc != SQLITE_DONE)
			return catalog_fail(c, k, rc, "linking a pack");
	}
	*at = i;
	return 0;
}

/* The source's number: 1 and it, 0 where it is unknown, or a negative errno. */
static int find_source(struct catalog *c, struct conn *k, const char *source,
		       int64_t *no)
{
	int rc = conn_step(k, STMT_SOURCE_NO, "t", source);

	if (rc == SQLITE_DONE)
		return 0;
	if (rc != SQLITE_ROW)
		return catalog_fail(c, k, rc, "looking up an index");
	*no = sqlite3_column_int64(k->stmts[STMT_SOURCE_NO], 0);
	conn_reset(k, STMT_SOURCE_NO);
	return 1;
}

static int add_source(struct catalog *c, struct conn *k, const char *name,
		      int64_t *no)
{
	int rc = conn_step(k, STMT_ADD_SOURCE, "t", name);

	if (rc != SQLITE_DONE)
		return catalog_fail(c, k, rc, "adding an index");
	*no = sqlite3_last_insert_rowid(k->db);
	return 0;
}

/* A source on its way in. */
struct source_import {
	struct catalog *catalog; /* borrowed */
	char source[OBJECT_NAME_MAX];
	char half[sizeof(CATALOG_HALF) + OBJECT_NAME_MAX];
	bool again;
	bool done; /* it is imported: nothing is left to do */
	int64_t no; /* of the source, whatever its name; 0: not yet */
};

int source_import_begin(struct catalog *c, const char *source, bool again,
			struct source_import **out)
{
	struct source_import *im = calloc(1, sizeof(*im));

	*out = NULL;
	if (!im)
		return -ENOMEM;
	im->catalog = c;
	im->again = again;
	if (snprintf(im->source, sizeof(im->source), "%s", source) >=
	    (int)sizeof(im->source)) {
		free(im);
		return fail(-EBADMSG, "%s: too long a name", source);
	}
	snprintf(im->half, sizeof(im->half), CATALOG_HALF "%s", source);
	*out = im;
	return 0;
}

void source_import_free(struct source_import *im)
{
	free(im);
}

/* Find the source, or make it, in the name that it has now; @whole_out: it is
 * imported. Return 0, 1 (what was there of it is gone) or a negative errno. */
static int open_source(struct source_import *im, struct conn *k,
		       bool *whole_out)
{
	struct catalog *c = im->catalog;
	int64_t no = 0;
	int r = find_source(c, k, im->source, &no);

	*whole_out = r > 0;
	if (r == 0)
		r = find_source(c, k, im->half, &no);
	if (r == 0)
		r = add_source(c, k, im->half, &no);
	if (r < 0)
		return r;
	if (im->no && im->no != no)
		return 1;
	im->no = no;
	return 0;
}

/* One transaction: packs from *@at on. Return as source_import_add(). */
static int import_some(struct source_import *im, struct conn *k,
		       const struct catalog_pack *packs, size_t npacks,
		       bool last, size_t *at)
{
	CLEANUP(batch_release) struct batch b = { .n = 0 };
	struct catalog *c = im->catalog;
	bool whole;
	int r = open_source(im, k, &whole), rc;

	if (r != 0)
		return r;
	im->done = whole && !im->again;
	if (im->done)
		return 0;
	r = add_packs(c, k, im->no, packs, npacks, im->again, &b, at);
	if (r == 0)
		r = batch_flush(c, k, &b, false);
	if (r < 0 || !last || *at < npacks)
		return r;
	im->done = true;
	rc = whole ? SQLITE_DONE
		   : conn_step(k, STMT_RENAME_SOURCE, "it", im->no, im->source);
	return rc == SQLITE_DONE ? 0
				 : catalog_fail(c, k, rc, "adding an index");
}

/* What is done is committed, whether or not there is more to do. */
static int import_return(struct source_import *im, struct conn *k, int r)
{
	int err = catalog_return(im->catalog, k, MIN(r, 0));

	return err < 0 ? err : r;
}

static int check_source(const struct catalog_source *s)
{
	size_t i;

	for (i = 0; i < s->npacks; i++)
		if (s->packs[i].row.size > INT64_MAX ||
		    !memchr(s->packs[i].row.name, '\0', PACK_NAME_MAX))
			return fail(-EBADMSG,
				    "%s: a pack's name or size is"
				    " out of bounds",
				    s->name);
	if (strlen(s->name) >= OBJECT_NAME_MAX)
		return fail(-EBADMSG, "%s: too long a name", s->name);
	return 0;
}

int source_import_add(struct source_import *im,
		      const struct catalog_pack *packs, size_t npacks,
		      bool last)
{
	const struct catalog_source s = { im->source, packs, npacks };
	size_t at = 0;
	int r = check_source(&s);

	while (r == 0 && !im->done && (at < npacks || last)) {
		struct conn *k;

		r = catalog_borrow_write(im->catalog, &k);
		if (r < 0)
			return r;
		r = import_some(im, k, packs, npacks, last, &at);
		r = import_return(im, k, r);
	}
	return r;
}

static int import_source(struct catalog *c, const char *source,
			 const struct catalog_pack *packs, size_t npacks,
			 bool again)
{
	int r;

	do {
		struct source_import *im;

		r = source_import_begin(c, source, again, &im);
		if (r < 0)
			return r;
		r = source_import_add(im, packs, npacks, true);
		source_import_free(im);
	} while (r > 0);
	return r;
}

int catalog_import(struct catalog *c, const char *source,
		   const struct catalog_pack *packs, size_t npacks)
{
	return import_source(c, source, packs, npacks, false);
}

int catalog_import_again(struct catalog *c, const char *source,
			 const struct catalog_pack *packs, size_t npacks)
{
	return import_source(c, source, packs, npacks, true);
}

/* All of a source, within a transaction. Where another process left it in half,
 * that becomes the whole. */
static int add_whole(struct catalog *c, struct conn *k,
		     const struct catalog_source *s, bool again,
		     struct batch *b)
{
	char half[sizeof(CATALOG_HALF) + OBJECT_NAME_MAX];
	int64_t no = 0;
	size_t at = 0;
	int r = find_source(c, k, s->name, &no), rc;
	bool is_half = false;

	if (r < 0 || (r > 0 && !again))
		return MIN(r, 0);
	snprintf(half, sizeof(half), CATALOG_HALF "%s", s->name);
	if (r == 0) {
		r = find_source(c, k, half, &no);
		is_half = r > 0;
	}
	if (r == 0)
		r = add_source(c, k, s->name, &no);
	while (r >= 0 && at < s->npacks) {
		r = add_packs(c, k, no, s->packs, s->npacks, again, b, &at);
		if (r == 0 && b->n >= BATCH_MAX)
			r = batch_flush(c, k, b, false);
	}
	if (r < 0 || !is_half)
		return MIN(r, 0);
	rc = conn_step(k, STMT_RENAME_SOURCE, "it", no, s->name);
	return rc == SQLITE_DONE ? 0
				 : catalog_fail(c, k, rc, "adding an index");
}

int catalog_import_many(struct catalog *c, const struct catalog_source *sources,
			size_t n, bool again)
{
	CLEANUP(batch_release) struct batch b = { .n = 0 };
	struct conn *k;
	size_t i;
	int r = 0;

	if (n == 0)
		return 0;
	if (n == 1)
		return import_source(c, sources->name, sources->packs,
				     sources->npacks, again);
	for (i = 0; i < n && r == 0; i++)
		r = check_source(&sources[i]);
	if (r < 0)
		return r;
	r = catalog_borrow_write(c, &k);
	if (r < 0)
		return r;
	for (i = 0; i < n && r == 0; i++)
		r = add_whole(c, k, &sources[i], again, &b);
	if (r == 0)
		r = batch_flush(c, k, &b, false);
	return catalog_return(c, k, r);
}

/* ---- drop ---- */

struct wrong_row {
	struct catalog *catalog;
	struct conn *conn;
	const struct id *id;
	const struct chunk_loc *loc;
	uint64_t postings[16]; /* more than these are dropped another time */
	size_t n;
};

static int note_wrong(void *arg, int64_t slice)
{
	struct wrong_row *w = arg;
	const struct chunk_loc *want = w->loc;
	struct chunk_loc loc;
	int r = slice_find(w->catalog, w->conn, slice, w->id, &loc);

	if (r == 1 && loc.pack == want->pack && loc.len == want->len &&
	    loc.frame == want->frame && loc.off == want->off &&
	    loc.type == want->type && w->n < ARRAY_SIZE(w->postings))
		w->postings[w->n++] = posting_of(w->id, slice);
	return MIN(r, 0);
}

int catalog_drop_chunk(struct catalog *c, const struct id *id,
		       const struct chunk_loc *loc)
{
	struct wrong_row w = { .catalog = c, .id = id, .loc = loc };
	int r = catalog_borrow_write(c, &w.conn);

	if (r < 0)
		return r;
	/* They come in order. */
	r = postings_find(c, w.conn, id, note_wrong, &w);
	if (r == 0)
		r = postings_change(c, w.conn, w.postings, w.n, true);
	return catalog_return(c, w.conn, r);
}

/* Drop a pack and its directory; its postings go to @b. Return 0, -ENOENT or another
 * negative errno. */
static int drop_rows(struct catalog *c, struct conn *k, int64_t no,
		     struct batch *b)
{
	struct slice_range range;
	sqlite3_stmt *st;
	int r, rc = conn_step(k, STMT_GET_PACK_DIR, "i", no);

	if (rc == SQLITE_DONE)
		return -ENOENT;
	if (rc != SQLITE_ROW)
		return catalog_fail(c, k, rc, "reading a pack");
	st = k->stmts[STMT_GET_PACK_DIR];
	range.first = sqlite3_column_int64(st, 7);
	range.n = sqlite3_column_int64(st, 8);
	conn_reset(k, STMT_GET_PACK_DIR);
	r = slices_drop(c, k, b, no, &range);
	if (r < 0)
		return r;
	rc = conn_step(k, STMT_DROP_PACK, "i", no);
	return rc == SQLITE_DONE ? 0
				 : catalog_fail(c, k, rc, "dropping a pack");
}

int catalog_drop_pack(struct catalog *c, int64_t no)
{
	CLEANUP(batch_release) struct batch b = { .n = 0 };
	struct conn *k;
	int r, rc;

	r = catalog_borrow_write(c, &k);
	if (r < 0)
		return r;
	rc = conn_step(k, STMT_DROP_LINKS, "i", no);
	r = rc == SQLITE_DONE ? drop_rows(c, k, no, &b)
			      : catalog_fail(c, k, rc, "dropping a pack");
	if (r == 0)
		r = batch_flush(c, k, &b, true);
	return catalog_return(c, k, r == -ENOENT ? 0 : r);
}

/* Unlink a pack from a source, and drop it where that was its last. */
static int drop_pack(struct catalog *c, struct conn *k, int64_t source,
		     int64_t no, struct batch *b)
{
	int rc = conn_step(k, STMT_DROP_LINK, "ii", source, no);

	if (rc != SQLITE_DONE)
		return catalog_fail(c, k, rc, "unlinking a pack");
	rc = conn_step(k, STMT_PACK_LINK, "i", no);
	if (rc == SQLITE_ROW) {
		conn_reset(k, STMT_PACK_LINK);
		return 0;
	}
	if (rc != SQLITE_DONE)
		return catalog_fail(c, k, rc, "looking up a pack");
	rc = drop_rows(c, k, no, b);
	return rc == -ENOENT ? catalog_fail_row(c, "dropping a pack") : rc;
}

/* A source on its way out. */
struct source_drop {
	const char *source; /* borrowed */
	/* What it is called meanwhile: nobody takes it for imported, nor goes on
	 * with it. */
	char gone[sizeof(CATALOG_GONE) + sizeof(CATALOG_HALF) +
		  OBJECT_NAME_MAX];
	bool renamed; /* what bears that name is what was to go */
	bool done;
};

/* Find what is to go next: 1 and its number, 0 (nothing) or a negative errno. */
static int find_gone(struct catalog *c, struct conn *k, struct source_drop *d,
		     int64_t *no)
{
	int r = find_source(c, k, d->gone, no), rc;

	if (r != 0 || d->renamed)
		return r;
	r = find_source(c, k, d->source, no);
	if (r <= 0)
		return r;
	d->renamed = true;
	rc = conn_step(k, STMT_RENAME_SOURCE, "it", *no, d->gone);
	return rc == SQLITE_DONE ? 1
				 : catalog_fail(c, k, rc, "dropping an index");
}

/* One transaction. */
static int drop_some(struct catalog *c, struct conn *k, struct source_drop *d)
{
	CLEANUP(batch_release) struct batch b = { .n = 0 };
	int64_t no = 0, pack;
	size_t npacks = 0;
	int r = find_gone(c, k, d, &no), rc = SQLITE_ROW;

	d->done = r == 0;
	if (r <= 0)
		return r;
	r = 0;
	while (r == 0 && b.n < BATCH_MAX && npacks++ < BATCH_PACKS &&
	       (rc = conn_step(k, STMT_NEXT_LINK, "i", no)) == SQLITE_ROW) {
		pack = sqlite3_column_int64(k->stmts[STMT_NEXT_LINK], 0);
		conn_reset(k, STMT_NEXT_LINK);
		r = drop_pack(c, k, no, pack, &b);
	}
	if (r == 0)
		r = batch_flush(c, k, &b, true);
	if (r < 0 || rc == SQLITE_ROW)
		return r;
	if (rc == SQLITE_DONE)
		rc = conn_step(k, STMT_DROP_SOURCE, "i", no);
	d->done = d->renamed;
	return rc == SQLITE_DONE ? 0
				 : catalog_fail(c, k, rc, "dropping an index");
}

int catalog_drop_source(struct catalog *c, const char *source)
{
	struct source_drop d = { .source = source };
	const char *prefix = CATALOG_GONE;
	int r = 0;

	if (strlen(source) >= sizeof(d.gone) - strlen(CATALOG_GONE))
		return 0; /* none is called so */
	d.renamed = strncmp(source, CATALOG_GONE, strlen(CATALOG_GONE)) == 0;
	if (d.renamed)
		prefix = "";
	snprintf(d.gone, sizeof(d.gone), "%s%s", prefix, source);
	while (r == 0 && !d.done) {
		struct conn *k;

		r = catalog_borrow_write(c, &k);
		if (r == 0)
			r = catalog_return(c, k, drop_some(c, k, &d));
	}
	return r;
}
