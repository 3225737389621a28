/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The key slots of an open vault: adding, listing and removing them. */
#include "config.h"

#include "store/key/key_slots.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/log.h"
#include "store/base/name.h"
#include "store/base/secret.h"
#include "store/crypt/keyring.h"
#include "store/crypt/put_keys.h"
#include "store/epoch/epoch.h"
#include "store/key/key.h"

int vault_key_add(struct vault *v, const struct credential *c,
		  unsigned int scrypt_log_n, const char *label,
		  char slot_out[33])
{
	AUTO_SECRET struct secret *masters =
		epoch_masters(vault_keyring(v), NULL);

	if (!masters)
		return -ENOMEM;
	return key_put_slot(vault_backend(v), masters,
			    keyring_epoch(vault_keyring(v)),
			    keyring_vault_id(vault_keyring(v)), vault_seam(v),
			    c, scrypt_log_n, label, slot_out);
}

int vault_key_add_put(struct vault *v, const struct credential *c,
		      unsigned int scrypt_log_n, const char *label,
		      const char *machine, char slot_out[33])
{
	AUTO_SECRET struct secret *s = NULL;
	struct put_keys keys;
	int r = keyring_make_put(vault_keyring(v), machine, &keys);

	if (r == -EINVAL)
		return fail(r, "the name of a machine has at most %d bytes",
			    PUT_MACHINE_MAX);
	if (r == 0)
		r = vault_chunker(v, keys.chunker);
	keys.parity = vault_parity(v);
	if (r == 0)
		s = put_keys_encode(&keys);
	secret_wipe(&keys, sizeof(keys));
	if (r < 0 || !s)
		return r < 0 ? r : -ENOMEM;
	return key_put_slot(vault_backend(v), s,
			    keyring_epoch(vault_keyring(v)),
			    keyring_vault_id(vault_keyring(v)), vault_seam(v),
			    c, scrypt_log_n, label, slot_out);
}

/* A slot of another vault opens nothing here, whoever put it there. */
static void mark_foreign(const struct vault *v, struct key_slot *slot)
{
	if (slot->error == 0 && strcmp(slot->info.kind, "unknown") != 0 &&
	    memcmp(slot->raw + 16, keyring_vault_id(vault_keyring(v)),
		   VAULT_ID_LEN) != 0)
		snprintf(slot->info.kind, sizeof(slot->info.kind), "foreign");
}

int vault_key_list(struct vault *v, struct key_info **out, size_t *n_out)
{
	struct key_slots slots;
	size_t i;
	int r;

	*out = NULL;
	*n_out = 0;
	r = key_slots_read(v, &slots);
	if (r < 0)
		return r;
	*out = alloc_array(slots.n, sizeof(**out));
	for (i = 0; *out && i < slots.n; i++) {
		mark_foreign(v, &slots.slots[i]);
		(*out)[i] = slots.slots[i].info;
		slots.slots[i].info.label = NULL;
		(*out)[i].current = strcmp((*out)[i].slot, vault_slot(v)) == 0;
	}
	*n_out = *out ? slots.n : 0;
	r = *out ? 0 : -ENOMEM;
	key_slots_release(&slots);
	return r;
}

static int find_slot(const struct key_info *list, size_t n, const char *prefix,
		     size_t *out)
{
	size_t i, hits = 0;

	for (i = 0; i < n; i++) {
		if (strncmp(list[i].slot, prefix, strlen(prefix)) == 0) {
			*out = i;
			hits++;
		}
	}
	if (hits == 0)
		return fail(-ENOENT, "no key slot begins with \"%s\"", prefix);
	if (hits > 1)
		return fail(-EEXIST,
			    "several key slots begin with \"%s\": give "
			    "more digits",
			    prefix);
	if (list[*out].current)
		return fail(-EPERM,
			    "key slot %s is the one in use: open the "
			    "vault with another key to remove it",
			    list[*out].slot);
	return 0;
}

/*
 * Two administrators may each remove the other's slot, and then nobody could
 * open the vault ever again. Each looks for his own after he removed the
 * other's: at least one of them finds it gone, and it is put back as it was. Where
 * the look fails, putting it tells as well.
 */
static int keep_own_slot(struct vault *v, const char *removed)
{
	char name[OBJECT_NAME_MAX];
	struct backend_info info;
	int seen, r;

	snprintf(name, sizeof(name), "key/%s", vault_slot(v));
	seen = backend_head(vault_backend(v), name, &info);
	if (seen == 0)
		return 0;
	r = backend_put(vault_backend(v), name, vault_slot_object(v)->data,
			vault_slot_object(v)->len);
	if (r == -EEXIST && seen != -ENOENT)
		return 0;
	if (r < 0 && r != -EEXIST && seen != -ENOENT)
		return fail(r,
			    "%s was removed; whether the key in use, %s, is "
			    "still there is not known: see \"vmbackup key "
			    "list\"",
			    removed, name);
	if (r < 0 && r != -EEXIST)
		return fail(r,
			    "%s: somebody removed the key in use at the same "
			    "moment, and it could not be put back; add a key "
			    "from another open vault now",
			    name);
	return fail(-ECANCELED,
		    "%s: somebody removed the key in use at the same moment; "
		    "it was put back; see \"vmbackup key list\"",
		    name);
}

int vault_key_remove(struct vault *v, const char *prefix)
{
	char name[OBJECT_NAME_MAX];
	struct key_info *list;
	size_t n, i, hit = 0;
	int r = vault_key_list(v, &list, &n);

	if (r < 0)
		return r;
	r = find_slot(list, n, prefix, &hit);
	snprintf(name, sizeof(name), "key/%s", n ? list[hit].slot : "");
	for (i = 0; i < n; i++)
		free(list[i].label);
	free(list);
	if (r < 0)
		return r;
	r = backend_delete(vault_backend(v), name);
	return r < 0 ? r : keep_own_slot(v, name);
}
