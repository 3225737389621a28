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

/* Append one pack to an index object under construction. Ask buf_error(). */
void index_put_pack(struct buf *out, const char *name, uint64_t size,
		    uint8_t kind, const uint8_t *salt, const uint8_t *dir,
		    size_t dir_len);
/* A pack as an index object names it. */
struct index_pack {
	char name[PACK_NAME_MAX];
	uint64_t size;
	uint8_t kind;
	const uint8_t *salt; /* borrowed */
	const uint8_t *dir; /* borrowed */
	size_t dir_len;
};
/* Decode an index object's plaintext, and call @fn for each pack, then @gone
 * (may be NULL) with the name of each index object that this one supersedes,
 * until one returns other than 0. Return that, 0, or -EBADMSG (said in
 * words). */
MUST_CHECK int index_decode(const void *data, size_t len, const char *name,
			    int (*fn)(void *arg, const struct index_pack *p),
			    int (*gone)(void *arg, const char *name),
			    void *arg);

/* An index object supersedes at most so many. */
#define INDEX_SUPERSEDED_MAX 65536
/* A merged one is at most so long; those that are stored in less than
 * FORMAT_INDEX_TARGET are merged again. */
#define INDEX_MERGED_MAX (16u << 20)

struct vault;
/* Find the index object that is imported, and supersedes @name ("<sid>-<n>"):
 * its name, likewise. Return 0, -ENOENT or another negative errno. */
MUST_CHECK int vault_index_superseding(struct vault *v, const char *name,
				       char out[INDEX_NAME_MAX]);

#endif
