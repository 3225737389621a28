/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Questions to the local database, and small answers to keep there.
 *
 * The database is a cache, on a disk that may fail as any: what comes out of it
 * is bounded as if a stranger had written it. A row that cannot be is an error,
 * never an absence; the database is deleted then, and the next command makes it
 * again from the vault. Slices of directories and what leads to them are the
 * exception: where these are broken a chunk is not found, and the pack itself,
 * or the index read again, says what is true. Each call borrows a connection,
 * with its statements prepared, and gives it back; so threads ask side by side.
 */
#include "config.h"

#include "store/catalog/catalog.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "store/base/log.h"
#include "store/catalog/internal.h"

static sqlite3_stmt *row_of(struct conn *k, enum catalog_stmt which)
{
	return k->stmts[which];
}

/* Read an integer column that must be within 0..@max. */
static bool column_u64(sqlite3_stmt *st, int i, uint64_t max, uint64_t *out)
{
	int64_t v = sqlite3_column_int64(st, i);

	if (v < 0 || (uint64_t)v > max)
		return false;
	*out = (uint64_t)v;
	return true;
}

int catalog_has_source(struct catalog *c, const char *source)
{
	struct conn *k;
	int r, rc;

	r = catalog_borrow(c, &k);
	if (r < 0)
		return r;
	rc = conn_step(k, STMT_SOURCE_NO, "t", source);
	if (rc == SQLITE_ROW)
		r = 1;
	else if (rc != SQLITE_DONE)
		r = catalog_fail(c, k, rc, "looking up an index");
	return catalog_return(c, k, r);
}

/* Call @fn for the names that a statement, stepped to @rc, gives. */
static int each_name(struct catalog *c, struct conn *k, enum catalog_stmt which,
		     int rc, int (*fn)(void *arg, const char *source),
		     void *arg)
{
	int r;

	while (rc == SQLITE_ROW) {
		const unsigned char *name =
			sqlite3_column_text(row_of(k, which), 0);

		r = name ? fn(arg, (const char *)name) : -ENOMEM;
		if (r != 0)
			return r;
		rc = conn_next(k, which);
	}
	return rc == SQLITE_DONE ? 0
				 : catalog_fail(c, k, rc, "listing indexes");
}

int catalog_sources(struct catalog *c, int (*fn)(void *arg, const char *source),
		    void *arg)
{
	struct conn *k;
	int r = catalog_borrow(c, &k);

	if (r < 0)
		return r;
	r = each_name(c, k, STMT_SOURCES, conn_step(k, STMT_SOURCES, ""), fn,
		      arg);
	return catalog_return(c, k, r);
}

int catalog_pack_sources(struct catalog *c, int64_t no,
			 int (*fn)(void *arg, const char *source), void *arg)
{
	struct conn *k;
	int r = catalog_borrow(c, &k);

	if (r < 0)
		return r;
	r = each_name(c, k, STMT_PACK_SOURCES,
		      conn_step(k, STMT_PACK_SOURCES, "i", no), fn, arg);
	return catalog_return(c, k, r);
}

int catalog_source_packs(struct catalog *c, const char *source,
			 int (*fn)(void *arg, int64_t no), void *arg)
{
	struct conn *k;
	int r, rc;

	r = catalog_borrow(c, &k);
	if (r < 0)
		return r;
	rc = conn_step(k, STMT_SOURCE_PACKS, "t", source);
	if (rc == SQLITE_DONE)
		r = -ENOENT;
	while (rc == SQLITE_ROW && r == 0) {
		sqlite3_stmt *st = row_of(k, STMT_SOURCE_PACKS);

		if (sqlite3_column_type(st, 0) != SQLITE_NULL)
			r = fn(arg, sqlite3_column_int64(st, 0));
		if (r == 0)
			rc = conn_next(k, STMT_SOURCE_PACKS);
	}
	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		r = catalog_fail(c, k, rc, "listing an index's packs");
	return catalog_return(c, k, r);
}

/* ---- chunks ---- */

struct lookup {
	struct catalog *catalog;
	struct conn *conn;
	const struct id *id;
	int64_t after;
	struct chunk_loc loc; /* the best so far; pack 0: none */
};

static int look_in_slice(void *arg, int64_t slice)
{
	struct lookup *l = arg;
	struct chunk_loc loc;
	int r = slice_find(l->catalog, l->conn, slice, l->id, &loc);

	if (r == 1 && loc.pack > l->after &&
	    (l->loc.pack == 0 || loc.pack < l->loc.pack))
		l->loc = loc;
	return MIN(r, 0);
}

int catalog_find_chunk(struct catalog *c, const struct id *id, int64_t after,
		       struct chunk_loc *out)
{
	struct lookup l = { .catalog = c, .id = id, .after = after };
	int r = catalog_borrow(c, &l.conn);

