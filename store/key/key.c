/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A slot's clear text says how its key follows from what a human has; it must
 * be read, and believed, before anything can be authenticated. So scrypt's
 * parameters are bounded before it runs (memory: 2 GiB at most), and changing
 * them, as changing any byte of the object, makes another key or another tag.
 */
#include "config.h"

#include "store/key/key.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "store/backend/backend.h"
#include "store/base/hex.h"
#include "store/base/json.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/crypt/put_keys.h"
#include "store/format.h"

enum kdf { KDF_UNKNOWN, KDF_SCRYPT, KDF_KEYFILE };

/* The clear text of a slot, decoded. */
struct slot_clear {
	enum kdf kdf;
	unsigned int log_n, r, p; /* of scrypt */
	uint8_t salt[CRYPT_SALT_LEN];
};

static void free_json(json_t **j)
{
	json_decref(*j);
}
#define AUTO_JSON CLEANUP(free_json)

static void slot_name(const char *slot, char out[OBJECT_NAME_MAX])
{
	snprintf(out, OBJECT_NAME_MAX, "key/%s", slot);
}

/* The key that seals the slot. Return 0, -EKEYREJECTED (@c is of another
 * kind) or what the derivation says. */
static int derive_kek(const struct slot_clear *clear,
		      const struct credential *c, uint8_t *out)
{
	if (clear->kdf == KDF_SCRYPT && c->passphrase)
		return crypt_scrypt(c->passphrase->data, c->passphrase->len,
				    clear->salt, clear->log_n, clear->r,
				    clear->p, out);
	if (clear->kdf == KDF_KEYFILE && c->keyfile)
		return crypt_keyfile_kek(c->keyfile->data, c->keyfile->len,
					 clear->salt, out);
	return -EKEYREJECTED;
}

static int kek_error(int r, const char *name, const struct slot_clear *clear)
{
	if (r == -ENOMEM && clear->kdf == KDF_SCRYPT)
		return fail(r,
			    "%s: not enough memory for its passphrase: "
			    "%llu MiB are needed",
			    name, 1ull << (clear->log_n + 10 - 20));
	if (r == -EKEYREJECTED)
		return r;
	return fail(r, "%s: cannot derive its key: %s", name, strerror(-r));
}

/* ---- sealing ---- */

static int choose_kdf(const struct credential *c, unsigned int log_n,
		      struct slot_clear *out)
{
	const struct secret *s = c->passphrase ? c->passphrase : c->keyfile;
	const char *what = c->passphrase ? "passphrase" : "key file";

	if (!s || (c->passphrase && c->keyfile))
		return fail(-EINVAL, "a key slot takes either a passphrase "
				     "or a key file");
	if (s->len == 0)
		return fail(-EINVAL,
			    "the %s is empty: choose one that nobody "
			    "can guess",
			    what);
	out->kdf = c->passphrase ? KDF_SCRYPT : KDF_KEYFILE;
	out->log_n = log_n ? log_n : KEY_SCRYPT_LOG_N;
	out->r = CRYPT_SCRYPT_R;
	out->p = 1;
	if (out->log_n >= CRYPT_SCRYPT_LOG_N_MIN &&
	    out->log_n <= CRYPT_SCRYPT_LOG_N_MAX)
		return 0;
	return fail(-EINVAL,
		    "scrypt cost 2^%u is out of bounds: use 2^%d to "
		    "2^%d",
		    out->log_n, CRYPT_SCRYPT_LOG_N_MIN, CRYPT_SCRYPT_LOG_N_MAX);
}

/* @info becomes part of the document. NULL when memory is out. */
static char *clear_to_json(const struct slot_clear *clear, json_t *info)
{
	char salt[2 * CRYPT_SALT_LEN + 1];
	AUTO_JSON json_t *doc = NULL;

	hex_encode(clear->salt, CRYPT_SALT_LEN, salt);
	if (clear->kdf == KDF_SCRYPT)
		doc = json_pack("{s:s, s:i, s:i, s:i, s:s, s:O}", "kdf",
				"scrypt", "log_n", (int)clear->log_n, "r",
				(int)clear->r, "p", (int)clear->p, "salt", salt,
				"info", info);
	else
		doc = json_pack("{s:s, s:s, s:O}", "kdf", "keyfile", "salt",
				salt, "info", info);
	return doc ? json_dumps(doc, JSON_COMPACT) : NULL;
}

