/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Frames are gathered compressed but unsealed, each with room for its tag.
 * Sealing waits until the pack is full: the salt, and with it the key, depends
 * on all the chunks in it, so that even a random generator that repeats itself
 * cannot make one key seal two different packs.
 */
#include "config.h"

#include "store/writer/pack.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/base/zip.h"
#include "store/crypt/keyring.h"

/* The frame at the end of @out has to give @data back; the room behind it is
 * where that is tried. */
static int check_frame(struct zip *z, const uint8_t *data, size_t len,
		       struct buf *out, size_t clen)
{
	int r;

	if (buf_reserve(out, len) < 0)
		return -ENOMEM;
	r = zip_decompress(z, out->data + out->len - clen, clen,
			   out->data + out->len, len);
	if (r == -EBADMSG ||
	    (r == 0 && memcmp(out->data + out->len, data, len) != 0))
		r = fail(-EIO,
			 "what was compressed does not decompress to what it "
			 "was: this machine's memory or processor has a fault; "
			 "nothing of it was stored");
	return r;
}

int packed_frame_make(struct zip *z, const uint8_t *data, size_t len,
		      struct buf *out, struct packed_frame *f)
{
	ssize_t n;

	if (buf_reserve(out, zip_bound(len)) < 0)
		return -ENOMEM;
	n = zip_compress(z, data, len, out->data + out->len,
			 out->cap - out->len);
	if (n < 0)
		return (int)n;
	f->plen = (uint32_t)len;
	f->codec = n ? CODEC_ZSTD : CODEC_RAW;
	f->clen = n ? (uint32_t)n : f->plen;
	if (n == 0)
		memcpy(out->data + out->len, data, len);
	out->len += f->clen;
	return n ? check_frame(z, data, len, out, f->clen) : 0;
}

struct pack *pack_new(uint8_t kind)
{
	struct pack *p = calloc(1, sizeof(*p));
	uint8_t head[FORMAT_HEADER_LEN] = { 0 };

	if (!p)
		return NULL;
	p->kind = kind;
	buf_put(&p->bytes, head, sizeof(head));
	if (buf_error(&p->bytes) < 0) {
		pack_free(p);
		return NULL;
	}
	return p;
}

void pack_free(struct pack *p)
{
	if (!p)
		return;
	buf_release(&p->bytes);
	buf_release(&p->plain_dir);
	format_release_dir(&p->dir);
	free(p);
}

int pack_append(struct pack *p, const struct packed_frame *frames,
		size_t nframes, const struct chunk_ref *chunks, size_t nchunks)
{
	static const uint8_t tag[CRYPT_TAG_LEN];
	struct pack_dir *d = &p->dir;
	size_t i, bytes = 0;

	for (i = 0; i < nframes; i++)
		bytes += frames[i].clen + sizeof(tag);
	if (array_reserve(&d->frames, &p->frames_cap, d->nframes + nframes) <
		    0 ||
	    array_reserve(&d->chunks, &p->chunks_cap, d->nchunks + nchunks) <
		    0 ||
	    buf_reserve(&p->bytes, bytes) < 0)
		return -ENOMEM;
	/* All memory is there: from here on nothing can fail halfway. */
	for (i = 0; i < nchunks; i++) {
		d->chunks[d->nchunks] = chunks[i];
		d->chunks[d->nchunks++].frame += (uint32_t)d->nframes;
	}
	for (i = 0; i < nframes; i++) {
		struct frame *f = &d->frames[d->nframes++];

		f->off = p->bytes.len;
		f->clen = frames[i].clen;
		f->plen = frames[i].plen;
		f->codec = frames[i].codec;
		buf_put(&p->bytes, frames[i].data, frames[i].clen);
		buf_put(&p->bytes, tag, sizeof(tag));
	}
	return 0;
}

bool pack_full(const struct pack *p)
{
	const struct pack_dir *d = &p->dir;

	return p->bytes.len >= FORMAT_PACK_TARGET ||
	       d->nframes * FORMAT_DIR_FRAME_MAX +
			       d->nchunks * FORMAT_DIR_CHUNK_MAX >=
		       FORMAT_DIR_TARGET;
}

