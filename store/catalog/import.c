/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Importing and dropping sources.
 *
 * Chunk ids are random, so rows of one import fall all over the table: they
 * are sorted first, in batches, so that each page is touched once a batch.
 * Dropping a pack reads its directory back to learn the keys of its chunks.
 */
#include "config.h"

#include "store/catalog/catalog.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/log.h"
#include "store/catalog/internal.h"

/* 24 MiB of references at most. */
#define BATCH_MAX (1u << 20)

struct row_ref {
	uint64_t key; /* the first bytes of the id, comparable */
	const struct chunk_ref *chunk; /* borrowed */
	int64_t pack;
};

struct batch {
	struct row_ref *refs; /* owned */
	size_t n;
	size_t cap;
};

static int compare_refs(const void *a, const void *b)
{
	const struct row_ref *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return memcmp(x->chunk->id.b, y->chunk->id.b, ID_LEN);
}

static void batch_release(struct batch *b)
{
	free(b->refs);
}

static int batch_init(struct batch *b, size_t want)
{
	b->n = 0;
	b->cap = MIN(want, BATCH_MAX);
	b->refs = b->cap ? alloc_array(b->cap, sizeof(*b->refs)) : NULL;
	return b->cap && !b->refs ? -ENOMEM : 0;
}

/* Write the batch's rows, or delete them, in the table's order. */
static int batch_flush(struct catalog *c, struct conn *k, struct batch *b,
		       enum catalog_stmt which)
{
	size_t i;

	if (b->n > 1)
		qsort(b->refs, b->n, sizeof(*b->refs), compare_refs);
	for (i = 0; i < b->n; i++) {
		const struct chunk_ref *chunk = b->refs[i].chunk;
		int rc;

		rc = conn_step(k, which,
			       which == STMT_DROP_CHUNK ? "bi" : "biiiii",
			       chunk->id.b, (size_t)ID_LEN, b->refs[i].pack,
			       (int64_t)chunk->len, (int64_t)chunk->frame,
			       (int64_t)chunk->off, (int64_t)chunk->type);
		if (rc != SQLITE_DONE)
			return catalog_fail(c, k, rc, "changing chunks");
	}
	b->n = 0;
	return 0;
}

static int batch_add(struct catalog *c, struct conn *k, struct batch *b,
		     enum catalog_stmt which, int64_t pack,
		     const struct pack_dir *dir)
{
	size_t i;
	int r;

	for (i = 0; i < dir->nchunks; i++) {
		struct row_ref *ref;

		if (b->n == b->cap) {
			r = batch_flush(c, k, b, which);
			if (r < 0)
				return r;
		}
		ref = &b->refs[b->n++];
		ref->chunk = &dir->chunks[i];
		ref->key = be64toh(id_hash(&ref->chunk->id));
		ref->pack = pack;
	}
	return 0;
}

/* ---- import ---- */

/* Write the row of a pack, with the statement that adds or changes it. */
static int write_pack(struct catalog *c, struct conn *k,
		      enum catalog_stmt which, const struct catalog_pack *p)
{
	const struct pack_row *row = &p->row;
	int rc = conn_step(k, which, "tiibbb", row->name, (int64_t)row->size,
			   (int64_t)row->kind, row->salt, sizeof(row->salt),
			   row->mac, sizeof(row->mac), p->dir, p->dir_len);

	return rc == SQLITE_DONE ? 0 : catalog_fail(c, k, rc, "adding a pack");
}

/* The pack's number; @made: its row is new, or was written @again. */
static int add_pack(struct catalog *c, struct conn *k,
		    const struct catalog_pack *p, bool again, int64_t *no,
		    bool *made)
{
	int rc, r;

	*made = again;
	rc = conn_step(k, STMT_PACK_NO, "t", p->row.name);
	if (rc == SQLITE_ROW) {
		*no = sqlite3_column_int64(k->stmts[STMT_PACK_NO], 0);
		conn_reset(k, STMT_PACK_NO);
		return again ? write_pack(c, k, STMT_SET_PACK, p) : 0;
	}
	if (rc != SQLITE_DONE)
		return catalog_fail(c, k, rc, "adding a pack");
	r = write_pack(c, k, STMT_ADD_PACK, p);
	*no = sqlite3_last_insert_rowid(k->db);
	*made = true;
	return r;
}

