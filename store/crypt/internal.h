/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What hashing, key derivation and the keyring share; private to store/crypt. */
#ifndef STORE_CRYPT_INTERNAL_H
#define STORE_CRYPT_INTERNAL_H

#include "store/base/attrs.h"

#include <stddef.h>
#include <stdint.h>

#define HMAC_BLOCK 64
#define HMAC_PARTS_MAX 3

/* A stretch of what is hashed; borrowed. */
struct crypt_part {
	const void *data;
	size_t len;
};

/* A key of HMAC-SHA256, ready to be hashed: padded to a block and xored. Wipe
 * it with secret_wipe(). */
struct hmac_key {
	uint8_t inner[HMAC_BLOCK];
	uint8_t outer[HMAC_BLOCK];
};

/* Drop what OpenSSL queued for this thread, for nobody reads it. Return -EIO where it
 * lacks an algorithm, or -ENOMEM. */
int crypt_failed(void);
/* Hash the parts one after the other to 32 bytes at @out. Return 0 or -EIO. */
MUST_CHECK int crypt_sha256_parts(const struct crypt_part *parts, size_t n,
				  uint8_t *out);
/* Make a key of @len bytes ready. Return 0 or -EIO. */
MUST_CHECK int hmac_key_init(struct hmac_key *k, const void *key, size_t len);
/* HMAC-SHA256 (RFC 2104) of at most HMAC_PARTS_MAX parts, to 32 bytes at @out.
 * Return 0 or -EIO. */
MUST_CHECK int hmac_sha256(const struct hmac_key *k,
			   const struct crypt_part *parts, size_t n,
			   uint8_t *out);

#endif
