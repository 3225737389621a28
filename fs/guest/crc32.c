/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "fs/guest/crc32.h"

uint32_t crc32_raw(uint32_t crc, const void *data, size_t len)
{
	/* Four bits at a time: the tables that it is for are small. */
	static const uint32_t step[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
		0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const uint8_t *p = data;

	while (len--) {
		crc ^= *p++;
		crc = crc >> 4 ^ step[crc & 15];
		crc = crc >> 4 ^ step[crc & 15];
	}
	return crc;
}

uint32_t crc32_ieee(const void *data, size_t len)
{
	return ~crc32_raw(UINT32_MAX, data, len);
}
