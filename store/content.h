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

#define CONTENT_INLINE_MAX 16
#define CONTENT_LEVEL_MAX 6
#define CONTENT_SIZE_MAX (UINT64_C(1) << 62)

/* The first byte of encoded content. */
enum content_kind { CONTENT_EMPTY = 0, CONTENT_INLINE = 1, CONTENT_MAP = 2 };

/*
 * What one file holds: its encoded content, and what is needed to read it. It
 * borrows the bytes; entry_content(), point_disk_content() and
 * point_config_content() make one.
 */
struct content_ref {
	const uint8_t *data; /* encoded; borrowed */
	size_t len; /* of that */
	uint64_t size; /* the file's */
	uint8_t type; /* of its chunks: CHUNK_DATA or, of a disk, CHUNK_DISK */
};

enum extent_type { EXTENT_DATA = 0, EXTENT_HOLE = 1, EXTENT_ZERO = 2 };

struct extent {
	uint64_t off; /* in the file */
	uint64_t len;
	enum extent_type type;
	struct id id; /* data */
};

/* Check the form of encoded content against the size (nodes of an extent map
 * are not fetched). Return 0 or -EBADMSG (silent). */
MUST_CHECK int content_check(const struct content_ref *ref);
/* Return the bytes in data extents, which st_blocks counts, as the content
 * says; 0 where it is malformed. */
uint64_t content_allocated(const struct content_ref *ref);

/*
 * Find the extent at @off, which is below the size. Nodes of the map are
 * fetched through the vault's cache. Return 0, -EBADMSG or -EIO, said in words.
 */
MUST_CHECK int content_find(struct vault *v, const struct content_ref *ref,
			    uint64_t off, struct extent *out);
/*
 * Read @len bytes at @off, all below the size; holes and zeros read as zeros.
 * Return 0, or -EBADMSG or -EIO, said in words; nothing in @out may be used
 * then.
 */
MUST_CHECK int content_read(struct vault *v, const struct content_ref *ref,
			    uint64_t off, void *out, size_t len);
/* Find data or a hole as lseek(2) SEEK_DATA and SEEK_HOLE do. Return 0, -ENXIO,
 * -EBADMSG or -EIO. */
MUST_CHECK int content_seek(struct vault *v, const struct content_ref *ref,
			    uint64_t off, bool hole, uint64_t *out);
/* Call @fn for every extent in order, until it returns other than 0. Return
 * that, 0, -EBADMSG or -EIO. */
MUST_CHECK int content_walk(struct vault *v, const struct content_ref *ref,
			    int (*fn)(void *arg, const struct extent *e),
			    void *arg);
/*
 * Call @fn for every chunk: nodes of the map (CHUNK_EXTENTS, with @len 0, for
 * nobody says how long they are) and data. @fn returning 1 for a node passes
 * over what is below it; negative ends the walk. Return 0, what @fn returned,
 * -EBADMSG or -EIO.
 */
MUST_CHECK int content_chunks(struct vault *v, const struct content_ref *ref,
			      int (*fn)(void *arg, uint8_t type,
					const struct id *id, uint64_t len),
			      void *arg);

#endif
