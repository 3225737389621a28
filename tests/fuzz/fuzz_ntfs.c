/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Images of NTFS: what libntfs-3g makes of them, and what we do. */
#include "config.h"

#include <stddef.h>
#include <stdint.h>

#include "tests/fuzz/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
const char *__lsan_default_suppressions(void);

/* The library's ntfs_possible_symlink() loses one byte for each reparse point
 * that is empty: of no harm, and not ours. */
const char *__lsan_default_suppressions(void)
{
	return "leak:ntfs_attr_readall\nleak:libntfs-3g\n";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	return fuzz_guest("ntfs", data, len);
}
