/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a regular file (or a disk) holds: extents of data, holes and zeros.
 *
 * Encoded content:
 *
 *     u8 0                                        nothing: size 0
 *     u8 1, varint n (at most 16), n extents      few extents
 *     u8 2, u8 level, varint allocated bytes, 32 id    an extent map
 *
 * An extent: varint length (not 0), u8 enum extent_type, and for data the 32
 * bytes of the chunk's id. An extent map is a tree of CHUNK_EXTENTS chunks:
 *
 *     u8 level, varint n (1..4096)
 *     level 0: n extents
 *     above:   n times varint bytes covered, varint allocated bytes, 32 id
 *
 * Extents follow each other without gaps; their sum is the file's size.
 */
#ifndef STORE_CONTENT_H
#define STORE_CONTENT_H

#include "store/base/attrs.h"
#include "store/base/buf.h"
#include "store/base/id.h"

#include <stdbool.h>

struct vault;
struct writer;

#define CONTENT_INLINE_MAX 16
#define CONTENT_FANOUT 1024 /* what we write; up to 4096 is read */
#define CONTENT_LEVEL_MAX 6
#define CONTENT_SIZE_MAX (UINT64_C(1) << 62)

enum extent_type { EXTENT_DATA = 0, EXTENT_HOLE = 1, EXTENT_ZERO = 2 };

struct extent {
	uint64_t off; /* in the file */
	uint64_t len;
	enum extent_type type;
	struct id id; /* data */
};

/* Check the form of encoded content of a file of @size bytes (map chunks are
 * not fetched). Return 0 or -EBADMSG (silent). */
MUST_CHECK int content_check(const uint8_t *content, size_t len, uint64_t size);
/* Bytes in data extents (what st_blocks counts); 0 where malformed. */
uint64_t content_allocated(const uint8_t *content, size_t len);

/*
 * The extent at @off < @size. Fetches nodes of the map through the vault's
 * cache.
 Return 0, -EBADMSG or -EIO, said in words.
 */
MUST_CHECK int content_find(struct vault *v, const uint8_t *content, size_t len,
			    uint64_t size, uint64_t off, struct extent *out);
/*
 * Read @len bytes at @off, all below @size; holes and zeros read as zeros.
 * @data_type: CHUNK_DATA, or CHUNK_DISK for a disk.
 * Return 0, or -EBADMSG/-EIO (said in words; @out then holds nothing to be
 * used).
 */
MUST_CHECK int content_read(struct vault *v, uint8_t data_type,
			    const uint8_t *content, size_t len, uint64_t size,
			    uint64_t off, void *out, size_t count);
/* As lseek(2) SEEK_DATA / SEEK_HOLE. Return 0, -ENXIO, -EBADMSG or -EIO. */
MUST_CHECK int content_seek(struct vault *v, const uint8_t *content, size_t len,
			    uint64_t size, uint64_t off, bool hole,
			    uint64_t *out);
/* Call @fn for every extent in order, until it returns other than 0. */
MUST_CHECK int content_walk(struct vault *v, const uint8_t *content, size_t len,
			    uint64_t size,
			    int (*fn)(void *arg, const struct extent *e),
			    void *arg);
/* Call @fn for every chunk: map nodes (CHUNK_EXTENTS) and data chunks
 * (@data_type). */
MUST_CHECK int content_chunks(struct vault *v, uint8_t data_type,
			      const uint8_t *content, size_t len,
			      int (*fn)(void *arg, uint8_t type,
					const struct id *id, uint64_t len),
			      void *arg);

/* Builds content from extents in order; map nodes go to the writer. One
 * thread. */
struct content_builder;
MUST_CHECK struct content_builder *content_builder_new(struct writer *w);
void content_builder_free(struct content_builder *b);
/* Neighbouring holes (and zeros) are joined. e->off is ignored. Return 0 or
 * a negative errno. */
MUST_CHECK int content_builder_add(struct content_builder *b,
				   const struct extent *e);
/* Append the encoded content to @out and begin anew. */
MUST_CHECK int content_builder_finish(struct content_builder *b,
				      struct buf *out);

#endif
