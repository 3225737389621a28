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
 * There may be a further master key for each epoch after the first, and base keys
 * and K_salt follow from those in the same way. All else stays that of epoch 0: a
 * chunk is to have one name for ever, or nothing that is stored would be found
 * again, and neither would files be cut, nor trees, as they were.
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

#include "store/base/array.h"
#include "store/base/bytes.h"
#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/crypt/internal.h"

#define OBJECT_TYPES 24 /* base keys are for types 1..24 */

static int expand_label(const uint8_t *prk, const char *label, uint8_t *out,
			size_t len)
{
	return crypt_hkdf_expand(prk, label, strlen(label), out, len);
}

/* What must not reach a swap area or a core file. */
struct keyring_secrets {
	struct hmac_key id;
	struct hmac_key salt; /* of the newest epoch */
	uint64_t gear[256];
	uint8_t sip[16];
};

struct epoch_keys {
	struct secret *master; /* owned */
	struct secret *seal; /* owned: OBJECT_TYPES base keys */
};

struct keyring {
	uint8_t vault_id[VAULT_ID_LEN];
	struct epoch_keys *epochs; /* owned */
	size_t nepochs, cap;
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

/* What is the same in all epochs. */
static int derive_common(const uint8_t *prk, struct keyring_secrets *s)
{
	int r = derive_hmac_key(prk, "vmbackupfs/1/id", &s->id);

	if (r == 0)
		r = derive_gear(prk, "vmbackupfs/1/chunker", s->gear);
	if (r == 0)
		r = expand_label(prk, "vmbackupfs/1/sip", s->sip,
				 sizeof(s->sip));
	return r;
}

static int derive_base(const uint8_t *prk, uint8_t type, uint8_t *out)
{
	char label[] = "vmbackupfs/1/seal/?";

	label[sizeof(label) - 2] = (char)type;
	return crypt_hkdf_expand(prk, label, sizeof(label) - 1, out,
				 CRYPT_KEY_LEN);
}

static int derive_epoch(const uint8_t *prk, uint8_t *seal,
			struct hmac_key *salt)
{
	uint8_t t;
	int r = derive_hmac_key(prk, "vmbackupfs/1/salt", salt);

	for (t = 1; r == 0 && t <= OBJECT_TYPES; t++)
		r = derive_base(prk, t, seal + (size_t)(t - 1) * CRYPT_KEY_LEN);
	return r;
}

static void release_epoch(struct epoch_keys *e)
{
	secret_free(e->master);
	secret_free(e->seal);
}

int keyring_add_epoch(struct keyring *k, const struct secret *master)
{
	struct epoch_keys e = { NULL, NULL };
	uint8_t prk[CRYPT_SHA256_LEN];
	int r;

	if (master->len != CRYPT_KEY_LEN)
		return -EINVAL;
	if (k->nepochs == KEYRING_EPOCHS_MAX)
		return -E2BIG;
	if (array_reserve(&k->epochs, &k->cap, k->nepochs + 1) < 0)
		return -ENOMEM;
	e.master = secret_new(CRYPT_KEY_LEN);
	e.seal = secret_new((size_t)OBJECT_TYPES * CRYPT_KEY_LEN);
	if (!e.master || !e.seal) {
		release_epoch(&e);
		return -ENOMEM;
	}
	memcpy(e.master->data, master->data, CRYPT_KEY_LEN);
	r = crypt_hkdf_extract(k->vault_id, VAULT_ID_LEN, master->data,
			       CRYPT_KEY_LEN, prk);
	if (r == 0 && k->nepochs == 0)
		r = derive_common(prk, k->s);
	if (r == 0)
		r = derive_epoch(prk, e.seal->data, &k->s->salt);
	secret_wipe(prk, sizeof(prk));
	if (r == 0)
		k->epochs[k->nepochs++] = e;
	else
		release_epoch(&e);
	return r;
}

int keyring_new(const struct secret *master, const uint8_t *vault_id,
		struct keyring **out)
{
	struct keyring *k;
	int r;

	*out = NULL;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	memcpy(k->vault_id, vault_id, VAULT_ID_LEN);
	k->memory = secret_new(sizeof(*k->s));
	r = k->memory ? 0 : -ENOMEM;
	if (r == 0) {
		k->s = (void *)k->memory->data;
		r = keyring_add_epoch(k, master);
	}
	if (r < 0)
		keyring_free(k);
	else
		*out = k;
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
	while (k->nepochs > 0)
		release_epoch(&k->epochs[--k->nepochs]);
	free(k->epochs);
	secret_free(k->memory);
	free(k);
}

const uint8_t *keyring_vault_id(const struct keyring *k)
{
	return k->vault_id;
}

uint32_t keyring_epoch(const struct keyring *k)
{
	return (uint32_t)k->nepochs - 1;
}

const struct secret *keyring_master(const struct keyring *k)
{
	return k->epochs[k->nepochs - 1].master;
}

const struct secret *keyring_master_of(const struct keyring *k, uint32_t epoch)
{
	return k->epochs[epoch].master;
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

int keyring_seal_key(const struct keyring *k, uint8_t type, uint32_t epoch,
		     const char *name, const uint8_t *salt,
		     struct seal_key *out)
{
	const uint8_t *seal;

	if (type < 1 || type > OBJECT_TYPES)
		return -EINVAL;
	if (epoch >= k->nepochs)
		return -EOPNOTSUPP;
	seal = k->epochs[epoch].seal->data + (size_t)(type - 1) * CRYPT_KEY_LEN;
	return crypt_seal_key(seal, k->vault_id, type, epoch, name, salt, out);
}
