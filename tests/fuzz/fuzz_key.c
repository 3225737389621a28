/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Key slots: what is read before anything is authenticated.
 *
 * The input is taken as a slot object, and then as the clear text of one, in
 * a box that is well-formed around it. No passphrase is tried: scrypt would
 * take seconds and gigabytes for each input, as it is asked to.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "store/base/bytes.h"
#include "store/base/secret.h"
#include "store/format.h"
#include "store/key/key.h"
#include "tests/fuzz/quiet.h"

#define SLOT "0123456789abcdef0123456789abcdef"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void try_slot(const uint8_t *data, size_t len)
{
	struct secret *file = secret_new(9), *master;
	struct credential c = { .keyfile = file };
	uint8_t vault_id[VAULT_ID_LEN];
	bool is_put;
	uint64_t cost;
	struct key_info info;

	if (!file)
		abort();
	memcpy(file->data, "key file\n", 9);
	if (key_describe(data, len, SLOT, &info, &cost) == 0 && !info.label[0])
		abort();
	free(info.label);
	if (key_open(data, len, SLOT, &c, &master, &is_put, vault_id) == 0 &&
	    !is_put && master->len % CRYPT_KEY_LEN != 0)
		abort();
	secret_free(master);
	secret_free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct object_header h = { .type = OBJECT_KEY };
	size_t box_len = FORMAT_BOX_LEN + len + CRYPT_KEY_LEN + CRYPT_TAG_LEN;
	uint8_t *box;

	fuzz_quiet();
	try_slot(data, len);
	if (len > FORMAT_CLEAR_MAX)
		return 0;
	box = calloc(1, box_len);
	if (!box)
		return 0;
	format_put_header(box, &h);
	put_le32(box + FORMAT_HEADER_LEN, (uint32_t)len);
	put_le32(box + FORMAT_HEADER_LEN + 4, CRYPT_KEY_LEN);
	put_le32(box + FORMAT_HEADER_LEN + 8, CRYPT_KEY_LEN);
	if (len > 0)
		memcpy(box + FORMAT_BOX_LEN, data, len);
	try_slot(box, box_len);
	free(box);
	return 0;
}
