/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/vault.h"

#include <errno.h>
#include <jansson.h>
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
#include "store/crypt/keyring.h"
#include "store/key.h"
#include "store/point.h"
#include "store/vault_internal.h"

#define CONFIG_MAX (64u << 10)
#define FEATURES_LEN 16 /* bits needed to read, write, collect, repair */
#define CACHE_DEFAULT (64u << 20)

int vault_get(struct vault *v, const char *name, uint64_t off, void *data,
	      size_t len)
{
	atomic_fetch_add(&v->gets, 1);
	atomic_fetch_add(&v->get_bytes, len);
	return backend_get(v->backend, name, off, data, len);
}

int vault_get_all(struct vault *v, const char *name, size_t max, uint8_t **out,
		  size_t *len_out)
{
	int r = backend_get_all(v->backend, name, max, out, len_out);

	atomic_fetch_add(&v->gets, 1);
	if (r == 0)
		atomic_fetch_add(&v->get_bytes, *len_out);
	if (r == -EFBIG)
		r = fail(-EBADMSG, "%s: damaged: far too long", name);
	return r;
}

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

static int put_slot(struct backend *b, const struct secret *master,
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
	r = key_seal(master, vault_id, seam, slot, c,
		     log_n ? log_n : KEY_SCRYPT_LOG_N, label, &box);
	snprintf(name, sizeof(name), "key/%s", slot);
	if (r == 0)
		r = backend_put(b, name, box.data, box.len);
	return r;
}

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
		r = put_slot(b, master, vault_id, seam, &o->credential,
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

struct unlock {
	struct vault *vault;
	const struct credential *credential;
	struct secret *master;
	uint8_t vault_id[VAULT_ID_LEN]; /* as config says */
	int damaged; /* the last error of a slot that could not be read */
};

static int try_slot(void *arg, const char *name, uint64_t size)
{
	struct unlock *u = arg;
	uint8_t id[VAULT_ID_LEN];
	uint8_t *raw = NULL;
	size_t len;
	int r;

	if (strlen(name) != 4 + 32 || size > KEY_SLOT_MAX) {
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
			    "%s: there is no vault: it has no object "
			    "\"config\"",
			    v->backend->url);
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

static int unlock(struct vault *v, const struct credential *c)
{
	struct unlock u = { .vault = v, .credential = c };
	AUTO_BUF struct buf plain = BUF_INIT;
	uint8_t *raw = NULL;
	size_t len;
	struct box box;
	int r = read_config(v, &raw, &len, &box);

	if (r < 0)
		goto out;
	memcpy(u.vault_id, box.header.vault_id, VAULT_ID_LEN);
	hex_encode(u.vault_id, VAULT_ID_LEN, v->id_hex);
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
	if (r < 0)
		goto err;
	v->packs = cache_new(size / 16, pack_info_free);
	v->frames = cache_new(size / 2, frame_free);
	v->nodes = cache_new(size / 2 - size / 16, node_free);
	r = v->packs && v->frames && v->nodes ? 0 : -ENOMEM;
	if (r == 0)
		r = unlock(v, &o->credential);
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

const char *vault_url(const struct vault *v)
{
	return v->backend->url;
}

const char *vault_id_hex(const struct vault *v)
{
	return v->id_hex;
}

struct backend *vault_backend(struct vault *v)
{
	return v->backend;
}

struct catalog *vault_catalog(struct vault *v)
{
	return v->catalog;
}

const struct keyring *vault_keyring(const struct vault *v)
{
	return v->keyring;
}

struct seam *vault_seam(struct vault *v)
{
	return v->seam;
}

void vault_stats(struct vault *v, struct vault_stats *out)
{
	struct cache_stats frames, nodes, packs;

	cache_stats(v->frames, &frames);
	cache_stats(v->nodes, &nodes);
	cache_stats(v->packs, &packs);
	out->gets = atomic_load(&v->gets);
	out->get_bytes = atomic_load(&v->get_bytes);
	out->frames_decoded = frames.loads;
	out->frame_hits = frames.hits;
	out->nodes_decoded = nodes.loads;
	out->node_hits = nodes.hits;
	out->cache_bytes = frames.bytes + nodes.bytes + packs.bytes;
	out->cache_limit = frames.limit + nodes.limit + packs.limit;
	out->damage = atomic_load(&v->damage);
}

/* ---- key slots ---- */

int vault_key_add(struct vault *v, const struct credential *c,
		  unsigned int scrypt_log_n, const char *label,
		  char slot_out[33])
{
	return put_slot(v->backend, keyring_master(v->keyring),
			keyring_vault_id(v->keyring), v->seam, c, scrypt_log_n,
			label, slot_out);
}

struct slots {
	struct vault *vault;
	struct key_info *list;
	size_t n;
};

static int list_slot(void *arg, const char *name, uint64_t size)
{
	struct slots *s = arg;
	struct key_info *list, *k;
	uint8_t *raw = NULL;
	size_t len;
	int r;

	if (strlen(name) != 4 + 32 || size > KEY_SLOT_MAX)
		return fail(-EBADMSG, "%s: not a key slot", name);
	list = reallocarray(s->list, s->n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	s->list = list;
	k = &list[s->n];
	memset(k, 0, sizeof(*k));
	r = vault_get_all(s->vault, name, KEY_SLOT_MAX, &raw, &len);
	if (r == 0)
		r = key_describe(raw, len, name + 4, k);
	free(raw);
	if (r < 0)
		return r;
	memcpy(k->slot, name + 4, 33);
	k->current = strcmp(k->slot, s->vault->slot) == 0;
	s->n++;
	return 0;
}

int vault_key_list(struct vault *v, struct key_info **out, size_t *n_out)
{
	struct slots s = { .vault = v };
	int r = backend_list(v->backend, "key/", list_slot, &s);

	*out = s.list;
	*n_out = s.n;
	if (r < 0) {
		while (s.n > 0)
			free(s.list[--s.n].label);
		free(s.list);
		*out = NULL;
		*n_out = 0;
	}
	return r;
}

int vault_key_remove(struct vault *v, const char *prefix)
{
	char name[OBJECT_NAME_MAX];
	struct key_info *list;
	size_t n, i, hit = 0, hits = 0;
	int r = vault_key_list(v, &list, &n);

	if (r < 0)
		return r;
	for (i = 0; i < n; i++) {
		if (strncmp(list[i].slot, prefix, strlen(prefix)) == 0) {
			hit = i;
			hits++;
		}
	}
	if (hits == 0)
		r = fail(-ENOENT, "no key slot begins with \"%s\"", prefix);
	else if (hits > 1)
		r = fail(-EEXIST,
			 "several key slots begin with \"%s\": give "
			 "more digits",
			 prefix);
	else if (list[hit].current)
		r = fail(-EPERM,
			 "key slot %s is the one in use: open the "
			 "vault with another key to remove it",
			 list[hit].slot);
	snprintf(name, sizeof(name), "key/%s", n ? list[hit].slot : "");
	for (i = 0; i < n; i++)
		free(list[i].label);
	free(list);
	return r < 0 ? r : backend_delete(v->backend, name);
}
