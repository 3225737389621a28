/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One gear step must wait for the one before it. As a hash depends on 64 bytes
 * only, LANES stretches of the data can be hashed side by side; where one of
 * them hits, which is rare, the block is scanned again byte by byte.
 */
#include "config.h"

#include "store/writer/cdc.h"

#include "store/base/attrs.h"

#define LANES 4
#define LANE_LEN 2048u
#define BLOCK_LEN (LANES * LANE_LEN)

/* H(@n); @n is at least CDC_WINDOW. */
static uint64_t hash_at(const uint64_t gear[256], const uint8_t *data, size_t n)
{
	uint64_t h = 0;
	size_t i;

	for (i = n - CDC_WINDOW; i < n; i++)
		h = (h << 1) + gear[data[i]];
	return h;
}

/* Is there an n in [@n, @n + BLOCK_LEN) with H(n) & @mask == 0? */
static int block_hits(const uint64_t gear[256], const uint8_t *data, size_t n,
		      uint64_t mask)
{
	const uint8_t *p = data + n;
	uint64_t h0 = hash_at(gear, data, n);
	uint64_t h1 = hash_at(gear, data, n + LANE_LEN);
	uint64_t h2 = hash_at(gear, data, n + 2 * LANE_LEN);
	uint64_t h3 = hash_at(gear, data, n + 3 * LANE_LEN);
	size_t i;

	for (i = 0; i < LANE_LEN; i++) {
		if (!(h0 & mask) | !(h1 & mask) | !(h2 & mask) | !(h3 & mask))
			return 1;
		h0 = (h0 << 1) + gear[p[i]];
		h1 = (h1 << 1) + gear[p[i + LANE_LEN]];
		h2 = (h2 << 1) + gear[p[i + 2 * LANE_LEN]];
		h3 = (h3 << 1) + gear[p[i + 3 * LANE_LEN]];
	}
	return 0;
}

/* The smallest n in [@from, @to) with H(n) & @mask == 0, or @to. */
static size_t find_cut(const uint64_t gear[256], const uint8_t *data,
		       size_t from, size_t to, uint64_t mask)
{
	size_t n = from;
	uint64_t h;

	if (from >= to)
		return to;
	while (to - n >= BLOCK_LEN && !block_hits(gear, data, n, mask))
		n += BLOCK_LEN;
	h = n < to ? hash_at(gear, data, n) : 0;
	for (; n < to; n++) {
		if (!(h & mask))
			return n;
		h = (h << 1) + gear[data[n]];
	}
	return to;
}

size_t cdc_cut(const uint64_t gear[256], const uint8_t *data, size_t len)
{
	size_t end = MIN(len, (size_t)CDC_MAX);
	size_t mid = MIN(end, (size_t)CDC_SWITCH);
	size_t n;

	if (len <= CDC_MIN)
		return len;
	n = find_cut(gear, data, CDC_MIN, mid, CDC_MASK_HARD);
	return n < mid ? n : find_cut(gear, data, mid, end, CDC_MASK_EASY);
}
