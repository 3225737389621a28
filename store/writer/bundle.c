/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The chunks of a bundle share frames, and so one compression and one read.
 * Each is named, claimed and looked up by itself all the same: only those that
 * are new get into a frame, and any of them may be referred to alone.
 *
 * A frame's plaintext is gathered in the bundle, so a claimed chunk may not be
 * in any pack yet when its id is given out. Nobody can see that, for no point
 * exists before the commit, and before the commit bundles are flushed.
 */
#include "config.h"

#include "store/writer/bundle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/writer/internal.h"

/* A frame of many tiny chunks ends early, so that one frame does not make a
 * pack's directory much longer than it should be. */
#define BUNDLE_CHUNKS 4096

struct bundle {
	struct writer *writer; /* borrowed */
	size_t len;
	struct chunk_ref *refs; /* owned */
	size_t n, cap;
	uint8_t plain[FORMAT_FRAME_MAX];
};

struct bundle *bundle_new(struct writer *w)
{
	struct bundle *b = malloc(sizeof(*b));

	if (b) {
		b->writer = w;
		b->len = b->n = b->cap = 0;
		b->refs = NULL;
	}
	return b;
}

void bundle_free(struct bundle *b)
{
	if (b)
		free(b->refs);
	free(b);
}

int bundle_flush(struct bundle *b)
{
	AUTO_BUF struct buf packed = BUF_INIT;
	struct packed_frame f;
	struct zip *z;
	int r;

	if (b->n == 0)
		return 0;
	z = writer_get_zip(b->writer, b->refs[0].type);
	r = z ? packed_frame_make(z, b->plain, b->len, &packed, &f) : -ENOMEM;
	writer_put_zip(b->writer, z);
	if (r == 0) {
		f.data = packed.data;
		r = writer_append(b->writer, b->refs[0].type, &f, 1, b->refs,
				  b->n);
	}
	b->len = b->n = 0;
	return r < 0 ? writer_fail(b->writer, r) : 0;
}

int bundle_add(struct bundle *b, uint8_t type, const void *data, size_t len,
	       struct id *out)
{
	int r = writer_name_chunk(b->writer, type, data, len, out);

	if (r == 0)
		r = writer_claim(b->writer, type, out, len);
	if (r <= 0)
		return r;
	if (len > FORMAT_SMALL_CHUNK)
		return writer_store(b->writer, type, out, data, len);
	if (b->len + len > sizeof(b->plain) || b->n >= BUNDLE_CHUNKS) {
		r = bundle_flush(b);
		if (r < 0)
			return r;
	}
	if (array_reserve(&b->refs, &b->cap, b->n + 1) < 0)
		return writer_fail(b->writer, -ENOMEM);
	b->refs[b->n++] = (struct chunk_ref){ *out, (uint32_t)len, 0,
					      (uint32_t)b->len, type };
	memcpy(b->plain + b->len, data, len);
	b->len += len;
	return 0;
}