int key_seal(const struct secret *keys, uint32_t epoch, const uint8_t *vault_id,
	     struct seam *seam, const char *slot, const struct credential *c,
	     unsigned int scrypt_log_n, const char *info_json, struct buf *out)
{
	struct slot_clear clear = { 0 };
	char name[OBJECT_NAME_MAX];
	AUTO_FREE char *text = NULL;
	AUTO_JSON json_t *info = NULL;
	uint8_t kek[CRYPT_KEY_LEN];
	int r;

	buf_clear(out);
	slot_name(slot, name);
	r = choose_kdf(c, scrypt_log_n, &clear);
	if (r < 0)
		return r;
	if (!info_json)
		info = json_object();
	else if (json_text_read(info_json, strlen(info_json), 0, NULL, &info) ==
		 -ENOMEM)
		return -ENOMEM;
	if (!info_json && !info)
		return -ENOMEM;
	if (!json_is_object(info))
		return fail(-EINVAL,
			    "%s: what describes it is not a JSON "
			    "object",
			    name);
	r = seam->ops->random(seam, clear.salt, CRYPT_SALT_LEN);
	if (r < 0)
		return fail(r, "no random bytes from the kernel: %s",
			    strerror(-r));
	text = clear_to_json(&clear, info);
	if (!text)
		return -ENOMEM;
	r = derive_kek(&clear, c, kek);
	if (r < 0) {
		r = kek_error(r, name, &clear);
		goto out;
	}
	r = format_seal_box_of(NULL, kek, vault_id, seam, OBJECT_KEY, epoch,
			       name, text, strlen(text), keys->data, keys->len,
			       out);
	if (r == 0 && out->len > KEY_SLOT_MAX)
		r = fail(-EMSGSIZE, "%s: its description is too long", name);
out:
	secret_wipe(kek, sizeof(kek));
	if (r < 0)
		buf_clear(out);
	return r;
}

int key_put_slot(struct backend *b, const struct secret *keys, uint32_t epoch,
		 const uint8_t *vault_id, struct seam *seam,
		 const struct credential *c, unsigned int log_n,
		 const char *label, char slot[33])
{
	AUTO_BUF struct buf box = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	uint8_t raw[16];
	int r = seam->ops->random(seam, raw, sizeof(raw));

	if (r < 0)
		return r;
	hex_encode(raw, sizeof(raw), slot);
	r = key_seal(keys, epoch, vault_id, seam, slot, c,
		     log_n ? log_n : KEY_SCRYPT_LOG_N, label, &box);
	snprintf(name, sizeof(name), "key/%s", slot);
	if (r == 0)
		r = backend_put_own(b, name, box.data, box.len);
	return r;
}

/* ---- opening ---- */

/* A whole number of [@min, @max]; false when it is none. */
static bool get_number(json_t *doc, const char *key, json_int_t min,
		       json_int_t max, unsigned int *out)
{
	json_t *j = json_object_get(doc, key);
	json_int_t v = json_integer_value(j);

	if (!json_is_integer(j) || v < min || v > max)
		return false;
	*out = (unsigned int)v;
	return true;
}

static bool get_salt(json_t *doc, uint8_t *out)
{
	json_t *j = json_object_get(doc, "salt");

	return json_is_string(j) &&
	       json_string_length(j) == 2 * CRYPT_SALT_LEN &&
	       hex_decode(json_string_value(j), CRYPT_SALT_LEN, out) == 0;
}

/* Decode the clear text. An unknown kdf is an answer, not an error. */
static int parse_clear(const struct box *box, const char *name,
		       struct slot_clear *out, json_t **doc_out)
{
	AUTO_JSON json_t *doc = NULL;
	json_t *kdf;

	memset(out, 0, sizeof(*out));
	if (json_text_read(box->clear, box->clear_len, JSON_REJECT_DUPLICATES,
			   NULL, &doc) == -ENOMEM)
		return -ENOMEM;
	kdf = json_object_get(doc, "kdf");
	if (!json_is_string(kdf) ||
	    !json_is_object(json_object_get(doc, "info")))
		return fail(-EBADMSG,
			    "%s: damaged: its clear text is not that "
			    "of a key slot",
			    name);
	if (strcmp(json_string_value(kdf), "scrypt") == 0)
		out->kdf = KDF_SCRYPT;
	else if (strcmp(json_string_value(kdf), "keyfile") == 0)
		out->kdf = KDF_KEYFILE;
	if (out->kdf == KDF_SCRYPT &&
	    (!get_number(doc, "log_n", CRYPT_SCRYPT_LOG_N_MIN,
			 CRYPT_SCRYPT_LOG_N_MAX, &out->log_n) ||
	     !get_number(doc, "r", CRYPT_SCRYPT_R, CRYPT_SCRYPT_R, &out->r) ||
	     !get_number(doc, "p", 1, CRYPT_SCRYPT_P_MAX, &out->p)))
		return fail(-EBADMSG,
			    "%s: damaged: scrypt parameters out of "
			    "bounds",
			    name);
	if (out->kdf != KDF_UNKNOWN && !get_salt(doc, out->salt))
		return fail(-EBADMSG,
			    "%s: damaged: no salt of %d hexadecimal "
			    "digits",
			    name, 2 * CRYPT_SALT_LEN);
	*doc_out = json_incref(doc);
	return 0;
}

