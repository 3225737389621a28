/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Making, opening and closing a vault.
 *
 * To open one takes, in this order: its object "config", or else the copy of it
 * (store/config/pair.h), which says in clear
 * what a program must be able to do and which vault this is; a key slot that
 * opens with what the caller has, and gives the master key; config's seal,
 * which proves that the slot belongs to it; the local database; and the index,
 * so that the database knows what is new. Whoever has no right key learns only
 * that, and a program that is too old says so before it asks for a password.
 */
#include "config.h"

#include "store/vault_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/backend/backend.h"
#include "store/backend/names.h"
#include "store/base/cache.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/name.h"
#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/catalog/catalog.h"
#include "store/chunk.h"
#include "store/config/pair.h"
#include "store/crypt/keyring.h"
#include "store/crypt/put_keys.h"
#include "store/epoch/epoch.h"
#include "store/history/history.h"
#include "store/key/key.h"
#include "store/key/key_slots.h"
#include "store/node.h"
#include "store/pack_read.h"
#include "store/parity/reader.h"
#include "store/point.h"

#define CACHE_DEFAULT (64u << 20)

/* ---- making ---- */

static struct backend_options backend_options_of(const struct vault_options *o)
{
	return (struct backend_options){ .seam = o->seam, .stop = o->stop };
}

/* Remove a slot that is of another vault: there is only this one here. What
 * cannot be read, or removed, is in nobody's way. */
static void drop_slot(struct backend *b, const char *name,
		      const uint8_t *vault_id)
{
	AUTO_FREE uint8_t *raw = NULL;
	struct box box;
	size_t len;

	if (name_is_object(name) &&
	    backend_get_all(b, name, KEY_SLOT_MAX, &raw, &len) == 0 &&
	    format_parse_box(raw, len, OBJECT_KEY, name, &box) == 0 &&
	    memcmp(box.header.vault_id, vault_id, VAULT_ID_LEN) != 0)
		(void)!backend_delete(b, name);
}

static void drop_other_slots(struct backend *b, const uint8_t *vault_id)
{
	AUTO_NAMES struct backend_names slots = { NULL, 0, 0 };
	size_t i;

	if (backend_list_names(b, "key/", &slots) < 0)
		return;
	for (i = 0; i < slots.n; i++)
		drop_slot(b, slots.list[i], vault_id);
}

/* Whoever dies in the middle leaves a slot that no vault needs, not a vault
 * that no key opens. Whose config is there has won, and removes such slots. */
int vault_create(const struct vault_options *o, unsigned int scrypt_log_n,
		 char id_out[33])
{
	struct seam *seam = o->seam ? o->seam : seam_system();
	struct backend_options with = backend_options_of(o);
	struct backend *b = o->backend;
	struct secret *master = NULL;
	struct keyring *k = NULL;
	uint8_t vault_id[VAULT_ID_LEN];
	char slot[33], why[BACKEND_LAG_MAX];
	int r = b ? 0 : backend_create(o->url, &with, &b);

	if (r < 0)
		return r;
	r = backend_probe(b);
	if (r < 0)
		goto out;
	if (backend_may_lag(b, why))
		log_warn("vault %s: %s: let one machine alone write to it; "
			 "prune asks for --single-writer",
			 o->url ? o->url : "", why);
	master = secret_new(CRYPT_KEY_LEN);
	r = master ? seam->ops->random(seam, master->data, master->len)
		   : -ENOMEM;
	if (r == 0)
		r = seam->ops->random(seam, vault_id, sizeof(vault_id));
	if (r == 0)
		r = keyring_new(master, vault_id, &k);
	/* The slot first: a vault with a config can always be opened. */
	if (r == 0)
		r = key_put_slot(b, master, 0, vault_id, seam, &o->credential,
				 scrypt_log_n, o->label, slot);
	if (r == 0)
		r = config_create(b, k, seam, o);
	if (r < 0)
		goto out;
	hex_encode(vault_id, sizeof(vault_id), id_out);
	drop_other_slots(b, vault_id);
out:
	keyring_free(k);
	secret_free(master);
	if (b != o->backend)
		backend_close(b);
	return r;
}

/* ---- opening ---- */

static int on_object(void *arg, const char *name,
		     const struct backend_info *info)
{
	(void)arg;
	(void)info;
	return name_is_object(name) ? 1 : 0;
}

/* No vault is here, or one that lost its config. A key slot alone does not tell:
 * an init that was killed leaves one. */
