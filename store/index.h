/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Index objects: which packs a session wrote, and what is in them.
 * vault_refresh() imports them into the local database.
 */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include "store/base/attrs.h"
#include "store/base/buf.h"
#include "store/format.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "<sid>-<n>", or "<sid>-<n>.m" of one that others were merged into; 32 + 1 + up
 * to 10 + 2 and NUL. The object's name has "index/" before it. */
#define INDEX_NAME_MAX 48
/* Whether an index object may be called that. */
bool index_name_ok(const char *name);

/* Append one pack to an index object under construction. @epoch: of its keys, which
 * may be another than that of the object. Ask buf_error(). */
void index_put_pack(struct buf *out, const char *name, uint64_t size,
		    uint8_t kind, uint32_t epoch, const uint8_t *salt,
		    const uint8_t *dir, size_t dir_len);
/* A pack as an index object names it. */
struct index_pack {
	char name[PACK_NAME_MAX];
	uint64_t size;
	uint8_t kind;
	uint32_t epoch; /* of its keys */
	const uint8_t *salt; /* borrowed */
	const uint8_t *dir; /* borrowed */
	size_t dir_len;
};
/* What is told of an index object as it is decoded. Each may return other than
 * 0 to end that. */
struct index_visitor {
	int (*pack)(void *arg, const struct index_pack *p);
	/* the name of an index object that this one supersedes; may be NULL */
	int (*gone)(void *arg, const char *name);
	void *arg;
	/* of index_read(): how long the plaintext is, before anything else; may be
	 * NULL */
	int (*begin)(void *arg, uint64_t len);
};
/* Decode an index object's plaintext. Return what a visitor returned that was
 * not 0; 0; or -EBADMSG (said in words). */
MUST_CHECK int index_decode(const void *data, size_t len, const char *name,
			    int (*fn)(void *arg, const struct index_pack *p),
			    int (*gone)(void *arg, const char *name),
			    void *arg);

/*
 * The same of a plaintext that comes in pieces, in their order. What is kept is
 * what a piece ends in the midst of: a directory at most. The first three members
 * are for the caller to set, the others are zero at first.
 */
struct index_decoder {
	const char *name; /* borrowed, for messages */
	uint64_t len; /* of the whole plaintext */
	struct index_visitor visitor;
	struct buf held; /* what is not decoded yet; owned */
	uint64_t seen; /* bytes that came */
	uint64_t left; /* packs or names to come */
	unsigned int stage;
};
/* Decode @len bytes more. Return as index_decode(), or -ENOMEM. Where they were
 * the last ones, according to d->len, 0 says that all of it was well-formed. */
MUST_CHECK int index_decode_some(struct index_decoder *d, const void *data,
				 size_t len);
void index_decoder_release(struct index_decoder *d);

/* An index object supersedes at most so many. */
#define INDEX_SUPERSEDED_MAX 65536
/* A merged one is at most so long; those that are stored in less than
 * FORMAT_INDEX_TARGET are merged again. */
#define INDEX_MERGED_MAX (16u << 20)

struct vault;
/*
 * Fetch and decode an index object, in at most 30 MiB of memory however long it is,
 * but for one whose packs have directories that are longer than a writer makes.
 * All of it was authenticated before a visitor is called, and not decoded: where it
 * is malformed that may show only after some calls. Return 0; what a visitor returned
 * that was not 0; -ENOENT; -EBADMSG or another negative errno, said in words.
 */
MUST_CHECK int index_read(struct vault *v, const char *name,
			  const struct index_visitor *visitor);
/* The same, but a visitor is told only of one that is well-formed to its end. */
MUST_CHECK int index_read_sure(struct vault *v, const char *name,
			       const struct index_visitor *visitor);
/* Find the index object that is imported, and supersedes @name ("<sid>-<n>"):
 * its name, likewise. Return 0, -ENOENT or another negative errno. */
MUST_CHECK int vault_index_superseding(struct vault *v, const char *name,
				       char out[INDEX_NAME_MAX]);

#endif
