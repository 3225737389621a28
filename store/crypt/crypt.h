/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Hashing, sealing and key derivation, with OpenSSL; store/crypt is its only
 * user.
 *
 * Every sealed object has a fresh 32-byte salt. From the vault's master key,
 * the object's type and name and that salt, HKDF-SHA256 derives the object's
 * own AES-256-GCM key, a nonce base and a 32-byte commitment. The nonce of
 * frame j is the base xor j; the associated data is the caller's.
 *
 * What returns -EIO here, where OpenSSL lacks an algorithm, returns -ENOMEM where memory
 * is out.
 */
#ifndef STORE_CRYPT_CRYPT_H
#define STORE_CRYPT_CRYPT_H

#include "store/base/attrs.h"
#include "store/base/id.h"

#include <stdint.h>

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

/* The key of one object. Not shared between threads while used to seal;
 * crypt_open() on one is safe from any thread. */
struct seal_key {
	uint8_t key[CRYPT_KEY_LEN];
	uint8_t nonce[12];
	uint8_t commit[CRYPT_COMMIT_LEN];
};

/*
 * Derive the key of the object of @type named @name, of keys of @epoch, from a
 * 32-byte base key: the vault's for that type and epoch (keyring_seal_key()), or
 * that of a key slot. Return 0, -EIO, or -EINVAL (a name over CRYPT_NAME_MAX).
 */
MUST_CHECK int crypt_seal_key(const uint8_t *base, const uint8_t *vault_id,
			      uint8_t type, uint32_t epoch, const char *name,
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

/*
 * The same of a frame that is too long to be in memory at once, from its
 * beginning to its end. What crypt_opening_some() gives is not authentic before
 * crypt_opening_end() has returned 0 over the same ciphertext.
 * Return 0, -ENOMEM or -EIO; crypt_opening_end() also -EBADMSG (the tag, of
 * CRYPT_TAG_LEN bytes, does not match).
 */
struct crypt_opening;
MUST_CHECK int crypt_opening_new(const struct seal_key *k, uint32_t frame,
				 const void *aad, size_t aad_len,
				 struct crypt_opening **out);
/* @out may be @in; @len at most INT_MAX. */
MUST_CHECK int crypt_opening_some(struct crypt_opening *o, const void *in,
				  size_t len, void *out);
MUST_CHECK int crypt_opening_end(struct crypt_opening *o, const void *tag);
void crypt_opening_free(struct crypt_opening *o);

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

/* HMAC-SHA256 (RFC 2104) to CRYPT_SHA256_LEN bytes at @out, which may be @key. Return 0 or
 * -EIO. */
MUST_CHECK int crypt_hmac(const void *key, size_t key_len, const void *data,
			  size_t len, uint8_t *out);

/* HKDF-SHA256 (RFC 5869), its two steps. @prk: 32 bytes. @len: up to 255 * 32.
 * Return 0, -EINVAL (length) or -EIO. */
MUST_CHECK int crypt_hkdf_extract(const void *salt, size_t salt_len,
				  const void *ikm, size_t len, uint8_t *prk);
MUST_CHECK int crypt_hkdf_expand(const uint8_t *prk, const void *info,
				 size_t info_len, uint8_t *out, size_t len);

#endif
