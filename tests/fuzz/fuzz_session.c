/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a session object says of who writes. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/writer/session.h"
#include "tests/fuzz/quiet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct session_info s;

	fuzz_quiet();
	if (session_decode(data, len, "fuzz", &s) == 0 &&
	    !memchr(s.host, '\0', sizeof(s.host)))
		abort();
	return 0;
}
