/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Connections are lent to one thread at a time; the lock of the pool is held
 * to take one from a list, never while SQLite works. A few are kept, more are
 * opened while more threads ask at once. Where none can be opened any more
 * (descriptors are out, or somebody deleted the files, which is allowed),
 * threads wait for one to come back.
 */
#include "config.h"

#include "store/catalog/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/base/lock.h"
#include "store/base/log.h"

#define KEEP_IDLE 8
#define MAX_CONNS 64

static const char *const sql[STMT_COUNT] = {
	[STMT_BEGIN] = "BEGIN IMMEDIATE",
	[STMT_COMMIT] = "COMMIT",
	[STMT_ROLLBACK] = "ROLLBACK",
	[STMT_RUN_AT] = "SELECT first, data FROM runs WHERE first<=?1"
			" ORDER BY first DESC LIMIT 1",
	[STMT_RUN_AFTER] = "SELECT first, data FROM runs WHERE first>?1"
			   " ORDER BY first LIMIT 1",
	[STMT_NEXT_RUN] = "SELECT first FROM runs WHERE first>?1"
			  " ORDER BY first LIMIT 1",
	[STMT_PUT_RUN] = "INSERT OR REPLACE INTO runs VALUES(?1, ?2)",
	[STMT_DROP_RUN] = "DELETE FROM runs WHERE first=?1",
	[STMT_GET_SLICE] = "SELECT pack, data FROM slices WHERE no=?1",
	[STMT_PACK_SLICES] = "SELECT no, data FROM slices"
			     " WHERE no>=?2 AND no<?2+?3 AND pack=?1"
			     " ORDER BY no",
	[STMT_LAST_SLICE] = "SELECT max(no) FROM slices",
	[STMT_PUT_SLICE] = "INSERT OR REPLACE INTO slices VALUES(?1, ?2, ?3)",
	[STMT_DROP_SLICES] = "DELETE FROM slices"
			     " WHERE no>=?2 AND no<?2+?3 AND pack=?1",
	[STMT_GET_PACK] = "SELECT no, name, size, kind, salt, mac FROM packs"
			  " WHERE no=?1",
	[STMT_GET_PACK_DIR] = "SELECT no, name, size, kind, salt, mac, head,"
			      " first, slices FROM packs WHERE no=?1",
	[STMT_PACK_NO] = "SELECT no, first, slices, mac FROM packs"
			 " WHERE name=?1",
	[STMT_PACKS] = "SELECT no, name, size, kind, salt, mac FROM packs"
		       " ORDER BY no",
	[STMT_ADD_PACK] = "INSERT INTO packs"
			  "(name, size, kind, salt, mac, head, first, slices)"
			  " VALUES(?1, ?2, ?3, ?4, ?5, ?6, 0, 0)",
	[STMT_SET_PACK] = "UPDATE packs SET size=?2, kind=?3, salt=?4,"
			  " mac=?5, head=?6 WHERE name=?1",
	[STMT_SET_SLICES] = "UPDATE packs SET first=?2, slices=?3 WHERE no=?1",
	[STMT_DROP_PACK] = "DELETE FROM packs WHERE no=?1",
	[STMT_SOURCE_NO] = "SELECT no FROM sources WHERE name=?1",
	[STMT_SOURCES] = "SELECT name FROM sources ORDER BY name",
	[STMT_ADD_SOURCE] = "INSERT INTO sources(name) VALUES(?1)",
	[STMT_RENAME_SOURCE] = "UPDATE sources SET name=?2 WHERE no=?1",
	[STMT_DROP_SOURCE] = "DELETE FROM sources WHERE no=?1",
	[STMT_ADD_LINK] = "INSERT OR IGNORE INTO source_packs VALUES(?1, ?2)",
	[STMT_DROP_LINK] = "DELETE FROM source_packs"
			   " WHERE source=?1 AND pack=?2",
	[STMT_DROP_LINKS] = "DELETE FROM source_packs WHERE pack=?1",
	[STMT_NEXT_LINK] = "SELECT pack FROM source_packs WHERE source=?1",
	[STMT_PACK_LINK] = "SELECT 1 FROM source_packs WHERE pack=?1",
	/* Half imported, a source names its packs as well. */
	[STMT_PACK_SOURCES] = "SELECT CASE WHEN s.name GLOB '" CATALOG_HALF
			      "*' THEN substr(s.name, length('" CATALOG_HALF
			      "')+1) ELSE s.name END FROM source_packs p"
			      " JOIN sources s ON s.no=p.source"
			      " WHERE p.pack=?1 ORDER BY s.name",
	/* One row of NULL where it is imported and names none. */
	[STMT_SOURCE_PACKS] = "SELECT p.pack FROM sources s"
			      " LEFT JOIN source_packs p ON p.source=s.no"
			      " WHERE s.name=?1 ORDER BY p.pack",
	[STMT_GET_OBJECT] = "SELECT no,length(data),CASE WHEN length(data)<="
			    "65536 THEN data END FROM objects WHERE name=?1",
	[STMT_PUT_OBJECT] = "INSERT OR REPLACE INTO objects(name, data)"
			    " VALUES(?1, ?2)",
	[STMT_DROP_OBJECT] = "DELETE FROM objects WHERE name=?1",
	[STMT_DROP_OBJECTS] = "DELETE FROM objects",
};

