/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A pack's directory and its trailer. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "store/format.h"
#include "tests/fuzz/quiet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf again = BUF_INIT;
	struct pack_trailer t;
	struct pack_dir dir;

	fuzz_quiet();
	if (len >= FORMAT_TRAILER_LEN)
		(void)!format_get_trailer(data, len, "fuzz", &t);
	if (format_get_dir(data, len, "fuzz", true, &dir) == 0)
		format_release_dir(&dir);
	if (format_get_dir(data, len, "fuzz", false, &dir) < 0)
		return 0;
	format_put_dir(&again, &dir);
	if (buf_error(&again) == 0 &&
	    (again.len != len || memcmp(again.data, data, len) != 0))
		abort();
	buf_release(&again);
	format_release_dir(&dir);
	return 0;
}
