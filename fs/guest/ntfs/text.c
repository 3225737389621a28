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
