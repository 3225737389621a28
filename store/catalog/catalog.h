/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The local database of a vault: where chunks are, what points say. The only
 * user of SQLite.
 *
 * A cache: derived from the vault's objects, rebuilt at any time, never
 * evidence: what it says is compared with what was authenticated
 * (store/pack_read.h, store/point_list.c). Every row hangs on the object it came from (its source); rows of
 * objects that are no longer listed are dropped. A damaged database is
 * deleted and begun anew. All calls are safe from any thread: each takes a
 * connection of its own from a pool.
 *
 * Where a call says -ENOTRECOVERABLE, the database itself failed, said in
 * words: it was damaged, its disk does not answer, or another process keeps
 * it. That number is its alone, so that no caller takes it for damage of the
 * object that it asked about, nor for a fault of the vault.
 */
#ifndef STORE_CATALOG_CATALOG_H
#define STORE_CATALOG_CATALOG_H

#include "store/base/attrs.h"
#include "store/format.h"

#include <stdbool.h>
#include <stdint.h>

struct catalog;

/*
 * Open or make the database in directory @dir (made, 0700, with its parents),
 * for vault @vault_id.
 * @dir NULL, or one where nothing can be written: a private temporary database
 * that vanishes with catalog_close().
 * Return 0, -ENOMEM or -ENOTRECOVERABLE, said in words.
 */
MUST_CHECK int catalog_open(const char *dir, const uint8_t *vault_id,
			    struct catalog **out);
void catalog_close(struct catalog *c);
/* The directory in use, or NULL for a private one; borrowed. */
const char *catalog_dir(const struct catalog *c);

/* A pack as the database knows it. */
struct pack_row {
	/* the database's own number, never reused; ours to hand out on
	 * import */
	int64_t no;
	char name[PACK_NAME_MAX];
	uint64_t size;
	uint8_t kind; /* OBJECT_DATA_PACK or OBJECT_TREE_PACK */
	uint32_t epoch; /* of its keys */
	uint8_t salt[CRYPT_SALT_LEN];
	/* Of all that, without the number, and of the directory: by whoever
	 * imports it, for whoever reads it (pack_row_seal()). */
	uint8_t mac[CRYPT_SHA256_LEN];
};

struct chunk_loc {
	int64_t pack; /* pack_row.no */
	uint32_t len;
	uint32_t frame;
	uint32_t off;
	uint8_t type;
};

/* Is this source object imported? 1, 0 or a negative errno. */
MUST_CHECK int catalog_has_source(struct catalog *c, const char *source);
/*
 * Import what one source object (an index, or a pack's own directory) says. A
 * pack that is already known keeps its number and rows. Importing a source
 * twice changes nothing. One of many chunks takes several transactions: until
 * the last, it is imported in half.
 */
struct catalog_pack {
	struct pack_row row; /* row.no is ignored */
	const uint8_t *dir; /* plaintext directory, which has been checked */
	size_t dir_len;
};
MUST_CHECK int catalog_import(struct catalog *c, const char *source,
			      const struct catalog_pack *packs, size_t npacks);
/* The same, and where the source, its packs or their chunks are known already,
 * what is known of them is made what is said here. */
MUST_CHECK int catalog_import_again(struct catalog *c, const char *source,
				    const struct catalog_pack *packs,
				    size_t npacks);
/* Of a pack that one source named, and another one otherwise, what came first stays.
 * So many of them are remembered, for who can ask the pack itself. */
#define CATALOG_DISPUTED_MAX 4096
/* Take over the names of these packs since the last call, malloc'd; return how
 * many. */
size_t catalog_take_disputed(struct catalog *c, char (**out)[PACK_NAME_MAX]);
/* Import many sources that are small, in one transaction; and @again as above.
 * Where one of them is malformed none is imported: -EBADMSG. */
struct catalog_source {
	const char *name; /* borrowed, as the packs */
	const struct catalog_pack *packs;
	size_t npacks;
};
MUST_CHECK int catalog_import_many(struct catalog *c,
				   const struct catalog_source *sources,
				   size_t n, bool again);
