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

/* What a digit means, and 16 more; 0: it is none. Listings look at ten thousand
 * names. */
static const uint8_t meanings[256] = {
	['0'] = 16, ['1'] = 17, ['2'] = 18, ['3'] = 19, ['4'] = 20, ['5'] = 21,
	['6'] = 22, ['7'] = 23, ['8'] = 24, ['9'] = 25, ['a'] = 26, ['b'] = 27,
	['c'] = 28, ['d'] = 29, ['e'] = 30, ['f'] = 31,
};

int hex_decode(const char *text, size_t len, uint8_t *out)
{
	size_t i;

	for (i = 0; i < len; i++) {
		uint8_t hi = meanings[(uint8_t)text[2 * i]];
		uint8_t lo = hi ? meanings[(uint8_t)text[2 * i + 1]] : 0;

		if (!lo)
			return -EINVAL;
		out[i] = (uint8_t)(hi << 4 | (lo & 15));
	}
	return 0;
}

bool hex_is(const char *text, size_t digits)
{
	size_t i;

	for (i = 0; i < digits; i++)
		if (!meanings[(uint8_t)text[i]])
			return false;
	return true;
}