/* ---- open and close ---- */

static void configure_sqlite(void)
{
	/* Counting memory would take a lock on every allocation. */
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

/* Open the database in c->dir and put its first connection into the pool. */
static int open_dir(struct catalog *c, char *why)
{
	struct conn *k;
	int r;

	if (asprintf(&c->file, "%s/catalog.db", c->dir) < 0) {
		c->file = NULL;
		return -ENOMEM;
	}
	r = catalog_db_open(c, &k, why);
	if (r < 0)
		return r;
	c->idle = k;
	c->nidle = 1;
	c->nconns = 1;
	return 0;
}

/* It grows with the vault, so it is not put into memory, as /tmp often is; but
 * where somebody says where, it is put there. */
static int make_temporary(struct catalog *c)
{
	const char *places[] = { secure_getenv("TMPDIR"), "/var/tmp", "/tmp" };
	size_t i = places[0] && places[0][0] == '/' ? 0 : 1;
	size_t end = i == 0 ? 1 : ARRAY_SIZE(places);
	int err = 0;

	for (; i < end; i++) {
		if (asprintf(&c->dir, "%s/vmbackup-XXXXXX", places[i]) < 0) {
			c->dir = NULL;
			return -ENOMEM;
		}
		if (mkdtemp(c->dir))
			return 0;
		err = errno;
		free(c->dir);
		c->dir = NULL;
	}
	return fail(-ENOTRECOVERABLE,
		    "no place for the local database: %s: %s; set TMPDIR or a"
		    " cache directory",
		    places[end - 1], strerror(err));
}

static int open_temporary(struct catalog *c, char *why)
{
	int r = make_temporary(c);

	if (r < 0)
		return r;
	c->temporary = true;
	return open_dir(c, why);
}

int catalog_open(const char *dir, const uint8_t *vault_id, struct catalog **out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	char why[CATALOG_WHY_LEN] = "";
	struct catalog *c;
	int r = -ENOTRECOVERABLE;

	*out = NULL;
	pthread_once(&once, configure_sqlite);
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->back, NULL);
	memcpy(c->vault_id, vault_id, VAULT_ID_LEN);
	if (dir) {
		r = catalog_db_make_dir(dir, &c->dir, why);
		if (r == 0)
			r = open_dir(c, why);
		if (r == -ENOTRECOVERABLE)
			log_warn("cache directory %s: %s; a temporary one is"
				 " used instead, which makes opening slower",
				 dir, why);
	}
	if (r == -ENOTRECOVERABLE) {
		free(c->file);
		free(c->dir);
		c->file = NULL;
		c->dir = NULL;
		why[0] = '\0';
		r = open_temporary(c, why);
		if (r == -ENOTRECOVERABLE && c->dir)
			r = fail(-ENOTRECOVERABLE,
				 "local database %s: %s; set TMPDIR or a"
				 " cache directory with room in it",
				 c->dir, why);
	}
	if (r < 0) {
		catalog_close(c);
		return r;
	}
	*out = c;
	return 0;
}

