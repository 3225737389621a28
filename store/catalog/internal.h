/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the catalog's own files share: its connections and its statements.
 *
 * db.c opens, makes and deletes the files, connections.c lends
 * connections, catalog.c asks, import.c changes packs, slices.c their
 * directories, and postings.c what leads from ids to those.
 */
#ifndef STORE_CATALOG_INTERNAL_H
#define STORE_CATALOG_INTERNAL_H

#include "store/base/attrs.h"
#include "store/catalog/catalog.h"

#include <assert.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/types.h>
#include <time.h>

enum catalog_stmt {
	STMT_BEGIN,
	STMT_COMMIT,
	STMT_ROLLBACK,
	STMT_RUN_AT,
	STMT_RUN_AFTER,
	STMT_NEXT_RUN,
	STMT_PUT_RUN,
	STMT_DROP_RUN,
	STMT_GET_SLICE,
	STMT_PACK_SLICES,
	STMT_LAST_SLICE,
	STMT_PUT_SLICE,
	STMT_DROP_SLICES,
	STMT_GET_PACK,
	STMT_GET_PACK_DIR,
	STMT_PACK_NO,
	STMT_PACKS,
	STMT_ADD_PACK,
	STMT_SET_PACK,
	STMT_SET_SLICES,
	STMT_DROP_PACK,
	STMT_SOURCE_NO,
	STMT_SOURCES,
	STMT_ADD_SOURCE,
	STMT_RENAME_SOURCE,
	STMT_DROP_SOURCE,
	STMT_ADD_LINK,
	STMT_DROP_LINK,
	STMT_DROP_LINKS,
	STMT_NEXT_LINK,
	STMT_PACK_LINK,
	STMT_PACK_SOURCES,
	STMT_SOURCE_PACKS,
	STMT_GET_OBJECT,
	STMT_PUT_OBJECT,
	STMT_DROP_OBJECT,
	STMT_DROP_OBJECTS,
	STMT_COUNT
};

#define CATALOG_INSTANCE_LEN 16
#define CATALOG_WHY_LEN 256

/* How far changes of the files have come. */
struct catalog_progress {
	struct timespec file, wal; /* when it was written last */
	off_t wal_size;
};

/* A connection: used by one thread at a time. */
struct conn {
	struct conn *next; /* in the pool */
	sqlite3 *db;
	sqlite3_stmt *stmts[STMT_COUNT]; /* owned; prepared at first use */
	const char *file; /* borrowed: the catalog's */
	/* While it waits for another process's change to end: */
	struct catalog_progress seen; /* of the one that holds the file */
	unsigned int waited_ms; /* since then */
	uint64_t used; /* statements to reset: 1 << enum catalog_stmt */
};

static_assert(STMT_COUNT <= 64, "conn.used has a bit for each statement");

struct catalog {
	pthread_mutex_t lock; /* protects idle, nidle, nconns, grown, bad,
			      * disputed */
	pthread_cond_t back; /* a connection came back */
	struct conn *idle; /* owned */
	unsigned int nidle;
	unsigned int nconns; /* idle or lent; at least 1 while open */
	bool grown; /* no further connection can be opened */
	bool bad; /* damage was met, the files are gone */
	/* packs of which two sources did not say the same; owned */
	char (*disputed)[PACK_NAME_MAX];
	size_t ndisputed, disputed_cap;

	/* Set once at open. */
	char *dir; /* owned, absolute */
	char *file; /* owned */
	bool temporary; /* dir is ours alone and goes with us */
	uint8_t vault_id[VAULT_ID_LEN];
	uint8_t instance[CATALOG_INSTANCE_LEN]; /* of this making of the file */
	dev_t dev;
	ino_t ino;
};

/* ---- db.c: files and single connections ---- */

/*
 * Open or make the database in c->dir, and its first connection. On failure
 * the reason stands in @why. Return 0, -ENOMEM or -ENOTRECOVERABLE.
 */
MUST_CHECK int catalog_db_open(struct catalog *c, struct conn **out,
			       char why[CATALOG_WHY_LEN]);
/*
 * A further connection. Return 0, -ESTALE (the file is another one now),
 * -ENOMEM or -ENOTRECOVERABLE; silent.
 */
MUST_CHECK int catalog_db_connect(struct catalog *c, struct conn **out);
void catalog_db_close(struct conn *k);
/* How long another process may hold the files without writing, for tests to
 * change before they open a catalog: 10,000. */
extern unsigned int catalog_db_busy_ms;
/* Delete the files, if they are still those that were opened. */
void catalog_db_delete(struct catalog *c);
/* Make @dir and its parents, and find out whether its files can be trusted. */
MUST_CHECK int catalog_db_make_dir(const char *dir, char **out,
				   char why[CATALOG_WHY_LEN]);
