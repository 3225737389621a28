/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * All keys of a vault follow from its master key, so that a key slot need hold
 * no more than that one:
 *
 *     PRK        = HKDF-Extract(vault id, master key)
 *     K_id       = HKDF-Expand(PRK, "vmbackupfs/1/id", 32)
 *     K_salt     = HKDF-Expand(PRK, "vmbackupfs/1/salt", 32)
 *     gear       = HKDF-Expand(PRK, "vmbackupfs/1/chunker", 2048)
 *     sip key    = HKDF-Expand(PRK, "vmbackupfs/1/sip", 16)
 *     base key t = HKDF-Expand(PRK, "vmbackupfs/1/seal/" || t, 32)
 *
 * The labels keep them apart: who learns one, as the chunker's table might be
 * guessed from the lengths of chunks, learns nothing of another. The vault's id
 * is the salt, so that two vaults of one master key share nothing either.
 *
 * The gear alone may be made of a secret of its own, which config holds and which
 * has nothing of the vault in it, so that another vault may have the same:
 *
 *     gear       = HKDF-Expand(HKDF-Extract("vmbackupfs/1/chunker", secret),
 *                              "vmbackupfs/1/gear", 2048)
 */
#include "config.h"

#include "store/crypt/keyring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/bytes.h"
#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/crypt/internal.h"

#define OBJECT_TYPES 20 /* base keys are for types 1..20 */

static int expand_label(const uint8_t *prk, const char *label, uint8_t *out,
			size_t len)
{
	return crypt_hkdf_expand(prk, label, strlen(label), out, len);
}

/* What must not reach a swap area or a core file. */
struct keyring_secrets {
	struct hmac_key id;
	struct hmac_key salt;
	uint8_t seal[OBJECT_TYPES][CRYPT_KEY_LEN];
	uint64_t gear[256];
	uint8_t sip[16];
};

struct keyring {
	uint8_t vault_id[VAULT_ID_LEN];
	struct secret *master; /* owned */
	struct secret *memory; /* owned: of the next */
	struct keyring_secrets *s;
};

static int derive_hmac_key(const uint8_t *prk, const char *label,
			   struct hmac_key *out)
{
	uint8_t key[CRYPT_KEY_LEN];
	int r = expand_label(prk, label, key, sizeof(key));

	if (r == 0)
		r = hmac_key_init(out, key, sizeof(key));
	secret_wipe(key, sizeof(key));
	return r;
}

static int derive_gear(const uint8_t *prk, const char *label,
		       uint64_t gear[256])
{
	uint8_t raw[256 * 8];
	int r = expand_label(prk, label, raw, sizeof(raw));
	int i;

	for (i = 0; i < 256; i++)
		gear[i] = get_le64(raw + 8 * i);
	secret_wipe(raw, sizeof(raw));
	return r;
}

static int derive_all(const uint8_t *prk, struct keyring_secrets *s)
{
	char label[] = "vmbackupfs/1/seal/?";
	uint8_t t;
	int r;

	r = derive_hmac_key(prk, "vmbackupfs/1/id", &s->id);
	if (r == 0)
		r = derive_hmac_key(prk, "vmbackupfs/1/salt", &s->salt);
	if (r == 0)
		r = derive_gear(prk, "vmbackupfs/1/chunker", s->gear);
	if (r == 0)
		r = expand_label(prk, "vmbackupfs/1/sip", s->sip,
				 sizeof(s->sip));
	for (t = 1; r == 0 && t <= OBJECT_TYPES; t++) {
		label[sizeof(label) - 2] = (char)t;
		r = crypt_hkdf_expand(prk, label, sizeof(label) - 1,
				      s->seal[t - 1], CRYPT_KEY_LEN);
	}
	return r;
}

int keyring_new(const struct secret *master, const uint8_t *vault_id,
		struct keyring **out)
{
	uint8_t prk[CRYPT_SHA256_LEN];
	struct keyring *k;
	int r = -ENOMEM;

	*out = NULL;
	if (master->len != CRYPT_KEY_LEN)
		return -EINVAL;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	memcpy(k->vault_id, vault_id, VAULT_ID_LEN);
	k->master = secret_new(CRYPT_KEY_LEN);
	k->memory = secret_new(sizeof(*k->s));
	if (!k->master || !k->memory)
		goto err;
	memcpy(k->master->data, master->data, CRYPT_KEY_LEN);
	k->s = (void *)k->memory->data;
	r = crypt_hkdf_extract(vault_id, VAULT_ID_LEN, master->data,
			       CRYPT_KEY_LEN, prk);
	if (r == 0)
		r = derive_all(prk, k->s);
	secret_wipe(prk, sizeof(prk));
	if (r < 0)
		goto err;
	*out = k;
	return 0;
err:
	keyring_free(k);
	return r;
}

int keyring_set_chunker(struct keyring *k, const uint8_t *secret)
{
	static const char salt[] = "vmbackupfs/1/chunker";
	uint8_t prk[CRYPT_SHA256_LEN];
	int r = crypt_hkdf_extract((const uint8_t *)salt, sizeof(salt) - 1,
				   secret, CRYPT_KEY_LEN, prk);

	if (r == 0)
		r = derive_gear(prk, "vmbackupfs/1/gear", k->s->gear);
	secret_wipe(prk, sizeof(prk));
	return r;
}

void keyring_free(struct keyring *k)
{
	if (!k)
		return;
	secret_free(k->memory);
	secret_free(k->master);
	free(k);
}

const uint8_t *keyring_vault_id(const struct keyring *k)
{
	return k->vault_id;
}

const struct secret *keyring_master(const struct keyring *k)
{
	return k->master;
}

const uint64_t *keyring_gear(const struct keyring *k)
{
	return k->s->gear;
}

const uint8_t *keyring_sipkey(const struct keyring *k)
{
	return k->s->sip;
}

int keyring_id(const struct keyring *k, uint8_t type, const void *data,
	       size_t len, struct id *out)
{
	return keyring_id_of_two(k, type, NULL, 0, data, len, out);
}

int keyring_id_of_two(const struct keyring *k, uint8_t type, const void *head,
		      size_t head_len, const void *data, size_t len,
		      struct id *out)
{
	uint8_t first[9] = { type };
	struct crypt_part parts[3] = { { first, sizeof(first) } };
	size_t n = 1;

	put_le64(first + 1, head_len + len);
	if (head_len)
		parts[n++] = (struct crypt_part){ head, head_len };
	parts[n++] = (struct crypt_part){ data, len };
	return hmac_sha256(&k->s->id, parts, n, out->b);
}

int keyring_salt(const struct keyring *k, struct seam *seam, const char *name,
		 const uint8_t *digest, uint8_t *salt_out)
{
	uint8_t random[32];
	struct crypt_part parts[3] = {
		{ random, sizeof(random) },
		{ name, strlen(name) },
		{ digest, CRYPT_SHA256_LEN },
	};
	int r = seam->ops->random(seam, random, sizeof(random));

	if (r < 0)
		return r;
	return hmac_sha256(&k->s->salt, parts, ARRAY_SIZE(parts), salt_out);
}

int keyring_seal_key(const struct keyring *k, uint8_t type, const char *name,
		     const uint8_t *salt, struct seal_key *out)
{
	if (type < 1 || type > OBJECT_TYPES)
		return -EINVAL;
	return crypt_seal_key(k->s->seal[type - 1], k->vault_id, type, name,
			      salt, out);
}
