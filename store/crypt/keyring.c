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
#include "store/base/hex.h"
#include "store/base/name.h"
#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/crypt/internal.h"
#include "store/crypt/put_writer.h"

#define TYPE_POINT 7 /* of enum object_type: its name has no session's id */
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
	struct put_writer *put; /* owned; NULL: there are master keys */
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

/* Without any epoch yet. */
static int new_empty(const uint8_t *vault_id, struct keyring **out)
{
	struct keyring *k = calloc(1, sizeof(*k));

	*out = NULL;
	if (!k)
		return -ENOMEM;
	memcpy(k->vault_id, vault_id, VAULT_ID_LEN);
	k->memory = secret_new(sizeof(*k->s));
	if (!k->memory) {
		free(k);
		return -ENOMEM;
	}
	k->s = (void *)k->memory->data;
	*out = k;
	return 0;
}

int keyring_new(const struct secret *master, const uint8_t *vault_id,
		struct keyring **out)
{
	int r = new_empty(vault_id, out);

	if (r == 0)
		r = keyring_add_epoch(*out, master);
	if (r < 0) {
		keyring_free(*out);
		*out = NULL;
	}
	return r;
}

int keyring_new_put(const struct put_keys *keys, const uint8_t *vault_id,
		    struct keyring **out)
{
	int r = new_empty(vault_id, out);

	if (r == 0)
		r = put_writer_new(keys, &(*out)->put);
	if (r == 0)
		r = hmac_key_init(&(*out)->s->id, keys->id, sizeof(keys->id));
	if (r == 0) {
		memcpy((*out)->s->sip, keys->sip, sizeof(keys->sip));
		r = keyring_set_chunker(*out, keys->chunker);
	}
	if (r < 0) {
		keyring_free(*out);
		*out = NULL;
	}
	return r;
}

const struct put_keys *keyring_put_keys(const struct keyring *k)
{
	return k->put ? put_writer_keys(k->put) : NULL;
}

void keyring_set_keeper(struct keyring *k, const struct put_keeper *keeper)
{
	put_writer_set_keeper(k->put, keeper);
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
	put_writer_free(k->put);
	secret_free(k->memory);
	free(k);
}

const uint8_t *keyring_vault_id(const struct keyring *k)
{
	return k->vault_id;
}

uint32_t keyring_epoch(const struct keyring *k)
{
	return k->put ? put_writer_keys(k->put)->epoch
		      : (uint32_t)k->nepochs - 1;
}

uint32_t keyring_vault_epoch(const struct keyring *k)
{
	uint32_t epoch = keyring_epoch(k);

	return k->put ? put_vault_epoch(epoch) : epoch;
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
	int r;

	if (k->put)
		return put_writer_salt(k->put, seam, name, digest, salt_out);
	r = seam->ops->random(seam, random, sizeof(random));
	if (r < 0)
		return r;
	return hmac_sha256(&k->s->salt, parts, ARRAY_SIZE(parts), salt_out);
}

/* ---- writers that read nothing ---- */

/* What the keys of an epoch follow from. */
static int get_prk(const struct keyring *k, uint32_t vault_epoch, uint8_t *prk)
{
	const struct secret *master;

	if (vault_epoch >= k->nepochs)
		return -EOPNOTSUPP;
	master = k->epochs[vault_epoch].master;
	return crypt_hkdf_extract(k->vault_id, VAULT_ID_LEN, master->data,
				  CRYPT_KEY_LEN, prk);
}

int keyring_make_put(const struct keyring *k, const char *machine,
		     struct put_keys *out)
{
	uint32_t epoch = keyring_epoch(k), number = 0;
	uint8_t prk[CRYPT_SHA256_LEN], first[CRYPT_SHA256_LEN];
	struct put_pair pair = { .private_half = { 0 } };
	int r = 0;

	memset(out, 0, sizeof(*out));
	if (strlen(machine) > PUT_MACHINE_MAX)
		return -EINVAL;
	r = get_prk(k, epoch, prk);
	if (r == 0)
		r = get_prk(k, 0, first);
	if (r == 0 && machine[0])
		r = put_number_of(prk, machine, &number);
	if (r == 0)
		r = put_derive(prk, number, &pair);
	if (r == 0)
		r = put_sid_key(prk, number, out->sid);
	if (r == 0)
		r = expand_label(first, "vmbackupfs/1/id", out->id,
				 sizeof(out->id));
	if (r == 0) {
		out->epoch = put_epoch(epoch, number);
		memcpy(out->vault_key, pair.public_half, PUT_KEY_LEN);
		memcpy(out->hedge, pair.hedge, sizeof(out->hedge));
		memcpy(out->sip, k->s->sip, sizeof(out->sip));
		memcpy(out->machine, machine, strlen(machine));
	}
	secret_wipe(&pair, sizeof(pair));
	secret_wipe(prk, sizeof(prk));
	secret_wipe(first, sizeof(first));
	return r;
}

/* The key of the tags of a writer's sessions. */
static int get_sid_key(const struct keyring *k, uint32_t epoch, uint8_t *out)
{
	uint8_t prk[CRYPT_SHA256_LEN];
	int r;

	if (k->put) {
		if (put_writer_keys(k->put)->epoch != epoch)
			return -EOPNOTSUPP;
		memcpy(out, put_writer_keys(k->put)->sid, CRYPT_KEY_LEN);
		return 0;
	}
	r = get_prk(k, put_vault_epoch(epoch), prk);
	if (r == 0)
		r = put_sid_key(prk, put_number(epoch), out);
	secret_wipe(prk, sizeof(prk));
	return r;
}

