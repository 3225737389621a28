/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the key slot of a writer holds that adds points and reads none:
 *
 *      0  1  version, 1
 *      1  4  the epoch of its objects' headers (store/crypt/put.h)
 *      5 32  the public half of the vault's key
 *     37 32  K_id
 *     69 16  the key of tree nodes' boundaries
 *     85 32  the key of its sessions' tags
 *    117 32  the key that hedges its random numbers
 *    149 32  the chunker's secret
 *    181  1  percent of parity that packs get
 *    182  2  length of the machine's name
 *    184  .  the name; empty: it makes points of any machine
 *         .  zeros, so that the length is one more than a multiple of 32: no
 *            program takes it for master keys
 */
#ifndef STORE_CRYPT_PUT_KEYS_H
#define STORE_CRYPT_PUT_KEYS_H

#include "store/base/attrs.h"
#include "store/crypt/put.h"

#include <stddef.h>

struct secret;

#define PUT_MACHINE_MAX 255
#define PUT_PARITY_MAX 50

/* It holds secrets: wipe it later, or keep it in memory of struct secret. */
struct put_keys {
	uint32_t epoch;
	uint8_t vault_key[PUT_KEY_LEN];
	uint8_t id[CRYPT_KEY_LEN];
	uint8_t sip[16];
	uint8_t sid[CRYPT_KEY_LEN];
	uint8_t hedge[CRYPT_KEY_LEN];
	uint8_t chunker[CRYPT_KEY_LEN];
	unsigned int parity;
	char machine[PUT_MACHINE_MAX + 1]; /* "": any */
};

/* Return them as a slot holds them, for secret_free(); NULL when memory is out. */
MUST_CHECK struct secret *put_keys_encode(const struct put_keys *k);
/* Decode them. Return 0, or -EOPNOTSUPP (it is something else; silent). */
MUST_CHECK int put_keys_decode(const void *data, size_t len,
			       struct put_keys *out);

#endif
