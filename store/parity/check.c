/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/parity/internal.h"

#include <errno.h>

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
