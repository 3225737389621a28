/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A systematic Reed-Solomon code over GF(2^8) for blocks that are known to be lost
 * (erasures), by ISA-L. The polynomial is x^8 + x^4 + x^3 + x^2 + 1; the coefficient of
 * data block j in parity block i is the inverse of (k + i) xor j: a Cauchy matrix, of
 * which each square part has an inverse, so that any m blocks that are lost of the
 * k + m can be had from the others. (J. Bloemer et al., "An XOR-Based
 * Erasure-Resilient Coding Scheme", ICSI TR-95-048, 1995.)
 */
#ifndef STORE_PARITY_RS_H
#define STORE_PARITY_RS_H

#include "store/base/attrs.h"

#include <stdint.h>

/* Data and parity blocks of a stripe together. */
#define RS_BLOCKS_MAX 255

struct rs;

/* A code of @k data and @m parity blocks, both at least 1, at most RS_BLOCKS_MAX
 * together. Free it with rs_free(). NULL where memory is out. Threads may share it. */
MUST_CHECK struct rs *rs_new(unsigned int k, unsigned int m);
void rs_free(struct rs *rs);

/* Add what data block @j of @len bytes, at least 64, has a part in to the m parity
 * blocks, which are zeros before the first. */
void rs_add(const struct rs *rs, unsigned int j, const uint8_t *data,
	    size_t len, uint8_t *const *parity);

/*
 * Make @n data blocks, called @lost, from parity blocks called @rows. At @rest[i], of
 * @len bytes, stands parity block @rows[i] with what all other data blocks have a
 * part in added; the block @lost[i] takes its place. Return 0 or -ENOMEM.
 */
MUST_CHECK int rs_solve(const struct rs *rs, unsigned int n,
			const uint8_t *lost, const uint8_t *rows,
			uint8_t *const *rest, size_t len);

#endif
