/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/crypt/put.h"

#include <errno.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "store/base/bytes.h"
#include "store/base/secret.h"
#include "store/crypt/internal.h"

#define LABEL_NUMBER "vmbackupfs/1/put"
#define LABEL_PRIVATE "vmbackupfs/1/put/private"
#define LABEL_SID "vmbackupfs/1/put/sid"
#define LABEL_HEDGE "vmbackupfs/1/put/hedge"
#define LABEL_SEAL "vmbackupfs/1/put/seal"

/* The types of enum object_type (store/format.h): sessions, both kinds of packs, index
 * objects, points, commits and heartbeats. */
static const uint8_t may_seal[] = { 3, 4, 5, 6, 7, 8, 15 };

bool put_may_seal(uint8_t type)
{
	return memchr(may_seal, type, sizeof(may_seal)) != NULL;
}

int put_number_of(const uint8_t *prk, const char *machine, uint32_t *out)
{
	struct crypt_part part = { machine, strlen(machine) };
	uint8_t key[CRYPT_KEY_LEN], mac[CRYPT_SHA256_LEN];
	struct hmac_key hmac;
	int r = crypt_hkdf_expand(prk, LABEL_NUMBER, strlen(LABEL_NUMBER), key,
				  sizeof(key));

	if (r == 0)
		r = hmac_key_init(&hmac, key, sizeof(key));
	if (r == 0)
		r = hmac_sha256(&hmac, &part, 1, mac);
	secret_wipe(key, sizeof(key));
	secret_wipe(&hmac, sizeof(hmac));
	if (r < 0)
		return r;
	*out = get_le32(mac) & PUT_NUMBER_MAX;
	if (*out == 0)
		*out = 1;
	return 0;
}

/* The label, then the number as a u32. */
static int expand(const uint8_t *prk, const char *label, uint32_t number,
		  uint8_t *out)
{
	uint8_t info[64];
	size_t len = strlen(label);

	memcpy(info, label, len);
	put_le32(info + len, number);
	return crypt_hkdf_expand(prk, info, len + 4, out, CRYPT_KEY_LEN);
}

int put_sid_key(const uint8_t *prk, uint32_t number, uint8_t *out)
{
	return expand(prk, LABEL_SID, number, out);
}

int put_public(const uint8_t *private_half, uint8_t *out)
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL,
						     private_half, PUT_KEY_LEN);
	size_t len = PUT_KEY_LEN;
	int r = key && EVP_PKEY_get_raw_public_key(key, out, &len) == 1
			? 0
			: crypt_failed();

	EVP_PKEY_free(key);
	return r;
}

int put_derive(const uint8_t *prk, uint32_t number, struct put_pair *out)
{
	int r = expand(prk, LABEL_PRIVATE, number, out->private_half);

	if (r == 0)
		r = expand(prk, LABEL_HEDGE, number, out->hedge);
	if (r == 0)
		r = put_public(out->private_half, out->public_half);
	if (r < 0)
		secret_wipe(out, sizeof(*out));
	return r;
}

/* What two keys share. OpenSSL refuses a secret that is all zeros. */
static int agree(const uint8_t *private_half, const uint8_t *other,
		 uint8_t *out)
{
	EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL,
						     private_half, PUT_KEY_LEN);
	EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL,
						     other, PUT_KEY_LEN);
	EVP_PKEY_CTX *ctx = own ? EVP_PKEY_CTX_new(own, NULL) : NULL;
	size_t len = PUT_KEY_LEN;
	int r;

	if (!peer || !ctx || EVP_PKEY_derive_init(ctx) != 1 ||
	    EVP_PKEY_derive_set_peer(ctx, peer) != 1)
		r = crypt_failed();
	else
		r = EVP_PKEY_derive(ctx, out, &len) == 1 && len == PUT_KEY_LEN
			    ? 0
			    : -EKEYREJECTED;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(peer);
	EVP_PKEY_free(own);
	ERR_clear_error();
	return r;
}

int put_base_key(const uint8_t *private_half, const uint8_t *other,
		 const uint8_t *salt, const uint8_t *vault_key,
		 const uint8_t *vault_id, uint8_t type, uint8_t *out)
{
	uint8_t ikm[3 * PUT_KEY_LEN], prk[CRYPT_SHA256_LEN];
	char label[] = LABEL_SEAL "?";
	int r = agree(private_half, other, ikm);

	memcpy(ikm + PUT_KEY_LEN, salt, PUT_KEY_LEN);
	memcpy(ikm + (size_t)2 * PUT_KEY_LEN, vault_key, PUT_KEY_LEN);
	label[sizeof(label) - 2] = (char)type;
	if (r == 0)
		r = crypt_hkdf_extract(vault_id, VAULT_ID_LEN, ikm, sizeof(ikm),
				       prk);
	if (r == 0)
		r = crypt_hkdf_expand(prk, label, sizeof(label) - 1, out,
				      CRYPT_KEY_LEN);
	secret_wipe(ikm, sizeof(ikm));
	secret_wipe(prk, sizeof(prk));
	return r;
}

int put_sid_tag(const uint8_t *key, uint8_t sid[PUT_SID_LEN])
{
	struct crypt_part part = { sid, PUT_SID_LEN / 2 };
	uint8_t mac[CRYPT_SHA256_LEN];
	struct hmac_key hmac;
	int r = hmac_key_init(&hmac, key, CRYPT_KEY_LEN);

	if (r == 0)
		r = hmac_sha256(&hmac, &part, 1, mac);
	secret_wipe(&hmac, sizeof(hmac));
	if (r == 0)
		memcpy(sid + PUT_SID_LEN / 2, mac, PUT_SID_LEN / 2);
	return r;
}