static int parse_slot(const void *data, size_t len, const char *name,
		      struct box *box, struct slot_clear *clear,
		      json_t **doc_out)
{
	int r;

	if (len > KEY_SLOT_MAX)
		return fail(-EBADMSG,
			    "%s: damaged: %zu bytes are too many for "
			    "a key slot",
			    name, len);
	r = format_parse_box(data, len, OBJECT_KEY, name, box);
	return r < 0 ? r : parse_clear(box, name, clear, doc_out);
}

/* Are these the keys of a writer that reads nothing, of that epoch? */
static bool is_put(const struct buf *plain, uint32_t epoch)
{
	struct put_keys keys;
	bool is = put_keys_decode(plain->data, plain->len, &keys) == 0 &&
		  put_vault_epoch(keys.epoch) == epoch;

	secret_wipe(&keys, sizeof(keys));
	return is;
}

/* What the slot holds in memory of its own; @plain is wiped. Something else that is
 * authentic gives part of what the master key does, to newer programs. */
static int take_keys(struct buf *plain, uint32_t epoch, struct secret **out,
		     bool *is_put_out)
{
	struct secret *s = NULL;
	int r = 0;

	*is_put_out = is_put(plain, epoch);
	if (!*is_put_out && plain->len != ((size_t)epoch + 1) * CRYPT_KEY_LEN)
		r = -EOPNOTSUPP;
	else if (!(s = secret_new(plain->len)))
		r = -ENOMEM;
	else
		memcpy(s->data, plain->data, plain->len);
	if (plain->len > 0)
		secret_wipe(plain->data, plain->len);
	*out = s;
	return r;
}

int key_open(const void *data, size_t len, const char *slot,
	     const struct credential *c, struct secret **keys_out,
	     bool *is_put_out, uint8_t vault_id_out[VAULT_ID_LEN])
{
	AUTO_BUF struct buf plain = BUF_INIT;
	AUTO_JSON json_t *doc = NULL;
	char name[OBJECT_NAME_MAX];
	uint8_t kek[CRYPT_KEY_LEN];
	struct slot_clear clear;
	struct box box;
	int r;

	*keys_out = NULL;
	*is_put_out = false;
	slot_name(slot, name);
	r = parse_slot(data, len, name, &box, &clear, &doc);
	if (r < 0)
		return r;
	if (clear.kdf == KDF_UNKNOWN)
		return -EOPNOTSUPP;
	r = derive_kek(&clear, c, kek);
	if (r < 0)
		return kek_error(r, name, &clear);
	r = format_open_box(NULL, kek, &box, name, &plain);
	secret_wipe(kek, sizeof(kek));
	if (r == 0)
		r = take_keys(&plain, box.header.epoch, keys_out, is_put_out);
	if (r == 0)
		memcpy(vault_id_out, box.header.vault_id, VAULT_ID_LEN);
	return r;
}

int key_describe(const void *data, size_t len, const char *slot,
		 struct key_info *out, uint64_t *cost_out)
{
	static const char *const kinds[] = {
		[KDF_UNKNOWN] = "unknown",
		[KDF_SCRYPT] = "passphrase",
		[KDF_KEYFILE] = "keyfile",
	};
	AUTO_JSON json_t *doc = NULL;
	char name[OBJECT_NAME_MAX];
	struct slot_clear clear;
	struct box box;
	int r;

	memset(out, 0, sizeof(*out));
	*cost_out = 0;
	slot_name(slot, name);
	r = parse_slot(data, len, name, &box, &clear, &doc);
	if (r < 0)
		return r;
	snprintf(out->slot, sizeof(out->slot), "%s", slot);
	out->epoch = box.header.epoch;
	snprintf(out->kind, sizeof(out->kind), "%s", kinds[clear.kdf]);
	if (clear.kdf == KDF_SCRYPT)
		*cost_out = (uint64_t)clear.p << clear.log_n;
	/* Only ASCII: it goes to terminals, and nobody vouches for it. */
	out->label = json_dumps(json_object_get(doc, "info"),
				JSON_COMPACT | JSON_ENSURE_ASCII);
	return out->label ? 0 : -ENOMEM;
}
