/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Data blocks come one after the other, as they lie in a pack, and each is added to
 * the parity blocks of its stripe, which stay in the processor's cache: faster than to
 * gather the blocks of a stripe, which lie a multiple of 4 KiB apart and so compete for
 * the same lines of it.
 */
#include "config.h"

#include "store/parity/rs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <isa-l/erasure_code.h>

/* What ISA-L makes of a coefficient. */
#define TABLE_LEN 32

struct rs {
	unsigned int k, m;
	uint8_t *matrix; /* m rows of k coefficients; owned */
	uint8_t *tables; /* the same, expanded; owned */
};

struct rs *rs_new(unsigned int k, unsigned int m)
{
	struct rs *rs = calloc(1, sizeof(*rs));
	uint8_t *whole = alloc_array(k + m, k);

	if (rs) {
		*rs = (struct rs){ .k = k, .m = m };
		rs->matrix = alloc_array(m, k);
		rs->tables = alloc_array((size_t)m * k, TABLE_LEN);
	}
	if (!rs || !whole || !rs->matrix || !rs->tables) {
		free(whole);
		rs_free(rs);
		return NULL;
	}
	gf_gen_cauchy1_matrix(whole, (int)(k + m), (int)k);
	memcpy(rs->matrix, whole + (size_t)k * k, (size_t)m * k);
	ec_init_tables((int)k, (int)m, rs->matrix, rs->tables);
	free(whole);
	return rs;
}

void rs_free(struct rs *rs)
{
	if (!rs)
		return;
	free(rs->matrix);
	free(rs->tables);
	free(rs);
}

void rs_add(const struct rs *rs, unsigned int j, const uint8_t *data,
	    size_t len, uint8_t *const *parity)
{
	/* Neither is written to that says it might be. */
	ec_encode_data_update((int)len, (int)rs->k, (int)rs->m, (int)j,
			      rs->tables, (unsigned char *)data,
			      (unsigned char **)parity);
}

/* Multiply the blocks at @rest by the matrix @inverse. */
static int multiply(unsigned int n, const uint8_t *inverse,
		    uint8_t *const *rest, size_t len)
{
	AUTO_FREE uint8_t *tables = alloc_array((size_t)n * n, TABLE_LEN);
	AUTO_FREE uint8_t *made = alloc_array(n, len);
	unsigned char *in[RS_BLOCKS_MAX], *out[RS_BLOCKS_MAX];
	unsigned int i;

	if (!tables || !made)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		in[i] = rest[i];
		out[i] = made + i * len;
	}
	ec_init_tables((int)n, (int)n, (unsigned char *)inverse, tables);
	ec_encode_data((int)len, (int)n, (int)n, tables, in, out);
	for (i = 0; i < n; i++)
		memcpy(rest[i], out[i], len);
	return 0;
}

int rs_solve(const struct rs *rs, unsigned int n, const uint8_t *lost,
	     const uint8_t *rows, uint8_t *const *rest, size_t len)
{
	AUTO_FREE uint8_t *part = alloc_array(n, n);
	AUTO_FREE uint8_t *inverse = alloc_array(n, n);
	unsigned int i, j;

	if (!part || !inverse)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		for (j = 0; j < n; j++)
			part[i * n + j] = rs->matrix[rows[i] * rs->k + lost[j]];
	/* Of a Cauchy matrix each square part has one. */
	if (gf_invert_matrix(part, inverse, (int)n) != 0)
		return -ENOMEM;
	return multiply(n, inverse, rest, len);
}
