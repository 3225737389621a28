/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sealing: the only user of OpenSSL.
 *
 * Every sealed object has a fresh 32-byte salt. From the vault's master key,
 * the object's type and name and that salt, HKDF-SHA256 derives the object's
 * own AES-256-GCM key, a nonce base and a 32-byte commitment. The nonce of
 * frame j is the base xor j; the associated data is the caller's.
 */
#ifndef STORE_CRYPT_H
#define STORE_CRYPT_H

#include "store/base/attrs.h"
#include "store/base/id.h"

#include <stdint.h>

struct secret;
struct seam;

#define CRYPT_KEY_LEN 32
#define CRYPT_SALT_LEN 32
#define CRYPT_COMMIT_LEN 32
#define CRYPT_TAG_LEN 16
#define CRYPT_SHA256_LEN 32
#define CRYPT_NAME_MAX 200 /* of an object, without its NUL */
#define VAULT_ID_LEN 16
/* Bounds of scrypt's parameters: from 16 MiB of memory to 2 GiB. */
#define CRYPT_SCRYPT_LOG_N_MIN 14
#define CRYPT_SCRYPT_LOG_N_MAX 21
#define CRYPT_SCRYPT_R 8
#define CRYPT_SCRYPT_P_MAX 4

/* All that is derived from a vault's master key. Immutable after creation:
 * share it between threads. */
struct keyring;

/*
 * @master: CRYPT_KEY_LEN bytes, borrowed. @vault_id: VAULT_ID_LEN bytes.
 * Return 0, -EINVAL (a master key of another length), -ENOMEM or -EIO
 * (OpenSSL failed).
 */
MUST_CHECK int keyring_new(const struct secret *master, const uint8_t *vault_id,
			   struct keyring **out);
void keyring_free(struct keyring *k);
const uint8_t *keyring_vault_id(const struct keyring *k);
/* The master key, borrowed: for writing another key slot. */
const struct secret *keyring_master(const struct keyring *k);
/* The table of the content-defined chunker, derived from the key; borrowed. */
const uint64_t *keyring_gear(const struct keyring *k); /* 256 */
/* The 16-byte SipHash key of tree node boundaries and inode numbers;
 * borrowed. */
const uint8_t *keyring_sipkey(const struct keyring *k);

/* HMAC-SHA256(K_id, type(1) || len(8 LE) || data). Thread-safe. Return 0 or
 * -EIO. */
MUST_CHECK int keyring_id(const struct keyring *k, uint8_t type,
			  const void *data, size_t len, struct id *out);

/* A fresh salt: HMAC(K_salt, 32 random bytes || name || digest): distinct
 * for distinct content even where the random generator repeats itself.
 * @digest: 32 bytes. */
MUST_CHECK int keyring_salt(const struct keyring *k, struct seam *seam,
			    const char *name, const uint8_t *digest,
			    uint8_t *salt_out);

/* The key of one object. Not shared between threads while used to seal;
 * crypt_open() on one is safe from any thread. */
struct seal_key {
	uint8_t key[CRYPT_KEY_LEN];
	uint8_t nonce[12];
	uint8_t commit[CRYPT_COMMIT_LEN];
};

/* Derive from the vault's key for objects of @type (1..8) named @name.
 * Return 0, -EIO, or -EINVAL (type, or a name over CRYPT_NAME_MAX). */
MUST_CHECK int keyring_seal_key(const struct keyring *k, uint8_t type,
				const char *name, const uint8_t *salt,
				struct seal_key *out);
/* The same from any 32-byte key (a key slot's). */
MUST_CHECK int crypt_seal_key(const uint8_t *base, const uint8_t *vault_id,
			      uint8_t type, const char *name,
			      const uint8_t *salt, struct seal_key *out);

/*
 * Encrypt @len bytes in place; the tag goes to @data + @len (CRYPT_TAG_LEN
 * bytes of room).
 * @frame is the nonce's number: never twice under one key. Return 0 or -EIO.
 */
MUST_CHECK int crypt_seal(const struct seal_key *k, uint32_t frame,
			  const void *aad, size_t aad_len, void *data,
			  size_t len);
/*
 * Decrypt @len bytes (and the tag behind them) from @in to @out, which may be
 * @in.
 * Return 0, -EBADMSG (the tag does not match: nothing in @out may be used), or
 * -EIO.
 */
MUST_CHECK int crypt_open(const struct seal_key *k, uint32_t frame,
			  const void *aad, size_t aad_len, const void *in,
			  size_t len, void *out);

MUST_CHECK int crypt_sha256(const void *data, size_t len, uint8_t *out);
/* An incremental SHA-256. */
struct sha256;
MUST_CHECK int sha256_new(struct sha256 **out);
MUST_CHECK int sha256_update(struct sha256 *h, const void *data, size_t len);
/* Finish into @out (32 bytes); the object can only be freed after. */
MUST_CHECK int sha256_finish(struct sha256 *h, uint8_t *out);
void sha256_free(struct sha256 *h);
/* Equal, in time that does not depend on where they differ. */
int crypt_equal(const void *a, const void *b, size_t len);

/* scrypt of a passphrase to CRYPT_KEY_LEN bytes at @out. @log_n 14..21, @r 8,
 * @p 1..4.
 * Return 0, -EINVAL (parameters), -ENOMEM or -EIO. */
MUST_CHECK int crypt_scrypt(const void *pass, size_t len, const uint8_t *salt,
			    unsigned int log_n, unsigned int r, unsigned int p,
			    uint8_t *out);
/* HKDF-SHA256 of a key file's bytes to CRYPT_KEY_LEN bytes at @out. */
MUST_CHECK int crypt_keyfile_kek(const void *data, size_t len,
				 const uint8_t *salt, uint8_t *out);

/* HKDF-SHA256 (RFC 5869), its two steps. @prk: 32 bytes. @len: up to 255 * 32.
 * Return 0, -EINVAL (length) or -EIO. */
MUST_CHECK int crypt_hkdf_extract(const void *salt, size_t salt_len,
				  const void *ikm, size_t len, uint8_t *prk);
MUST_CHECK int crypt_hkdf_expand(const uint8_t *prk, const void *info,
				 size_t info_len, uint8_t *out, size_t len);

/*
 * AES-XTS, for reading what a guest encrypted. The key is copied, and wiped by
 * xts_free(). Immutable: share it between threads.
 */
struct xts;
/* @len: 32 (AES-128) or 64 (AES-256). Return 0, -EINVAL, -ENOMEM or -EIO. */
MUST_CHECK int xts_new(const void *key, size_t len, struct xts **out);
void xts_free(struct xts *x); /* NULL is fine */
/*
 * Decrypt @len bytes in place, whole sectors of @sector bytes. The tweak of the
 * first is @tweak as 64 bits, little-endian; it grows by one each 512 bytes.
 * Return 0, -EINVAL (lengths), -ENOMEM or -EIO.
 */
MUST_CHECK int xts_decrypt(const struct xts *x, uint64_t tweak, size_t sector,
			   void *data, size_t len);

/* SipHash-2-4, 64 bits. (Aumasson, Bernstein: SipHash, 2012.) In siphash.c. */
uint64_t siphash(const uint8_t *key16, const void *data, size_t len);

#endif
