/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A parity object: the first byte says how many bytes of a pack stand behind it, in
 * units of 16, and the object follows. The pack's name has the hash that the object
 * says, so that pieces are taken. */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/bytes.h"
#include "store/base/hex.h"
#include "store/parity/internal.h"
#include "tests/fuzz/quiet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define HASH_OFF 96
#define HASH_LEN 32

/* Nobody would hit a checksum by chance: make those of pieces right. */
static void make_sums(uint8_t *object, size_t len)
{
	size_t off;

	for (off = 0; off + PARITY_BLOCK <= len; off += PARITY_BLOCK)
		if (memcmp(object + off, "vmbackup", 8) == 0)
			put_le64(object + off + PARITY_BLOCK - 8,
				 parity_sum(object + off, PARITY_BLOCK - 8));
}

static void one(const char *pack, const uint8_t *bytes, size_t n,
		const uint8_t *object, size_t len)
{
	struct parity_mended m;
	struct parity_state s;

	if (parity_check(pack, object, len, &s) == 0 &&
	    (s.blocks * PARITY_BLOCK != len || s.lost != 0))
		abort();
	if (parity_mend(pack, bytes, n, object, len, &m) < 0)
		return;
	if (m.nmade > m.nlost || (m.len > 0 && !m.bytes))
		abort();
	parity_release(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char pack[PACK_NAME_MAX], hex[2 * HASH_LEN + 1];
	const uint8_t *object;
	uint8_t *copy;
	size_t n;

	fuzz_quiet();
	if (len < 1)
		return 0;
	n = MIN(16u * data[0], len - 1);
	object = data + 1 + n;
	if (len < 1 + n + HASH_OFF + HASH_LEN)
		return 0;
	len -= 1 + n;
	hex_encode(object + HASH_OFF, HASH_LEN, hex);
	snprintf(pack, sizeof(pack), "%032d-0-%s", 0, hex);
	copy = malloc(len);
	if (!copy)
		return 0;
	memcpy(copy, object, len);
	one(pack, data + 1, n, copy, len);
	make_sums(copy, len);
	one(pack, data + 1, n, copy, len);
	free(copy);
	return 0;
}