/* True for codes that say that the file is damaged. */
bool catalog_rc_damage(int rc);

/* ---- connections.c: lending, running statements, errors ---- */

/* Borrow a connection. Return 0 or -ENOMEM. */
MUST_CHECK int catalog_borrow(struct catalog *c, struct conn **out);
/*
 * The same for a change: begins a transaction. Return 0 or a negative errno,
 * said in words.
 */
MUST_CHECK int catalog_borrow_write(struct catalog *c, struct conn **out);
/*
 * Give a connection back: resets its statements; a transaction is committed
 * where @r is 0, else rolled back. Return @r, or why committing failed.
 */
MUST_CHECK int catalog_return(struct catalog *c, struct conn *k, int r);

/*
 * Bind and step once. @types has a letter a parameter: 'i' int64_t, 't' a
 * string, 'b' bytes (pointer, size_t); all stay borrowed until the statement
 * is stepped or reset. Return SQLITE_ROW, SQLITE_DONE or an error code.
 */
MUST_CHECK int conn_step(struct conn *k, enum catalog_stmt which,
			 const char *types, ...);
/* The next row of a statement that gave one. */
MUST_CHECK int conn_next(struct conn *k, enum catalog_stmt which);
/* Let go of a statement's row before the connection is returned. */
void conn_reset(struct conn *k, enum catalog_stmt which);

/*
 * Say that SQLite failed with @rc at @what, and what to do. Damage deletes
 * the database. Return -ENOMEM, -ENOSPC or -ENOTRECOVERABLE.
 */
MUST_CHECK int catalog_fail(struct catalog *c, struct conn *k, int rc,
			    const char *what);
/* The same where the database answered, but with something that cannot be. */
MUST_CHECK int catalog_fail_row(struct catalog *c, const char *what);

/* ---- postings.c: from ids to slices ---- */

#define POSTING_KEY_BITS 36
#define POSTING_SLICE_BITS 27
#define POSTING_SLICE_MAX ((1 << POSTING_SLICE_BITS) - 1)

/* An id's first bits and the number of a slice, as one number; they sort as ids
 * do. @slice is at most POSTING_SLICE_MAX. */
uint64_t posting_of(const struct id *id, int64_t slice);
/* Sort them, and leave out those that are there twice. */
void postings_sort(uint64_t *postings, size_t *n);
/* Call @fn for each slice that may name the id, until it returns other than 0.
 * Return that, 0 or a negative errno. */
MUST_CHECK int postings_find(struct catalog *c, struct conn *k,
			     const struct id *id,
			     int (*fn)(void *arg, int64_t slice), void *arg);
/* Add postings, or take them away; @sorted, none twice. Those that are there
 * (or are not) already are left as they are. */
MUST_CHECK int postings_change(struct catalog *c, struct conn *k,
			       const uint64_t *sorted, size_t n, bool remove);

/* ---- slices.c: directories, in pieces ---- */

/* Postings on their way into the database, or out of it. Zero it to begin. */
struct batch {
	uint64_t *postings; /* owned */
	size_t n, cap;
	int64_t last_slice; /* the highest number in use; 0: not asked yet */
};

void batch_release(struct batch *b);
/* Change them in the database, and empty the batch. */
MUST_CHECK int batch_flush(struct catalog *c, struct conn *k, struct batch *b,
			   bool remove);

/* Where the directory of a pack lies: slices @first to @first + @n - 1. */
struct slice_range {
	int64_t first, n;
};

/* The directory without its chunks: what precedes them. Return its length, or
 * -EBADMSG. */
MUST_CHECK int slices_head(const void *dir, size_t len, size_t *out);
/*
 * Write the chunks of pack @no, which are a directory without its head, as
 * slices, and add their postings to @b. @range: where they are to be; where its
 * n is 0, or not what it takes, behind all that there are, and it is set.
 */
MUST_CHECK int slices_put(struct catalog *c, struct conn *k, struct batch *b,
			  int64_t no, const void *chunks, size_t len,
			  struct slice_range *range);
/* Drop the slices that are pack @no's, and add their postings to @b, which may
 * be NULL. */
MUST_CHECK int slices_drop(struct catalog *c, struct conn *k, struct batch *b,
			   int64_t no, const struct slice_range *range);
/* Append them to @out. */
MUST_CHECK int slices_get(struct catalog *c, struct conn *k, int64_t no,
			  const struct slice_range *range, struct buf *out);
/* Is chunk @id in this slice? Return 1, 0 (it is not, or the slice is gone, or
 * broken) or a negative errno. */
MUST_CHECK int slice_find(struct catalog *c, struct conn *k, int64_t slice,
			  const struct id *id, struct chunk_loc *out);

#endif
