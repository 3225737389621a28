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

struct sip {
	uint64_t a, b, c, d;
};

static inline struct sip sip_round(struct sip v)
{
	v.a += v.b;
	v.c += v.d;
	v.b = rotl(v.b, 13) ^ v.a;
	v.d = rotl(v.d, 16) ^ v.c;
	v.a = rotl(v.a, 32);
	v.c += v.b;
	v.a += v.d;
	v.b = rotl(v.b, 17) ^ v.c;
	v.d = rotl(v.d, 21) ^ v.a;
	v.c = rotl(v.c, 32);
	return v;
}

static inline struct sip sip_take(struct sip v, uint64_t word)
{
	v.d ^= word;
	v = sip_round(sip_round(v));
	v.a ^= word;
	return v;
}

uint64_t siphash(const uint8_t *key16, const void *data, size_t len)
{
	uint64_t k0 = get_le64(key16), k1 = get_le64(key16 + 8);
	struct sip v = {
		k0 ^ 0x736f6d6570736575u,
		k1 ^ 0x646f72616e646f6du,
		k0 ^ 0x6c7967656e657261u,
		k1 ^ 0x7465646279746573u,
	};
	const uint8_t *p = data;
	uint64_t last = (uint64_t)len << 56;
	uint8_t tail[8] = { 0 };
	size_t left;

	for (left = len; left >= 8; left -= 8, p += 8)
		v = sip_take(v, get_le64(p));
	if (left > 0)
		memcpy(tail, p, left);
	v = sip_take(v, last | get_le64(tail));
	v.c ^= 0xff;
	v = sip_round(sip_round(sip_round(sip_round(v))));
	return v.a ^ v.b ^ v.c ^ v.d;
}
