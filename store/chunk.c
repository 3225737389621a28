/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a chunk's id to its bytes: database -> pack -> frames -> slice. What the
 * database says is compared with the pack's directory: the database is a copy
 * that may rot, and what is authentic but of another chunk is no answer.
 *
 * Frames that a read covers whole are decoded straight into the caller's
 * memory; others through the cache of frames, where neighbours find them.
 * The compressed bytes of a run of frames are fetched with one backend read.
 */
#include "config.h"

#include "store/chunk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/bytes.h"
#include "store/base/cache.h"
#include "store/base/hex.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/catalog/catalog.h"
#include "store/crypt/keyring.h"
#include "store/pack_read.h"
#include "store/parity/reader.h"
#include "store/vault_internal.h"

/* Compressed bytes fetched at once. */
#define FETCH_MAX (2u << 20)
/* The index is read again for a missing chunk no more often than this. */
#define REFRESH_NS 5000000000
#define PROOF_BYTES 160 /* to remember that a copy of a chunk is right */

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

/* ---- frames ---- */

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

/* ---- chunks ---- */

/* Bytes [@off, @off + @len) of the chunk at @loc, in @pack. */
static int read_loc(struct vault *v, struct pack_info *pack,
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

static int rehash(struct vault *v, struct pack_info *pack, uint8_t type,
		  const struct id *id, const void *data, size_t len)
{
	char hex[2 * ID_LEN + 1];
	struct id real;
	int r = keyring_id(v->keyring, type, data, len, &real);

	if (r < 0 || id_equal(&real, id))
		return r;
	atomic_fetch_add(&v->damage, 1);
	hex_encode(id->b, ID_LEN, hex);
	return fail(-EBADMSG,
		    "chunk %s: in %s its bytes are authentic, but not those "
		    "of its name: whoever wrote it wrote something else; see: "
		    "vmbackup check --read-data",
		    hex, pack->object);
}

struct proving {
	struct vault *vault;
	struct pack_info *pack;
	const struct chunk_loc *loc;
	const struct id *id;
	uint8_t *out; /* all of it is to go there, and has; NULL: nowhere */
	bool was_read;
};

/* Of a copy in one pack: another may be something else. */
static void proof_key(const struct id *id, int64_t pack, struct cache_key *key)
{
	memcpy(key->b, id->b, sizeof(key->b));
	put_le64(key->b, get_le64(key->b) ^ (uint64_t)pack);
}

/* It stays the thread's. */
static uint8_t *room_for(size_t len)
{
	struct window *w = window_thread();

	if (w && w->chunk_cap < len) {
		free(w->chunk);
		w->chunk = malloc(len);
		w->chunk_cap = w->chunk ? len : 0;
	}
	return w ? w->chunk : NULL;
}

static int prove(void *arg, const struct cache_key *key, void **object_out,
		 size_t *bytes_out)
{
	struct proving *p = arg;
	uint8_t *whole = p->out ? p->out : room_for(p->loc->len);
	int r = -ENOMEM;

	(void)key;
	if (whole)
		r = read_loc(p->vault, p->pack, p->loc, 0, p->loc->len, !p->out,
			     whole);
	if (r == 0)
		r = rehash(p->vault, p->pack, p->loc->type, p->id, whole,
			   p->loc->len);
	if (r < 0)
		return r;
	p->was_read = p->out != NULL;
	*bytes_out = PROOF_BYTES;
	*object_out = malloc(1);
	return *object_out ? 0 : -ENOMEM;
}

/* A chunk is hashed as a whole before any of it is used, once: the seal proves who wrote
 * it, its name that it is what they meant. Of one of which a part is wanted the frames
 * are kept, for the rest is wanted next. */
static int read_proven(struct vault *v, struct pack_info *pack,
		       const struct chunk_loc *loc, const struct id *id,
		       uint32_t off, uint32_t len, uint8_t *out)
{
	bool is_whole = off == 0 && len == loc->len;
	struct proving p = { v, pack, loc, id, is_whole ? out : NULL, false };
	struct cache_key key;
	void *object;
	int r;

	if (v->no_verify)
		return read_loc(v, pack, loc, off, len, false, out);
	proof_key(id, loc->pack, &key);
	r = cache_get(v->proofs, &key, prove, &p, &object);
	if (r < 0)
		return r;
	cache_put(v->proofs, &key);
	return p.was_read ? 0
			  : read_loc(v, pack, loc, off, len, !is_whole, out);
}

/* Errors after which another copy of the chunk is worth trying. */
static bool try_other(int r)
{
	return backend_error_is_of_object(r) || r == -ENOENT;
}

/*
 * Might the index know more than it did when it was last read? A point that
 * was listed before then is whole in it; packs may have moved since.
 */
static bool index_is_old(struct vault *v)
{
	int64_t now = v->seam->ops->monotonic_ns(v->seam);

	return atomic_load(&v->refresh_lists) != atomic_load(&v->lists) ||
	       now - atomic_load(&v->refresh_ns) > REFRESH_NS;
}

/* The packs that hold a chunk, one after the other. */
struct search {
	struct vault *vault;
	const struct id *id;
	struct chunk_loc loc; /* of the last one found */
	struct pack_info *pack; /* it, held; NULL: none */
	uint64_t mends; /* vault->mends, before anything was asked */
	bool refreshed; /* the index was read again */
	bool is_gone; /* the pack is, which was not known */
	bool found; /* something was, at least once */
	bool doubted; /* something that the database said was wrong */
	bool lost; /* a pack that the index names is not there */
};

static struct search search_begin(struct vault *v, const struct id *id)
{
	return (struct search){ .vault = v,
				.id = id,
				.mends = atomic_load(&v->mends) };
}

static void search_end(struct search *s)
{
	pack_put(s->vault, s->pack);
	s->pack = NULL;
}

#define AUTO_SEARCH CLEANUP(search_end)

/* Ask the database for the next, and for those that are newer if it has none. */
static int ask(struct search *s)
{
	struct vault *v = s->vault;
	int r = 0;

	if (!atomic_load(&v->index_read)) {
		s->refreshed = true;
		r = vault_refresh(v);
	}
	if (r == 0)
		r = catalog_find_chunk(v->catalog, s->id, s->loc.pack, &s->loc);
	if (r == -ENOENT && !s->refreshed && (s->is_gone || index_is_old(v))) {
		s->refreshed = true;
		r = vault_refresh(v);
		if (r == 0)
			r = catalog_find_chunk(v->catalog, s->id, s->loc.pack,
					       &s->loc);
	}
	return r;
}

/*
 * Find the next pack. A row that its pack's directory does not bear out is
 * dropped, and so is one whose pack is not known: the next one is as good. Only
 * where none is left the whole index is read again, and then all are new;
 * that is done once, too, where the database does not know the chunk at all, or where
 * a pack is gone: another one may hold it that no index object names, as in a copy that
 * was made while packs were written anew.
 * Return 0; -ENOENT (there are no more); or another negative errno.
 */
static int search_next(struct search *s)
{
	struct vault *v = s->vault;
	int r;

	search_end(s);
	for (;;) {
		r = ask(s);
		if (r == 0)
			r = pack_get(v, s->loc.pack, &s->pack);
		if (r == 0 && pack_has(v, s->pack, s->id, &s->loc)) {
			s->found = true;
			return 0;
		}
		search_end(s);
		if (r == 0 || r == -ESTALE) {
			s->doubted = true;
			r = catalog_drop_chunk(v->catalog, s->id, &s->loc);
		} else if (r == -ENOENT &&
			   (s->doubted ||
			    ((!s->found || s->lost) && s->mends == 0))) {
			r = vault_mend(v, s->mends, s->doubted);
			s->mends = atomic_load(&v->mends);
			s->doubted = s->lost = false;
			s->loc.pack = 0;
		}
		if (r < 0)
			return r;
	}
}

/* Why the last pack was of no use. One that is gone may have been written anew just
 * now, and however young the index is, it is asked once for each such pack: the new
 * one was named before the old one went. */
static void note_failure(struct search *s, int last)
{
	char name[OBJECT_NAME_MAX];

	/* A backend that does not answer has no newer index. */
	s->refreshed |= last == -EIO;
	if (last != -ENOENT)
		return;
	s->lost = true;
	snprintf(name, sizeof(name), "gone/%s", s->pack->name);
	s->is_gone = vault_is_news(s->vault, name);
	s->refreshed &= !s->is_gone;
}

static int missing(struct vault *v, const struct id *id, const char *why)
{
	char hex[2 * ID_LEN + 1];

	atomic_fetch_add(&v->damage, 1);
	hex_encode(id->b, ID_LEN, hex);
	return fail(-EBADMSG,
		    "chunk %s: %s; run \"vmbackup check\" to see "
		    "what is affected",
		    hex, why);
}

/* No copy could be read. @r: why there is no other; @last: what was wrong with the last
 * one, or 0. */
static int none_left(struct vault *v, const struct id *id, int r, int last)
{
	if (r != -ENOENT)
		return r;
	if (last == -EIO || last == -EPERM)
		return -EIO;
	return missing(v, id,
		       last == -EBADMSG	 ? "damaged"
		       : last == -ENOENT ? "its pack is missing"
					 : "no index knows it");
}

/* Read part of a chunk; all of it, and hashed whatever the options are, where
 * @is_named. */
static int read_any(struct vault *v, uint8_t type, const struct id *id,
		    uint32_t total, uint32_t off, uint32_t len, bool is_named,
		    void *out)
{
	AUTO_SEARCH struct search s = search_begin(v, id);
	int r, last = 0;

	while ((r = search_next(&s)) == 0) {
		/* A copy that cannot be the one that was meant: try the next. */
		if (s.loc.type != type || s.loc.len != total || off > total ||
		    len > total - off) {
			last = -EBADMSG;
			continue;
		}
		last = is_named
			       ? read_loc(v, s.pack, &s.loc, 0, len, false, out)
			       : read_proven(v, s.pack, &s.loc, id, off, len,
					     out);
		if (last == 0 && is_named)
			last = rehash(v, s.pack, type, id, out, len);
		if (!try_other(last))
			return last;
		note_failure(&s, last);
	}
	return none_left(v, id, r, last);
}

int chunk_read(struct vault *v, uint8_t type, const struct id *id,
	       uint32_t total, uint32_t off, uint32_t len, void *out)
{
	return read_any(v, type, id, total, off, len, false, out);
}

int chunk_read_named(struct vault *v, uint8_t type, const struct id *id,
		     uint32_t total, void *out)
{
	return read_any(v, type, id, total, 0, total, true, out);
}

/* How long it is the copies say, and of one that somebody put under this name to hide
 * the others that is not true. So each is read with its own length. */
int chunk_read_all(struct vault *v, uint8_t type, const struct id *id,
		   struct buf *out)
{
	AUTO_SEARCH struct search s = search_begin(v, id);
	int r, last = 0;

	while ((r = search_next(&s)) == 0) {
		if (s.loc.type != type || s.loc.len > FORMAT_CHUNK_MAX) {
			last = -EBADMSG;
			continue;
		}
		r = buf_reserve(out, s.loc.len);
		if (r < 0)
			return r;
		last = read_proven(v, s.pack, &s.loc, id, 0, s.loc.len,
				   out->data + out->len);
		if (last == 0)
			out->len += s.loc.len;
		if (!try_other(last))
			return last;
		note_failure(&s, last);
	}
	return none_left(v, id, r, last);
}

void chunk_prefetch(struct vault *v, const struct id *id, uint32_t off,
		    uint32_t len)
{
	struct chunk_loc loc;
	struct pack_info *p;
	uint64_t from, to;
	uint32_t i;

	if (catalog_find_chunk(v->catalog, id, 0, &loc) < 0 ||
	    pack_get(v, loc.pack, &p) < 0)
		return;
	from = (uint64_t)loc.off + off;
	to = from + len;
	for (i = loc.frame; i < p->nframes && to > 0; i++) {
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
	pack_put(v, p);
}
