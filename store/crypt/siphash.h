/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef STORE_CRYPT_SIPHASH_H
#define STORE_CRYPT_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/* Return SipHash-2-4 of @len bytes at @data under 16 bytes of key: 64 bits that
 * nobody without the key can predict. (Aumasson, Bernstein: SipHash, 2012.) */
uint64_t siphash(const uint8_t *key16, const void *data, size_t len);

#endif
