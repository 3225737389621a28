/* SPDX-License-Identifier: GPL-3.0-or-later */
/* MBR partition tables, on an image (image.h). */
#include "config.h"

#include <stdlib.h>

#include "fs/guest/volumes/internal.h"
#include "tests/fuzz/image.h"
#include "tests/fuzz/quiet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct table t;
	struct blocks *b;

	fuzz_quiet();
	if (fuzz_image(data, len, &b) < 0)
		return 0;
	if (mbr_read(b, len % 2 ? 4096 : 0, &t) == 0 && t.n > TABLE_MAX)
		abort();
	blocks_put(b);
	return 0;
}
