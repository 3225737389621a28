/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Making, opening and closing a vault.
 *
 * To open one takes, in this order: its object "config", which says in clear
 * what a program must be able to do and which vault this is; a key slot that
 * opens with what the caller has, and gives the master key; config's seal,
 * which proves that the slot belongs to it; the local database; and the index,
 * so that the database knows what is new. Whoever has no right key learns only
 * that, and a program that is too old says so before it asks for a password.
 */
#include "config.h"

#include "store/vault_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/bytes.h"
#include "store/base/cache.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/catalog/catalog.h"
#include "store/chunk.h"
#include "store/crypt/keyring.h"
#include "store/key.h"
#include "store/node.h"
#include "store/pack_read.h"
#include "store/point.h"

#define CONFIG_MAX (64u << 10)
#define FEATURES_LEN 16 /* bits needed to read, write, collect, repair */
#define CACHE_DEFAULT (64u << 20)

/* ---- making ---- */

static int put_config(struct backend *b, const struct keyring *k,
		      struct seam *seam)
{
	static const uint8_t features[FEATURES_LEN];
	AUTO_BUF struct buf box = BUF_INIT;
	AUTO_BUF struct buf plain = BUF_INIT;
	int r;

	buf_printf(&plain, "{\"format\":%d,\"created_ns\":%lld}",
		   FORMAT_VERSION, (long long)seam->ops->realtime_ns(seam));
	r = buf_error(&plain);
	if (r == 0)
		r = format_seal_box(k, NULL, NULL, seam, OBJECT_CONFIG,
				    "config", features, sizeof(features),
				    plain.data, plain.len, &box);
	if (r == 0)
		r = backend_put(b, "config", box.data, box.len);
	if (r == -EEXIST)
		(void)fail(r,
			   "%s: somebody else made a vault there at this "
			   "moment",
			   b->url);
	return r;
}

/* Whoever dies in the middle leaves a slot that no vault needs, not a vault
 * that no key opens. */
int vault_create(const struct vault_options *o, unsigned int scrypt_log_n,
		 char id_out[33])
{
	struct seam *seam = o->seam ? o->seam : seam_system();
	struct backend *b = o->backend;
	struct secret *master = NULL;
	struct keyring *k = NULL;
	uint8_t vault_id[VAULT_ID_LEN];
	char slot[33];
	int r = b ? 0 : backend_create(o->url, seam, &b);

	if (r < 0)
		return r;
	r = backend_probe(b);
	if (r < 0)
		goto out;
	master = secret_new(CRYPT_KEY_LEN);
	r = master ? seam->ops->random(seam, master->data, master->len)
		   : -ENOMEM;
	if (r == 0)
		r = seam->ops->random(seam, vault_id, sizeof(vault_id));
	if (r == 0)
		r = keyring_new(master, vault_id, &k);
	/* The slot first: a vault with a config can always be opened. */
	if (r == 0)
		r = key_put_slot(b, master, vault_id, seam, &o->credential,
				 scrypt_log_n, NULL, slot);
	if (r == 0)
		r = put_config(b, k, seam);
	if (r == 0)
		hex_encode(vault_id, sizeof(vault_id), id_out);
out:
	keyring_free(k);
	secret_free(master);
	if (b != o->backend)
		backend_close(b);
	return r;
}

/* ---- opening ---- */

struct slot_search {
	struct vault *vault;
	const struct credential *credential;
	struct secret *master;
	uint8_t vault_id[VAULT_ID_LEN]; /* as config says */
	int damaged; /* the last error of a slot that could not be read */
};

/* A slot that cannot be read may be the very one that the password is for. So
 * its error is kept, and told when no other slot opens. */
static int try_slot(void *arg, const char *name,
		    const struct backend_info *info)
{
	struct slot_search *u = arg;
	uint8_t id[VAULT_ID_LEN];
	uint8_t *raw = NULL;
	size_t len;
	int r;

	if (strlen(name) != 4 + 32 || info->size > KEY_SLOT_MAX) {
		u->damaged = fail(-EBADMSG, "%s: not a key slot", name);
		return 0;
	}
	r = vault_get_all(u->vault, name, KEY_SLOT_MAX, &raw, &len);
	if (r == 0)
		r = key_open(raw, len, name + 4, u->credential, &u->master, id);
	free(raw);
	if (r == 0 && memcmp(id, u->vault_id, sizeof(id)) != 0) {
		secret_free(u->master);
		u->master = NULL;
		r = fail(-EBADMSG, "%s: a key slot of another vault", name);
	}
	if (r == 0) {
		memcpy(u->vault->slot, name + 4, 33);
		return 1;
	}
	if (r != -EKEYREJECTED)
		u->damaged = r;
	return 0;
}

