/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Packs as readers see them: which frames there are, and the key that opens
 * them, kept in the vault's cache. All of it comes from the local database,
 * where it is sealed under the vault's key; the pack itself is read only for
 * its frames, or where no index speaks of it.
 *
 * Of the chunks in a pack 8 bytes each are kept, enough to tell whether the
 * database, which is asked where a chunk is, says what the directory does.
 *
 * Frames that a read covers whole are decoded straight into the caller's
 * memory; others through the cache of frames, where neighbours find them.
 * The compressed bytes of a run of frames are fetched with one backend read.
 */
#include "config.h"

#include "store/pack_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/bytes.h"
#include "store/base/cache.h"
#include "store/base/log.h"
#include "store/catalog/catalog.h"
#include "store/crypt/keyring.h"
#include "store/crypt/siphash.h"
#include "store/parity/reader.h"
#include "store/vault_internal.h"

/* Compressed bytes fetched at once. */
#define FETCH_MAX (2u << 20)

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

/* ---- frames ---- */

struct frame_data {
	uint32_t len;
	uint8_t data[];
};

void frame_free(void *object)
{
	free(object);
}

/* Part of a pack in memory; grows as needed and is kept by its thread. */
struct window {
	uint8_t *data; /* owned */
	size_t cap;
	uint64_t off, len; /* what part it holds */
	/* A chunk of which a part is wanted; owned. */
	uint8_t *chunk;
	size_t chunk_cap;
};

static pthread_key_t window_key;
static pthread_once_t window_once = PTHREAD_ONCE_INIT;

static void window_free(void *arg)
{
	struct window *w = arg;

	free(w->data);
	free(w->chunk);
	free(w);
}

static void window_init(void)
{
	pthread_key_create(&window_key, window_free);
}

static struct window *window_thread(void)
{
	struct window *w;

	pthread_once(&window_once, window_init);
	w = pthread_getspecific(window_key);
	if (!w) {
		w = calloc(1, sizeof(*w));
		if (w && pthread_setspecific(window_key, w) != 0) {
			free(w);
			w = NULL;
		}
	}
	if (w)
		w->len = 0;
	return w;
}

static void frame_key(struct cache_key *key, int64_t no, uint32_t frame)
{
	memset(key, 0, sizeof(*key));
	put_le64(key->b, (uint64_t)no);
	put_le32(key->b + 8, frame);
}

/* A run of frames being read. */
struct frame_run {
	struct vault *vault;
	struct pack_info *pack;
	struct window *window;
	uint32_t last; /* the last frame that will be wanted */
	bool keeps; /* whole frames, too, for who reads the rest of the chunk */
};

/* Make the bytes of frame @number available, and with them those of the frames
 * behind it that the read will want: one long read is cheaper than many short
 * ones, most of all from a store that is far away. */
static int fetch(struct frame_run *r, uint32_t number, uint8_t **out)
{
	const struct frame *f = &r->pack->frames[number];
	struct window *w = r->window;
	uint64_t len = f->clen + CRYPT_TAG_LEN;
	uint32_t i;
	int err;

	if (f->off < w->off || f->off + len > w->off + w->len) {
		for (i = number + 1; i <= r->last; i++) {
			uint64_t more = r->pack->frames[i].clen + CRYPT_TAG_LEN;

			if (len + more > FETCH_MAX)
				break;
			len += more;
		}
		w->len = 0;
		if (w->cap < len) {
			free(w->data);
			w->cap = 0;
			w->data = malloc(len);
			if (!w->data)
				return -ENOMEM;
			w->cap = len;
		}
		err = vault_get(r->vault, r->pack->object, f->off, w->data,
				len);
		if (err < 0)
			return err;
		w->off = f->off;
		w->len = len;
	}
	*out = w->data + (f->off - w->off);
	return 0;
}

/* The same of a frame whose bytes cannot be had as they are: where the pack has parity,
 * that may mend them. Return whether it did, which the seal tells. */
static bool decode_mended(struct frame_run *r, uint32_t number, void *out)
{
	const struct frame *f = &r->pack->frames[number];
	size_t len = (size_t)f->clen + CRYPT_TAG_LEN;
	AUTO_FREE uint8_t *in = malloc(len);
	struct vault *v = r->vault;

	if (!in ||
	    parity_read(v->parity_reader, r->pack->name, f->off, in, len) < 0 ||
	    format_open_frame(&r->pack->key, number, f, in, out) < 0)
		return false;
	if (vault_is_news(v, r->pack->object))
		log_warn("%s: damaged, and mended for now by its parity; run: "
			 "vmbackup check --read-data, and then: vmbackup "
			 "repair packs",
			 r->pack->object);
	return true;
}

