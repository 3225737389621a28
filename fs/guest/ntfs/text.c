/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Text of Windows as text of ours, whatever the locale. */
#include "config.h"

#include "fs/guest/ntfs/internal.h"

#include <errno.h>
#include <stdlib.h>

#include "fs/guest/utf16.h"
#include "store/base/bytes.h"

/* Units at any address, in our byte order. */
static void units_get(const void *units, size_t n, uint16_t *out)
{
	size_t i;

	for (i = 0; i < n; i++)
		out[i] = get_le16((const uint8_t *)units + 2 * i);
}

int ntfs_text_put(struct buf *out, const void *units, size_t n)
{
	uint16_t *host;
	size_t used;

	if (!n)
		return 0;
	host = calloc(n, sizeof(*host));
	if (!host || buf_reserve(out, 3 * n) < 0) {
		free(host);
		return -ENOMEM;
	}
	units_get(units, n, host);
	out->len +=
		utf16_put(host, n, (char *)out->data + out->len, 3 * n, &used);
	free(host);
	return 0;
}

size_t ntfs_text_name(const void *units, uint8_t n, uint64_t tag, char *out)
{
	uint16_t host[UINT8_MAX];

	units_get(units, n, host);
	return utf16_name(host, n, tag, out);
}

/* The character at @s, and how many bytes it takes; 0: none that utf16_put()
 * writes. */
static size_t utf8_get(const uint8_t *s, size_t left, uint32_t *out)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4, i;
	uint32_t c = n == 1 ? s[0] : s[0] & (0x7fu >> n);

	if (n > left || (n > 1 && s[0] < 0xc0) || s[0] > 0xf4)
		return 0;
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	*out = c;
	return c >= least[n] && c <= 0x10ffff ? n : 0;
}

bool ntfs_text_units(const char *name, size_t len, ntfschar *out,
		     uint32_t *n_out)
{
	const uint8_t *p = (const uint8_t *)name;
	uint32_t c, n = 0;
	size_t used;

	for (; len > 0; p += used, len -= used) {
		used = utf8_get(p, len, &c);
		if (!used || n + (c > 0xffff) >= UINT8_MAX)
			return false;
		if (c > 0xffff) {
			c -= 0x10000;
			out[n++] = cpu_to_le16((uint16_t)(0xd800 | c >> 10));
			c = 0xdc00 | (c & 0x3ff);
		}
		out[n++] = cpu_to_le16((uint16_t)c);
	}
	*n_out = n;
	return true;
}
