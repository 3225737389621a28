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

/* What was encoded says what was decoded. */
static void compare(const struct buf *b, const struct commit_after *after,
		    struct commit_after *again, const struct commit_sig *sig)
{
	struct commit_sig sig_again;
	struct commit c;

	if (commit_decode_all(b->data, b->len, "commit/" SID, &c, again,
			      &sig_again) < 0 ||
	    again->is_told != after->is_told || again->n != after->n)
		abort();
	if (after->n > 0 && memcmp(again->refs, after->refs,
				   after->n * sizeof(after->refs[0])) != 0)
		abort();
	if (sig->is_whole != sig_again.is_whole ||
	    memcmp(sig->key, sig_again.key, sizeof(sig->key)) != 0 ||
	    memcmp(sig->value, sig_again.value, sizeof(sig->value)) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct commit_after after, after_again;
	struct commit_sig sig;
	struct commit c, again, whole;

	fuzz_quiet();
	if (commit_decode(data, len, "commit/" SID, &c) < 0)
		return 0;
	if (c.point[0] == '\0')
		return 0; /* fenced */
	if (strlen(c.point) != NAME_HEX)
		abort();
	if (commit_decode_all(data, len, "commit/" SID, &whole, &after, &sig) <
	    0)
		return 0;
	if (memcmp(&c, &whole, sizeof(c)) != 0)
		abort();
	commit_encode_after(&c, SID, &after, sig.is_whole ? sig.vault : NULL,
			    &b);
	if (sig.is_whole)
		commit_put_sig(&b, sig.key, sig.value);
	if (buf_error(&b) < 0)
		return 0;
	if (commit_decode(b.data, b.len, "commit/" SID, &again) < 0 ||
	    strcmp(c.point, again.point) != 0 ||
	    memcmp(c.hash, again.hash, sizeof(c.hash)) != 0)
		abort();
	compare(&b, &after, &after_again, &sig);
	return 0;
}