/* Find out whose session @sid is: put_epoch() to @out, or 0. After an error @out is what
 * the id says that nobody has proven. */
static int find_sid_writer(const struct keyring *k, const char *sid,
			   uint32_t *out)
{
	uint8_t raw[PUT_SID_LEN], right[PUT_SID_LEN], key[CRYPT_KEY_LEN];
	uint32_t epoch;
	int r;

	*out = 0;
	if (hex_decode(sid, sizeof(raw), raw) < 0)
		return 0;
	epoch = get_le32(raw);
	if (!put_is(epoch))
		return 0;
	r = get_sid_key(k, epoch, key);
	/* Nearly all ids of other sessions end here. */
	if (r == -EOPNOTSUPP)
		return 0;
	memcpy(right, raw, sizeof(right));
	if (r == 0)
		r = put_sid_tag(key, right);
	secret_wipe(key, sizeof(key));
	if (r < 0 || crypt_equal(raw, right, sizeof(raw)))
		*out = epoch;
	return r;
}

uint32_t keyring_sid_writer(const struct keyring *k, const char *sid)
{
	uint32_t epoch;

	/* Where memory is out, hardly any other session's id begins so. */
	(void)find_sid_writer(k, sid, &epoch);
	return epoch;
}

int keyring_put_may_name(const struct keyring *k, uint32_t epoch,
			 const char *machine)
{
	uint8_t prk[CRYPT_SHA256_LEN];
	uint32_t number;
	int r;

	if (put_number(epoch) == 0)
		return 1;
	if (k->put)
		return strcmp(put_writer_keys(k->put)->machine, machine) == 0;
	r = get_prk(k, put_vault_epoch(epoch), prk);
	if (r == 0)
		r = put_number_of(prk, machine, &number);
	secret_wipe(prk, sizeof(prk));
	return r < 0 ? r : number == put_number(epoch);
}

int keyring_new_sid(const struct keyring *k, struct seam *seam, char sid[33])
{
	uint8_t raw[PUT_SID_LEN];
	int r = seam->ops->random(seam, raw, sizeof(raw));

	if (r == 0 && k->put) {
		put_le32(raw, put_writer_keys(k->put)->epoch);
		r = put_sid_tag(put_writer_keys(k->put)->sid, raw);
	}
	if (r == 0)
		hex_encode(raw, sizeof(raw), sid);
	return r;
}

/* Is @name of a session of the writer of @epoch? Points have names of no session. Return
 * 0, -EKEYREJECTED (it is not), -ENOMEM or -EIO. */
static int check_own_name(const struct keyring *k, uint8_t type, uint32_t epoch,
			  const char *name)
{
	const char *slash = strrchr(name, '/');
	uint32_t writer;
	int r;

	if (type == TYPE_POINT)
		return 0;
	if (!slash || strlen(slash + 1) < NAME_HEX)
		return -EKEYREJECTED;
	r = find_sid_writer(k, slash + 1, &writer);
	if (r < 0)
		return r;
	return writer == epoch ? 0 : -EKEYREJECTED;
}

/* The key of what such a writer seals, for itself or for who has the master keys. */
static int put_seal_key(const struct keyring *k, uint8_t type, uint32_t epoch,
			const char *name, const uint8_t *salt,
			struct seal_key *out)
{
	uint8_t prk[CRYPT_SHA256_LEN], base[CRYPT_KEY_LEN];
	struct put_pair pair;
	int r;

	if (!put_may_seal(type))
		return -EKEYREJECTED;
	if (k->put ? epoch != put_writer_keys(k->put)->epoch
		   : put_vault_epoch(epoch) >= k->nepochs)
		return -EOPNOTSUPP;
	r = check_own_name(k, type, epoch, name);
	if (r < 0)
		return r;
	if (k->put) {
		r = put_writer_base_key(k->put, k->vault_id, type, salt, base);
	} else {
		r = get_prk(k, put_vault_epoch(epoch), prk);
		if (r == 0)
			r = put_derive(prk, put_number(epoch), &pair);
		if (r == 0)
			r = put_base_key(pair.private_half, salt, salt,
					 pair.public_half, k->vault_id, type,
					 base);
		secret_wipe(&pair, sizeof(pair));
		secret_wipe(prk, sizeof(prk));
	}
	if (r == 0)
		r = crypt_seal_key(base, k->vault_id, type, epoch, name, salt,
				   out);
	secret_wipe(base, sizeof(base));
	return r;
}

int keyring_seal_key(const struct keyring *k, uint8_t type, uint32_t epoch,
		     const char *name, const uint8_t *salt,
		     struct seal_key *out)
{
	const uint8_t *seal;

	if (type < 1 || type > OBJECT_TYPES)
		return -EINVAL;
	if (put_is(epoch))
		return put_seal_key(k, type, epoch, name, salt, out);
	if (epoch >= k->nepochs)
		return -EOPNOTSUPP;
	seal = k->epochs[epoch].seal->data + (size_t)(type - 1) * CRYPT_KEY_LEN;
	return crypt_seal_key(seal, k->vault_id, type, epoch, name, salt, out);
}
