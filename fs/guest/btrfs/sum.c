/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The four checksums of btrfs: CRC-32C (Castagnoli), xxHash64, SHA-256 and
 * BLAKE2b-256 (RFC 7693), of whole buffers.
 */
#include "config.h"

#include "fs/guest/btrfs/internal.h"

#include <pthread.h>

#include "store/crypt/crypt.h"

bool btrfs_sum_ignored;

/* ---- CRC-32C, eight bytes at a time ---- */

static uint32_t crc_table[8][256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void make_crc_table(void)
{
	uint32_t i, c;
	int k;

	for (i = 0; i < 256; i++) {
		c = i;
		for (k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ 0x82f63b78 : c >> 1;
		crc_table[0][i] = c;
	}
	/* Table k: the byte, and k zeros behind it. */
	for (k = 1; k < 8; k++)
		for (i = 0; i < 256; i++) {
			c = crc_table[k - 1][i];
			crc_table[k][i] = c >> 8 ^ crc_table[0][c & 0xff];
		}
}

uint32_t btrfs_crc32c(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t v;

	pthread_once(&crc_once, make_crc_table);
	for (; len >= 8; p += 8, len -= 8) {
		v = get_le64(p) ^ crc;
		crc = crc_table[7][v & 0xff] ^ crc_table[6][v >> 8 & 0xff] ^
		      crc_table[5][v >> 16 & 0xff] ^
		      crc_table[4][v >> 24 & 0xff] ^
		      crc_table[3][v >> 32 & 0xff] ^
		      crc_table[2][v >> 40 & 0xff] ^
		      crc_table[1][v >> 48 & 0xff] ^ crc_table[0][v >> 56];
	}
	for (; len; p++, len--)
		crc = crc >> 8 ^ crc_table[0][(crc ^ *p) & 0xff];
	return crc;
}

/* ---- xxHash64, with seed 0 ---- */

#define XX1 UINT64_C(0x9e3779b185ebca87)
#define XX2 UINT64_C(0xc2b2ae3d27d4eb4f)
#define XX3 UINT64_C(0x165667b19e3779f9)
#define XX4 UINT64_C(0x85ebca77c2b2ae63)
#define XX5 UINT64_C(0x27d4eb2f165667c5)

static inline uint64_t rotl64(uint64_t v, unsigned int n)
{
	return v << n | v >> (64 - n);
}

static inline uint64_t rotr64(uint64_t v, unsigned int n)
{
	return v >> n | v << (64 - n);
}

static inline uint64_t xx_round(uint64_t acc, uint64_t lane)
{
	return rotl64(acc + lane * XX2, 31) * XX1;
}

static inline uint64_t xx_merge(uint64_t h, uint64_t acc)
{
	return (h ^ xx_round(0, acc)) * XX1 + XX4;
}

uint64_t btrfs_xxhash64(const void *data, size_t len)
{
	uint64_t acc[4] = { XX1 + XX2, XX2, 0, 0 - XX1 };
	const uint8_t *p = data;
	size_t left = len;
	uint64_t h = XX5;
	int i;

	if (len >= 32) {
		for (; left >= 32; p += 32, left -= 32)
			for (i = 0; i < 4; i++)
				acc[i] = xx_round(acc[i], get_le64(p + 8 * i));
		h = rotl64(acc[0], 1) + rotl64(acc[1], 7) + rotl64(acc[2], 12) +
		    rotl64(acc[3], 18);
		for (i = 0; i < 4; i++)
			h = xx_merge(h, acc[i]);
	}
	h += len;
	for (; left >= 8; p += 8, left -= 8)
		h = rotl64(h ^ xx_round(0, get_le64(p)), 27) * XX1 + XX4;
	if (left >= 4) {
		h = rotl64(h ^ get_le32(p) * XX1, 23) * XX2 + XX3;
		p += 4;
		left -= 4;
	}
	for (; left; p++, left--)
		h = rotl64(h ^ *p * XX5, 11) * XX1;
	h = (h ^ h >> 33) * XX2;
	h = (h ^ h >> 29) * XX3;
	return h ^ h >> 32;
}

/* ---- BLAKE2b, 32 bytes, without a key ---- */

static const uint64_t blake_iv[8] = {
	UINT64_C(0x6a09e667f3bcc908), UINT64_C(0xbb67ae8584caa73b),
	UINT64_C(0x3c6ef372fe94f82b), UINT64_C(0xa54ff53a5f1d36f1),
	UINT64_C(0x510e527fade682d1), UINT64_C(0x9b05688c2b3e6c1f),
	UINT64_C(0x1f83d9abfb41bd6b), UINT64_C(0x5be0cd19137e2179),
};

static const uint8_t blake_order[10][16] = {
	{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
	{ 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3 },
	{ 11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4 },
	{ 7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8 },
	{ 9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13 },
	{ 2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9 },
	{ 12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11 },
	{ 13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10 },
	{ 6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5 },
	{ 10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0 },
};

static inline void blake_mix(uint64_t *v, int a, int b, int c, int d,
			     uint64_t x, uint64_t y)
{
	v[a] += v[b] + x;
	v[d] = rotr64(v[d] ^ v[a], 32);
	v[c] += v[d];
	v[b] = rotr64(v[b] ^ v[c], 24);
	v[a] += v[b] + y;
	v[d] = rotr64(v[d] ^ v[a], 16);
	v[c] += v[d];
	v[b] = rotr64(v[b] ^ v[c], 63);
}

static void blake_block(uint64_t *h, const uint8_t *block, uint64_t done,
			bool last)
{
	uint64_t v[16], m[16];
	const uint8_t *s;
	int i, round;

	for (i = 0; i < 16; i++)
		m[i] = get_le64(block + 8 * i);
	for (i = 0; i < 8; i++) {
		v[i] = h[i];
		v[i + 8] = blake_iv[i];
	}
	v[12] ^= done;
	if (last)
		v[14] = ~v[14];
	for (round = 0; round < 12; round++) {
		s = blake_order[round % 10];
		for (i = 0; i < 4; i++)
			blake_mix(v, i, i + 4, i + 8, i + 12, m[s[2 * i]],
				  m[s[2 * i + 1]]);
		for (i = 0; i < 4; i++)
			blake_mix(v, i, (i + 1) % 4 + 4, (i + 2) % 4 + 8,
				  (i + 3) % 4 + 12, m[s[2 * i + 8]],
				  m[s[2 * i + 9]]);
	}
	for (i = 0; i < 8; i++)
		h[i] ^= v[i] ^ v[i + 8];
}

void btrfs_blake2b(const void *data, size_t len, uint8_t *out)
{
	const uint8_t *p = data;
	uint8_t block[128] = { 0 };
	uint64_t h[8];
	size_t left = len;
	int i;

	memcpy(h, blake_iv, sizeof(h));
	h[0] ^= 0x01010000 ^ BTRFS_CSUM_MAX; /* no key; the digest's length */
	for (; left > sizeof(block); p += 128, left -= 128)
		blake_block(h, p, len - left + 128, false);
	if (left)
		memcpy(block, p, left);
	blake_block(h, block, len, true);
	for (i = 0; i < 4; i++)
		put_le64(out + 8 * i, h[i]);
}

/* ---- */

size_t btrfs_sum_len(unsigned int type)
{
	static const uint8_t lens[BTRFS_SUMS] = { 4, 8, 32, 32 };

	return lens[type];
}

bool btrfs_sum_ok(unsigned int type, const void *data, size_t len,
		  const uint8_t *sum)
{
	uint8_t got[BTRFS_CSUM_MAX];

	if (btrfs_sum_ignored)
		return true;
	switch (type) {
	case BTRFS_SUM_CRC32C:
		put_le32(got, ~btrfs_crc32c(UINT32_MAX, data, len));
		break;
	case BTRFS_SUM_XXHASH64:
		put_le64(got, btrfs_xxhash64(data, len));
		break;
	case BTRFS_SUM_SHA256:
		if (crypt_sha256(data, len, got) < 0)
			return false;
		break;
	default:
		btrfs_blake2b(data, len, got);
		break;
	}
	return memcmp(got, sum, btrfs_sum_len(type)) == 0;
}