static void remove_temporary(struct catalog *c)
{
	char *path;

	catalog_db_delete(c);
	if (asprintf(&path, "%s/catalog.lock", c->dir) >= 0) {
		unlink(path);
		free(path);
	}
	rmdir(c->dir);
}

void catalog_close(struct catalog *c)
{
	struct conn *k;

	if (!c)
		return;
	assert(c->nidle == c->nconns);
	while ((k = c->idle)) {
		c->idle = k->next;
		catalog_db_close(k);
	}
	if (c->temporary && c->dir)
		remove_temporary(c);
	pthread_cond_destroy(&c->back);
	pthread_mutex_destroy(&c->lock);
	free(c->file);
	free(c->disputed);
	free(c->dir);
	free(c);
}

const char *catalog_dir(const struct catalog *c)
{
	return c->temporary ? NULL : c->dir;
}

/* ---- lending ---- */

/* A connection from the pool; NULL: the caller may open one. */
static struct conn *take_idle(struct catalog *c)
{
	struct conn *k;

	SCOPED_LOCK(&c->lock);
	while (!c->idle && (c->grown || c->nconns >= MAX_CONNS))
		pthread_cond_wait(&c->back, &c->lock);
	k = c->idle;
	if (k) {
		c->idle = k->next;
		c->nidle--;
	} else {
		c->nconns++;
	}
	return k;
}

/* Opening failed with @r: do without, and wait for one that is lent. */
static struct conn *wait_idle(struct catalog *c, int r)
{
	struct conn *k;

	SCOPED_LOCK(&c->lock);
	c->nconns--;
	if (r == -ESTALE)
		c->grown = true;
	while (!c->idle)
		pthread_cond_wait(&c->back, &c->lock);
	k = c->idle;
	c->idle = k->next;
	c->nidle--;
	return k;
}

int catalog_borrow(struct catalog *c, struct conn **out)
{
	struct conn *k = take_idle(c);
	int r;

	if (!k) {
		r = catalog_db_connect(c, &k);
		if (r < 0)
			k = wait_idle(c, r);
	}
	*out = k;
	return 0;
}

int catalog_borrow_write(struct catalog *c, struct conn **out)
{
	struct conn *k;
	bool bad;
	int r, rc;

	*out = NULL;
	pthread_mutex_lock(&c->lock);
	bad = c->bad;
	pthread_mutex_unlock(&c->lock);
	if (bad)
		return fail(-ENOTRECOVERABLE,
			    "local database %s was damaged and has been"
			    " deleted; run the command (or mount) again",
			    c->file);
	r = catalog_borrow(c, &k);
	if (r < 0)
		return r;
	rc = conn_step(k, STMT_BEGIN, "");
	if (rc != SQLITE_DONE)
		return catalog_return(
			c, k, catalog_fail(c, k, rc, "beginning a change"));
	*out = k;
	return 0;
}

static void give_back(struct catalog *c, struct conn *k)
{
	pthread_mutex_lock(&c->lock);
	if (c->nidle < KEEP_IDLE || c->grown) {
		k->next = c->idle;
		c->idle = k;
		c->nidle++;
		k = NULL;
		pthread_cond_signal(&c->back);
	} else {
		c->nconns--;
	}
	pthread_mutex_unlock(&c->lock);
	catalog_db_close(k);
}

static void reset_used(struct conn *k)
{
	while (k->used) {
		int i = __builtin_ctzll(k->used);

		sqlite3_reset(k->stmts[i]);
		k->used &= k->used - 1;
	}
}

