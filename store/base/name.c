/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/base/name.h"

#include <string.h>

#include "store/base/hex.h"

#define HASH_HEX 64

static bool digits_ok(const char *text, size_t n)
{
	uint8_t raw[HASH_HEX / 2];

	return strnlen(text, n) == n && hex_decode(text, n / 2, raw) == 0;
}

/* A decimal number without leading zeros, so that a number has one name. */
static bool get_number(const char **text, uint32_t *out)
{
	const char *p = *text;
	uint64_t n = 0;

	for (; *p >= '0' && *p <= '9' && n <= UINT32_MAX; p++)
		n = 10 * n + (uint64_t)(*p - '0');
	if (p == *text || n > UINT32_MAX || (**text == '0' && p - *text > 1))
		return false;
	*text = p;
	*out = (uint32_t)n;
	return true;
}

bool name_is_hex(const char *text)
{
	return digits_ok(text, NAME_HEX) && text[NAME_HEX] == '\0';
}

bool name_numbered(const char *name, const char *prefix,
		   char hex_out[NAME_HEX + 1], uint32_t *n_out)
{
	size_t len = strlen(prefix);
	const char *p = name + len;
	uint32_t n;

	if (strncmp(name, prefix, len) != 0 || !digits_ok(p, NAME_HEX) ||
	    p[NAME_HEX] != '-')
		return false;
	memcpy(hex_out, p, NAME_HEX);
	hex_out[NAME_HEX] = '\0';
	p += NAME_HEX + 1;
	if (!get_number(&p, &n) || *p)
		return false;
	if (n_out)
		*n_out = n;
	return true;
}

bool name_is_pack(const char *name, size_t *number_end)
{
	const char *p = name + NAME_HEX + 1;
	uint32_t n;

	if (!digits_ok(name, NAME_HEX) || name[NAME_HEX] != '-' ||
	    !get_number(&p, &n) || *p != '-' || !digits_ok(p + 1, HASH_HEX) ||
	    p[1 + HASH_HEX])
		return false;
	if (number_end)
		*number_end = (size_t)(p - name);
	return true;
}
