/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The files of the database, and single connections to it.
 *
 * SQLite keeps its write-ahead log beside the database and finds it by name.
 * Were one process to delete the files while another opens them, the second
 * could pair an old database with a new log. So opening, making and deleting
 * happen under a lock on a file of its own (catalog.lock), and each making of
 * the database has a random number that later connections compare. Processes
 * that still have deleted files open go on with those until they end.
 *
 * The log is synced at checkpoints only (synchronous=NORMAL): a power cut may
 * lose the last transactions, which are then imported again, but cannot tear
 * the file. A temporary database does without syncs.
 */
#include "config.h"

#include "store/catalog/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/hex.h"
#include "store/base/log.h"

#define SCHEMA_VERSION 4
#define PAGE_SIZE_TEXT "4096"
#define PAGE_SIZE 4096

static const char *const suffixes[] = { "", "-wal", "-shm" };

/*
 * Each pack's directory is there once, cut into slices of some chunks, so that
 * one of them can be read without the others. What leads from an id to a slice
 * are numbers of 8 bytes (postings.c). All in all a chunk costs 52 to 55 bytes,
 * of which 39 are its line of the directory.
 */
static const char schema[] =
	"CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL)"
	" WITHOUT ROWID;"
	"CREATE TABLE runs(first INTEGER PRIMARY KEY, data BLOB NOT NULL);"
	"INSERT INTO runs VALUES(0, x'');"
	"CREATE TABLE slices(no INTEGER PRIMARY KEY, pack INTEGER NOT NULL,"
	" data BLOB NOT NULL);"
	"CREATE TABLE packs(no INTEGER PRIMARY KEY AUTOINCREMENT,"
	" name TEXT NOT NULL UNIQUE, size INTEGER NOT NULL,"
	" kind INTEGER NOT NULL, salt BLOB NOT NULL, mac BLOB NOT NULL,"
	" head BLOB NOT NULL, first INTEGER NOT NULL,"
	" slices INTEGER NOT NULL);"
	"CREATE TABLE sources(no INTEGER PRIMARY KEY AUTOINCREMENT,"
	" name TEXT NOT NULL UNIQUE);"
	"CREATE TABLE source_packs(source INTEGER NOT NULL,"
	" pack INTEGER NOT NULL, PRIMARY KEY(source, pack)) WITHOUT ROWID;"
	"CREATE INDEX source_packs_pack ON source_packs(pack);"
	"CREATE TABLE objects(no INTEGER PRIMARY KEY,"
	" name TEXT NOT NULL UNIQUE, data BLOB NOT NULL);";

/*
 * There are no memory maps: where the disk fails, a read says so, and a map
 * kills the process. The kernel keeps the file's pages; 1 MiB a connection is
 * enough for the upper nodes of the trees, as changes come in the order of the
 * leaves.
 */
static const char settings[] = "PRAGMA page_size=" PAGE_SIZE_TEXT ";"
			       "PRAGMA cell_size_check=ON;"
			       "PRAGMA mmap_size=0;"
			       "PRAGMA cache_size=-1024;"
			       "PRAGMA temp_store=MEMORY;"
			       "PRAGMA secure_delete=OFF;"
			       "PRAGMA wal_autocheckpoint=2000;"
			       "PRAGMA journal_size_limit=67108864;";

bool catalog_rc_damage(int rc)
{
	return (rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB ||
	       rc == SQLITE_IOERR_CORRUPTFS || rc == SQLITE_IOERR_SHORT_READ;
}

static int errno_of(int rc)
{
	return (rc & 0xff) == SQLITE_NOMEM ? -ENOMEM : -ENOTRECOVERABLE;
}

PRINTF(3, 4)
static int because(int err, char *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, CATALOG_WHY_LEN, fmt, ap);
	va_end(ap);
	return err;
}

/* mkdir -p, 0700. */
static int make_parents(char *path)
{
	char *p;

	for (p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST) {
			*p = '/';
			return -errno;
		}
		*p = '/';
	}
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

