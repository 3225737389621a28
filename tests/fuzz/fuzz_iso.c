/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The reader of ISO 9660, Rock Ridge, Joliet. */
#include "config.h"

#include "tests/fuzz/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	return fuzz_guest("iso9660", data, len);
}
