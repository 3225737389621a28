/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A sealed object. Mutated bytes fail at the seal; so each input is also taken
 * as what is under it: sealed anew and opened, it must come back.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "tests/fuzz/quiet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct keyring *ring(void)
{
	static const uint8_t id[VAULT_ID_LEN];
	struct secret *master = secret_new(CRYPT_KEY_LEN);
	struct keyring *k = NULL;

	if (!master || keyring_new(master, id, &k) < 0)
		abort();
	secret_free(master);
	return k;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct keyring *k;
	struct buf box = BUF_INIT, plain = BUF_INIT;
	uint8_t type = len ? data[0] % 9 : 0;
	size_t clear = len > 1 ? data[1] % len : 0;

	if (!k)
		k = ring();
	fuzz_quiet();
	(void)!format_read_box(k, data, len, type, "fuzz", &plain);
	if (format_seal_box(k, NULL, NULL, seam_system(), type, "fuzz", data,
			    clear, data, len, &box) == 0) {
		if (format_read_box(k, box.data, box.len, type, "fuzz",
				    &plain) < 0 ||
		    plain.len != len || memcmp(plain.data, data, len) != 0)
			abort();
	}
	buf_release(&box);
	buf_release(&plain);
	return 0;
}
