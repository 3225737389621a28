/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Decryption of AES-XTS, for reading what a guest encrypted. Immutable, so
 * threads may share it.
 */
#ifndef STORE_CRYPT_XTS_H
#define STORE_CRYPT_XTS_H

#include "store/base/attrs.h"

#include <stddef.h>
#include <stdint.h>

struct xts;
/* The key is copied, and wiped by xts_free(). @len: 32 (AES-128) or 64
 * (AES-256). Return 0, -EINVAL, -ENOMEM or -EIO. */
MUST_CHECK int xts_new(const void *key, size_t len, struct xts **out);
void xts_free(struct xts *x); /* NULL is fine */
/*
 * Decrypt @len bytes in place, whole sectors of @sector bytes. The tweak of the
 * first is @tweak as 64 bits, little-endian; it grows by one each 512 bytes.
 * Return 0, -EINVAL (lengths), -ENOMEM or -EIO.
 */
MUST_CHECK int xts_decrypt(const struct xts *x, uint64_t tweak, size_t sector,
			   void *data, size_t len);

#endif
