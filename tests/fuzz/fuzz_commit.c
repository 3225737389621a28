/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commit registers. A point that the decoder takes the encoder can write, and
 * that reads back as the same. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/record/commit.h"
#include "tests/fuzz/quiet.h"

#define SID "728eb82bfbdc7e19ca7f8473e8070850" /* of the corpus */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct commit c, again;

	fuzz_quiet();
	if (commit_decode(data, len, "commit/" SID, &c) < 0)
		return 0;
	if (c.point[0] == '\0')
		return 0; /* fenced */
	if (strlen(c.point) != NAME_HEX)
		abort();
	commit_encode(&c, SID, &b);
	if (buf_error(&b) < 0)
		return 0;
	if (commit_decode(b.data, b.len, "commit/" SID, &again) < 0 ||
	    strcmp(c.point, again.point) != 0 ||
	    memcmp(c.hash, again.hash, sizeof(c.hash)) != 0)
		abort();
	return 0;
}
