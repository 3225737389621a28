/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A pack may be just what its session wrote, and yet hold something else than it says:
 * where the memory of that machine was bad, or where somebody wishes ill. So before
 * another pack is deleted for its sake, each chunk in it is opened and hashed. Frames
 * are opened one at a time, and the pack is in memory meanwhile.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/buf.h"
#include "store/base/log.h"
#include "store/catalog/catalog.h"
#include "store/collect/internal.h"
#include "store/crypt/crypt.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/mark/mark.h"
#include "store/pack_read.h"
#include "store/vault.h"

/* A pack in memory, being looked at. */
struct proof {
	struct cycle *cycle;
	const struct pack_row *row; /* as the database has it; borrowed */
	char object[OBJECT_NAME_MAX];
	uint8_t *bytes; /* owned */
	size_t len;
	struct seal_key key;
	struct pack_dir dir;
	uint8_t *in; /* a frame, sealed; owned */
	uint8_t *frame; /* the last one, in plain; owned */
	size_t next; /* the number of that, and one; 0: there is none */
	uint8_t *chunk; /* owned */
};

static int check_hash(const struct proof *p)
{
	uint8_t want[CRYPT_SHA256_LEN], got[CRYPT_SHA256_LEN];
	int r = format_pack_hash(p->row->name, want);

	if (r == 0)
		r = crypt_sha256(p->bytes, p->len, got);
	return r < 0 || memcmp(want, got, sizeof(got)) == 0 ? r : -EBADMSG;
}

/* Open its own directory: it has to be @known, that of the database. */
static int open_dir(struct proof *p, const struct buf *known)
{
	AUTO_BUF struct buf own = BUF_INIT;
	AUTO_FREE uint8_t *in = NULL;
	struct pack_ends ends;
	size_t len;
	int r;

	if (p->len != p->row->size ||
	    p->len < FORMAT_HEADER_LEN + CRYPT_TAG_LEN + FORMAT_TRAILER_LEN)
		return -EBADMSG;
	r = pack_open_ends(vault_keyring(p->cycle->vault), p->row->name,
			   p->bytes, p->bytes + p->len - FORMAT_TRAILER_LEN,
			   p->len, &ends);
	if (r < 0)
		return r;
	p->key = ends.key;
	explicit_bzero(&ends.key, sizeof(ends.key));
	len = (size_t)ends.dir.clen + CRYPT_TAG_LEN;
	in = malloc(len);
	if (!in || buf_reserve(&own, MAX(ends.dir.plen, 1u)) < 0)
		return -ENOMEM;
	/* The trailer adds up to the length of the pack: this lies within. */
	memcpy(in, p->bytes + ends.dir.off, len);
	r = format_open_frame(&p->key, FORMAT_DIR_FRAME, &ends.dir, in,
			      own.data);
	if (r < 0)
		return r;
	if (ends.kind != p->row->kind || ends.epoch != p->row->epoch ||
	    ends.dir.plen != known->len ||
	    memcmp(ends.salt, p->row->salt, sizeof(ends.salt)) != 0 ||
	    (known->len && memcmp(own.data, known->data, known->len) != 0))
		return -EBADMSG;
	return format_get_dir(known->data, known->len, p->object, false,
			      &p->dir);
}

static int open_frame(struct proof *p, size_t no)
{
	const struct frame *f = &p->dir.frames[no];
	size_t len = (size_t)f->clen + CRYPT_TAG_LEN;
	int r;

	if (p->next == no + 1)
		return 0;
	p->next = 0;
	if (f->off > p->len || len > p->len - f->off)
		return -EBADMSG;
	memcpy(p->in, p->bytes + f->off, len);
	r = format_open_frame(&p->key, (uint32_t)no, f, p->in, p->frame);
	p->next = r == 0 ? no + 1 : 0;
	return r;
}

/* Put a chunk together, and look whether it is the one that its name says. */
static int check_chunk(struct proof *p, const struct chunk_ref *ref)
{
	size_t done = 0, skip = ref->off, no = ref->frame;
	struct id real;
	int r = 0;

	/* That it lies in its frames format_get_dir() has seen to. */
	for (; done < ref->len && no < p->dir.nframes && r == 0; no++) {
		size_t plen = p->dir.frames[no].plen, n;

		n = MIN(ref->len - done, plen - MIN(skip, plen));
		r = open_frame(p, no);
		if (r == 0 && n > 0)
			memcpy(p->chunk + done, p->frame + skip, n);
		done += n;
		skip = 0;
	}
	if (r == 0 && done != ref->len)
		r = -EBADMSG;
	if (r == 0)
		r = keyring_id(vault_keyring(p->cycle->vault), ref->type,
			       p->chunk, ref->len, &real);
	return r < 0 || id_equal(&real, &ref->id) ? r : -EBADMSG;
}

static int check_chunks(struct proof *p)
{
	size_t i, longest = 0;
	int r = 0;

	for (i = 0; i < p->dir.nframes; i++)
		longest = MAX(longest, (size_t)p->dir.frames[i].clen);
	p->in = malloc(longest + CRYPT_TAG_LEN);
	p->frame = malloc(FORMAT_FRAME_MAX);
	p->chunk = malloc(FORMAT_CHUNK_MAX);
	if (!p->in || !p->frame || !p->chunk)
		return -ENOMEM;
	/* What nobody needs may be as it is. */
	for (i = 0; i < p->dir.nchunks && r == 0; i++)
		if (mark_has(p->cycle->mark, p->dir.chunks[i].type,
			     &p->dir.chunks[i].id))
			r = check_chunk(p, &p->dir.chunks[i]);
	return r;
}

int repack_prove(struct cycle *c, const struct pack_row *row,
		 const struct buf *dir)
{
	struct proof p = { .cycle = c, .row = row };
	int r = format_pack_object_name(row->name, p.object);

	if (r == 0)
		r = vault_get_all(c->vault, p.object, FORMAT_PACK_MAX, &p.bytes,
				  &p.len);
	if (r == 0)
		r = check_hash(&p);
	if (r == 0)
		r = open_dir(&p, dir);
	if (r == 0)
		r = check_chunks(&p);
	format_release_dir(&p.dir);
	explicit_bzero(&p.key, sizeof(p.key));
	free(p.bytes);
	free(p.in);
	free(p.frame);
	free(p.chunk);
	if (r == -EBADMSG)
		log_warn("%s: does not hold what it says: what other packs "
			 "hold of it stays; see: vmbackup check --read-data",
			 p.object);
	if (r == -ENOENT || r == -EOPNOTSUPP || r == -EFBIG ||
	    backend_error_is_of_object(r))
		return 0;
	return r < 0 ? r : 1;
}
