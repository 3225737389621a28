/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Decompression in one call each: nothing is kept between calls but LZO's
 * one-time check of the machine.
 */
#include "config.h"

#include "fs/guest/inflate.h"

#include <errno.h>
#include <pthread.h>

#include <lzo/lzo1x.h>
#include <zlib.h>

#include "store/base/bytes.h"
#include "store/base/zip.h"

ssize_t inflate_zlib(const void *in, size_t len, void *out, size_t cap)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)in, .next_out = out };
	ssize_t n;
	int r;

	if (len > UINT32_MAX || cap > UINT32_MAX)
		return -EBADMSG;
	z.avail_in = (uInt)len;
	z.avail_out = (uInt)cap;
	r = inflateInit(&z);
	if (r != Z_OK)
		return r == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
	r = inflate(&z, Z_FINISH);
	n = (ssize_t)(cap - z.avail_out);
	inflateEnd(&z);
	if (r == Z_STREAM_END)
		return n;
	return r == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
}

ssize_t inflate_zstd(const void *in, size_t len, void *out, size_t cap)
{
	struct zip *z = zip_thread();

	return z ? zip_decompress_max(z, in, len, out, cap) : -ENOMEM;
}

static pthread_once_t lzo_once = PTHREAD_ONCE_INIT;
static int lzo_state = LZO_E_ERROR;

static void start_lzo(void)
{
	lzo_state = lzo_init();
}

ssize_t inflate_lzo_pieces(const void *in, size_t len, size_t sector, void *out,
			   size_t cap)
{
	const uint8_t *p = in;
	size_t at = 4, done = 0, piece, room;
	uint64_t total;
	lzo_uint n;

	pthread_once(&lzo_once, start_lzo);
	if (lzo_state != LZO_E_OK)
		return -ENOMEM;
	if (len < 4)
		return -EBADMSG;
	total = get_le32(p);
	if (total < 4 || total > len)
		return -EBADMSG;
	while (at < total) {
		room = sector - at % sector;
		if (room < 4)
			at += room;
		if (at + 4 > total)
			return -EBADMSG;
		piece = get_le32(p + at);
		at += 4;
		if (piece == 0 || piece > total - at || done == cap)
			return -EBADMSG;
		n = MIN(sector, cap - done);
		if (lzo1x_decompress_safe(p + at, piece, (uint8_t *)out + done,
					  &n, NULL) != LZO_E_OK)
			return -EBADMSG;
		at += piece;
		done += n;
	}
	return (ssize_t)done;
}
