/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An XFS image, its checksums not looked at. */
#include "config.h"

#include <stdint.h>

#include "fs/guest/xfs/internal.h"
#include "tests/fuzz/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	xfs_crc_ignore(true);
	return fuzz_guest("xfs", data, len);
}