static int read_config(struct vault *v, uint8_t **raw, size_t *len,
		       struct box *box)
{
	int r = vault_get_all(v, "config", CONFIG_MAX, raw, len);

	if (r == -ENOENT)
		return fail(r,
			    "%s: there is no vault here; make one with: "
			    "vmbackup init %s",
			    v->backend->url, v->backend->url);
	if (r < 0)
		return r;
	r = format_parse_box(*raw, *len, OBJECT_CONFIG, "config", box);
	if (r < 0)
		return r;
	if (box->clear_len != FEATURES_LEN)
		return fail(-EBADMSG, "config: damaged");
	if (get_le32(box->clear) != 0)
		return fail(-EOPNOTSUPP,
			    "%s: this vault needs a newer "
			    "vmbackup to be read",
			    v->backend->url);
	return 0;
}

static int unlock(struct vault *v, const struct vault_options *o)
{
	struct credential c = o->credential;
	struct slot_search u = { .vault = v, .credential = &c };
	AUTO_BUF struct buf plain = BUF_INIT;
	uint8_t *raw = NULL;
	size_t len;
	struct box box;
	int r = read_config(v, &raw, &len, &box);

	if (r < 0)
		goto out;
	memcpy(u.vault_id, box.header.vault_id, VAULT_ID_LEN);
	hex_encode(u.vault_id, VAULT_ID_LEN, v->id_hex);
	if (o->ask)
		r = o->ask(o->ask_arg, &c);
	if (r == 0)
		r = backend_list(v->backend, "key/", try_slot, &u);
	if (r < 0)
		goto out;
	if (!u.master) {
		r = u.damaged ? u.damaged : -EKEYREJECTED;
		(void)fail(r,
			   u.damaged ? "%s: no readable key slot opens with "
				       "this password or key file"
				     : "%s: wrong password or key file",
			   v->backend->url);
		goto out;
	}
	r = keyring_new(u.master, u.vault_id, &v->keyring);
	if (r == 0)
		r = format_read_box(v->keyring, raw, len, OBJECT_CONFIG,
				    "config", &plain);
out:
	secret_free(u.master);
	free(raw);
	return r;
}

static int open_catalog(struct vault *v, const char *cache_dir)
{
	AUTO_FREE char *dir = NULL;

	if (cache_dir && asprintf(&dir, "%s/%s", cache_dir, v->id_hex) < 0) {
		dir = NULL;
		return -ENOMEM;
	}
	return catalog_open(dir, keyring_vault_id(v->keyring), &v->catalog);
}

int vault_open(const struct vault_options *o, struct vault **out)
{
	uint64_t size = o->cache_size ? o->cache_size : CACHE_DEFAULT;
	struct vault *v;
	int r;

	*out = NULL;
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	pthread_mutex_init(&v->lock, NULL);
	v->seam = o->seam ? o->seam : seam_system();
	v->verify = o->verify;
	v->backend = o->backend;
	v->borrowed_backend = o->backend != NULL;
	r = v->backend ? 0 : backend_open(o->url, v->seam, &v->backend);
	if (r == -ENOTDIR)
		r = -ENOENT; /* no such place, either */
	if (r < 0)
		goto err;
	v->packs = cache_new(size / 16, pack_info_free);
	v->frames = cache_new(size / 2, frame_free);
	v->nodes = cache_new(size / 2 - size / 16, node_free);
	r = v->packs && v->frames && v->nodes ? 0 : -ENOMEM;
	if (r == 0)
		r = unlock(v, o);
	if (r == 0)
		r = open_catalog(v, o->cache_dir);
	if (r == 0)
		r = vault_refresh(v);
	if (r < 0)
		goto err;
	*out = v;
	return 0;
err:
	vault_close(v);
	return r;
}

void vault_close(struct vault *v)
{
	if (!v)
		return;
	point_list_put(v->points);
	cache_free(v->nodes);
	cache_free(v->frames);
	cache_free(v->packs);
	catalog_close(v->catalog);
	keyring_free(v->keyring);
	if (!v->borrowed_backend)
		backend_close(v->backend);
	pthread_mutex_destroy(&v->lock);
	free(v);
}
