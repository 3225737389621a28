/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Packs as readers see them: which frames there are, and the key that opens
 * them, kept in the vault's cache. All of it comes from the local database;
 * the pack itself is read only for its frames, or where no index speaks of it.
 */
#include "config.h"

#include "store/pack_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/bytes.h"
#include "store/base/cache.h"
#include "store/base/log.h"
#include "store/catalog/catalog.h"
#include "store/crypt/keyring.h"
#include "store/vault_internal.h"

void pack_info_free(void *object)
{
	struct pack_info *p = object;

	if (!p)
		return;
	explicit_bzero(&p->key, sizeof(p->key));
	free(p->frames);
	free(p);
}

static int pack_load(void *arg, const struct cache_key *key, void **object_out,
		     size_t *bytes_out)
{
	struct vault *v = arg;
	struct pack_info *p = calloc(1, sizeof(*p));
	AUTO_BUF struct buf dir = BUF_INIT;
	struct pack_dir frames = { 0 };
	char name[OBJECT_NAME_MAX];
	struct pack_row row;
	int r;

	if (!p)
		return -ENOMEM;
	r = catalog_get_pack(v->catalog, (int64_t)get_le64(key->b), &row, &dir);
	if (r < 0)
		goto out;
	p->no = row.no;
	p->size = row.size;
	p->kind = row.kind;
	memcpy(p->name, row.name, sizeof(p->name));
	r = format_pack_object_name(row.name, p->object);
	if (r == 0)
		r = format_pack_key_name(row.name, name);
	if (r == 0)
		r = keyring_seal_key(v->keyring, row.kind, name, row.salt,
				     &p->key);
	if (r == 0)
		r = format_get_dir(dir.data, dir.len, row.name, true, &frames);
	p->frames = frames.frames;
	p->nframes = frames.nframes;
out:
	if (r < 0) {
		pack_info_free(p);
		return r;
	}
	*object_out = p;
	*bytes_out = sizeof(*p) + p->nframes * sizeof(*p->frames);
	return 0;
}

/* Frames have keys of the same form, and these are in another cache. */
static void pack_key(struct cache_key *key, int64_t no)
{
	memset(key, 0, sizeof(*key));
	put_le64(key->b, (uint64_t)no);
}

int pack_get(struct vault *v, int64_t no, struct pack_info **out)
{
	struct cache_key key;
	void *object;
	int r;

	pack_key(&key, no);
	r = cache_get(v->packs, &key, pack_load, v, &object);
	*out = object;
	return r;
}

void pack_put(struct vault *v, struct pack_info *p)
{
	struct cache_key key;

	if (!p)
		return;
	pack_key(&key, p->no);
	cache_put(v->packs, &key);
}

int pack_open_ends(const struct keyring *k, const char *name,
		   const uint8_t *head, const uint8_t *tail, uint64_t size,
		   struct pack_ends *out)
{
	char object[OBJECT_NAME_MAX], key_name[OBJECT_NAME_MAX];
	struct object_header h;
	struct pack_trailer t;
	int r;

	if (format_pack_object_name(name, object) < 0 ||
	    format_pack_key_name(name, key_name) < 0)
		return fail(-EBADMSG, "pack/%s: not a pack's name", name);
	r = format_get_header(head, FORMAT_HEADER_LEN, object, &h);
	if (r == 0)
		r = format_get_trailer(tail, size, object, &t);
	if (r < 0)
		return r;
	if ((h.type != OBJECT_DATA_PACK && h.type != OBJECT_TREE_PACK) ||
	    memcmp(h.vault_id, keyring_vault_id(k), VAULT_ID_LEN) != 0)
		return fail(-EBADMSG, "%s: not a pack of this vault", object);
	r = keyring_seal_key(k, h.type, key_name, h.salt, &out->key);
	if (r == 0 && !crypt_equal(out->key.commit, h.commit, CRYPT_COMMIT_LEN))
		r = fail(-EBADMSG,
			 "%s: damaged or misplaced: it is not sealed "
			 "for this vault under this name",
			 object);
	if (r < 0)
		return r;
	out->kind = h.type;
	memcpy(out->salt, h.salt, CRYPT_SALT_LEN);
	out->dir = (struct frame){ t.dir_off, t.dir_clen, t.dir_plen, t.codec };
	return 0;
}
