/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Little-endian integers at any address. */
#ifndef STORE_BASE_BYTES_H
#define STORE_BASE_BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t get_le16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

static inline uint32_t get_le32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static inline uint64_t get_le64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static inline void put_le16(void *p, uint16_t v)
{
	v = htole16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put_le32(void *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put_le64(void *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

/* memcmp() is fast for any length: it compares the first bytes with zeros, then
 * the rest with itself, shifted. */
static inline bool bytes_are_zero(const void *data, size_t len)
{
	static const uint8_t none[16];
	const uint8_t *p = data;

	if (len <= sizeof(none))
		return memcmp(p, none, len) == 0;
	return memcmp(p, none, sizeof(none)) == 0 &&
	       memcmp(p, p + sizeof(none), len - sizeof(none)) == 0;
}

#endif