/*
 * The same for a source whose packs are not in memory at once.
 * source_import_add() may be called any number of times, and each is one
 * transaction or several; with @last, the source is imported from then on. Return
 * 0; 1 (another process has dropped what was there of the source: begin anew with
 * its first pack); or a negative errno.
 */
struct source_import;
MUST_CHECK int source_import_begin(struct catalog *c, const char *source,
				   bool again, struct source_import **out);
MUST_CHECK int source_import_add(struct source_import *im,
				 const struct catalog_pack *packs,
				 size_t npacks, bool last);
void source_import_free(struct source_import *im);
/* What precedes the name of a source that is imported in half. */
#define CATALOG_HALF "half/"
/* Call @fn for every imported source, and for those that are imported in half,
 * with CATALOG_HALF before their names. @fn may not call the catalog. */
MUST_CHECK int catalog_sources(struct catalog *c,
			       int (*fn)(void *arg, const char *source),
			       void *arg);
/* Call @fn for every pack that an imported source names. @fn may not call the
 * catalog. Return 0, -ENOENT (it is not imported), @fn's answer or -EIO. */
MUST_CHECK int catalog_source_packs(struct catalog *c, const char *source,
				    int (*fn)(void *arg, int64_t no),
				    void *arg);
/* Call @fn for every source that names a pack, be it imported in half. @fn may
 * not call the catalog.
 * Return 0, @fn's answer or a negative errno. */
MUST_CHECK int catalog_pack_sources(struct catalog *c, int64_t no,
				    int (*fn)(void *arg, const char *source),
				    void *arg);
/* Forget a source, and packs (with their chunks) that hang on no source any
 * more. One of many chunks takes several transactions: if it ends before the last,
 * the rest is a source called CATALOG_GONE and that name, to be dropped by whoever
 * finds it. */
#define CATALOG_GONE "gone/"
MUST_CHECK int catalog_drop_source(struct catalog *c, const char *source);

/*
 * Where a chunk is. Where several packs hold it, the one of lowest number
 * greater than @after (0 at first): call again with loc.pack to try the next.
 * Return 0, -ENOENT or -ENOTRECOVERABLE.
 */
MUST_CHECK int catalog_find_chunk(struct catalog *c, const struct id *id,
				  int64_t after, struct chunk_loc *out);
/* Forget that a chunk is just there; what says something else of it stays. */
MUST_CHECK int catalog_drop_chunk(struct catalog *c, const struct id *id,
				  const struct chunk_loc *loc);
/* Forget a pack and its directory: for one whose row is wrong. */
MUST_CHECK int catalog_drop_pack(struct catalog *c, int64_t no);
/* Return 0, -ENOENT or -ENOTRECOVERABLE. @dir_out (may be NULL): the directory in plain,
 * appended. */
MUST_CHECK int catalog_get_pack(struct catalog *c, int64_t no,
				struct pack_row *out, struct buf *dir_out);
/* The number of a pack by name. Return 0, -ENOENT or -ENOTRECOVERABLE. */
MUST_CHECK int catalog_pack_no(struct catalog *c, const char *name,
			       int64_t *out);
/* Call @fn for every pack, in order of number. @fn may not call the catalog. */
MUST_CHECK int catalog_packs(struct catalog *c,
			     int (*fn)(void *arg, const struct pack_row *row),
			     void *arg);

/* Small objects kept whole (commits and points, already authenticated): by
 * object name.
 * Return 0 and the bytes appended to @out, -ENOENT or -ENOTRECOVERABLE. */
MUST_CHECK int catalog_get_object(struct catalog *c, const char *name,
				  struct buf *out);
MUST_CHECK int catalog_put_object(struct catalog *c, const char *name,
				  const void *data, size_t len);
/* Keep many, in one transaction. */
struct catalog_object {
	const char *name; /* borrowed, as the data */
	const void *data;
	size_t len;
};
MUST_CHECK int catalog_put_objects(struct catalog *c,
				   const struct catalog_object *objects,
				   size_t n);
MUST_CHECK int catalog_drop_object(struct catalog *c, const char *name);
/* Drop them all. Return 0 or a negative errno, said in words. */
MUST_CHECK int catalog_drop_objects(struct catalog *c);

/* Bytes on disk of the database's files. */
MUST_CHECK int catalog_size(struct catalog *c, uint64_t *out);

#endif
