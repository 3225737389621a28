/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/base/text.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

size_t text_utf8_len(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t c;
	size_t i, n;

	if (len == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || n > len)
		return 0;
	c = p[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if ((n == 3 && c < 0x800) || (n == 4 && c < 0x10000) || c > 0x10ffff ||
	    (c >= 0xd800 && c < 0xe000))
		return 0;
	return n;
}

/* As text_utf8_len(), and 0 for a control character. */
static size_t plain_len(const uint8_t *p, size_t len)
{
	size_t n = text_utf8_len(p, len);

	if (n == 1 && (p[0] < 0x20 || p[0] == 0x7f))
		return 0;
	if (n == 2 && p[0] == 0xc2 && p[1] < 0xa0)
		return 0;
	return n;
}

bool text_is_utf8(const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t i, n;

	for (i = 0; i < len; i += n) {
		n = text_utf8_len(p + i, len - i);
		if (n == 0)
			return false;
	}
	return true;
}

bool text_is_plain(const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t i, n;

	for (i = 0; i < len; i += n) {
		n = plain_len(p + i, len - i);
		if (n == 0)
			return false;
	}
	return true;
}

void text_put_plain(struct buf *out, const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t i, n;

	for (i = 0; i < len; i += n) {
		n = plain_len(p + i, len - i);
		if (n > 0) {
			buf_put(out, p + i, n);
			continue;
		}
		buf_put(out, "\xef\xbf\xbd", 3);
		n = text_utf8_len(p + i, len - i);
		if (n == 0)
			n = 1;
	}
}

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			     "abcdefghijklmnopqrstuvwxyz0123456789+/";

void text_put_base64(struct buf *out, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (; len > 0; p += 3) {
		uint32_t v = (uint32_t)p[0] << 16;
		char quad[4];

		if (len > 1)
			v |= (uint32_t)p[1] << 8;
		if (len > 2)
			v |= p[2];
		quad[0] = digits[v >> 18];
		quad[1] = digits[v >> 12 & 63];
		quad[2] = len > 1 ? digits[v >> 6 & 63] : '=';
		quad[3] = len > 2 ? digits[v & 63] : '=';
		buf_put(out, quad, sizeof(quad));
		len -= len < 3 ? len : 3;
	}
}

/* The value of a digit, or -1. */
static int digit_value(char c)
{
	const char *p = c ? strchr(digits, c) : NULL;

	return p ? (int)(p - digits) : -1;
}

int text_get_base64(struct buf *out, const char *text, size_t len)
{
	size_t i;

	if (len % 4 != 0)
		return -EINVAL;
	for (i = 0; i < len; i += 4) {
		size_t pad = 0, j;
		uint8_t raw[3];
		uint32_t v = 0;

		if (i + 4 == len && text[i + 3] == '=')
			pad = text[i + 2] == '=' ? 2 : 1;
		for (j = 0; j < 4 - pad; j++) {
			int d = digit_value(text[i + j]);

			if (d < 0)
				return -EINVAL;
			v |= (uint32_t)d << (18 - 6 * j);
		}
		/* Bits that no byte holds must be zero. */
		if ((pad == 1 && (v & 0xff)) || (pad == 2 && (v & 0xffff)))
			return -EINVAL;
		raw[0] = (uint8_t)(v >> 16);
		raw[1] = (uint8_t)(v >> 8);
		raw[2] = (uint8_t)v;
		buf_put(out, raw, 3 - pad);
	}
	return buf_error(out);
}