	if (r < 0)
		return r;
	r = postings_find(c, l.conn, id, look_in_slice, &l);
	if (r == 0 && l.loc.pack == 0)
		r = -ENOENT;
	if (r == 0)
		*out = l.loc;
	return catalog_return(c, l.conn, r);
}

/* ---- packs ---- */

static bool read_pack(sqlite3_stmt *st, struct pack_row *out)
{
	const void *name = sqlite3_column_text(st, 1);
	const void *salt = sqlite3_column_blob(st, 4);
	const void *mac = sqlite3_column_blob(st, 5);
	uint64_t size, kind;
	size_t len = (size_t)sqlite3_column_bytes(st, 1);

	if (!name || len >= PACK_NAME_MAX || memchr(name, '\0', len) || !salt ||
	    sqlite3_column_bytes(st, 4) != CRYPT_SALT_LEN || !mac ||
	    sqlite3_column_bytes(st, 5) != CRYPT_SHA256_LEN ||
	    !column_u64(st, 2, INT64_MAX, &size) ||
	    !column_u64(st, 3, ((uint64_t)UINT32_MAX << 8) | UINT8_MAX, &kind))
		return false;
	memset(out, 0, sizeof(*out));
	out->no = sqlite3_column_int64(st, 0);
	memcpy(out->name, name, len);
	out->size = size;
	/* The epoch stands above the kind: most packs have none. */
	out->kind = (uint8_t)kind;
	out->epoch = (uint32_t)(kind >> 8);
	memcpy(out->salt, salt, CRYPT_SALT_LEN);
	memcpy(out->mac, mac, CRYPT_SHA256_LEN);
	return true;
}

/* The directory of the pack that STMT_GET_PACK_DIR stands at. */
static int read_dir(struct catalog *c, struct conn *k, int64_t no,
		    struct buf *out)
{
	sqlite3_stmt *st = row_of(k, STMT_GET_PACK_DIR);
	const void *head = sqlite3_column_blob(st, 6);
	size_t len = (size_t)sqlite3_column_bytes(st, 6);
	struct slice_range range = { sqlite3_column_int64(st, 7),
				     sqlite3_column_int64(st, 8) };
	/* SQLite reports errors of reading a long value this way. */
	int rc = head ? SQLITE_ROW : sqlite3_errcode(k->db);

	if (rc != SQLITE_OK && rc != SQLITE_ROW)
		return catalog_fail(c, k, rc, "reading a directory");
	buf_put(out, head, len);
	return buf_error(out) < 0 ? buf_error(out)
				  : slices_get(c, k, no, &range, out);
}

int catalog_get_pack(struct catalog *c, int64_t no, struct pack_row *out,
		     struct buf *dir_out)
{
	enum catalog_stmt which = dir_out ? STMT_GET_PACK_DIR : STMT_GET_PACK;
	struct pack_row row;
	struct conn *k;
	int r, rc;

	r = catalog_borrow(c, &k);
	if (r < 0)
		return r;
	rc = conn_step(k, which, "i", no);
	if (rc == SQLITE_DONE)
		r = -ENOENT;
	else if (rc != SQLITE_ROW)
		r = catalog_fail(c, k, rc, "looking up a pack");
	else if (!read_pack(row_of(k, which), &row))
		r = catalog_fail_row(c, "looking up a pack");
	if (r == 0 && dir_out)
		r = read_dir(c, k, no, dir_out);
	if (r == 0)
		*out = row;
	return catalog_return(c, k, r);
}

int catalog_pack_no(struct catalog *c, const char *name, int64_t *out)
{
	struct conn *k;
	int r, rc;

	r = catalog_borrow(c, &k);
	if (r < 0)
		return r;
	rc = conn_step(k, STMT_PACK_NO, "t", name);
	if (rc == SQLITE_ROW)
		*out = sqlite3_column_int64(row_of(k, STMT_PACK_NO), 0);
	else if (rc == SQLITE_DONE)
		r = -ENOENT;
	else
		r = catalog_fail(c, k, rc, "looking up a pack");
	return catalog_return(c, k, r);
}

int catalog_packs(struct catalog *c,
		  int (*fn)(void *arg, const struct pack_row *row), void *arg)
{
	struct pack_row row;
	struct conn *k;
	int r, rc;

	r = catalog_borrow(c, &k);
	if (r < 0)
		return r;
	rc = conn_step(k, STMT_PACKS, "");
	while (rc == SQLITE_ROW) {
		if (read_pack(row_of(k, STMT_PACKS), &row))
			r = fn(arg, &row);
		else
			r = catalog_fail_row(c, "listing packs");
		if (r != 0)
			goto out;
		rc = conn_next(k, STMT_PACKS);
	}
	if (rc != SQLITE_DONE)
		r = catalog_fail(c, k, rc, "listing packs");
out:
	return catalog_return(c, k, r);
}

