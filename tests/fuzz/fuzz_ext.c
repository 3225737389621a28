/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An ext2, ext3 or ext4 filesystem, its journal too. */
#include "config.h"

#include <stddef.h>

#include "tests/fuzz/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	return fuzz_guest("ext4", data, len);
}
