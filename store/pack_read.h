/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Packs as readers see them. For store/ and its checks. */
#ifndef STORE_PACK_READ_H
#define STORE_PACK_READ_H

#include "store/base/attrs.h"
#include "store/format.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chunk_loc;
struct keyring;
struct pack_row;
struct vault;

/* A pack of a vault; shared and counted in its cache. */
struct pack_info {
	int64_t no;
	char name[PACK_NAME_MAX];
	char object[OBJECT_NAME_MAX];
	uint64_t size;
	uint8_t kind;
	struct seal_key key;
	struct frame *frames; /* owned */
	size_t nframes;
	uint64_t
		*chunks; /* owned; a keyed hash of each and its place, sorted */
	size_t nchunks;
};

/*
 * The database is on a disk that may fail as any, and has no checksums. So the
 * row of a pack is sealed when it comes from the vault, and a pack whose row or
 * directory is not what was sealed is not used; its directory then tells
 * whether what the database says of a chunk is true.
 */
/* Set row->mac, of the row and of the plaintext of its directory. Return 0 or a
 * negative errno. */
MUST_CHECK int pack_row_seal(const struct vault *v, struct pack_row *row,
			     const void *dir, size_t dir_len);
/* Is chunk @id in this pack, and just where @loc says? */
bool pack_has(const struct vault *v, const struct pack_info *p,
	      const struct id *id, const struct chunk_loc *loc);

/* Borrow a pack by its number in the database, until pack_put(). Return 0;
 * -ESTALE (the database has no such pack, or a row of it that is wrong and has
 * been dropped); or another negative errno. */
MUST_CHECK int pack_get(struct vault *v, int64_t no, struct pack_info **out);
void pack_put(struct vault *v, struct pack_info *p);
/* Free a pack, for the cache. */
void pack_info_free(void *object);

/*
 * Read bytes [@off, @off + @len) of the chunk that lies at @loc, where pack_has() said
 * so. @keeps: let the cache have its frames also where all of one is read, for
 * whoever reads the rest next. Return 0; -EBADMSG, said in words; or the negative errno
 * of the backend. Any thread.
 */
MUST_CHECK int pack_read(struct vault *v, struct pack_info *pack,
			 const struct chunk_loc *loc, uint32_t off,
			 uint32_t len, bool keeps, uint8_t *out);
/* Let the cache have the frames of that, as far as they can be had. */
void pack_prefetch(struct vault *v, struct pack_info *p,
		   const struct chunk_loc *loc, uint32_t off, uint32_t len);
/* Return room for @len bytes, which stays the thread's, until the next call on it;
 * NULL: no memory. */
uint8_t *pack_scratch(size_t len);
/* Free a frame, for the cache. */
void frame_free(void *object);

/* The two ends of a pack, which say how its directory is opened. */
struct pack_ends {
	uint8_t kind; /* OBJECT_DATA_PACK or OBJECT_TREE_PACK */
	uint32_t epoch; /* of its keys */
	uint8_t salt[CRYPT_SALT_LEN];
	struct seal_key key; /* wipe it */
	struct frame dir; /* lies within the pack */
};
/*
 * Read the first FORMAT_HEADER_LEN bytes of pack @name and its last
 * FORMAT_TRAILER_LEN; it is @size bytes long, and the two do not overlap.
 * Return 0, -EBADMSG or -EOPNOTSUPP (a newer format or epoch), said in words.
 */
MUST_CHECK int pack_open_ends(const struct keyring *k, const char *name,
			      const uint8_t *head, const uint8_t *tail,
			      uint64_t size, struct pack_ends *out);

#endif
