/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The slots come first, so that an epoch that is there can be opened; then what keeps
 * old programs away; and then epoch/<n>, which only one of several who rotate at once
 * can create. Slots of an epoch whose object was not created, or by another, open
 * nothing, and readers pass over them.
 */
#include "config.h"

#include "store/epoch/rotate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/names.h"
#include "store/base/log.h"
#include "store/base/name.h"
#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/crypt/keyring.h"
#include "store/epoch/epoch.h"
#include "store/format.h"
#include "store/key/key.h"
#include "store/key/key_slots.h"
#include "store/record/config.h"

/* So often somebody else may have taken the number of a feature. */
#define FEATURE_TRIES 100

struct rotation {
	struct vault *vault;
	struct rotate_key *keys;
	size_t n, nput; /* so many slots were put */
	unsigned int log_n;
	uint32_t epoch; /* the new one */
	struct secret *masters; /* of all epochs, with the new one; owned */
	struct keyring *ring; /* the same; owned */
	char name[OBJECT_NAME_MAX]; /* of its object */
};

static const uint8_t *id_of(const struct rotation *x)
{
	return keyring_vault_id(vault_keyring(x->vault));
}

/* ---- slots ---- */

static int open_old(const struct rotation *x, struct rotate_key *key,
		    struct key_slot *out)
{
	struct keyring *ring = NULL;
	int r = key_slots_open(x->vault, "", key->credential, id_of(x),
			       x->epoch - 1, out, &ring);

	if (r == 0 && (out->info.epoch != x->epoch - 1 || out->is_unproven))
		r = fail(-EKEYREJECTED,
			 "key/%s opens only what was written before the last "
			 "rotation: add it with \"key add\" afterwards",
			 out->name);
	keyring_free(ring);
	return r;
}

static int put_slot(struct rotation *x, struct rotate_key *key)
{
	struct vault *v = x->vault;
	struct key_slot old;
	int r;

	memset(&old, 0, sizeof(old));
	r = open_old(x, key, &old);
	if (r == 0) {
		memcpy(key->old_slot, old.name, sizeof(key->old_slot));
		r = key_put_slot(vault_backend(v), x->masters, x->epoch,
				 id_of(x), vault_seam(v), key->credential,
				 x->log_n, old.info.label, key->slot);
	}
	x->nput += r == 0;
	key_slot_release(&old);
	return r;
}

/* Of an epoch that does not come to be: what stays is in nobody's way. */
static void take_back_slots(const struct rotation *x)
{
	char name[OBJECT_NAME_MAX];
	size_t i;

	for (i = 0; i < x->nput; i++) {
		snprintf(name, sizeof(name), "key/%s", x->keys[i].slot);
		(void)!backend_delete(vault_backend(x->vault), name);
	}
}

/* They are replaced: the same keys open the new ones. */
static void remove_old_slots(const struct rotation *x)
{
	char name[OBJECT_NAME_MAX];
	size_t i;
	int r;

	for (i = 0; i < x->n; i++) {
		snprintf(name, sizeof(name), "key/%s", x->keys[i].old_slot);
		r = backend_delete(vault_backend(x->vault), name);
		if (r < 0 && r != -ENOENT)
			log_warn("%s: the key slot was replaced, and could not "
				 "be removed: remove it with: vmbackup key "
				 "remove %.8s",
				 name, x->keys[i].old_slot);
	}
}

/* ---- what programs must know ---- */

static int put_feature(struct vault *v, uint32_t n,
		       const struct feature_words *words)
{
	AUTO_BUF struct buf box = BUF_INIT;
	uint8_t clear[FEATURES_LEN];
	char name[OBJECT_NAME_MAX];
	int r;

	snprintf(name, sizeof(name), "feature/%u", n);
	features_encode(words, clear);
	/* With the first keys: it speaks to those who know no others. */
	r = format_seal_box_of(vault_keyring(v), NULL, NULL, vault_seam(v),
			       OBJECT_FEATURE, 0, name, clear, sizeof(clear),
			       "{}", 2, &box);
	return r < 0 ? r
		     : backend_put(vault_backend(v), name, box.data, box.len);
}

int rotate_put_feature(struct vault *v, const struct feature_words *words)
{
	AUTO_NAMES struct backend_names names = { NULL, 0, 0 };
	uint32_t next = 0;
	size_t i;
	int r = backend_list_names(vault_backend(v), "feature/", &names);

	for (i = 0; i < names.n && r == 0; i++) {
		unsigned long n =
			strtoul(names.list[i] + strlen("feature/"), NULL, 10);

		if (name_is_object(names.list[i]) && n >= next)
			next = (uint32_t)n + 1;
	}
	for (i = 0; r == 0 && i < FEATURE_TRIES; i++) {
		r = put_feature(v, next + (uint32_t)i, words);
		if (r != -EEXIST)
			return r;
		r = 0;
	}
	return r < 0 ? r : fail(-EEXIST, "feature/: all numbers are taken");
}

