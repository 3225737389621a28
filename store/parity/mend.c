/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Mending a pack, a stripe at a time. Which of its blocks are lost their checksums tell.
 * To as many parity blocks as there are of these, the blocks that are there are added,
 * which leaves what the lost ones had a part in; and that is solved for them. A stripe
 * that has lost too much stays as it is, and does not keep others from being mended.
 */
#include "config.h"

#include "store/parity/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/buf.h"
#include "store/crypt/crypt.h"
#include "store/parity/rs.h"

struct mending {
	struct parity_view view;
	struct rs *rs; /* owned */
	struct parity_mended *out;
	uint8_t *bytes; /* whole blocks; out->bytes */
	uint8_t *rest; /* m blocks; owned */
};

void parity_release(struct parity_mended *m)
{
	free(m->bytes);
	free(m->made);
	*m = (struct parity_mended){ .len = 0 };
}

static bool is_lost(const struct mending *x, size_t i)
{
	/* What has no checksum may well be right: the hash of it all tells. */
	return x->view.known[i] && parity_sum(x->bytes + i * PARITY_BLOCK,
					      PARITY_BLOCK) != x->view.sums[i];
}

/* Collect up to @n parity blocks of a stripe in x->rest, and their rows; return how
 * many there are. */
static unsigned int take_parity(struct mending *x, size_t stripe,
				unsigned int n, uint8_t *rows,
				uint8_t **blocks_out)
{
	const struct shape *s = &x->view.shape;
	unsigned int row, found = 0;

	for (row = 0; row < s->m && found < n; row++) {
		const uint8_t *p =
			view_parity(&x->view, row * s->nstripes + stripe);

		if (!p)
			continue;
		blocks_out[row] = x->rest + found * PARITY_BLOCK;
		memcpy(blocks_out[row], p, PARITY_BLOCK);
		rows[found++] = (uint8_t)row;
	}
	return found;
}

/* Make data blocks @lost[0..n) of a stripe. Return 0 or -ENOMEM. */
static int mend_blocks(struct mending *x, size_t stripe, const uint8_t *lost,
		       unsigned int n)
{
	const struct shape *s = &x->view.shape;
	uint8_t rows[RS_BLOCKS_MAX], *blocks[RS_BLOCKS_MAX] = { NULL };
	uint8_t *rest[RS_BLOCKS_MAX], *spare;
	unsigned int i, j, next = 0;
	int r;

	if (take_parity(x, stripe, n, rows, blocks) < n)
		return 0;
	/* Rows that are not wanted are added to as well, and to nobody's use. */
	spare = x->rest + (size_t)s->m * PARITY_BLOCK;
	for (i = 0; i < s->m; i++)
		if (!blocks[i])
			blocks[i] = spare;
	for (j = 0; j < s->k; j++) {
		size_t at = j * s->nstripes + stripe;

		if (next < n && lost[next] == j)
			next++;
		else if (at < s->ndata)
			rs_add(x->rs, j, x->bytes + at * PARITY_BLOCK,
			       PARITY_BLOCK, blocks);
	}
	for (i = 0; i < n; i++)
		rest[i] = blocks[rows[i]];
	r = rs_solve(x->rs, n, lost, rows, rest, PARITY_BLOCK);
	for (i = 0; i < n && r == 0; i++) {
		size_t at = lost[i] * s->nstripes + stripe;

		memcpy(x->bytes + at * PARITY_BLOCK, rest[i], PARITY_BLOCK);
		x->out->made[at / 8] |= (uint8_t)(1 << (at % 8));
	}
	x->out->nmade += r == 0 ? n : 0;
	return r;
}

static int mend_stripe(struct mending *x, size_t stripe)
{
	const struct shape *s = &x->view.shape;
	uint8_t lost[RS_BLOCKS_MAX];
	unsigned int j, n = 0;

	for (j = 0; j < s->k; j++) {
		size_t at = j * s->nstripes + stripe;

		if (at < s->ndata && is_lost(x, at))
			lost[n++] = (uint8_t)j;
	}
	x->out->nlost += n;
	return n == 0 || n > s->m ? 0 : mend_blocks(x, stripe, lost, n);
}

static int prepare(struct mending *x, const void *data, size_t len)
{
	const struct shape *s = &x->view.shape;

	x->rs = rs_new(s->k, s->m);
	x->rest = alloc_array(s->m + 1, PARITY_BLOCK);
	x->out->len = s->pack_len;
	x->out->bytes = x->bytes = alloc_array(s->ndata, PARITY_BLOCK);
	x->out->made = alloc_array(s->ndata / 8 + 1, 1);
	if (!x->rs || !x->rest || !x->bytes || !x->out->made)
		return -ENOMEM;
	if (len > 0)
		memcpy(x->bytes, data, MIN(len, s->pack_len));
	return 0;
}

/* Are these the bytes of the name? */
static int prove(struct parity_mended *m, const uint8_t *hash)
{
	uint8_t got[CRYPT_SHA256_LEN];
	int r = crypt_sha256(m->bytes, m->len, got);

	m->is_proven = r == 0 && memcmp(got, hash, sizeof(got)) == 0;
	return r;
}

int parity_mend(const char *pack, const void *data, size_t len,
		const void *object, size_t object_len,
		struct parity_mended *out)
{
	struct mending x = { .out = out };
	uint8_t hash[PARITY_HASH_LEN];
	size_t i;
	int r;

	*out = (struct parity_mended){ .len = 0 };
	if (!parity_pack_hash(pack, hash))
		return -EBADMSG;
	r = view_open(&x.view, hash, object, object_len);
	if (r < 0)
		return r;
	r = prepare(&x, data, len);
	for (i = 0; i < x.view.shape.nstripes && r == 0; i++)
		r = mend_stripe(&x, i);
	if (r == 0)
		r = prove(out, hash);
	rs_free(x.rs);
	free(x.rest);
	view_release(&x.view);
	if (r < 0)
		parity_release(out);
	return r;
}
