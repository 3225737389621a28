/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Boxes of any length, read in pieces.
 *
 * Nothing of a box may be believed before its seal was compared, and that stands
 * behind its last byte. So a box is gone through more than once. One of ordinary
 * length is kept, opened in place, and decompressed piece by piece. One that is
 * longer is fetched anew each time, a block after the other: the first time its
 * seal is compared, and what each block hashes to is noted; later a block that
 * is not the same as then is refused, so that a store cannot show one thing to
 * the seal and another to the reader.
 */
#include "config.h"

#include "store/vault_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/bytes.h"
#include "store/base/log.h"
#include "store/base/zip.h"

/* Longer ones are not kept: merged index objects, which are the longest that a
 * writer makes, are no longer. */
size_t box_pieces_kept_max = 17u << 20;
#define BLOCK_LEN (1u << 20)
#define PIECE_LEN (256u << 10)

struct box_pieces {
	struct vault *vault; /* borrowed */
	const char *name; /* borrowed */
	/* All of the object, opened in place; of a long one, what precedes its
	 * ciphertext. Owned. */
	uint8_t *raw;
	/* Of a long one: room for a block, and the hashes of all, once they are
	 * known. Owned. */
	uint8_t *block;
	uint8_t (*hashes)[CRYPT_SHA256_LEN];
	bool hashed;
	struct box box; /* points into raw */
	struct seal_key key;
};

void box_pieces_free(struct box_pieces *b)
{
	if (!b)
		return;
	explicit_bzero(&b->key, sizeof(b->key));
	free(b->raw);
	free(b->block);
	free(b->hashes);
	free(b);
}

static int fail_seal(const struct box_pieces *b)
{
	return fail(-EBADMSG,
		    "%s: damaged: its contents do not match their seal",
		    b->name);
}

/* Where block @i begins in the ciphertext, and how long it is. */
static size_t block_at(const struct box_pieces *b, size_t i, size_t *len_out)
{
	size_t off = i * BLOCK_LEN;

	*len_out = MIN(b->box.cipher_len - off, (size_t)BLOCK_LEN);
	return off;
}

static size_t nblocks(const struct box_pieces *b)
{
	return ((size_t)b->box.cipher_len + BLOCK_LEN - 1) / BLOCK_LEN;
}

/* Fetch block @i and look whether it is the same as before. */
static int fetch_block(struct box_pieces *b, size_t i)
{
	uint8_t hash[CRYPT_SHA256_LEN];
	size_t len, off = block_at(b, i, &len);
	int r = vault_get(b->vault, b->name, b->box.aad_len + off, b->block,
			  len);

	if (r == 0)
		r = crypt_sha256(b->block, len,
				 b->hashed ? hash : b->hashes[i]);
	if (r == 0 && b->hashed &&
	    !crypt_equal(hash, b->hashes[i], sizeof(hash)))
		r = fail(-EBADMSG,
			 "%s: damaged: it is not the same each time "
			 "that it is read",
			 b->name);
	return r;
}

static int open_block(struct box_pieces *b, struct crypt_opening *o, size_t i)
{
	size_t len;
	int r = fetch_block(b, i);

	(void)block_at(b, i, &len);
	return r == 0 ? crypt_opening_some(o, b->block, len, b->block) : r;
}

/* Go through all blocks, comparing the seal. */
static int compare_seal(struct box_pieces *b)
{
	struct crypt_opening *o;
	uint8_t tag[CRYPT_TAG_LEN];
	size_t i;
	int r = crypt_opening_new(&b->key, 0, b->raw, b->box.aad_len, &o);

	for (i = 0; i < nblocks(b) && r == 0; i++)
		r = open_block(b, o, i);
	if (r == 0)
		r = vault_get(b->vault, b->name,
			      b->box.aad_len + b->box.cipher_len, tag,
			      sizeof(tag));
	if (r == 0) {
		r = crypt_opening_end(o, tag);
		if (r == -EBADMSG)
			r = fail_seal(b);
	}
	b->hashed = r == 0;
	crypt_opening_free(o);
	return r;
}

/* ---- opening ---- */

static int open_kept(struct box_pieces *b, uint8_t type, size_t len)
{
	int r = format_parse_box(b->raw, len, type, b->name, &b->box);
	uint8_t *cipher;

	if (r == 0)
		r = format_box_key(b->vault->keyring, &b->box, b->name,
				   &b->key);
	if (r < 0)
		return r;
	cipher = b->raw + b->box.aad_len;
	r = crypt_open(&b->key, 0, b->raw, b->box.aad_len, cipher,
		       b->box.cipher_len, cipher);
	return r == -EBADMSG ? fail_seal(b) : r;
}