int rotate_demand(struct vault *v)
{
	static const struct feature_words words = { 0, FEATURE_EPOCHS,
						    FEATURE_EPOCHS,
						    FEATURE_EPOCHS };

	return rotate_put_feature(v, &words);
}

/* ---- the epoch ---- */

/* What became of the put? */
static int ask_again(struct rotation *x, int put)
{
	int r = epoch_prove(x->vault, x->ring);

	if (r == 0)
		return 0; /* it is ours: the answer was lost */
	if (r == -EKEYREJECTED || (put == -EEXIST && r == -EBADMSG)) {
		take_back_slots(x);
		return fail(-EEXIST,
			    "%s: somebody else rotated the keys at this "
			    "moment, and this did nothing: have your key added "
			    "by them, with \"key add\"; then there is no need "
			    "to rotate again",
			    vault_url(x->vault));
	}
	/* The slots stay: the object may be there, or come yet. */
	return fail(put,
		    "%s: it is not known whether the keys were rotated; see "
		    "\"vmbackup key list\", and rotate again where they were "
		    "not",
		    vault_url(x->vault));
}

static int put_epoch(struct rotation *x)
{
	AUTO_BUF struct buf box = BUF_INIT;
	int r = format_seal_box(x->ring, NULL, NULL, vault_seam(x->vault),
				OBJECT_EPOCH, x->name, NULL, 0,
				x->masters->data,
				x->masters->len - CRYPT_KEY_LEN, &box);

	if (r < 0) {
		take_back_slots(x);
		return r;
	}
	r = backend_put(vault_backend(x->vault), x->name, box.data, box.len);
	return r < 0 ? ask_again(x, r) : 0;
}

/* The keys of all epochs, with the new one. */
static int make_keys(struct rotation *x)
{
	struct seam *seam = vault_seam(x->vault);
	AUTO_SECRET struct secret *master = secret_new(CRYPT_KEY_LEN);
	int r = master ? seam->ops->random(seam, master->data, master->len)
		       : -ENOMEM;

	if (r == 0) {
		x->masters = epoch_masters(vault_keyring(x->vault), master);
		r = x->masters ? epoch_keyring(x->masters, x->epoch, id_of(x),
					       &x->ring)
			       : -ENOMEM;
	}
	return r;
}

static int make_slots(struct rotation *x)
{
	size_t i;
	int r = 0;

	for (i = 0; i < x->n && r == 0; i++)
		r = put_slot(x, &x->keys[i]);
	/* Once is enough, for it is never taken back. */
	if (r == 0 && x->epoch == 1)
		r = rotate_demand(x->vault);
	if (r < 0)
		take_back_slots(x);
	return r;
}

/* What nobody rotated to may lie there all the same. Once there were a feature that says
 * that there are epochs, it would count. */
static int is_free(const struct rotation *x)
{
	uint32_t newest;
	int r = epoch_newest(vault_backend(x->vault), &newest);

	if (r == 0 && newest >= x->epoch)
		r = fail(
			-EEXIST,
			"%s: there is epoch/%u already: where no other rotated "
			"the keys just now, somebody put it: remove it",
			vault_url(x->vault), newest);
	return r;
}

int rotate_run(struct vault *v, struct rotate_key *keys, size_t n,
	       unsigned int log_n, uint32_t *epoch_out)
{
	struct rotation x = {
		.vault = v, .keys = keys, .n = n, .log_n = log_n
	};
	int r = vault_read_features(v);

	if (r == 0)
		r = vault_may_write(v);
	if (r < 0)
		return r;
	x.epoch = keyring_epoch(vault_keyring(v)) + 1;
	if (x.epoch == KEYRING_EPOCHS_MAX)
		return fail(-E2BIG,
			    "%s: its keys were rotated as often as can be",
			    vault_url(v));
	snprintf(x.name, sizeof(x.name), "epoch/%u", x.epoch);
	r = is_free(&x);
	if (r == 0)
		r = make_keys(&x);
	if (r == 0)
		r = make_slots(&x);
	if (r == 0)
		r = put_epoch(&x);
	if (r == 0) {
		*epoch_out = x.epoch;
		remove_old_slots(&x);
	}
	keyring_free(x.ring);
	secret_free(x.masters);
	return r;
}
