/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A pack under construction, in memory, until it is sealed and named. */
#ifndef STORE_WRITER_PACK_H
#define STORE_WRITER_PACK_H

#include "store/base/attrs.h"
#include "store/base/buf.h"
#include "store/format.h"

#include <stdbool.h>

struct keyring;
struct seam;
struct zip;

struct pack {
	uint8_t kind; /* OBJECT_DATA_PACK or OBJECT_TREE_PACK */
	struct buf bytes; /* the object as it grows */
	struct pack_dir dir; /* owned */
	size_t frames_cap, chunks_cap;
	/* After pack_seal(): */
	char name[PACK_NAME_MAX];
	uint32_t epoch; /* of its keys */
	uint8_t salt[CRYPT_SALT_LEN];
	struct buf plain_dir;
};

/* A frame ready for a pack. */
struct packed_frame {
	const uint8_t *data; /* borrowed */
	uint32_t clen, plen;
	uint8_t codec;
};

/* Compress @len bytes as one frame to the end of @out, and decompress that to
 * see that it holds them; f->data is the caller's to set. Return 0, -ENOMEM or
 * -EIO (said in words where it does not). */
MUST_CHECK int packed_frame_make(struct zip *z, const uint8_t *data, size_t len,
				 struct buf *out, struct packed_frame *f);

/* Return an empty pack of @kind for pack_free(), or NULL (no memory). */
MUST_CHECK struct pack *pack_new(uint8_t kind);
void pack_free(struct pack *p);
/* Append frames and the chunks in them (whose frame numbers count from the
 * first of these). Return 0 or -ENOMEM. */
MUST_CHECK int pack_append(struct pack *p, const struct packed_frame *frames,
			   size_t nframes, const struct chunk_ref *chunks,
			   size_t nchunks);
/* Is it time to seal it: are there enough bytes in its frames, or so many
 * frames and chunks that its directory would grow too long? */
bool pack_full(const struct pack *p);
/*
 * Encrypt every frame, append directory and trailer, name it
 * "<sid>-<n>-<sha256>". Return 0, -ENOMEM or -EIO.
 */
MUST_CHECK int pack_seal(struct pack *p, const struct keyring *k,
			 struct seam *seam, const char *sid, unsigned int n);

#endif
