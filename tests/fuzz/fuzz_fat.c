/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The reader of FAT12, FAT16 and FAT32. */
#include "config.h"

#include "tests/fuzz/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	return fuzz_guest("vfat", data, len);
}
