/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "fs/guest/utf16.h"

#include <stdio.h>
#include <string.h>

#include "fs/guest/guest.h"

/* The character at the start of @n > 0 units; *used_out is 1 or 2. */
static uint32_t utf16_get(const uint16_t *units, size_t n, size_t *used_out)
{
	uint32_t c = units[0];

	*used_out = 1;
	if ((c & 0xfc00) != 0xd800 || n < 2 || (units[1] & 0xfc00) != 0xdc00)
		return c;
	*used_out = 2;
	return 0x10000 + ((c & 0x3ff) << 10) + (units[1] & 0x3ff);
}

static size_t utf8_put(uint32_t c, char out[4])
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

size_t utf16_put(const uint16_t *units, size_t n, char *out, size_t cap,
		 size_t *used_out)
{
	size_t i = 0, len = 0, used, bytes;
	char utf8[4];

	while (i < n) {
		bytes = utf8_put(utf16_get(units + i, n - i, &used), utf8);
		if (bytes > cap - len)
			break;
		memcpy(out + len, utf8, bytes);
		len += bytes;
		i += used;
	}
	*used_out = i;
	return len;
}

size_t utf16_name(const uint16_t *units, size_t n, uint64_t tag, char *out)
{
	char tail[20];
	size_t len, used, tail_len;

	len = utf16_put(units, n, out, GUEST_NAME_MAX, &used);
	if (used < n) {
		tail_len = (size_t)snprintf(tail, sizeof(tail), "~%llx",
					    (unsigned long long)tag);
		len = utf16_put(units, n, out, GUEST_NAME_MAX - tail_len,
				&used);
		memcpy(out + len, tail, tail_len);
		len += tail_len;
	}
	out[len] = '\0';
	return len;
}
