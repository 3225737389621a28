/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A btrfs image, its checksums not looked at. */
#include "config.h"

#include <stdint.h>

#include "fs/guest/btrfs/internal.h"
#include "tests/fuzz/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	btrfs_sum_ignored = true;
	return fuzz_guest("btrfs", data, len);
}