int catalog_return(struct catalog *c, struct conn *k, int r)
{
	int rc;

	reset_used(k);
	if (!sqlite3_get_autocommit(k->db) && r == 0) {
		rc = conn_step(k, STMT_COMMIT, "");
		if (rc != SQLITE_DONE)
			r = catalog_fail(c, k, rc, "committing a change");
		reset_used(k);
	}
	/* Some failures have rolled back by themselves. */
	if (!sqlite3_get_autocommit(k->db)) {
		rc = conn_step(k, STMT_ROLLBACK, "");
		(void)rc;
		reset_used(k);
	}
	give_back(c, k);
	return r;
}

/* ---- statements ---- */

static int bind(sqlite3_stmt *st, const char *types, va_list ap)
{
	int i, rc = SQLITE_OK;

	for (i = 1; *types && rc == SQLITE_OK; i++, types++) {
		const void *data;
		size_t len;

		if (*types == 'i') {
			rc = sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
		} else if (*types == 't') {
			rc = sqlite3_bind_text(st, i, va_arg(ap, const char *),
					       -1, SQLITE_STATIC);
		} else {
			data = va_arg(ap, const void *);
			len = va_arg(ap, size_t);
			/* A NULL pointer would bind NULL, not no bytes. */
			rc = sqlite3_bind_blob64(st, i, data ? data : "", len,
						 SQLITE_STATIC);
		}
	}
	return rc;
}

int conn_step(struct conn *k, enum catalog_stmt which, const char *types, ...)
{
	sqlite3_stmt **st = &k->stmts[which];
	va_list ap;
	int rc;

	if (!*st) {
		rc = sqlite3_prepare_v3(k->db, sql[which], -1,
					SQLITE_PREPARE_PERSISTENT, st, NULL);
		if (rc != SQLITE_OK)
			return rc;
	} else if (k->used & (UINT64_C(1) << which)) {
		sqlite3_reset(*st);
	}
	va_start(ap, types);
	rc = bind(*st, types, ap);
	va_end(ap);
	if (rc != SQLITE_OK)
		return rc;
	k->used |= UINT64_C(1) << which;
	return sqlite3_step(*st);
}

int conn_next(struct conn *k, enum catalog_stmt which)
{
	return sqlite3_step(k->stmts[which]);
}

void conn_reset(struct conn *k, enum catalog_stmt which)
{
	sqlite3_reset(k->stmts[which]);
	k->used &= ~(UINT64_C(1) << which);
}

/* ---- errors ---- */

/* Say it once, and let the next open begin anew. */
static int damaged(struct catalog *c, const char *what, const char *text)
{
	bool first;

	pthread_mutex_lock(&c->lock);
	first = !c->bad;
	c->bad = true;
	pthread_mutex_unlock(&c->lock);
	if (!first)
		return -ENOTRECOVERABLE;
	catalog_db_delete(c);
	return fail(-ENOTRECOVERABLE,
		    "local database %s is damaged (%s: %s); it is only a cache"
		    " of the vault and has been deleted: run the command (or"
		    " mount) again, which makes a new one",
		    c->file, what, text);
}

int catalog_fail(struct catalog *c, struct conn *k, int rc, const char *what)
{
	char text[CATALOG_WHY_LEN];

	snprintf(text, sizeof(text), "%s", sqlite3_errmsg(k->db));
	if ((rc & 0xff) == SQLITE_NOMEM)
		return -ENOMEM;
	if (catalog_rc_damage(rc))
		return damaged(c, what, text);
	if ((rc & 0xff) == SQLITE_FULL)
		return fail(-ENOSPC,
			    "local database %s: %s: no space left on its"
			    " filesystem; make room, or choose another cache"
			    " directory",
			    c->file, what);
	if ((rc & 0xff) == SQLITE_BUSY)
		return fail(-ENOTRECOVERABLE,
			    "local database %s: %s: another process has held"
			    " it for over 10 seconds without getting on; try"
			    " again when that is done",
			    c->file, what);
	return fail(-ENOTRECOVERABLE,
		    "local database %s: %s: %s; it is only a cache of the"
		    " vault: deleting the directory %s is always safe",
		    c->file, what, text, c->dir);
}

int catalog_fail_row(struct catalog *c, const char *what)
{
	return damaged(c, what, "a row holds what cannot be");
}
