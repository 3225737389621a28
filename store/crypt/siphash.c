/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * SipHash-2-4 with 64 bits of output, from the paper (Aumasson, Bernstein:
 * SipHash: a fast short-input PRF, 2012, section 2). It decides tree node
 * boundaries and inode numbers: keyed, so that nobody who chooses file names
 * can choose those, and far cheaper than an HMAC of a name.
 */
#include "config.h"

#include "store/crypt/siphash.h"

#include <string.h>

#include "store/base/bytes.h"

static inline uint64_t rotl(uint64_t v, unsigned int n)
{
	return v << n | v >> (64 - n);
}

static inline void sip_rounds(uint64_t v[4], unsigned int n)
{
	while (n--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotl(v[1], 13) ^ v[0];
		v[3] = rotl(v[3], 16) ^ v[2];
		v[0] = rotl(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotl(v[1], 17) ^ v[2];
		v[3] = rotl(v[3], 21) ^ v[0];
		v[2] = rotl(v[2], 32);
	}
}

uint64_t siphash(const uint8_t *key16, const void *data, size_t len)
{
	uint64_t k0 = get_le64(key16), k1 = get_le64(key16 + 8);
	uint64_t v[4] = {
		k0 ^ 0x736f6d6570736575u,
		k1 ^ 0x646f72616e646f6du,
		k0 ^ 0x6c7967656e657261u,
		k1 ^ 0x7465646279746573u,
	};
	const uint8_t *p = data;
	uint64_t last = (uint64_t)len << 56;
	uint8_t tail[8] = { 0 };
	size_t left;

	for (left = len; left >= 8; left -= 8, p += 8) {
		uint64_t m = get_le64(p);

		v[3] ^= m;
		sip_rounds(v, 2);
		v[0] ^= m;
	}
	if (left > 0)
		memcpy(tail, p, left);
	last |= get_le64(tail);
	v[3] ^= last;
	sip_rounds(v, 2);
	v[0] ^= last;
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
