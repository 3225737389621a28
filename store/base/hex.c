/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lower-case only, in both directions: names of objects are hexadecimal, and
 * two spellings of one name would be two objects. */
#include "config.h"

#include "store/base/hex.h"

#include <errno.h>

void hex_encode(const uint8_t *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < len; i++) {
		*out++ = digits[data[i] >> 4];
		*out++ = digits[data[i] & 15];
	}
	*out = '\0';
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int hex_decode(const char *text, size_t len, uint8_t *out)
{
	size_t i;

	for (i = 0; i < len; i++) {
		int hi = digit(text[2 * i]);
		int lo = hi < 0 ? -1 : digit(text[2 * i + 1]);

		if (lo < 0)
			return -EINVAL;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return 0;
}
