/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/crypt/sign.h"

#include <errno.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "store/crypt/internal.h"

int sign_public(const uint8_t *seed, uint8_t *key_out)
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL,
						     seed, SIGN_SEED_LEN);
	size_t len = SIGN_KEY_LEN;
	int r = key && EVP_PKEY_get_raw_public_key(key, key_out, &len) == 1
			? 0
			: crypt_failed();

	EVP_PKEY_free(key);
	return r;
}

int sign_make(const uint8_t *seed, const void *data, size_t len, uint8_t *out)
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL,
						     seed, SIGN_SEED_LEN);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = SIGN_LEN;
	int r;

	if (key && ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
	    EVP_DigestSign(ctx, out, &n, data, len) == 1 && n == SIGN_LEN)
		r = 0;
	else
		r = crypt_failed();
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return r;
}

int sign_verify(const uint8_t *key, const void *data, size_t len,
		const uint8_t *sig)
{
	EVP_PKEY *k = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key,
						  SIGN_KEY_LEN);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int r;

	/* OpenSSL takes any 32 bytes for a key, and finds out here. */
	if (k && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, k) == 1)
		r = EVP_DigestVerify(ctx, sig, SIGN_LEN, data, len) == 1
			    ? 0
			    : -EBADMSG;
	else
		r = crypt_failed();
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(k);
	ERR_clear_error();
	return r;
}
