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
#include "store/catalog/catalog.h"
#include "store/crypt/keyring.h"
#include "store/crypt/put.h"
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

struct secret *epoch_masters(const struct keyring *k, const struct secret *next)
{
	size_t n = (size_t)keyring_epoch(k) + 1, i;
	struct secret *s = secret_new((n + (next != NULL)) * CRYPT_KEY_LEN);

	for (i = 0; s && i < n; i++)
		memcpy(s->data + i * CRYPT_KEY_LEN,
		       keyring_master_of(k, (uint32_t)i)->data, CRYPT_KEY_LEN);
	if (s && next)
		memcpy(s->data + n * CRYPT_KEY_LEN, next->data, CRYPT_KEY_LEN);
	return s;
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

int epoch_keyring(const struct secret *masters, uint32_t epoch,
		  const uint8_t *vault_id, struct keyring **out)
{
	struct keyring *k = NULL;
	size_t i;
	int r = masters->len == ((size_t)epoch + 1) * CRYPT_KEY_LEN ? 0
								    : -EINVAL;

	for (i = 0; i <= epoch && r == 0; i++)
		r = add_master(masters->data + i * CRYPT_KEY_LEN, vault_id, &k);
	if (r < 0) {
		keyring_free(k);
		k = NULL;
	}
	*out = k;
	return r;
}

/* Does the plaintext hold the master keys of the epochs before @epoch? */
static int compare(const struct keyring *k, uint32_t epoch, const char *name,
		   const struct buf *plain)
{
	AUTO_SECRET struct secret *all = epoch_masters(k, NULL);
	size_t len = (size_t)epoch * CRYPT_KEY_LEN;

	if (!all)
		return -ENOMEM;
	if (plain->len != len || !crypt_equal(plain->data, all->data, len))
		return fail(-EBADMSG, "%s: authentic, but of other keys", name);
	return 0;
}

int epoch_check(struct backend *b, const struct keyring *k, uint32_t epoch)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	AUTO_FREE uint8_t *raw = NULL;
	char name[OBJECT_NAME_MAX];
	struct box box;
	size_t len;
	int r;

	if (epoch == 0)
		return 0;
	snprintf(name, sizeof(name), "epoch/%u", epoch);
	r = backend_get_all(b, name, OBJECT_MAX, &raw, &len);
	if (r == -EFBIG)
		r = fail(-EBADMSG,
			 "%s: damaged: longer than the %u bytes that make "
			 "sense",
			 name, OBJECT_MAX);
	if (r == 0)
		r = format_parse_box(raw, len, OBJECT_EPOCH, name, &box);
	/* Of an epoch other than that of its name it is no object that anybody
	 * made there. */
	if (r == 0 && box.header.epoch != epoch)
		r = fail(-EBADMSG, "%s: damaged, or of another epoch", name);
	if (r == 0)
		r = format_open_box(k, NULL, &box, name, &plain);
	if (r < 0)
		return r;
	r = compare(k, epoch, name, &plain);
	if (plain.len)
		secret_wipe(plain.data, plain.len);
	return r;
}

int epoch_prove(struct vault *v, const struct keyring *k)
{
	return epoch_check(vault_backend(v), k, keyring_epoch(k));
}

int epoch_seal(const struct keyring *k, struct seam *seam, uint32_t epoch,
	       struct buf *out)
{
	AUTO_SECRET struct secret *all = epoch_masters(k, NULL);
	char name[OBJECT_NAME_MAX];

	if (!all)
		return -ENOMEM;
	snprintf(name, sizeof(name), "epoch/%u", epoch);
	return format_seal_box_of(k, NULL, NULL, seam, OBJECT_EPOCH, epoch,
				  name, NULL, 0, all->data,
				  (size_t)epoch * CRYPT_KEY_LEN, out);
}

struct counting {
	struct epoch_old *out;
	uint32_t newest;
};

static int on_pack(void *arg, const struct pack_row *row)
{
	struct counting *x = arg;

	if (put_depends_on(row->epoch) < x->newest) {
		x->out->packs++;
		x->out->bytes += row->size;
	}
	return 0;
}

int epoch_count_old(struct vault *v, struct epoch_old *out)
{
	struct counting x = { out, keyring_epoch(vault_keyring(v)) };

	*out = (struct epoch_old){ .packs = 0 };
	return x.newest ? catalog_packs(vault_catalog(v), on_pack, &x) : 0;
}
