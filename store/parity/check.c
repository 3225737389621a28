/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/parity/internal.h"

#include <errno.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/buf.h"

int parity_check(const char *pack, const void *object, size_t len,
		 struct parity_state *out)
{
	struct parity_state state = { .blocks = len / PARITY_BLOCK };
	uint8_t hash[PARITY_HASH_LEN];
	struct parity_view v;
	size_t i;
	int r = parity_pack_hash(pack, hash) ? view_open(&v, hash, object, len)
					     : -EBADMSG;

	state.lost = state.blocks;
	if (r == 0) {
		state = (struct parity_state){ .blocks = v.shape.nblocks,
					       .lost = v.npieces_lost,
					       .k = v.shape.k,
					       .m = v.shape.m };
		for (i = 0; i < v.shape.nparity; i++)
			state.lost += view_parity(&v, i) == NULL;
		if (state.lost > 0 || len != v.shape.nblocks * PARITY_BLOCK)
			r = -EBADMSG;
		view_release(&v);
	}
	if (out)
		*out = state;
	return r;
}

/* Checksums are no proof: anybody can make those of other bytes. So the object is made
 * once more. */
int parity_compare(const char *pack, const void *data, size_t len,
		   const void *object, size_t object_len)
{
	AUTO_BUF struct buf made = BUF_INIT;
	uint8_t hash[PARITY_HASH_LEN];
	struct parity_state state;
	struct shape s;
	int r = parity_check(pack, object, object_len, &state);

	if (r == 0 && (!parity_pack_hash(pack, hash) ||
		       !shape_make(&s, len, state.k, state.m)))
		r = -EBADMSG;
	/* It may be of any vault: a pack's bytes are those of its name. */
	if (r == 0)
		r = shape_encode(&s, hash, data, (const uint8_t *)object + 16,
				 &made);
	if (r == 0 && (made.len != object_len ||
		       memcmp(made.data, object, object_len) != 0))
		r = -EBADMSG;
	return r;
}

int parity_find_whole(struct backend *b, const char *pack, uint16_t numbers,
		      const void *data, size_t len)
{
	char name[OBJECT_NAME_MAX];
	bool is_any = false;
	uint32_t n;
	int r = 0;

	for (n = 0; n <= PARITY_NUMBER_MAX && r == 0; n++) {
		AUTO_FREE uint8_t *object = NULL;
		size_t object_len;

		if (!(numbers >> n & 1))
			continue;
		r = parity_object_name(pack, n, name);
		if (r == 0)
			r = backend_get_all(b, name, PARITY_OBJECT_MAX, &object,
					    &object_len);
		if (r == 0)
			r = data ? parity_compare(pack, data, len, object,
						  object_len)
				 : parity_check(pack, object, object_len, NULL);
		if (r == 0)
			return 1;
		is_any |= r != -ENOENT;
		if (r == -ENOENT || r == -EFBIG ||
		    backend_error_is_of_object(r))
			r = 0;
	}
	return r == 0 && !is_any ? -ENOENT : r;
}