static int add_packs(struct catalog *c, struct conn *k, int64_t source,
		     const struct catalog_pack *packs, size_t npacks,
		     bool again, struct batch *b)
{
	enum catalog_stmt which = again ? STMT_SET_CHUNK : STMT_ADD_CHUNK;
	size_t i;
	int r = 0, rc;

	for (i = 0; i < npacks && r == 0; i++) {
		int64_t no = 0;
		bool made;

		r = add_pack(c, k, &packs[i], again, &no, &made);
		if (r < 0)
			return r;
		rc = conn_step(k, STMT_ADD_LINK, "ii", source, no);
		if (rc != SQLITE_DONE)
			return catalog_fail(c, k, rc, "linking a pack");
		if (made)
			r = batch_add(c, k, b, which, no, packs[i].decoded);
	}
	return r < 0 ? r : batch_flush(c, k, b, which);
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

static int import_source(struct catalog *c, const char *source,
			 const struct catalog_pack *packs, size_t npacks,
			 bool again)
{
	CLEANUP(batch_release) struct batch b = { NULL, 0, 0 };
	size_t i, nchunks = 0;
	struct conn *k;
	int64_t no = 0;
	int r, rc;

	for (i = 0; i < npacks; i++) {
		nchunks += packs[i].decoded->nchunks;
		if (packs[i].row.size > INT64_MAX ||
		    !memchr(packs[i].row.name, '\0', PACK_NAME_MAX))
			return fail(-EBADMSG,
				    "%s: a pack's name or size is"
				    " out of bounds",
				    source);
	}
	r = batch_init(&b, nchunks);
	if (r < 0)
		return r;
	r = catalog_borrow_write(c, &k);
	if (r < 0)
		return r;
	r = find_source(c, k, source, &no);
	if (r < 0 || (r > 0 && !again))
		return catalog_return(c, k, r < 0 ? r : 0);
	rc = r > 0 ? SQLITE_DONE : conn_step(k, STMT_ADD_SOURCE, "t", source);
	if (r == 0)
		no = sqlite3_last_insert_rowid(k->db);
	if (rc != SQLITE_DONE)
		r = catalog_fail(c, k, rc, "adding an index");
	else
		r = add_packs(c, k, no, packs, npacks, again, &b);
	return catalog_return(c, k, r);
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

/* ---- drop ---- */

/* Delete the chunks that the directory in the pack's row names. */
static int drop_chunks(struct catalog *c, struct conn *k, int64_t no)
{
	CLEANUP(format_release_dir) struct pack_dir dir = { 0 };
	CLEANUP(batch_release) struct batch b = { NULL, 0, 0 };
	const char *name;
	sqlite3_stmt *st;
	int r, rc;

	rc = conn_step(k, STMT_GET_PACK_DIR, "i", no);
	if (rc == SQLITE_DONE)
		return catalog_fail_row(c, "dropping a pack");
	if (rc != SQLITE_ROW)
		return catalog_fail(c, k, rc, "reading a pack");
	st = k->stmts[STMT_GET_PACK_DIR];
	name = (const char *)sqlite3_column_text(st, 1);
	r = format_get_dir(sqlite3_column_blob(st, 6),
			   (size_t)sqlite3_column_bytes(st, 6),
			   name ? name : "?", false, &dir);
	conn_reset(k, STMT_GET_PACK_DIR);
	if (r == -EBADMSG)
		return catalog_fail_row(c, "reading a pack's directory");
	if (r < 0)
		return r;
	r = batch_init(&b, dir.nchunks);
	if (r == 0)
		r = batch_add(c, k, &b, STMT_DROP_CHUNK, no, &dir);
	return r < 0 ? r : batch_flush(c, k, &b, STMT_DROP_CHUNK);
}

int catalog_drop_chunk(struct catalog *c, const struct id *id,
		       const struct chunk_loc *loc)
{
	struct conn *k;
	int r, rc;

	r = catalog_borrow_write(c, &k);
	if (r < 0)
		return r;
	rc = conn_step(k, STMT_DROP_CHUNK_ROW, "biiiii", id->b, (size_t)ID_LEN,
		       loc->pack, (int64_t)loc->len, (int64_t)loc->frame,
		       (int64_t)loc->off, (int64_t)loc->type);
	if (rc != SQLITE_DONE)
		r = catalog_fail(c, k, rc, "dropping a chunk");
	return catalog_return(c, k, r);
}

int catalog_drop_pack(struct catalog *c, int64_t no)
{
	struct conn *k;
	int r, rc;

	r = catalog_borrow_write(c, &k);
	if (r < 0)
		return r;
	rc = conn_step(k, STMT_DROP_VERIFIED, "i", no);
	if (rc == SQLITE_DONE)
		rc = conn_step(k, STMT_DROP_LINKS, "i", no);
	if (rc == SQLITE_DONE)
		rc = conn_step(k, STMT_DROP_PACK, "i", no);
	if (rc != SQLITE_DONE)
		r = catalog_fail(c, k, rc, "dropping a pack");
	return catalog_return(c, k, r);
}

/* Unlink a pack from a source, and drop it where that was its last. */
static int drop_pack(struct catalog *c, struct conn *k, int64_t source,
		     int64_t no)
{
	int r, rc;

	rc = conn_step(k, STMT_DROP_LINK, "ii", source, no);
	if (rc != SQLITE_DONE)
		return catalog_fail(c, k, rc, "unlinking a pack");
	rc = conn_step(k, STMT_PACK_LINK, "i", no);
	if (rc == SQLITE_ROW) {
		conn_reset(k, STMT_PACK_LINK);
		return 0;
	}
	if (rc != SQLITE_DONE)
		return catalog_fail(c, k, rc, "looking up a pack");
	r = drop_chunks(c, k, no);
	if (r < 0)
		return r;
	rc = conn_step(k, STMT_DROP_VERIFIED, "i", no);
	if (rc == SQLITE_DONE)
		rc = conn_step(k, STMT_DROP_PACK, "i", no);
	return rc == SQLITE_DONE ? 0
				 : catalog_fail(c, k, rc, "dropping a pack");
}

int catalog_drop_source(struct catalog *c, const char *source)
{
	int64_t no = 0, pack;
	struct conn *k;
	int r, rc;

	r = catalog_borrow_write(c, &k);
	if (r < 0)
		return r;
	r = find_source(c, k, source, &no);
	if (r <= 0)
		return catalog_return(c, k, r);
	r = 0;
	while (r == 0 &&
	       (rc = conn_step(k, STMT_NEXT_LINK, "i", no)) == SQLITE_ROW) {
		pack = sqlite3_column_int64(k->stmts[STMT_NEXT_LINK], 0);
		conn_reset(k, STMT_NEXT_LINK);
		r = drop_pack(c, k, no, pack);
	}
	if (r == 0 && rc == SQLITE_DONE)
		rc = conn_step(k, STMT_DROP_SOURCE, "i", no);
	if (r == 0 && rc != SQLITE_DONE)
		r = catalog_fail(c, k, rc, "dropping an index");
	return catalog_return(c, k, r);
}