static int seal_frame(struct pack *p, const struct seal_key *key,
		      uint32_t number, const struct frame *f)
{
	uint8_t aad[FORMAT_FRAME_AAD_LEN];

	format_frame_aad(aad, number, f);
	return crypt_seal(key, number, aad, sizeof(aad), p->bytes.data + f->off,
			  f->clen);
}

/* Directory frame and trailer. */
static int put_end(struct pack *p, const struct seal_key *key)
{
	struct frame f = { .off = p->bytes.len };
	uint8_t tail[FORMAT_TRAILER_LEN];
	struct pack_trailer t;
	ssize_t n = 0;
	int r;

	r = buf_reserve(&p->bytes, zip_bound(p->plain_dir.len) + CRYPT_TAG_LEN +
					   FORMAT_TRAILER_LEN);
	if (r < 0)
		return r;
	f.plen = (uint32_t)p->plain_dir.len;
	if (zip_thread())
		n = zip_compress(zip_thread(), p->plain_dir.data,
				 p->plain_dir.len, p->bytes.data + f.off,
				 p->bytes.cap - p->bytes.len);
	f.codec = n > 0 ? CODEC_ZSTD : CODEC_RAW;
	f.clen = n > 0 ? (uint32_t)n : f.plen;
	if (n <= 0)
		memcpy(p->bytes.data + f.off, p->plain_dir.data, f.plen);
	p->bytes.len += f.clen + CRYPT_TAG_LEN;
	r = seal_frame(p, key, FORMAT_DIR_FRAME, &f);
	t = (struct pack_trailer){ f.off, f.clen, f.plen, f.codec };
	format_put_trailer(tail, &t);
	buf_put(&p->bytes, tail, sizeof(tail));
	return r;
}

int pack_seal(struct pack *p, const struct keyring *k, struct seam *seam,
	      const char *sid, unsigned int n)
{
	struct object_header h = { .type = p->kind, .epoch = keyring_epoch(k) };
	uint8_t digest[CRYPT_SHA256_LEN];
	char name[OBJECT_NAME_MAX], hex[2 * CRYPT_SHA256_LEN + 1];
	struct seal_key key;
	size_t i;
	int r;

	snprintf(name, sizeof(name), "pack/%s-%u", sid, n);
	memcpy(h.vault_id, keyring_vault_id(k), VAULT_ID_LEN);
	/* What the salt is hedged with: all chunks, and how they are cut into
	 * frames of which lengths. */
	format_put_dir(&p->plain_dir, &p->dir);
	r = buf_error(&p->plain_dir);
	/* pack_full() sees to it. */
	assert(p->plain_dir.len <= FORMAT_DIR_MAX);
	if (r == 0)
		r = crypt_sha256(p->plain_dir.data, p->plain_dir.len, digest);
	if (r == 0)
		r = keyring_salt(k, seam, name, digest, h.salt);
	if (r == 0)
		r = keyring_seal_key(k, p->kind, h.epoch, name, h.salt, &key);
	if (r < 0)
		return r;
	/* The name under which it is sealed is without its hash, which is not
	 * known before; the hash is for whoever has no key. */
	memcpy(h.commit, key.commit, CRYPT_COMMIT_LEN);
	p->epoch = h.epoch;
	memcpy(p->salt, h.salt, CRYPT_SALT_LEN);
	format_put_header(p->bytes.data, &h);
	for (i = 0; i < p->dir.nframes && r == 0; i++)
		r = seal_frame(p, &key, (uint32_t)i, &p->dir.frames[i]);
	if (r == 0)
		r = put_end(p, &key);
	explicit_bzero(&key, sizeof(key));
	if (r == 0)
		r = crypt_sha256(p->bytes.data, p->bytes.len, digest);
	if (r < 0)
		return r;
	assert(p->bytes.len <= FORMAT_PACK_MAX);
	hex_encode(digest, sizeof(digest), hex);
	snprintf(p->name, sizeof(p->name), "%s-%u-%s", sid, n, hex);
	return 0;
}
