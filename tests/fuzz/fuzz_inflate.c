/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What guests' filesystems compressed. The first byte says how (its low two
 * bits: zlib, zstd, LZO in sectors of 4096 or 512 bytes) and how much room
 * there is (the others: that many times 2081 bytes, about 128 KiB at most).
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/guest/inflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static ssize_t decompress(unsigned int how, const uint8_t *in, size_t len,
			  uint8_t *out, size_t cap)
{
	switch (how) {
	case 0:
		return inflate_zlib(in, len, out, cap);
	case 1:
		return inflate_zstd(in, len, out, cap);
	case 2:
		return inflate_lzo_pieces(in, len, 4096, out, cap);
	default:
		return inflate_lzo_pieces(in, len, 512, out, cap);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *in, *out;
	size_t cap;
	ssize_t n;

	if (len == 0)
		return 0;
	cap = (size_t)(data[0] >> 2) * 2081;
	/* Of exactly that size each, so that a step beside is seen. */
	in = malloc(len - 1);
	out = malloc(cap);
	if (in && out) {
		memcpy(in, data + 1, len - 1);
		n = decompress(data[0] & 3, in, len - 1, out, cap);
		if (n > (ssize_t)cap)
			abort();
	}
	free(in);
	free(out);
	return 0;
}
