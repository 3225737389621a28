/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of a parity object, in pieces. It is looked for in all places where a piece
 * could be, so that it is found in an object that was cut or to which something was
 * added, too. Nothing that a piece says is used before it is bounded.
 */
#include "config.h"

#include "store/parity/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <isa-l/crc64.h>

#include "store/base/bytes.h"
#include "store/base/hex.h"
#include "store/parity/rs.h"

#define OBJECT_TYPE_PARITY 19

static const uint8_t head[16] = {
	'v', 'm', 'b', 'a', 'c', 'k', 'u', 'p', 1, 0, OBJECT_TYPE_PARITY
};

uint64_t parity_sum(const void *data, size_t len)
{
	return crc64_ecma_refl(0, data, len);
}

bool parity_pack_hash(const char *pack, uint8_t hash_out[PARITY_HASH_LEN])
{
	size_t end;

	return name_is_pack(pack, &end) &&
	       hex_decode(pack + end + 1, PARITY_HASH_LEN, hash_out) == 0;
}

int parity_object_name(const char *pack, uint32_t n, char out[OBJECT_NAME_MAX])
{
	char number[16] = "";
	size_t end;

	if (!name_is_pack(pack, &end))
		return -EINVAL;
	if (n > 0)
		snprintf(number, sizeof(number), "-%u", n);
	snprintf(out, OBJECT_NAME_MAX, "parity/%.2s/%.*s%s", pack + end + 1,
		 PACK_NAME_MAX - 1, pack, number);
	return 0;
}

static size_t divide_up(uint64_t n, size_t by)
{
	return (size_t)((n + by - 1) / by);
}

bool shape_make(struct shape *s, uint64_t pack_len, unsigned int k,
		unsigned int m)
{
	if (pack_len == 0 || pack_len > PARITY_PACK_MAX || k < 1 || m < 1 ||
	    k + m > RS_BLOCKS_MAX || m > (k + 1) / 2)
		return false;
	s->pack_len = pack_len;
	s->k = k;
	s->m = m;
	s->ndata = divide_up(pack_len, PARITY_BLOCK);
	s->nstripes = divide_up(s->ndata, k);
	s->nparity = m * s->nstripes;
	s->npieces = divide_up(s->ndata + s->nparity, PIECE_SUMS);
	s->nblocks = 2 * s->npieces + s->nparity;
	/* A stripe that is longer than the pack is no stripe of it. */
	return k <= s->ndata && s->nblocks <= PARITY_OBJECT_MAX / PARITY_BLOCK;
}

void piece_encode(uint8_t out[PARITY_BLOCK], const struct shape *s,
		  size_t number, const uint8_t *hash, const uint8_t *vault_id,
		  const uint64_t *sums)
{
	size_t i, first = number * PIECE_SUMS;
	size_t n = MIN(PIECE_SUMS, s->ndata + s->nparity - first);

	memset(out, 0, PARITY_BLOCK);
	memcpy(out, head, sizeof(head));
	memcpy(out + 16, vault_id, 16);
	memcpy(out + 96, hash, PARITY_HASH_LEN);
	put_le64(out + 128, s->pack_len);
	put_le32(out + 136, (uint32_t)number);
	out[140] = (uint8_t)s->k;
	out[141] = (uint8_t)s->m;
	for (i = 0; i < n; i++)
		put_le64(out + PIECE_SUM_OFF + 8 * i, sums[first + i]);
	put_le64(out + PARITY_BLOCK - 8, parity_sum(out, PARITY_BLOCK - 8));
}

/* Is this a piece of the object for the pack of that hash, and of which shape? */
static bool piece_decode(const uint8_t *p, const uint8_t *hash,
			 struct shape *shape_out, size_t *number_out)
{
	if (memcmp(p, head, sizeof(head)) != 0 ||
	    memcmp(p + 96, hash, PARITY_HASH_LEN) != 0 ||
	    get_le64(p + PARITY_BLOCK - 8) != parity_sum(p, PARITY_BLOCK - 8) ||
	    get_le16(p + 142) != 0 ||
	    !shape_make(shape_out, get_le64(p + 128), p[140], p[141]))
		return false;
	*number_out = get_le32(p + 136);
	return *number_out < shape_out->npieces;
}

/* ---- an object as it is read ---- */

static int view_alloc(struct parity_view *v)
{
	size_t n = v->shape.ndata + v->shape.nparity;

	v->sums = alloc_array(n, sizeof(*v->sums));
	v->known = alloc_array(n, 1);
	return v->sums && v->known ? 0 : -ENOMEM;
}

static void take_piece(struct parity_view *v, size_t number, const uint8_t *p)
{
	size_t i, first = number * PIECE_SUMS;
	size_t n = MIN(PIECE_SUMS, v->shape.ndata + v->shape.nparity - first);

	for (i = 0; i < n; i++)
		v->sums[first + i] = get_le64(p + PIECE_SUM_OFF + 8 * i);
	memset(v->known + first, 1, n);
}

/* Where piece @number of the first table is, and that of the second. */
static bool is_place(const struct shape *s, size_t block, size_t number)
{
	return block == number || block == s->npieces + s->nparity + number;
}

int view_open(struct parity_view *v, const uint8_t *hash, const void *object,
	      size_t len)
{
	size_t i, n = len / PARITY_BLOCK, number, nfound = 0;
	struct shape s = { .k = 0 };
	int r = 0;

	*v = (struct parity_view){ .object = object, .len = len };
	for (i = 0; i < n && r == 0; i++) {
		const uint8_t *p = v->object + i * PARITY_BLOCK;

		if (!piece_decode(p, hash, &s, &number) ||
		    !is_place(&s, i, number))
			continue;
		if (!v->sums) {
			v->shape = s;
			r = view_alloc(v);
		}
		if (r == 0 && s.pack_len == v->shape.pack_len &&
		    s.k == v->shape.k && s.m == v->shape.m) {
			take_piece(v, number, p);
			nfound++;
		}
	}
	if (r == 0 && nfound == 0)
		r = -EBADMSG;
	if (r < 0)
		view_release(v);
	else
		v->npieces_lost = 2 * v->shape.npieces - nfound;
	return r;
}

void view_release(struct parity_view *v)
{
	free(v->sums);
	free(v->known);
	v->sums = NULL;
	v->known = NULL;
}

const uint8_t *view_parity(const struct parity_view *v, size_t i)
{
	size_t off = (v->shape.npieces + i) * PARITY_BLOCK;
	size_t at = v->shape.ndata + i;

	if (off + PARITY_BLOCK > v->len || !v->known[at] ||
	    parity_sum(v->object + off, PARITY_BLOCK) != v->sums[at])
		return NULL;
	return v->object + off;
}
