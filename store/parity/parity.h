/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Parity of packs: an object beside a pack that mends what a disk has lost of it.
 *
 * A pack is taken as blocks of 4096 bytes, the last one filled up with zeros. Block i
 * belongs to stripe i mod s, so that neighbours are in different stripes; of at most
 * 100 data blocks a stripe has, m parity blocks are made. A checksum of each block,
 * also of those of parity, tells which are lost; any m of a stripe can be, and as
 * neighbours are spread over all stripes, any burst of m * s blocks of the pack.
 *
 * The object is, in blocks of 4096 bytes: the pieces of a table of checksums, the
 * parity blocks, and the same pieces once more. Each piece says all about the object
 * and has a checksum of its own, so that one that can be read, in either place, is
 * enough to find the others.
 *
 * It is made of the pack as it is stored, which is ciphertext: it tells nobody
 * anything, and needs no key, neither to be made nor to be used. It is not sealed
 * either, for nothing in it is believed: whole packs are compared with the hash in
 * their name, and frames with their seal.
 */
#ifndef STORE_PARITY_PARITY_H
#define STORE_PARITY_PARITY_H

#include "store/base/attrs.h"
#include "store/base/name.h"

#include <stdbool.h>
#include <stdint.h>

struct backend;
struct buf;

#define PARITY_PERCENT_MAX 50
#define PARITY_BLOCK 4096
#define PARITY_STRIPE_MAX 100 /* data blocks of one, as they are made here */
/* An object that was found damaged is followed by one of the next number, up to
 * this. */
#define PARITY_NUMBER_MAX 9

/* ---- names ---- */

/* The name of the object that is number @n of pack "<sid>-<n>-<sha256>":
 * "parity/<xx>/<pack>", behind which a number that is not 0 stands as "-<n>". Return 0
 * or -EINVAL (no pack is called that). */
MUST_CHECK int parity_object_name(const char *pack, uint32_t n,
				  char out[OBJECT_NAME_MAX]);

/* ---- making ---- */

/*
 * Make the object for pack @pack, whose bytes are <@data, @len>: @percent of them, 1 to
 * PARITY_PERCENT_MAX, are parity. @vault_id has 16 bytes. Any thread may. Return 0,
 * -EINVAL, or -ENOMEM.
 */
MUST_CHECK int parity_make(const char *pack, const void *data, size_t len,
			   unsigned int percent, const uint8_t *vault_id,
			   struct buf *out);

/* ---- looking ---- */

struct parity_state {
	/* Blocks of the object, as it should be, and those that are lost. Where not one
	 * piece can be read, it is all that there is. */
	uint64_t blocks, lost;
	unsigned int k, m; /* of a stripe; 0: not one piece can be read */
};
/* Look whether an object is as it was made, and may be of pack @pack. Return 0, -EBADMSG
 * (it is damaged, silent) or -ENOMEM; @out may be NULL. */
MUST_CHECK int parity_check(const char *pack, const void *object, size_t len,
			    struct parity_state *out);

/* The same of one that is of just these bytes, which are those of the pack's name. */
MUST_CHECK int parity_compare(const char *pack, const void *data, size_t len,
			      const void *object, size_t object_len);
/*
 * Look whether one of the objects that pack @pack has is as it was made; bit n of
 * @numbers says that there is one of number n. @data: the pack's bytes, which are
 * those of its name, or NULL where they are not known. Return 1, 0, -ENOENT (there is
 * none of them) or another negative errno.
 */
MUST_CHECK int parity_find_whole(struct backend *b, const char *pack,
				 uint16_t numbers, const void *data,
				 size_t len);

/* ---- mending ---- */

/* What was mended of a pack. */
struct parity_mended {
	uint8_t *bytes; /* owned; as many as the pack has */
	uint64_t len;
	/* A bit for each block of PARITY_BLOCK bytes: it was lost, and was made
	 * anew. Owned. */
	uint8_t *made;
	uint64_t nlost, nmade; /* blocks */
	bool is_proven; /* the bytes are those of the pack's name */
};
void parity_release(struct parity_mended *m);

/*
 * Mend pack @pack, of which <@data, @len> was read, with one object. What could not be
 * read may be anything there, and bytes may be missing at the end or too many. Return 0
 * and what could be mended, of which nothing is to be believed unless it is_proven or
 * has another proof; -EBADMSG (the object is of no use, silent) or -ENOMEM.
 */
MUST_CHECK int parity_mend(const char *pack, const void *data, size_t len,
			   const void *object, size_t object_len,
			   struct parity_mended *out);
/*
 * Read pack @pack as far as it can be, and mend it with the objects that it has. Silent,
 * for that it is damaged was said. It takes memory of up to twice the pack's length and
 * that of the object, and reads both whole. Return 0, as parity_mend(); -ENOENT (there is
 * no parity, or no pack); -EBADMSG (it is of no use); or another negative errno.
 */
MUST_CHECK int parity_fetch(struct backend *b, const char *pack,
			    struct parity_mended *out);

#endif
