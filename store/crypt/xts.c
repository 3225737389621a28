/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * AES-XTS (IEEE 1619), as LUKS and plain dm-crypt use it. Each sector has its
 * own tweak, so a stretch is decrypted sector by sector; setting a key up costs
 * more than a sector does, and is done once for the whole stretch.
 */
#include "config.h"

#include "store/crypt/xts.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "store/base/bytes.h"
#include "store/base/secret.h"
#include "store/crypt/internal.h"

struct xts {
	struct secret *key; /* owned */
	EVP_CIPHER *cipher; /* owned */
};

int xts_new(const void *key, size_t len, struct xts **out)
{
	struct xts *x;

	*out = NULL;
	if (len != 32 && len != 64)
		return -EINVAL;
	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	x->key = secret_new(len);
	if (!x->key) {
		xts_free(x);
		return -ENOMEM;
	}
	memcpy(x->key->data, key, len);
	x->cipher = EVP_CIPHER_fetch(
		NULL, len == 64 ? "AES-256-XTS" : "AES-128-XTS", NULL);
	if (!x->cipher) {
		xts_free(x);
		return crypt_failed();
	}
	*out = x;
	return 0;
}

void xts_free(struct xts *x)
{
	if (!x)
		return;
	EVP_CIPHER_free(x->cipher);
	secret_free(x->key);
	free(x);
}

int xts_decrypt(const struct xts *x, uint64_t tweak, size_t sector, void *data,
		size_t len)
{
	uint8_t iv[16] = { 0 }, *p = data;
	EVP_CIPHER_CTX *ctx;
	int n, ok;

	if (sector < 512 || sector > INT_MAX || sector % 512 || len % sector)
		return -EINVAL;
	ctx = EVP_CIPHER_CTX_new();
	if (!ctx)
		return -ENOMEM;
	/* The key once, then for each sector its tweak. */
	put_le64(iv, tweak);
	ok = EVP_DecryptInit_ex2(ctx, x->cipher, x->key->data, iv, NULL) == 1;
	for (; ok && len > 0; p += sector, len -= sector) {
		put_le64(iv, tweak);
		ok = EVP_DecryptInit_ex2(ctx, NULL, NULL, iv, NULL) == 1 &&
		     EVP_DecryptUpdate(ctx, p, &n, p, (int)sector) == 1;
		tweak += sector / 512;
	}
	EVP_CIPHER_CTX_free(ctx);
	return ok ? 0 : crypt_failed();
}