static int config_absent(const struct vault *v)
{
	static const char *const folders[] = { "commit/", "index/", "pack/" };
	const char *url = backend_url(v->backend);
	int r = 0;

	for (size_t i = 0; i < 3 && r == 0; i++)
		r = backend_list_plain(v->backend, folders[i], on_object, NULL);
	if (r < 0)
		return r == -ENOENT ? -EIO : r;
	if (r > 0)
		return fail(-EBADMSG,
			    "%s: the vault lost its config, without which "
			    "nothing can be read; put it back from a copy "
			    "that \"key export\" made: vmbackup -r %s key "
			    "import FILE",
			    url, url);
	return fail(-ENOENT,
		    "%s: there is no vault here; make one with: vmbackup init "
		    "%s",
		    url, url);
}

/* A vault and a copy of it have the same id, and need not hold the same: each
 * has a database of its own, so that neither is taken for the other's past. */
static int name_cache(struct vault *v)
{
	const char *url = backend_url(v->backend), *path = backend_path(url);
	AUTO_FREE char *real = path ? realpath(path, NULL) : NULL;
	const char *place = real ? real : url;
	uint8_t hash[CRYPT_SHA256_LEN];
	char hex[17];
	int r = crypt_sha256(place, strlen(place), hash);

	hex_encode(hash, sizeof(hex) / 2, hex);
	snprintf(v->cache_name, sizeof(v->cache_name), "%s-%s", v->id_hex, hex);
	return r;
}

/* The slot that opened the vault last time is noted beside the database. It is
 * a hint and no more: where it is wrong, all slots are tried. */
static char *hint_path(const struct vault *v, const char *cache_dir)
{
	char *path;

	if (!cache_dir ||
	    asprintf(&path, "%s/%s/slot", cache_dir, v->cache_name) < 0)
		return NULL;
	return path;
}

static void read_hint(const struct vault *v, const char *cache_dir,
		      char slot[33])
{
	AUTO_FREE char *path = hint_path(v, cache_dir);
	AUTO_CLOSE int fd = -1;

	slot[0] = '\0';
	if (path)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || read(fd, slot, 32) != 32)
		slot[0] = '\0';
	slot[32] = '\0';
}

static void write_hint(const struct vault *v, const char *cache_dir)
{
	AUTO_FREE char *path = hint_path(v, cache_dir);
	AUTO_CLOSE int fd = -1;

	if (path)
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			  0600);
	/* It is 32 bytes over 32 bytes, and a torn one is a wrong hint. */
	if (fd >= 0)
		(void)!write(fd, v->slot, 32);
}

static int open_slot(struct vault *v, const struct vault_options *o,
		     const struct credential *c, const uint8_t *vault_id)
{
	struct key_slot found;
	char hint[33];
	int r;

	read_hint(v, o->cache_dir, hint);
	v->epoch_file = epoch_file_name(o->state_dir, v->id_hex);
	v->seen_epoch = epoch_file_read(v->epoch_file);
	r = epoch_newest(v->backend, &v->newest_epoch);
	if (r == 0)
		r = key_slots_open(v, o->slot ? o->slot : hint, c, vault_id,
				   v->newest_epoch, &found, &v->keyring);
	if (r < 0)
		return r;
	memcpy(v->slot, found.name, sizeof(v->slot));
	v->epoch_unproven = found.is_unproven;
	buf_put(&v->slot_object, found.raw, found.len);
	r = buf_error(&v->slot_object);
	if (strcmp(hint, v->slot) != 0)
		write_hint(v, o->cache_dir);
	key_slot_release(&found);
	/* Only what a key bore out is believed. */
	if (!v->epoch_unproven && !vault_is_put_only(v) &&
	    keyring_epoch(v->keyring) > v->seen_epoch)
		epoch_file_write(v->epoch_file, keyring_epoch(v->keyring));
	return r;
}

/* Old vaults have no secret for the chunker, and of folders only the first. */
static int use_config(struct vault *v, const struct buf *plain)
{
	struct config_doc doc;
	int r = config_decode(plain->data, plain->len, &doc);

	v->has_all_folders = r == 0 && doc.has_chunker;
	v->parity = doc.parity;
	if (r == 0 && doc.has_chunker) {
		r = keyring_set_chunker(v->keyring, doc.chunker);
		memcpy(v->chunker, doc.chunker, sizeof(v->chunker));
		v->has_chunker = true;
	}
	secret_wipe(&doc, sizeof(doc));
	return r;
}

