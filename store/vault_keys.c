/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The key slots of a vault, as objects: key/<slot>. What is in one is key.c's.
 */
#include "config.h"

#include "store/vault_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/crypt/keyring.h"
#include "store/key.h"

int key_put_slot(struct backend *b, const struct secret *master,
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

int vault_key_add(struct vault *v, const struct credential *c,
		  unsigned int scrypt_log_n, const char *label,
		  char slot_out[33])
{
	return key_put_slot(v->backend, keyring_master(v->keyring),
			    keyring_vault_id(v->keyring), v->seam, c,
			    scrypt_log_n, label, slot_out);
}

struct slots {
	struct vault *vault;
	struct key_info *list;
	size_t n, cap;
};

static int list_slot(void *arg, const char *name,
		     const struct backend_info *info)
{
	struct slots *s = arg;
	struct key_info *k;
	uint8_t *raw = NULL;
	size_t len;
	int r;

	if (strlen(name) != 4 + 32 || info->size > KEY_SLOT_MAX)
		return fail(-EBADMSG, "%s: not a key slot", name);
	if (array_reserve(&s->list, &s->cap, s->n + 1) < 0)
		return -ENOMEM;
	k = &s->list[s->n];
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
