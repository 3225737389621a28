/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A bundle gathers small chunks (up to FORMAT_SMALL_CHUNK) that are read
 * together, in order, into shared frames: a frame of one kilobyte compresses
 * badly and costs a read of its own. For one thread. Chunks of a bundle that is
 * not flushed are not stored: flush it before the commit.
 */
#ifndef STORE_WRITER_BUNDLE_H
#define STORE_WRITER_BUNDLE_H

#include "store/base/attrs.h"

#include <stddef.h>
#include <stdint.h>

struct id;
struct writer;

struct bundle;
/* Return a bundle for bundle_free(), or NULL (no memory). It borrows @w. */
MUST_CHECK struct bundle *bundle_new(struct writer *w);
void bundle_free(struct bundle *b);
/* Store a chunk as writer_chunk() does, together with its neighbours if it is
 * small. Return 0 and the id, or the error that the session failed with. */
MUST_CHECK int bundle_add(struct bundle *b, uint8_t type, const void *data,
			  size_t len, struct id *out);
/* Hand what is gathered to the session. Return 0, or the error that the session
 * failed with. */
MUST_CHECK int bundle_flush(struct bundle *b);

#endif
