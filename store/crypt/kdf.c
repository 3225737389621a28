/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Keys from keys: HMAC and HKDF (RFC 2104, RFC 5869), and what turns a
 * passphrase or a key file into the key of a key slot.
 *
 * HMAC is done here from two runs of SHA-256, for OpenSSL's own allocates a
 * context at each call. Its key is kept padded and xored, so that a name costs
 * no more than hashing what is named.
 */
#include "config.h"

#include "store/crypt/crypt.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "store/base/secret.h"
#include "store/crypt/internal.h"

#define INFO_KEYFILE "vmbackupfs/1/keyfile"

int hmac_key_init(struct hmac_key *k, const void *key, size_t len)
{
	uint8_t block[HMAC_BLOCK] = { 0 };
	size_t i;
	int r = 0;

	if (len > HMAC_BLOCK)
		r = crypt_sha256(key, len, block);
	else if (len > 0)
		memcpy(block, key, len);
	for (i = 0; i < HMAC_BLOCK; i++) {
		k->inner[i] = block[i] ^ 0x36;
		k->outer[i] = block[i] ^ 0x5c;
	}
	secret_wipe(block, sizeof(block));
	return r;
}

int hmac_sha256(const struct hmac_key *k, const struct crypt_part *parts,
		size_t n, uint8_t *out)
{
	struct crypt_part inner[1 + HMAC_PARTS_MAX] = {
		{ k->inner, HMAC_BLOCK },
	};
	uint8_t last[HMAC_BLOCK + CRYPT_SHA256_LEN];
	int r;

	assert(n <= HMAC_PARTS_MAX);
	memcpy(inner + 1, parts, n * sizeof(*parts));
	memcpy(last, k->outer, HMAC_BLOCK);
	r = crypt_sha256_parts(inner, 1 + n, last + HMAC_BLOCK);
	if (r == 0)
		r = crypt_sha256(last, sizeof(last), out);
	secret_wipe(last, sizeof(last));
	return r;
}

int crypt_hmac(const void *key, size_t key_len, const void *data, size_t len,
	       uint8_t *out)
{
	struct crypt_part part = { data, len };
	struct hmac_key k;
	int r = hmac_key_init(&k, key, key_len);

	if (r == 0)
		r = hmac_sha256(&k, &part, 1, out);
	secret_wipe(&k, sizeof(k));
	return r;
}

int crypt_hkdf_extract(const void *salt, size_t salt_len, const void *ikm,
		       size_t len, uint8_t *prk)
{
	struct crypt_part part = { ikm, len };
	struct hmac_key k;
	int r = hmac_key_init(&k, salt, salt_len);

	if (r == 0)
		r = hmac_sha256(&k, &part, 1, prk);
	secret_wipe(&k, sizeof(k));
	return r;
}

int crypt_hkdf_expand(const uint8_t *prk, const void *info, size_t info_len,
		      uint8_t *out, size_t len)
{
	uint8_t block[CRYPT_SHA256_LEN];
	uint8_t number = 0;
	struct crypt_part parts[3] = {
		{ block, 0 },
		{ info, info_len },
		{ &number, 1 },
	};
	struct hmac_key k;
	int r;

	if (len > 255 * CRYPT_SHA256_LEN)
		return -EINVAL;
	r = hmac_key_init(&k, prk, CRYPT_SHA256_LEN);
	while (r == 0 && len > 0) {
		size_t n = MIN(len, sizeof(block));

		number++;
		r = hmac_sha256(&k, parts, ARRAY_SIZE(parts), block);
		if (r < 0)
			break;
		memcpy(out, block, n);
		parts[0].len = sizeof(block);
		out += n;
		len -= n;
	}
	secret_wipe(block, sizeof(block));
	secret_wipe(&k, sizeof(k));
	return r;
}

/* ---- keys of key slots ---- */

static int scrypt_params(EVP_KDF_CTX *ctx, const void *pass, size_t len,
			 const uint8_t *salt, uint64_t n, uint32_t r,
			 uint32_t p, uint8_t *out)
{
	/* What the algorithm needs, and a little for what it counts else. */
	uint64_t max = 128 * (uint64_t)r * (n + p + 2) + (1u << 20);
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_PASSWORD, (void *)pass,
					len),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt,
					CRYPT_SALT_LEN),
		OSSL_PARAM_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
		OSSL_PARAM_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
		OSSL_PARAM_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
		OSSL_PARAM_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &max),
		OSSL_PARAM_END,
	};

	return EVP_KDF_derive(ctx, out, CRYPT_KEY_LEN, params) == 1
		       ? 0
		       : crypt_failed();
}

int crypt_scrypt(const void *pass, size_t len, const uint8_t *salt,
		 unsigned int log_n, unsigned int r, unsigned int p,
		 uint8_t *out)
{
	EVP_KDF *kdf;
	EVP_KDF_CTX *ctx = NULL;
	int ret;

	if (log_n < CRYPT_SCRYPT_LOG_N_MIN || log_n > CRYPT_SCRYPT_LOG_N_MAX ||
	    r != CRYPT_SCRYPT_R || p < 1 || p > CRYPT_SCRYPT_P_MAX)
		return -EINVAL;
	kdf = EVP_KDF_fetch(NULL, "SCRYPT", NULL);
	if (kdf)
		ctx = EVP_KDF_CTX_new(kdf);
	ret = ctx ? scrypt_params(ctx, pass, len, salt, (uint64_t)1 << log_n, r,
				  p, out)
		  : crypt_failed();
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	ERR_clear_error();
	return ret;
}

int crypt_keyfile_kek(const void *data, size_t len, const uint8_t *salt,
		      uint8_t *out)
{
	uint8_t prk[CRYPT_SHA256_LEN];
	int r = crypt_hkdf_extract(salt, CRYPT_SALT_LEN, data, len, prk);

	if (r == 0)
		r = crypt_hkdf_expand(prk, INFO_KEYFILE,
				      sizeof(INFO_KEYFILE) - 1, out,
				      CRYPT_KEY_LEN);
	secret_wipe(prk, sizeof(prk));
	return r;
}
