/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The reader of exFAT; checksums are not asked for: they would hide the rest. */
#include "config.h"

#include "fs/guest/fat/exfat_internal.h"
#include "tests/fuzz/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	exfat_trusts_checksums = true;
	return fuzz_guest("exfat", data, len);
}
