/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/epoch/epoch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/log.h"
#include "store/base/name.h"
#include "store/base/secret.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/vault.h"

/* No object of an epoch is longer. */
#define OBJECT_MAX (64u << 10)

static int on_epoch(void *arg, const char *name,
		    const struct backend_info *info)
{
	uint32_t *newest = arg;
	unsigned long n;

	(void)info;
	if (!name_is_object(name))
		return 0;
	n = strtoul(name + strlen("epoch/"), NULL, 10);
	/* There is none of 0: it began with the vault. */
	if (n > *newest)
		*newest = (uint32_t)n;
	return 0;
}

int epoch_newest(struct backend *b, uint32_t *out)
{
	*out = 0;
	return backend_list_plain(b, "epoch/", on_epoch, out);
}

void epoch_encode(const struct keyring *k, struct buf *out)
{
	uint32_t i;

	for (i = 0; i <= keyring_epoch(k); i++)
		buf_put(out, keyring_master_of(k, i)->data, CRYPT_KEY_LEN);
}

/* One of them in memory of its own, to the keys. */
static int add_master(const uint8_t *data, const uint8_t *vault_id,
		      struct keyring **k)
{
	AUTO_SECRET struct secret *master = secret_new(CRYPT_KEY_LEN);

	if (!master)
		return -ENOMEM;
	memcpy(master->data, data, CRYPT_KEY_LEN);
	return *k ? keyring_add_epoch(*k, master)
		  : keyring_new(master, vault_id, k);
}

static int decode(const struct buf *plain, uint32_t epoch, const char *name,
		  const struct secret *master, const uint8_t *vault_id,
		  struct keyring **out)
{
	struct keyring *k = NULL;
	uint32_t i;
	int r = 0;

	if (plain->len != (size_t)epoch * CRYPT_KEY_LEN)
		return fail(-EBADMSG, "%s: authentic, but malformed", name);
	for (i = 0; i < epoch && r == 0; i++)
		r = add_master(plain->data + (size_t)i * CRYPT_KEY_LEN,
			       vault_id, &k);
	if (r == 0)
		r = add_master(master->data, vault_id, &k);
	if (r < 0)
		keyring_free(k);
	else
		*out = k;
	return r;
}

static int open_object(struct vault *v, uint32_t epoch, const char *name,
		       const struct secret *master, const uint8_t *vault_id,
		       struct buf *out)
{
	AUTO_FREE uint8_t *raw = NULL;
	uint8_t base[CRYPT_KEY_LEN];
	struct box box;
	size_t len;
	int r = vault_get_all(v, name, OBJECT_MAX, &raw, &len);

	if (r == 0)
		r = format_parse_box(raw, len, OBJECT_EPOCH, name, &box);
	if (r < 0)
		return r;
	/* Of an epoch other than that of its name it is damaged, or no object
	 * that anybody made there. */
	if (box.header.epoch != epoch ||
	    memcmp(box.header.vault_id, vault_id, VAULT_ID_LEN) != 0)
		return fail(-EBADMSG,
			    "%s: damaged, or of another vault or epoch", name);
	r = keyring_base_key(master, vault_id, OBJECT_EPOCH, base);
	if (r == 0)
		r = format_open_box(NULL, base, &box, name, out);
	secret_wipe(base, sizeof(base));
	return r;
}

int epoch_open(struct vault *v, uint32_t epoch, const struct secret *master,
	       const uint8_t *vault_id, struct keyring **out)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	int r;

	*out = NULL;
	if (epoch == 0)
		return keyring_new(master, vault_id, out);
	snprintf(name, sizeof(name), "epoch/%u", epoch);
	r = open_object(v, epoch, name, master, vault_id, &plain);
	if (r == 0)
		r = decode(&plain, epoch, name, master, vault_id, out);
	if (plain.len)
		secret_wipe(plain.data, plain.len);
	return r;
}
