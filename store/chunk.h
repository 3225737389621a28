/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Chunks: the unit of deduplication, read from the frames that hold them
 * through the vault's cache.
 */
#ifndef STORE_CHUNK_H
#define STORE_CHUNK_H

#include "store/base/attrs.h"
#include "store/base/buf.h"
#include "store/base/id.h"

#include <stdint.h>

struct vault;

/*
 * Read bytes [@off, @off + @len) of a chunk of @total bytes. Every frame is
 * authenticated before a byte of it is used, and, unless the vault was opened with
 * no_verify, the whole chunk compared with its id; where a copy is wrong another one is
 * tried. Return 0; -EBADMSG (damaged,
 * missing or of another length: said in words with object and chunk); -EIO. A
 * chunk nobody knows of is looked for in a fresh index once, then it is damage.
 */
MUST_CHECK int chunk_read(struct vault *v, uint8_t type, const struct id *id,
			  uint32_t total, uint32_t off, uint32_t len,
			  void *out);
/* Read a whole chunk of unknown length (at most FORMAT_CHUNK_MAX), appended
 * to @out. */
MUST_CHECK int chunk_read_all(struct vault *v, uint8_t type,
			      const struct id *id, struct buf *out);
/* Read a whole chunk of @total bytes, and take no copy of it that is not what @id is the
 * name of: another pack may have a right one. Return as chunk_read(). */
MUST_CHECK int chunk_read_named(struct vault *v, uint8_t type,
				const struct id *id, uint32_t total, void *out);
/* Begin to load bytes that will be wanted soon into the cache; never blocks
 * for long, never fails. */
void chunk_prefetch(struct vault *v, const struct id *id, uint32_t off,
		    uint32_t len);

#endif