/* A writer that reads nothing has in its slot what it needs of config, and a local
 * database of its own. */
static void use_put_keys(struct vault *v)
{
	const struct put_keys *keys = keyring_put_keys(v->keyring);
	size_t len = strlen(v->cache_name);

	v->has_all_folders = true;
	v->parity = keys->parity;
	memcpy(v->chunker, keys->chunker, sizeof(v->chunker));
	v->has_chunker = true;
	snprintf(v->cache_name + len, sizeof(v->cache_name) - len, "-put-%08x",
		 keys->epoch);
}

static int open_config(struct vault *v, const struct config_object *c)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	int r;

	if (vault_is_put_only(v)) {
		use_put_keys(v);
		return 0;
	}
	r = format_read_box(v->keyring, c->raw, c->len, OBJECT_CONFIG,
			    CONFIG_NAME, &plain);
	if (r == 0)
		r = use_config(v, &plain);
	secret_wipe(plain.data, plain.len);
	return r;
}

static int make_sum_key(struct vault *v)
{
	static const char label[] = "sums of names";
	struct id id;
	int r = keyring_id(v->keyring, LOCAL_OBJECT, label, sizeof(label) - 1,
			   &id);

	if (r == 0)
		memcpy(v->sum_key, id.b, sizeof(v->sum_key));
	return r;
}

/* What is needed to open a vault, and was asked for once. */
struct unlocking {
	struct vault *vault;
	const struct vault_options *o;
	struct credential credential;
	bool asked;
};

/* What an attempt with another config may have left. */
static void begin_attempt(struct vault *v)
{
	keyring_free(v->keyring);
	v->keyring = NULL;
	buf_clear(&v->slot_object);
	free(v->epoch_file);
	v->epoch_file = NULL;
}

/* Open the vault as this config says. */
static int unlock_with(struct unlocking *u, const struct config_object *c)
{
	struct vault *v = u->vault;
	int r;

	begin_attempt(v);
	hex_encode(c->box.header.vault_id, VAULT_ID_LEN, v->id_hex);
	r = name_cache(v);
	if (r == 0 && u->o->ask && !u->asked)
		r = u->o->ask(u->o->ask_arg, &u->credential);
	if (r < 0)
		return r;
	u->asked = true;
	r = open_slot(v, u->o, &u->credential, c->box.header.vault_id);
	if (r == 0)
		r = make_sum_key(v);
	if (r == 0)
		r = open_config(v, c);
	if (r == 0) {
		v->features = c->features;
		buf_clear(&v->config);
		buf_put(&v->config, c->raw, c->len);
		r = buf_error(&v->config);
	}
	return r;
}

/* Whether another config may help: it is this object, or what follows from it. */
static bool is_of_config(int r)
{
	return r == -ENOENT || r == -EOPNOTSUPP ||
	       backend_error_is_of_object(r);
}

/* The copy opened the vault, and not config, of which @r is told: is that one only
 * damaged? */
static int judge_config(struct vault *v, const struct config_object *c, int r)
{
	enum config_verdict verdict =
		c->raw ? config_judge(v->keyring, c->raw, c->len)
		       : CONFIG_DAMAGED;

	if (verdict == CONFIG_RIGHT && r == -EOPNOTSUPP)
		return r;
	v->config_hurt = true;
	v->config_newer = verdict == CONFIG_NEWER;
	/* An error, and not a warning: --quiet does not hide it. */
	log_line(LOG_LEVEL_ERROR,
		 "vault %s: its config is %s, and the vault was opened by the "
		 "second copy: mend it, before that is lost as well, with: "
		 "vmbackup -r %s repair keys --apply",
		 backend_url(v->backend),
		 c->error == -ENOENT ? "gone" : "damaged",
		 backend_url(v->backend));
	return 0;
}

/* Config did not open the vault: does the copy? @r: why it did not. */
static int unlock_with_copy(struct unlocking *u,
			    const struct config_object *config, int r)
{
	struct vault *v = u->vault;
	struct config_object copy = { .name = NULL };
	int second = config_load(v, CONFIG_COPY_NAME, &copy);

	if (second == 0 && !config_is_same(config, &copy)) {
		second = unlock_with(u, &copy);
		r = second < 0 ? second : judge_config(v, config, r);
	} else if (second == -ENOENT && config->error == -ENOENT) {
		r = config_absent(v);
	} else if (config->error == -ENOENT) {
		r = second;
	}
	config_release(&copy);
	return r;
}

