/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Packs as readers see them: which frames there are, and the key that opens
 * them, kept in the vault's cache. All of it comes from the local database,
 * where it is sealed under the vault's key; the pack itself is read only for
 * its frames, or where no index speaks of it.
 *
 * Of the chunks in a pack 8 bytes each are kept, enough to tell whether the
 * database, which is asked where a chunk is, says what the directory does.
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
#include "store/crypt/siphash.h"
#include "store/vault_internal.h"

void pack_info_free(void *object)
{
	struct pack_info *p = object;

	if (!p)
		return;
	explicit_bzero(&p->key, sizeof(p->key));
	free(p->frames);
	free(p->chunks);
	free(p);
}

/* ---- what the database says ---- */

int pack_row_seal(const struct vault *v, struct pack_row *row, const void *dir,
		  size_t dir_len)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct id mac;
	int r;

	buf_put_bytes(&b, row->name, strlen(row->name));
	buf_put_le64(&b, row->size);
	/* As in an index object. */
	buf_put_u8(&b, row->epoch ? row->kind | 0x80 : row->kind);
	if (row->epoch)
		buf_put_le32(&b, row->epoch);
	buf_put(&b, row->salt, sizeof(row->salt));
	r = buf_error(&b);
	if (r == 0)
		r = keyring_id_of_two(v->keyring, LOCAL_PACK, b.data, b.len,
				      dir, dir_len, &mac);
	if (r == 0)
		memcpy(row->mac, mac.b, sizeof(row->mac));
	return r;
}

static int check_row(const struct vault *v, const struct pack_row *row,
		     const struct buf *dir)
{
	struct pack_row real = *row;
	int r = pack_row_seal(v, &real, dir->data, dir->len);

	if (r == 0 && !crypt_equal(real.mac, row->mac, sizeof(real.mac)))
		r = -ESTALE;
	return r;
}

static uint64_t hash_chunk(const struct vault *v, const struct id *id,
			   uint8_t type, uint32_t len, uint32_t frame,
			   uint32_t off)
{
	uint8_t b[ID_LEN + 13];

	memcpy(b, id->b, ID_LEN);
	b[ID_LEN] = type;
	put_le32(b + ID_LEN + 1, len);
	put_le32(b + ID_LEN + 5, frame);
	put_le32(b + ID_LEN + 9, off);
	return siphash(keyring_sipkey(v->keyring), b, sizeof(b));
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int keep_chunks(const struct vault *v, struct pack_info *p,
		       const struct pack_dir *dir)
{
	size_t i;

	p->chunks = alloc_array(dir->nchunks + 1, sizeof(*p->chunks));
	if (!p->chunks)
		return -ENOMEM;
	for (i = 0; i < dir->nchunks; i++) {
		const struct chunk_ref *c = &dir->chunks[i];

		p->chunks[i] = hash_chunk(v, &c->id, c->type, c->len, c->frame,
					  c->off);
	}
	p->nchunks = dir->nchunks;
	if (p->nchunks > 1)
		qsort(p->chunks, p->nchunks, sizeof(*p->chunks), by_number);
	return 0;
}

bool pack_has(const struct vault *v, const struct pack_info *p,
	      const struct id *id, const struct chunk_loc *loc)
{
	uint64_t h =
		hash_chunk(v, id, loc->type, loc->len, loc->frame, loc->off);

	return p->nchunks > 0 && bsearch(&h, p->chunks, p->nchunks,
					 sizeof(*p->chunks), by_number);
}

/* ---- loading ---- */

/* Fill @p from its row and the plaintext of its directory. */
static int fill(const struct vault *v, struct pack_info *p,
		const struct pack_row *row, const struct buf *plain)
{
	CLEANUP(format_release_dir) struct pack_dir dir = { 0 };
	char name[OBJECT_NAME_MAX];
	int r;

	p->no = row->no;
	p->size = row->size;
	p->kind = row->kind;
	memcpy(p->name, row->name, sizeof(p->name));
	r = format_pack_object_name(row->name, p->object);
	if (r == 0)
		r = format_pack_key_name(row->name, name);
	if (r == 0)
		r = keyring_seal_key(v->keyring, row->kind, row->epoch, name,
				     row->salt, &p->key);
	if (r == -EOPNOTSUPP)
		r = format_fail_epoch(p->object, row->epoch);
	if (r == 0)
		r = format_get_dir(plain->data, plain->len, row->name, false,
				   &dir);
	if (r == 0)
		r = keep_chunks(v, p, &dir);
	if (r < 0)
		return r;
	p->frames = dir.frames;
	p->nframes = dir.nframes;
	dir.frames = NULL;
	return 0;
}

static int pack_load(void *arg, const struct cache_key *key, void **object_out,
		     size_t *bytes_out)
{
	struct vault *v = arg;
	struct pack_info *p = calloc(1, sizeof(*p));
	AUTO_BUF struct buf dir = BUF_INIT;
	struct pack_row row;
	int r, err;

	if (!p)
		return -ENOMEM;
	r = catalog_get_pack(v->catalog, (int64_t)get_le64(key->b), &row, &dir);
	if (r == 0)
		r = check_row(v, &row, &dir);
	if (r == -ESTALE) {
		err = catalog_drop_pack(v->catalog, row.no);
		r = err < 0 ? err : r;
	}
	if (r == 0)
		r = fill(v, p, &row, &dir);
	if (r < 0) {
		pack_info_free(p);
		return r == -ENOENT ? -ESTALE : r;
	}
	*object_out = p;
	*bytes_out = sizeof(*p) + p->nframes * sizeof(*p->frames) +
		     p->nchunks * sizeof(*p->chunks);
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
	r = keyring_seal_key(k, h.type, h.epoch, key_name, h.salt, &out->key);
	if (r == -EOPNOTSUPP)
		r = format_fail_epoch(object, h.epoch);
	if (r == 0 && !crypt_equal(out->key.commit, h.commit, CRYPT_COMMIT_LEN))
		r = fail(-EBADMSG,
			 "%s: damaged or misplaced: it is not sealed "
			 "for this vault under this name",
			 object);
	if (r < 0)
		return r;
	out->kind = h.type;
	out->epoch = h.epoch;
	memcpy(out->salt, h.salt, CRYPT_SALT_LEN);
	out->dir = (struct frame){ t.dir_off, t.dir_clen, t.dir_plen, t.codec };
	return 0;
}
