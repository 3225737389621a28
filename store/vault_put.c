/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A vault that was opened with a key that adds points and reads none. It shows what
 * that key made, for nothing else opens with it, and keeps in the local database the
 * keys of what has to be read again: without them the next backup stores all anew.
 */
#include "config.h"

#include "store/vault_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/backend/names.h"
#include "store/base/hex.h"
#include "store/base/name.h"
#include "store/base/secret.h"
#include "store/catalog/catalog.h"
#include "store/crypt/keyring.h"
#include "store/crypt/put_writer.h"

bool vault_is_put_only(const struct vault *v)
{
	return keyring_put_keys(v->keyring) != NULL;
}

const char *vault_put_machine(const struct vault *v)
{
	return keyring_put_keys(v->keyring)->machine;
}

bool vault_shows(const struct vault *v, const char *name)
{
	static const char *const folders[] = {
		"commit/", "heartbeat/", "index/", "pack/", "session/",
	};
	size_t i;

	/* While a slot is looked for there are no keys yet. */
	if (!v->keyring || !vault_is_put_only(v) ||
	    strncmp(name, "key/", 4) == 0)
		return true;
	for (i = 0; i < ARRAY_SIZE(folders); i++)
		if (strncmp(name, folders[i], strlen(folders[i])) == 0)
			return vault_is_own(v, strrchr(name, '/') + 1);
	return false;
}

bool vault_is_own(const struct vault *v, const char *sid)
{
	return keyring_sid_writer(v->keyring, sid) ==
	       (vault_is_put_only(v) ? keyring_epoch(v->keyring) : 0);
}

int vault_is_touched(struct vault *v, const char *point)
{
	static const char *const folders[] = { "forget/", "purge/" };
	int r = 0;
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(folders) && r == 0; i++) {
		AUTO_NAMES struct backend_names names = { NULL, 0, 0 };
		size_t len = strlen(folders[i]);

		r = backend_list_names(v->backend, folders[i], &names);
		for (j = 0; j < names.n && r == 0; j++)
			r = strncmp(names.list[j] + len, point, NAME_HEX) == 0;
	}
	return r;
}

/* ---- the keys of its objects ---- */

#define PUT_PREFIX "put-key/"
#define PUT_NAME_MAX (sizeof(PUT_PREFIX) + (size_t)2 * PUT_KEY_LEN)

static void kept_name(const uint8_t *public_half, char out[PUT_NAME_MAX])
{
	memcpy(out, PUT_PREFIX, sizeof(PUT_PREFIX));
	hex_encode(public_half, PUT_KEY_LEN, out + strlen(PUT_PREFIX));
}

static int keep(void *arg, const uint8_t *public_half,
		const uint8_t *private_half)
{
	struct vault *v = arg;
	char name[PUT_NAME_MAX];

	kept_name(public_half, name);
	return catalog_put_object(v->catalog, name, private_half, PUT_KEY_LEN);
}

static int find(void *arg, const uint8_t *public_half, uint8_t *private_out)
{
	struct vault *v = arg;
	AUTO_BUF struct buf kept = BUF_INIT;
	char name[PUT_NAME_MAX];
	int r;

	kept_name(public_half, name);
	r = catalog_get_object(v->catalog, name, &kept);
	if (r == 0 && kept.len == PUT_KEY_LEN)
		memcpy(private_out, kept.data, PUT_KEY_LEN);
	else if (r == 0)
		r = -ENOENT;
	secret_wipe(kept.data, kept.len);
	return r;
}

void vault_keep_put_keys(struct vault *v)
{
	const struct put_keeper keeper = { keep, find, v };

	if (vault_is_put_only(v))
		keyring_set_keeper(v->keyring, &keeper);
}