static int unlock(struct vault *v, const struct vault_options *o)
{
	struct unlocking u = { v, o, o->credential, false };
	struct config_object config;
	int r = config_load(v, CONFIG_NAME, &config);

	if (r == 0)
		r = unlock_with(&u, &config);
	if (r < 0 && is_of_config(r))
		r = unlock_with_copy(&u, &config, r);
	config_release(&config);
	if (r == 0 && vault_is_put_only(v) && !o->only_adds)
		r = fail(-EKEYREJECTED,
			 "%s: this key adds points and reads none: with it "
			 "there is only \"vmbackup backup\" and \"vmbackup key "
			 "list\"; for all else use a password or key file that "
			 "reads",
			 backend_url(v->backend));
	if (r == 0)
		r = vault_note_missing(v);
	return r < 0 ? r : vault_read_features(v);
}

static int open_catalog(struct vault *v, const char *cache_dir)
{
	AUTO_FREE char *dir = NULL;

	if (cache_dir &&
	    asprintf(&dir, "%s/%s", cache_dir, v->cache_name) < 0) {
		dir = NULL;
		return -ENOMEM;
	}
	return catalog_open(dir, keyring_vault_id(v->keyring), &v->catalog);
}

int vault_open(const struct vault_options *o, struct vault **out)
{
	uint64_t size = o->cache_size ? o->cache_size : CACHE_DEFAULT;
	struct backend_options with = backend_options_of(o);
	struct vault *v;
	int r;

	*out = NULL;
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->listed, NULL);
	pthread_cond_init(&v->mended, NULL);
	v->seam = o->seam ? o->seam : seam_system();
	v->no_verify = o->no_verify;
	v->backend = o->backend;
	v->borrowed_backend = o->backend != NULL;
	r = v->backend ? 0 : backend_open(o->url, &with, &v->backend);
	if (r == -ENOTDIR)
		r = -ENOENT; /* no such place, either */
	if (r < 0)
		goto err;
	v->packs = cache_new(size / 16, pack_info_free);
	v->frames = cache_new(size / 2, frame_free);
	v->proofs = cache_new(size / 32, free);
	v->nodes = cache_new(size / 2 - size / 16 - size / 32, node_free);
	v->parity_reader = parity_reader_new(v->backend);
	r = v->packs && v->frames && v->proofs && v->nodes && v->parity_reader
		    ? 0
		    : -ENOMEM;
	if (r == 0)
		r = unlock(v, o);
	if (r == 0)
		r = history_new(o->state_dir, !vault_is_put_only(v),
				keyring_vault_id(v->keyring),
				backend_url(v->backend), v->seam, &v->history);
	if (r == 0)
		r = open_catalog(v, o->cache_dir);
	if (r == 0)
		vault_keep_put_keys(v);
	if (r == 0 && !o->index_later)
		r = vault_refresh(v);
	if (r < 0)
		goto err;
	*out = v;
	return 0;
err:
	vault_close(v);
	return r;
}

int vault_chunker(const struct vault *v, uint8_t *out)
{
	if (!v->has_chunker)
		return fail(-ENODATA,
			    "%s: this vault is older than the secret that says "
			    "where files are cut, and follows its master key: "
			    "no other can cut alike",
			    backend_url(v->backend));
	memcpy(out, v->chunker, sizeof(v->chunker));
	return 0;
}

unsigned int vault_parity(const struct vault *v)
{
	return v->parity;
}

void vault_set_parity(struct vault *v, unsigned int percent)
{
	v->parity = percent;
}

void vault_close(struct vault *v)
{
	if (!v)
		return;
	point_list_put(v->points);
	point_objects_release(&v->objects);
	vault_forget_said(v);
	backend_names_release(&v->missing);
	cache_free(v->nodes);
	cache_free(v->frames);
	cache_free(v->proofs);
	cache_free(v->packs);
	parity_reader_free(v->parity_reader);
	catalog_close(v->catalog);
	buf_release(&v->judged.trust);
	history_free(v->history);
	trust_release(&v->trusted_now);
	free(v->kept);
	keyring_free(v->keyring);
	buf_release(&v->slot_object);
	buf_release(&v->config);
	free(v->epoch_file);
	secret_wipe(v->chunker, sizeof(v->chunker));
	if (!v->borrowed_backend)
		backend_close(v->backend);
	pthread_cond_destroy(&v->listed);
	pthread_cond_destroy(&v->mended);
	pthread_mutex_destroy(&v->lock);
	free(v);
}
