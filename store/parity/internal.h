/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How a parity object is laid out; private to store/parity. */
#ifndef STORE_PARITY_INTERNAL_H
#define STORE_PARITY_INTERNAL_H

#include "store/parity/parity.h"

/* SHA-256 of a pack, in its name. */
#define PARITY_HASH_LEN 32
/* As packs: nobody makes a longer one. */
#define PARITY_PACK_MAX (64u << 20)
/* Half of that, the table of all blocks twice, and some. */
#define PARITY_OBJECT_MAX (34u << 20)

/*
 * A piece of the table:
 *
 *     0  96  the header of all objects, with type 19, and zeros for salt and
 *            commitment
 *    96  32  SHA-256 of the pack
 *   128   8  length of the pack
 *   136   4  number of this piece
 *   140   1  k, data blocks of a stripe
 *   141   1  m, parity blocks of a stripe
 *   142   2  zero
 *   144   .  493 checksums of 8 bytes; those behind the last block are zero
 *  4088   8  checksum of all before
 */
#define PIECE_SUMS 493
#define PIECE_SUM_OFF 144

/* What follows from the length of a pack, k and m. */
struct shape {
	uint64_t pack_len;
	unsigned int k, m;
	size_t ndata; /* blocks of the pack */
	size_t nstripes;
	size_t nparity; /* blocks of parity: m * nstripes */
	size_t npieces; /* of the table */
	size_t nblocks; /* of the object */
};

/* Return whether there is such an object. */
bool shape_make(struct shape *s, uint64_t pack_len, unsigned int k,
		unsigned int m);
/* CRC-64/XZ. */
uint64_t parity_sum(const void *data, size_t len);
/* Return whether @pack is a pack's name; @hash_out gets the hash in it. */
MUST_CHECK bool parity_pack_hash(const char *pack,
				 uint8_t hash_out[PARITY_HASH_LEN]);
/* Write piece @number, of sums[0 .. ndata + nparity). */
void piece_encode(uint8_t out[PARITY_BLOCK], const struct shape *s,
		  size_t number, const uint8_t *hash, const uint8_t *vault_id,
		  const uint64_t *sums);

/* Make the object of that shape of a pack's bytes, as many as it says. Return 0 or
 * -ENOMEM. */
MUST_CHECK int shape_encode(const struct shape *s, const uint8_t *hash,
			    const void *data, const uint8_t *vault_id,
			    struct buf *out);

/* An object, and what is known of its blocks. */
struct parity_view {
	struct shape shape;
	const uint8_t *object; /* borrowed */
	size_t len;
	/* Of each block, data first: its checksum, and whether it is known; owned. */
	uint64_t *sums;
	uint8_t *known;
	size_t npieces_lost; /* of both tables */
};
/* Find the pieces. Return 0, -EBADMSG (there is none, silent) or -ENOMEM. */
MUST_CHECK int view_open(struct parity_view *v, const uint8_t *hash,
			 const void *object, size_t len);
void view_release(struct parity_view *v);
/* Return parity block @i where it is there as it was made, else NULL. */
const uint8_t *view_parity(const struct parity_view *v, size_t i);

#endif
