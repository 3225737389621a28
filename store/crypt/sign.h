/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Signatures: Ed25519 (RFC 8032). Safe from any thread. */
#ifndef STORE_CRYPT_SIGN_H
#define STORE_CRYPT_SIGN_H

#include "store/base/attrs.h"

#include <stddef.h>
#include <stdint.h>

#define SIGN_SEED_LEN 32 /* what is secret */
#define SIGN_KEY_LEN 32 /* its public half */
#define SIGN_LEN 64

/* Work out the public half of @seed. Return 0 or -EIO. */
MUST_CHECK int sign_public(const uint8_t *seed, uint8_t *key_out);
/* Sign @len bytes. The same bytes have the same signature. Return 0 or -EIO. */
MUST_CHECK int sign_make(const uint8_t *seed, const void *data, size_t len,
			 uint8_t *out);
/* Return 0, -EBADMSG (@sig is not what the owner of @key made of these bytes) or
 * -EIO. */
MUST_CHECK int sign_verify(const uint8_t *key, const void *data, size_t len,
			   const uint8_t *sig);

#endif