/* ---- small objects ---- */

/*
 * What is long is read to where it is wanted: as the value of a column it would be
 * put together elsewhere first, and each of its pages of memory is a page fault.
 * Return a code of SQLite's.
 */
static int read_long(struct conn *k, sqlite3_int64 no, size_t len,
		     struct buf *out)
{
	sqlite3_blob *blob = NULL;
	int rc = buf_reserve(out, len) < 0
			 ? SQLITE_NOMEM
			 : sqlite3_blob_open(k->db, "main", "objects", "data",
					     no, 0, &blob);

	if (rc == SQLITE_OK)
		rc = sqlite3_blob_read(blob, out->data + out->len, (int)len, 0);
	if (rc == SQLITE_OK)
		out->len += len;
	(void)sqlite3_blob_close(blob);
	return rc;
}

/* The object of the row. Return a code of SQLite's. */
static int read_row(struct conn *k, struct buf *out)
{
	sqlite3_stmt *st = row_of(k, STMT_GET_OBJECT);
	size_t len = (size_t)sqlite3_column_int64(st, 1);
	const void *data;
	int rc;

	if (sqlite3_column_type(st, 2) == SQLITE_NULL && len > 0)
		return read_long(k, sqlite3_column_int64(st, 0), len, out);
	data = sqlite3_column_blob(st, 2);
	rc = data ? SQLITE_ROW : sqlite3_errcode(k->db);
	if (rc != SQLITE_ROW && rc != SQLITE_OK)
		return rc;
	buf_put(out, data, (size_t)sqlite3_column_bytes(st, 2));
	return buf_error(out) < 0 ? SQLITE_NOMEM : SQLITE_OK;
}

int catalog_get_object(struct catalog *c, const char *name, struct buf *out)
{
	struct conn *k;
	int r, rc;

	r = catalog_borrow(c, &k);
	if (r < 0)
		return r;
	rc = conn_step(k, STMT_GET_OBJECT, "t", name);
	if (rc == SQLITE_ROW) {
		rc = read_row(k, out);
		if (rc != SQLITE_OK)
			r = rc == SQLITE_NOMEM
				    ? -ENOMEM
				    : catalog_fail(c, k, rc,
						   "reading an object");
	} else if (rc == SQLITE_DONE) {
		r = -ENOENT;
	} else {
		r = catalog_fail(c, k, rc, "looking up an object");
	}
	return catalog_return(c, k, r);
}

int catalog_put_objects(struct catalog *c, const struct catalog_object *objects,
			size_t n)
{
	struct conn *k;
	size_t i;
	int r, rc;

	r = catalog_borrow_write(c, &k);
	if (r < 0)
		return r;
	for (i = 0; i < n && r == 0; i++) {
		rc = conn_step(k, STMT_PUT_OBJECT, "tb", objects[i].name,
			       objects[i].data, objects[i].len);
		if (rc != SQLITE_DONE)
			r = catalog_fail(c, k, rc, "keeping an object");
	}
	return catalog_return(c, k, r);
}

int catalog_put_object(struct catalog *c, const char *name, const void *data,
		       size_t len)
{
	struct catalog_object object = { name, data, len };

	return catalog_put_objects(c, &object, 1);
}

int catalog_drop_object(struct catalog *c, const char *name)
{
	struct conn *k;
	int r, rc;

	r = catalog_borrow_write(c, &k);
	if (r < 0)
		return r;
	rc = conn_step(k, STMT_DROP_OBJECT, "t", name);
	if (rc != SQLITE_DONE)
		r = catalog_fail(c, k, rc, "dropping an object");
	return catalog_return(c, k, r);
}

int catalog_drop_objects(struct catalog *c)
{
	struct conn *k;
	int r, rc;

	r = catalog_borrow_write(c, &k);
	if (r < 0)
		return r;
	rc = conn_step(k, STMT_DROP_OBJECTS, "");
	if (rc != SQLITE_DONE)
		r = catalog_fail(c, k, rc, "dropping all objects");
	return catalog_return(c, k, r);
}

int catalog_size(struct catalog *c, uint64_t *out)
{
	static const char *const names[] = { "catalog.db", "catalog.db-wal",
					     "catalog.db-shm" };
	uint64_t sum = 0;
	struct stat st;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		char path[PATH_MAX];

		if (snprintf(path, sizeof(path), "%s/%s", c->dir, names[i]) >=
		    (int)sizeof(path))
			return -ENAMETOOLONG;
		if (stat(path, &st) == 0)
			sum += (uint64_t)st.st_size;
		else if (errno != ENOENT)
			return fail(-errno, "local database %s: %s", path,
				    strerror(errno));
	}
	*out = sum;
	return 0;
}
