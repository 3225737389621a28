/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An index object's plaintext, and the directories in it. */
#include "config.h"

#include <stdlib.h>

#include "store/index.h"
#include "tests/fuzz/quiet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What was told. */
struct told {
	size_t packs, gone, bytes;
};

static int on_pack(void *arg, const struct index_pack *p)
{
	struct told *t = arg;
	struct pack_dir dir;
	int r = format_get_dir(p->dir, p->dir_len, p->name, false, &dir);

	if (r == 0)
		format_release_dir(&dir);
	if (format_check_dir(p->dir, p->dir_len, p->name) != r)
		abort();
	t->packs++;
	t->bytes += p->dir_len;
	return 0;
}

static int on_gone(void *arg, const char *name)
{
	struct told *t = arg;

	if (!index_name_ok(name))
		abort();
	t->gone++;
	return 0;
}

/* In pieces of a length that the input decides. */
static int decode_in_pieces(const uint8_t *data, size_t len, struct told *t)
{
	struct index_decoder d = {
		.name = "index/fuzz",
		.len = len,
		.visitor = { .pack = on_pack, .gone = on_gone, .arg = t }
	};
	size_t step = 1 + data[len / 2] % 64, at, n;
	int r = 0;

	for (at = 0; at < len && r == 0; at += n) {
		n = MIN(step, len - at);
		r = index_decode_some(&d, data + at, n);
	}
	index_decoder_release(&d);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct told whole = { 0 }, pieces = { 0 };
	int r;

	fuzz_quiet();
	r = index_decode(data, len, "index/fuzz", on_pack, on_gone, &whole);
	if (len == 0)
		return 0;
	if (decode_in_pieces(data, len, &pieces) != r ||
	    whole.packs != pieces.packs || whole.gone != pieces.gone ||
	    whole.bytes != pieces.bytes)
		abort();
	return 0;
}
