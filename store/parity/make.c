/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/parity/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/buf.h"
#include "store/parity/rs.h"

/* Stripes that are as long as they may be, or all of one length. */
static bool choose_shape(struct shape *s, size_t len, unsigned int percent)
{
	size_t n = (len + PARITY_BLOCK - 1) / PARITY_BLOCK;
	size_t nstripes = (n + PARITY_STRIPE_MAX - 1) / PARITY_STRIPE_MAX;
	size_t k = nstripes ? (n + nstripes - 1) / nstripes : 0;

	return shape_make(s, len, (unsigned int)k,
			  (unsigned int)((k * percent + 99) / 100));
}

/* The last data block is filled up in @last. */
static void encode(const struct rs *rs, const struct shape *s,
		   const uint8_t *data, uint8_t *parity, uint64_t *sums)
{
	uint8_t last[PARITY_BLOCK] = { 0 };
	uint8_t *blocks[RS_BLOCKS_MAX];
	size_t i, stripe;
	unsigned int row;

	for (i = 0; i < s->ndata; i++) {
		const uint8_t *block = data + i * PARITY_BLOCK;

		if (s->pack_len < (i + 1) * PARITY_BLOCK) {
			memcpy(last, block, s->pack_len - i * PARITY_BLOCK);
			block = last;
		}
		stripe = i % s->nstripes;
		for (row = 0; row < s->m; row++)
			blocks[row] = parity + (row * s->nstripes + stripe) *
						       PARITY_BLOCK;
		rs_add(rs, (unsigned int)(i / s->nstripes), block, PARITY_BLOCK,
		       blocks);
		sums[i] = parity_sum(block, PARITY_BLOCK);
	}
	for (i = 0; i < s->nparity; i++)
		sums[s->ndata + i] =
			parity_sum(parity + i * PARITY_BLOCK, PARITY_BLOCK);
}

int shape_encode(const struct shape *s, const uint8_t *hash, const void *data,
		 const uint8_t *vault_id, struct buf *out)
{
	AUTO_FREE uint64_t *sums =
		alloc_array(s->ndata + s->nparity, sizeof(*sums));
	size_t size = s->nblocks * PARITY_BLOCK;
	size_t i, part = s->npieces * PARITY_BLOCK;
	struct rs *rs = rs_new(s->k, s->m);
	uint8_t *table;

	buf_clear(out);
	if (!sums || !rs || buf_reserve(out, size) < 0) {
		rs_free(rs);
		return -ENOMEM;
	}
	table = out->data;
	memset(table, 0, size);
	encode(rs, s, data, table + part, sums);
	for (i = 0; i < s->npieces; i++)
		piece_encode(table + i * PARITY_BLOCK, s, i, hash, vault_id,
			     sums);
	memcpy(table + size - part, table, part);
	out->len = size;
	rs_free(rs);
	return 0;
}

int parity_make(const char *pack, const void *data, size_t len,
		unsigned int percent, const uint8_t *vault_id, struct buf *out)
{
	uint8_t hash[PARITY_HASH_LEN];
	struct shape s;

	if (percent < 1 || percent > PARITY_PERCENT_MAX ||
	    !parity_pack_hash(pack, hash) || !choose_shape(&s, len, percent))
		return -EINVAL;
	return shape_encode(&s, hash, data, vault_id, out);
}