/* Decode frame @number to @out, which has room for its plaintext. */
static int decode(struct frame_run *r, uint32_t number, void *out)
{
	const struct frame *f = &r->pack->frames[number];
	uint8_t *in;
	int err = fetch(r, number, &in);

	if (err == 0)
		err = format_open_frame(&r->pack->key, number, f, in, out);
	if (err < 0 && backend_error_is_of_object(err) &&
	    decode_mended(r, number, out))
		err = 0;
	if (err == -EBADMSG) {
		atomic_fetch_add(&r->vault->damage, 1);
		(void)fail(err,
			   "%s: damaged: bytes %llu to %llu do not match "
			   "their seal",
			   r->pack->object, (unsigned long long)f->off,
			   (unsigned long long)f->off + f->clen +
				   CRYPT_TAG_LEN);
	}
	return err;
}

static int frame_load(void *arg, const struct cache_key *key, void **object_out,
		      size_t *bytes_out)
{
	struct frame_run *r = arg;
	uint32_t number = get_le32(key->b + 8);
	struct frame_data *d;
	int err;

	d = malloc(sizeof(*d) + r->pack->frames[number].plen);
	if (!d)
		return -ENOMEM;
	d->len = r->pack->frames[number].plen;
	err = decode(r, number, d->data);
	if (err < 0) {
		free(d);
		return err;
	}
	*object_out = d;
	*bytes_out = sizeof(*d) + d->len;
	return 0;
}

/* Copy bytes [@off, @off + @len) of frame @number to @out. */
static int read_frame(struct frame_run *r, uint32_t number, uint32_t off,
		      uint32_t len, uint8_t *out)
{
	struct cache_key key;
	struct frame_data *d;
	void *object;
	int err;

	frame_key(&key, r->pack->no, number);
	if (!r->keeps && off == 0 && len == r->pack->frames[number].plen) {
		object = cache_peek(r->vault->frames, &key);
		if (!object)
			return decode(r, number, out);
	} else {
		err = cache_get(r->vault->frames, &key, frame_load, r, &object);
		if (err < 0)
			return err;
	}
	d = object;
	memcpy(out, d->data + off, len);
	cache_put(r->vault->frames, &key);
	return 0;
}

int pack_read(struct vault *v, struct pack_info *pack,
	      const struct chunk_loc *loc, uint32_t off, uint32_t len,
	      bool keeps, uint8_t *out)
{
	struct frame_run run = { v, pack, window_thread(), 0, keeps };
	uint64_t skip = (uint64_t)loc->off + off, end = skip + len, sum = 0;
	uint32_t i;
	int r = run.window ? 0 : -ENOMEM;

	/* The directory has been checked: the chunk lies in its frames. */
	for (i = loc->frame; i < pack->nframes && sum < end; i++) {
		sum += pack->frames[i].plen;
		run.last = i;
	}
	if (r == 0 && sum < end)
		r = fail(-EBADMSG, "%s: its directory is malformed",
			 pack->object);
	for (i = loc->frame; r == 0 && len > 0; i++) {
		uint32_t plen = pack->frames[i].plen, n;

		if (skip >= plen) {
			skip -= plen;
			continue;
		}
		n = MIN(len, plen - (uint32_t)skip);
		r = read_frame(&run, i, (uint32_t)skip, n, out);
		out += n;
		len -= n;
		skip = 0;
	}
	return r;
}

uint8_t *pack_scratch(size_t len)
{
	struct window *w = window_thread();

	if (w && w->chunk_cap < len) {
		free(w->chunk);
		w->chunk = malloc(len);
		w->chunk_cap = w->chunk ? len : 0;
	}
	return w ? w->chunk : NULL;
}

void pack_prefetch(struct vault *v, struct pack_info *p,
		   const struct chunk_loc *loc, uint32_t off, uint32_t len)
{
	uint64_t from = (uint64_t)loc->off + off, to = from + len;
	uint32_t i;

	for (i = loc->frame; i < p->nframes && to > 0; i++) {
		struct frame_run run = { v, p, window_thread(), i, true };
		uint64_t plen = p->frames[i].plen;
		struct cache_key key;
		void *object;

		if (from < plen && run.window) {
			frame_key(&key, p->no, i);
			if (cache_get(v->frames, &key, frame_load, &run,
				      &object) < 0)
				break;
			cache_put(v->frames, &key);
		}
		from = from > plen ? from - plen : 0;
		to = to > plen ? to - plen : 0;
	}
}
