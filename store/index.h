/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Index objects: which packs a session wrote, and what is in them. They are
 * imported into the local database (vault_refresh()), and a pack that no index
 * object speaks of is imported from its own directory.
 */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include "store/base/attrs.h"
#include "store/base/buf.h"
#include "store/format.h"

#include <stddef.h>
#include <stdint.h>

struct vault;

/* Import the directory of a pack that no index speaks of, from the pack itself.
 * Return 0, -EBADMSG (said in words) or another negative errno. */
MUST_CHECK int index_adopt_pack(struct vault *v, const char *name,
				uint64_t size);
/* One pack of an index object under construction. */
void index_put_pack(struct buf *out, const char *name, uint64_t size,
		    uint8_t kind, const uint8_t *salt, const uint8_t *dir,
		    size_t dir_len);
/* Decode an index object's plaintext; @fn gets each pack. Return 0, -EBADMSG
 * or @fn's answer. */
struct index_pack {
	char name[PACK_NAME_MAX];
	uint64_t size;
	uint8_t kind;
	const uint8_t *salt; /* borrowed */
	const uint8_t *dir; /* borrowed */
	size_t dir_len;
};
MUST_CHECK int index_decode(const void *data, size_t len, const char *name,
			    int (*fn)(void *arg, const struct index_pack *p),
			    void *arg);

#endif
