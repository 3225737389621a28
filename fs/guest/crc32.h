/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The CRC-32 of the IEEE (reflected 0xedb88320), as GPT and LVM2 use it. */
#ifndef FS_GUEST_CRC32_H
#define FS_GUEST_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Bits as they come, from @crc on: no inversion. */
uint32_t crc32_raw(uint32_t crc, const void *data, size_t len);
/* The usual one: inverted before and after. */
uint32_t crc32_ieee(const void *data, size_t len);

#endif
