/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inside of a writing session; shared by writer.c, writer_chunk.c and
 * writer_begin.c. */
#ifndef STORE_WRITER_INTERNAL_H
#define STORE_WRITER_INTERNAL_H

#include "store/writer.h"

#include <pthread.h>

#include "store/base/idset.h"
#include "store/format.h"

#include "store/pack.h"

struct zip;

/* Packs uploaded before an index object names them (and their chunks go from
 * memory to the database). */
#define WRITER_INDEX_PACKS 128
/* Full packs that may wait for their upload. */
#define WRITER_UPLOADS 2

struct writer {
	struct vault *vault; /* borrowed */
	char sid[33];
	int level;
	struct pool *pool; /* compression; the caller's; NULL: none */
	struct pool *uploads; /* owned */

	pthread_mutex_t lock; /* protects everything below */
	/* chunks of this session not yet in the database */
	struct idset claimed;
	struct pack *open[2]; /* data, trees; owned */
	unsigned int next_pack, next_index;
	struct buf index; /* packs that no index object names yet */
	size_t nindex;
	/* bit per pack number: seen in this session's listing; owned */
	uint8_t *usable;
	size_t usable_len; /* bytes; 0: nothing may be referred to yet */
	bool intact; /* no pack that the database knows was missing */
	int error; /* the first that hit any thread: the session is lost */
	struct writer_stats stats;
	struct zip **zips; /* idle compressors; owned */
	size_t nzips;
};

/* Remember the first error. Returns @err. */
int writer_fail(struct writer *w, int err);
int writer_error(struct writer *w);
bool writer_pack_usable(struct writer *w, int64_t no);
MUST_CHECK int writer_mark_usable(struct writer *w, int64_t no);
/* Create the session object, list tombs and packs, adopt what no index
 * names. */
MUST_CHECK int writer_list(struct writer *w);
/* Name a pack in the next index object. */
MUST_CHECK int writer_index_pack(struct writer *w, const char *name,
				 uint64_t size, uint8_t kind,
				 const uint8_t *salt, const struct buf *dir);
/* Write the index object of what is pending and import it. @force: even if
 * few. */
MUST_CHECK int writer_flush_index(struct writer *w, bool force);
/* Hand frames to the open pack of their kind; uploads it when full. */
MUST_CHECK int writer_append(struct writer *w, uint8_t type,
			     const struct packed_frame *frames, size_t nframes,
			     const struct chunk_ref *chunks, size_t nchunks);
/* Upload the open packs and wait for all uploads. */
MUST_CHECK int writer_drain(struct writer *w);

#endif