int catalog_db_make_dir(const char *dir, char **out, char why[CATALOG_WHY_LEN])
{
	AUTO_FREE char *copy = strdup(dir);
	struct stat st;
	char *path;
	int r;

	*out = NULL;
	if (!copy)
		return -ENOMEM;
	if (!copy[0])
		return because(-ENOTRECOVERABLE, why, "its name is empty");
	r = make_parents(copy);
	path = realpath(copy, NULL);
	if (!path)
		return because(-ENOTRECOVERABLE, why, "%s",
			       strerror(r < 0 ? -r : errno));
	/* Whoever may change the files could invent points. */
	if (stat(path, &st) < 0)
		r = because(-ENOTRECOVERABLE, why, "%s", strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		r = because(-ENOTRECOVERABLE, why, "not a directory");
	else if (st.st_uid != geteuid())
		r = because(-ENOTRECOVERABLE, why,
			    "it belongs to another user");
	else if (st.st_mode & (S_IWGRP | S_IWOTH))
		r = because(-ENOTRECOVERABLE, why, "others may write there");
	else if (access(path, W_OK | X_OK) < 0)
		r = because(-ENOTRECOVERABLE, why, "%s", strerror(errno));
	else
		r = 0;
	if (r < 0)
		free(path);
	else
		*out = path;
	return r;
}

/* Lock out other openers and deleters. A descriptor or a negative errno. */
static int lock_files(const struct catalog *c)
{
	char path[PATH_MAX];
	int fd, r;

	if (snprintf(path, sizeof(path), "%s/catalog.lock", c->dir) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	do
		r = flock(fd, LOCK_EX);
	while (r < 0 && errno == EINTR);
	if (r < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

/* Under the lock. */
static int delete_files(const struct catalog *c, size_t first)
{
	char path[PATH_MAX];
	size_t i;

	for (i = first; i < ARRAY_SIZE(suffixes); i++) {
		if (snprintf(path, sizeof(path), "%s%s", c->file,
			     suffixes[i]) >= (int)sizeof(path))
			return -ENAMETOOLONG;
		if (unlink(path) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

void catalog_db_delete(struct catalog *c)
{
	AUTO_CLOSE int lock = lock_files(c);
	struct stat st;

	if (lock < 0 || stat(c->file, &st) < 0)
		return;
	if (st.st_dev == c->dev && st.st_ino == c->ino)
		(void)delete_files(c, 0);
}

void catalog_db_close(struct conn *k)
{
	size_t i;

	if (!k)
		return;
	for (i = 0; i < STMT_COUNT; i++)
		sqlite3_finalize(k->stmts[i]);
	sqlite3_close(k->db);
	free(k);
}

/* Step @sql once. Return SQLITE_ROW with @st to finalize, or another code. */
static int query(sqlite3 *db, const char *sql, sqlite3_stmt **st)
{
	int rc = sqlite3_prepare_v2(db, sql, -1, st, NULL);

	return rc == SQLITE_OK ? sqlite3_step(*st) : rc;
}

/* Most waits are for a transaction of milliseconds. */
#define NAP_MAX_MS 50

unsigned int catalog_db_busy_ms = 10000;

static void look_at(const char *file, struct catalog_progress *out)
{
	char wal[PATH_MAX];
	struct stat st;

	memset(out, 0, sizeof(*out));
	if (stat(file, &st) == 0)
		out->file = st.st_mtim;
	if (snprintf(wal, sizeof(wal), "%s-wal", file) < (int)sizeof(wal) &&
	    stat(wal, &st) == 0) {
		out->wal = st.st_mtim;
		out->wal_size = st.st_size;
	}
}

/* Another process is changing the database. It may take long, on a slow disk or
 * with many indexes; so wait for as long as it gets on, which its files show. */
static int on_busy(void *arg, int tries)
{
	struct catalog_progress now;
	struct conn *k = arg;
	int nap_ms = tries < 5 ? 1 << tries : NAP_MAX_MS;

	look_at(k->file, &now);
	if (tries == 0 || memcmp(&now, &k->seen, sizeof(now)) != 0) {
		k->seen = now;
		k->waited_ms = 0;
	}
	if (k->waited_ms > catalog_db_busy_ms)
		return 0;
	sqlite3_sleep(nap_ms);
	k->waited_ms += (unsigned int)nap_ms;
	return 1;
}

/* Open the file and settle how it is used; reads nothing of ours yet. */
static int connect_file(const struct catalog *c, struct conn **out)
{
	struct conn *k = calloc(1, sizeof(*k));
	sqlite3_stmt *st = NULL;
	const char *mode;
	int rc;

	*out = NULL;
	if (!k)
		return SQLITE_NOMEM;
	rc = sqlite3_open_v2(c->file, &k->db,
			     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
				     SQLITE_OPEN_EXRESCODE,
			     NULL);
	if (rc != SQLITE_OK)
		goto err;
	k->file = c->file;
	sqlite3_busy_handler(k->db, on_busy, k);
	sqlite3_db_config(k->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(k->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(k->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(k->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	rc = sqlite3_exec(k->db, settings, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(k->db,
				  c->temporary ? "PRAGMA synchronous=OFF"
					       : "PRAGMA synchronous=NORMAL",
				  NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		goto err;
	rc = query(k->db, "PRAGMA journal_mode=WAL", &st);
	if (rc == SQLITE_ROW) {
		mode = (const char *)sqlite3_column_text(st, 0);
		rc = mode && strcmp(mode, "wal") == 0 ? SQLITE_OK
						      : SQLITE_CANTOPEN;
	} else if (rc == SQLITE_DONE) {
		rc = SQLITE_CANTOPEN;
	}
	sqlite3_finalize(st);
	if (rc != SQLITE_OK)
		goto err;
	*out = k;
	return SQLITE_OK;
err:
	catalog_db_close(k);
	return rc;
}

/* A value of exactly @len bytes. SQLITE_OK, SQLITE_NOTFOUND or an error. */
static int read_meta(struct conn *k, const char *sql, void *out, size_t len)
{
	sqlite3_stmt *st = NULL;
	int rc = query(k->db, sql, &st);

	if (rc == SQLITE_ROW) {
		const void *data = sqlite3_column_blob(st, 0);

		rc = SQLITE_NOTFOUND;
		if (data && (size_t)sqlite3_column_bytes(st, 0) == len) {
			memcpy(out, data, len);
			rc = SQLITE_OK;
		}
	} else if (rc == SQLITE_DONE) {
		rc = SQLITE_NOTFOUND;
	}
	sqlite3_finalize(st);
	return rc;
}

/* Is this a database of ours, of this version and vault? Fills @instance. */
static int check_file(const struct catalog *c, struct conn *k,
		      uint8_t *instance)
{
	uint8_t vault_id[VAULT_ID_LEN];
	sqlite3_stmt *st = NULL;
	int rc = query(k->db, "PRAGMA user_version", &st);

	if (rc == SQLITE_ROW)
		rc = sqlite3_column_int(st, 0) == SCHEMA_VERSION
			     ? SQLITE_OK
			     : SQLITE_NOTFOUND;
	sqlite3_finalize(st);
	if (rc == SQLITE_OK)
		rc = read_meta(k, "SELECT value FROM meta WHERE key='vault'",
			       vault_id, sizeof(vault_id));
	if (rc == SQLITE_OK && memcmp(vault_id, c->vault_id, VAULT_ID_LEN) != 0)
		rc = SQLITE_NOTFOUND;
	if (rc == SQLITE_OK)
		rc = read_meta(k, "SELECT value FROM meta WHERE key='instance'",
			       instance, CATALOG_INSTANCE_LEN);
	return rc;
}

static int make_schema(const struct catalog *c, struct conn *k)
{
	char sql[2048], hex[2 * VAULT_ID_LEN + 1];

	hex_encode(c->vault_id, VAULT_ID_LEN, hex);
	if (snprintf(sql, sizeof(sql),
		     "BEGIN IMMEDIATE; %s"
		     "INSERT INTO meta VALUES('vault', x'%s');"
		     "INSERT INTO meta VALUES('instance', randomblob(%d));"
		     "PRAGMA user_version=%d; COMMIT;",
		     schema, hex, CATALOG_INSTANCE_LEN,
		     SCHEMA_VERSION) >= (int)sizeof(sql))
		return SQLITE_TOOBIG;
	return sqlite3_exec(k->db, sql, NULL, NULL, NULL);
}

/* SQLite takes what is missing of a torn last page for zeros. */
static bool is_torn(const struct catalog *c)
{
	struct stat st;

	return stat(c->file, &st) == 0 && st.st_size % PAGE_SIZE != 0;
}

/* Others may have written what stands in the file. */
static bool is_foreign(const struct catalog *c)
{
	struct stat st;

	return lstat(c->file, &st) == 0 &&
	       (!S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
		st.st_nlink != 1 || st.st_mode & (S_IWGRP | S_IWOTH));
}

/* Under the lock: make the file if it is not there, and connect. */
static int connect_or_make(struct catalog *c, struct conn **out,
			   char why[CATALOG_WHY_LEN])
{
	struct conn *k = NULL;
	bool made;
	int fd, rc;

	*out = NULL;
	/*
	 * Only a file made here is opened here: closing a descriptor of the
	 * database would drop the locks of other connections of the process.
	 */
	fd = open(c->file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno != EEXIST) {
		because(-ENOTRECOVERABLE, why, "%s", strerror(errno));
		return SQLITE_CANTOPEN;
	}
	made = fd >= 0;
	if (made) {
		close(fd);
		/* Logs without a database are left by an older deletion. */
		(void)delete_files(c, 1);
	}
	if (!made && is_foreign(c))
		rc = SQLITE_NOTFOUND;
	else
		rc = !made && is_torn(c) ? SQLITE_CORRUPT : connect_file(c, &k);
	if (rc == SQLITE_OK && made)
		rc = make_schema(c, k);
	if (rc == SQLITE_OK)
		rc = check_file(c, k, c->instance);
	if (rc == SQLITE_OK) {
		*out = k;
		return rc;
	}
	because(-ENOTRECOVERABLE, why, "%s", sqlite3_errstr(rc));
	catalog_db_close(k);
	if (made)
		(void)delete_files(c, 0);
	return rc;
}

int catalog_db_open(struct catalog *c, struct conn **out,
		    char why[CATALOG_WHY_LEN])
{
	AUTO_CLOSE int lock = lock_files(c);
	struct stat st;
	int rc;

	*out = NULL;
	if (lock < 0)
		return because(-ENOTRECOVERABLE, why, "locking it: %s",
			       strerror(-lock));
	rc = connect_or_make(c, out, why);
	/* Another vault's or version's, a stranger's, or damaged. */
	if (rc == SQLITE_NOTFOUND || rc == SQLITE_ERROR ||
	    catalog_rc_damage(rc)) {
		log_debug("local database %s: %s: made anew", c->file,
			  catalog_rc_damage(rc) ? "damaged"
						: "of another kind");
		if (delete_files(c, 0) < 0)
			return because(-ENOTRECOVERABLE, why,
				       "a damaged catalog.db stands there");
		rc = connect_or_make(c, out, why);
	}
	if (rc != SQLITE_OK)
		return errno_of(rc);
	if (stat(c->file, &st) == 0) {
		c->dev = st.st_dev;
		c->ino = st.st_ino;
	}
	return 0;
}

int catalog_db_connect(struct catalog *c, struct conn **out)
{
	uint8_t instance[CATALOG_INSTANCE_LEN];
	AUTO_CLOSE int lock = lock_files(c);
	struct conn *k;
	struct stat st;
	int rc;

	*out = NULL;
	if (lock == -ENOENT)
		return -ESTALE;
	if (lock < 0)
		return -ENOTRECOVERABLE;
	if (stat(c->file, &st) < 0 || st.st_dev != c->dev ||
	    st.st_ino != c->ino)
		return -ESTALE;
	rc = connect_file(c, &k);
	if (rc == SQLITE_OK)
		rc = check_file(c, k, instance);
	if (rc == SQLITE_OK &&
	    memcmp(instance, c->instance, CATALOG_INSTANCE_LEN) != 0)
		rc = SQLITE_NOTFOUND;
	if (rc != SQLITE_OK) {
		catalog_db_close(k);
		return rc == SQLITE_NOTFOUND ? -ESTALE : errno_of(rc);
	}
	*out = k;
	return 0;
}