/* Fetch what precedes the ciphertext. */
static int fetch_head(struct box_pieces *b, uint64_t size)
{
	uint8_t head[FORMAT_BOX_LEN];
	uint32_t clear;
	int r = vault_get(b->vault, b->name, 0, head, sizeof(head));

	if (r < 0)
		return r;
	clear = get_le32(head + FORMAT_HEADER_LEN);
	if (clear > FORMAT_CLEAR_MAX || size > FORMAT_BOX_OBJECT_MAX)
		return fail(-EBADMSG,
			    "%s: damaged: its lengths do not add up "
			    "to its %llu bytes",
			    b->name, (unsigned long long)size);
	b->raw = malloc(sizeof(head) + clear);
	if (!b->raw)
		return -ENOMEM;
	/* The head is not read twice: a store that answers otherwise the second
	 * time would have lengths believed that there is no room for. */
	memcpy(b->raw, head, sizeof(head));
	return clear == 0 ? 0
			  : vault_get(b->vault, b->name, sizeof(head),
				      b->raw + sizeof(head), clear);
}

static int open_long(struct box_pieces *b, uint8_t type)
{
	struct backend_info info;
	int r = backend_head(b->vault->backend, b->name, &info);

	if (r == 0)
		r = fetch_head(b, info.size);
	if (r == 0)
		r = format_parse_box(b->raw, (size_t)info.size, type, b->name,
				     &b->box);
	if (r == 0)
		r = format_box_key(b->vault->keyring, &b->box, b->name,
				   &b->key);
	if (r < 0)
		return r;
	b->block = malloc(BLOCK_LEN);
	b->hashes = alloc_array(nblocks(b) + 1, sizeof(*b->hashes));
	if (!b->block || !b->hashes)
		return -ENOMEM;
	return compare_seal(b);
}

int box_pieces_open(struct vault *v, uint8_t type, const char *name,
		    struct box_pieces **out)
{
	struct box_pieces *b = calloc(1, sizeof(*b));
	size_t len;
	int r;

	*out = NULL;
	if (!b)
		return -ENOMEM;
	b->vault = v;
	b->name = name;
	r = vault_get_up_to(v, name, box_pieces_kept_max, &b->raw, &len);
	if (r == 0)
		r = open_kept(b, type, len);
	else if (r == -EFBIG)
		r = open_long(b, type);
	if (r < 0) {
		box_pieces_free(b);
		return r;
	}
	*out = b;
	return 0;
}

/* ---- reading ---- */

uint64_t box_pieces_len(const struct box_pieces *b)
{
	return b->box.plain_len;
}

/* Where the plaintext goes. */
struct plain_sink {
	int (*fn)(void *arg, const void *data, size_t len);
	void *arg;
	struct unzip *unzip; /* owned; NULL: nothing came yet, or as it is */
	uint8_t *piece; /* PIECE_LEN; owned */
	uint64_t given;
	bool ended; /* the zstd frame */
};

static int give(struct plain_sink *s, const struct box_pieces *b,
		const uint8_t *data, size_t len)
{
	s->given += len;
	/* Never more than whoever takes it was told. */
	if (s->given > b->box.plain_len)
		return fail_seal(b);
	return len ? s->fn(s->arg, data, len) : 0;
}

static int inflate(struct plain_sink *s, const struct box_pieces *b,
		   const uint8_t *data, size_t len)
{
	size_t n = 0;
	int r = 0;

	if (!s->unzip)
		r = unzip_new(data, len, b->box.plain_len, &s->unzip);
	while (r == 0 && (len > 0 || n > 0)) {
		if (s->ended)
			return fail_seal(b); /* something follows */
		r = unzip_some(s->unzip, &data, &len, s->piece, PIECE_LEN, &n);
		s->ended = r == 1;
		if (r < 0)
			break;
		r = give(s, b, s->piece, n);
		if (r != 0)
			return r;
		if (s->ended)
			n = 0;
	}
	return r == -EBADMSG ? fail_seal(b) : r;
}

static int take(struct plain_sink *s, const struct box_pieces *b,
		const uint8_t *data, size_t len)
{
	return b->box.codec == CODEC_RAW ? give(s, b, data, len)
					 : inflate(s, b, data, len);
}

static int read_kept(const struct box_pieces *b, struct plain_sink *s)
{
	size_t i, len;
	int r = 0;

	for (i = 0; i < nblocks(b) && r == 0; i++) {
		size_t off = block_at(b, i, &len);

		r = take(s, b, b->box.cipher + off, len);
	}
	return r;
}

static int read_long(struct box_pieces *b, struct plain_sink *s)
{
	struct crypt_opening *o;
	size_t i, len;
	int r = crypt_opening_new(&b->key, 0, b->raw, b->box.aad_len, &o);

	for (i = 0; i < nblocks(b) && r == 0; i++) {
		(void)block_at(b, i, &len);
		r = open_block(b, o, i);
		if (r == 0)
			r = take(s, b, b->block, len);
	}
	crypt_opening_free(o);
	return r;
}

int box_pieces_read(struct box_pieces *b,
		    int (*fn)(void *arg, const void *data, size_t len),
		    void *arg)
{
	struct plain_sink s = { .fn = fn, .arg = arg };
	int r;

	s.piece = malloc(PIECE_LEN);
	if (!s.piece)
		return -ENOMEM;
	r = b->hashes ? read_long(b, &s) : read_kept(b, &s);
	if (r == 0 && (s.given != b->box.plain_len ||
		       (b->box.codec == CODEC_ZSTD && !s.ended)))
		r = fail_seal(b);
	unzip_free(s.unzip);
	free(s.piece);
	return r;
}
