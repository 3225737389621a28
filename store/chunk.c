/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a chunk's id to its bytes: database -> pack -> frames -> slice. What the
 * database says is compared with the pack's directory: the database is a copy
 * that may rot, and what is authentic but of another chunk is no answer.
 *
 * How frames are read is the business of store/pack_read.c.
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

/* The index is read again for a missing chunk no more often than this. */
#define REFRESH_NS 5000000000
#define PROOF_BYTES 160 /* to remember that a copy of a chunk is right */

/* ---- chunks ---- */

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

static int prove(void *arg, const struct cache_key *key, void **object_out,
		 size_t *bytes_out)
{
	struct proving *p = arg;
	uint8_t *whole = p->out ? p->out : pack_scratch(p->loc->len);
	int r = -ENOMEM;

	(void)key;
	if (whole)
		r = pack_read(p->vault, p->pack, p->loc, 0, p->loc->len,
			      !p->out, whole);
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

	/* Who makes points and reads none is believed no name at all. */
	if (v->no_verify && vault_is_own(v, pack->name))
		return pack_read(v, pack, loc, off, len, false, out);
	proof_key(id, loc->pack, &key);
	r = cache_get(v->proofs, &key, prove, &p, &object);
	if (r < 0)
		return r;
	cache_put(v->proofs, &key);
	return p.was_read ? 0
			  : pack_read(v, pack, loc, off, len, !is_whole, out);
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
		last = is_named ? pack_read(v, s.pack, &s.loc, 0, len, false,
					    out)
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

	if (catalog_find_chunk(v->catalog, id, 0, &loc) < 0 ||
	    pack_get(v, loc.pack, &p) < 0)
		return;
	pack_prefetch(v, p, &loc, off, len);
	pack_put(v, p);
}
