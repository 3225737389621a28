/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Objects to bytes, and back.
 *
 * Nothing here trusts what it reads. A header says which key would open an
 * object, so it is believed before the seal can be checked; therefore all its
 * lengths are bounded and must add up to the object's length exactly, and a
 * wrong one can only make the seal fail. What is sealed is checked again after
 * it opens: it is authentic then, but who wrote it may have been mistaken.
 *
 * An object's name goes into its key. A box or pack that is copied over another
 * one, an old version put back under a new name, or a frame moved within a pack
 * does not open, so a store that shuffles objects is found out like one that
 * changes them. Before the tag comes the commitment to the key: it tells
 * "another key, or another name" from "damaged bytes" in one comparison.
 *
 * Small things are compressed with the thread's own compressor, if that helps;
 * the length of the plaintext is in the header, so that nothing that is read
 * decides how much memory a decompression takes beyond a fixed bound.
 */
#include "config.h"

#include "store/format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/bytes.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/base/zip.h"
#include "store/crypt/keyring.h"

_Static_assert(8 + 2 + 1 + 1 + 4 + VAULT_ID_LEN + CRYPT_SALT_LEN +
			       CRYPT_COMMIT_LEN ==
		       FORMAT_HEADER_LEN,
	       "header");
_Static_assert(FORMAT_HEADER_LEN + 4 * 3 + 1 + 3 == FORMAT_BOX_LEN, "box");

void format_put_header(uint8_t *out, const struct object_header *h)
{
	memset(out, 0, FORMAT_HEADER_LEN);
	memcpy(out, FORMAT_MAGIC, 8);
	put_le16(out + 8, FORMAT_VERSION);
	out[10] = h->type;
	put_le32(out + 12, h->epoch);
	memcpy(out + 16, h->vault_id, VAULT_ID_LEN);
	memcpy(out + 32, h->salt, CRYPT_SALT_LEN);
	memcpy(out + 64, h->commit, CRYPT_COMMIT_LEN);
}

int format_get_header(const void *data, size_t len, const char *what,
		      struct object_header *out)
{
	const uint8_t *p = data;
	unsigned int version;

	if (len < FORMAT_HEADER_LEN)
		return fail(-EBADMSG, "%s: damaged: only %zu bytes long", what,
			    len);
	if (memcmp(p, FORMAT_MAGIC, 8) != 0)
		return fail(-EBADMSG,
			    "%s: damaged, or not of a vault: "
			    "it does not begin with the vault's mark",
			    what);
	/* A later version may have changed all that follows, so it is the first
	 * thing to ask about; "damaged" would be a lie to a user who only needs
	 * to upgrade. */
	version = get_le16(p + 8);
	if (version > FORMAT_VERSION)
		return fail(-EOPNOTSUPP,
			    "%s: written in format %u; this "
			    "program knows formats up to %d: use a newer one",
			    what, version, FORMAT_VERSION);
	if (version == 0 || p[11] != 0)
		return fail(-EBADMSG, "%s: damaged header", what);
	out->type = p[10];
	out->epoch = get_le32(p + 12);
	memcpy(out->vault_id, p + 16, VAULT_ID_LEN);
	memcpy(out->salt, p + 32, CRYPT_SALT_LEN);
	memcpy(out->commit, p + 64, CRYPT_COMMIT_LEN);
	return 0;
}

/* "Damaged" would be untrue of such an object, but where a bit of its header was
 * flipped. */
int format_fail_epoch(const char *name, uint32_t epoch)
{
	return fail(-EOPNOTSUPP,
		    "%s: sealed with keys of epoch %u, which is later than "
		    "those that the key in use opens: use a newer key, for the "
		    "vault's were rotated, or a newer vmbackup",
		    name, epoch);
}

/* A key slot has a base key of its own; all others have the vault's. */
static int derive(const struct keyring *k, const uint8_t *base,
		  const struct object_header *h, const char *name,
		  struct seal_key *out)
{
	int r;

	if (base)
		return crypt_seal_key(base, h->vault_id, h->type, h->epoch,
				      name, h->salt, out);
	r = keyring_seal_key(k, h->type, h->epoch, name, h->salt, out);
	return r == -EOPNOTSUPP ? format_fail_epoch(name, h->epoch) : r;
}

/* The salt of a box of a key slot has no keyring to hedge with: the bytes
 * are the kernel's, and a slot is written once for a human's command. */
static int fresh_salt(const struct keyring *k, struct seam *seam,
		      const char *name, const void *plain, size_t len,
		      uint8_t *salt)
{
	uint8_t digest[CRYPT_SHA256_LEN];
	int r;

	if (!k)
		return seam->ops->random(seam, salt, CRYPT_SALT_LEN);
	r = crypt_sha256(plain, len, digest);
	if (r < 0)
		return r;
	return keyring_salt(k, seam, name, digest, salt);
}

int format_seal_box(const struct keyring *k, const uint8_t *base,
		    const uint8_t *vault_id, struct seam *seam, uint8_t type,
		    const char *name, const void *clear, size_t clear_len,
		    const void *plain, size_t plain_len, struct buf *out)
{
	return format_seal_box_of(k, base, vault_id, seam, type,
				  base ? 0 : keyring_epoch(k), name, clear,
				  clear_len, plain, plain_len, out);
}

int format_seal_box_of(const struct keyring *k, const uint8_t *base,
		       const uint8_t *vault_id, struct seam *seam, uint8_t type,
		       uint32_t epoch, const char *name, const void *clear,
		       size_t clear_len, const void *plain, size_t plain_len,
		       struct buf *out)
{
	struct object_header h = { .type = type, .epoch = epoch };
	struct seal_key key;
	uint8_t fixed[16] = { 0 };
	uint8_t head[FORMAT_HEADER_LEN];
	ssize_t packed = 0;
	size_t start;
	int r;

	buf_clear(out);
	if (clear_len > FORMAT_CLEAR_MAX || plain_len > FORMAT_BOX_MAX)
		return fail(-EMSGSIZE, "%s: too large to store", name);
	memcpy(h.vault_id, vault_id ? vault_id : keyring_vault_id(k),
	       VAULT_ID_LEN);
	r = fresh_salt(base ? NULL : k, seam, name, plain, plain_len, h.salt);
	if (r < 0)
		return r;
	r = derive(k, base, &h, name, &key);
	if (r < 0)
		return r;
	memcpy(h.commit, key.commit, CRYPT_COMMIT_LEN);
	format_put_header(head, &h);
	buf_put(out, head, sizeof(head));
	buf_put(out, fixed, sizeof(fixed));
	buf_put(out, clear, clear_len);
	start = out->len;
	r = buf_reserve(out,
			MAX(plain_len, zip_bound(plain_len)) + CRYPT_TAG_LEN);
	if (r < 0)
		goto out;
	/* Below that zstd's own header eats what compressing saves. */
	if (plain_len >= 128 && zip_thread())
		packed = zip_compress(zip_thread(), plain, plain_len,
				      out->data + start, out->cap - start);
	if (packed <= 0) {
		if (plain_len)
			memcpy(out->data + start, plain, plain_len);
		packed = (ssize_t)plain_len;
		out->data[108] = CODEC_RAW;
	} else {
		out->data[108] = CODEC_ZSTD;
	}
	/* The lengths are associated data, so they must stand before sealing. */
	put_le32(out->data + 96, (uint32_t)clear_len);
	put_le32(out->data + 100, (uint32_t)plain_len);
	put_le32(out->data + 104, (uint32_t)packed);
	r = crypt_seal(&key, 0, out->data, start, out->data + start,
		       (size_t)packed);
	out->len = start + (size_t)packed + CRYPT_TAG_LEN;
out:
	explicit_bzero(&key, sizeof(key));
	return r;
}

int format_parse_box(const void *data, size_t len, uint8_t type,
		     const char *name, struct box *out)
{
	const uint8_t *p = data;
	int r = format_get_header(data, len, name, &out->header);

	if (r < 0)
		return r;
	if (out->header.type != type)
		return fail(-EBADMSG,
			    "%s: damaged or misplaced: an object of "
			    "type %u where type %u belongs",
			    name, out->header.type, type);
	if (len < FORMAT_BOX_LEN)
		return fail(-EBADMSG, "%s: damaged: it ends in its header",
			    name);
	out->object = p;
	out->clear_len = get_le32(p + 96);
	out->plain_len = get_le32(p + 100);
	out->cipher_len = get_le32(p + 104);
	out->codec = p[108];
	if (out->clear_len > FORMAT_CLEAR_MAX ||
	    out->plain_len > FORMAT_BOX_MAX ||
	    out->cipher_len > FORMAT_BOX_MAX || out->codec > CODEC_ZSTD ||
	    (out->codec == CODEC_RAW && out->cipher_len != out->plain_len) ||
	    p[109] || p[110] || p[111] ||
	    (uint64_t)FORMAT_BOX_LEN + out->clear_len + out->cipher_len +
			    CRYPT_TAG_LEN !=
		    len)
		return fail(-EBADMSG,
			    "%s: damaged: its lengths do not add up "
			    "to its %zu bytes",
			    name, len);
	out->clear = p + FORMAT_BOX_LEN;
	out->aad_len = FORMAT_BOX_LEN + out->clear_len;
	out->cipher = p + out->aad_len;
	return 0;
}

/* Return 0, -EKEYREJECTED or another negative errno; wipe the key after 0. */
static int get_box_key(const struct keyring *k, const uint8_t *base,
		       const struct box *box, const char *name,
		       struct seal_key *out)
{
	int r;

	if (!base && memcmp(box->header.vault_id, keyring_vault_id(k),
			    VAULT_ID_LEN) != 0)
		return fail(-EBADMSG, "%s: belongs to another vault", name);
	r = derive(k, base, &box->header, name, out);
	if (r < 0)
		return r;
	/* No word on it here: of a key slot it means a wrong password, which is
	 * tried on each slot, and of all else it means damage. */
	if (crypt_equal(out->commit, box->header.commit, CRYPT_COMMIT_LEN))
		return 0;
	explicit_bzero(out, sizeof(*out));
	return -EKEYREJECTED;
}

int format_open_box(const struct keyring *k, const uint8_t *base,
		    const struct box *box, const char *name, struct buf *out)
{
	AUTO_BUF struct buf packed = BUF_INIT;
	struct seal_key key;
	uint8_t *plain;
	int r;

	buf_clear(out);
	r = get_box_key(k, base, box, name, &key);
	if (r < 0)
		return r;
	r = buf_reserve(out, box->plain_len + 1u);
	if (r == 0 && box->codec == CODEC_ZSTD)
		r = buf_reserve(&packed, box->cipher_len + 1u);
	if (r < 0)
		goto out;
	plain = box->codec == CODEC_ZSTD ? packed.data : out->data;
	r = crypt_open(&key, 0, box->object, box->aad_len, box->cipher,
		       box->cipher_len, plain);
	if (r == 0 && box->codec == CODEC_ZSTD)
		r = zip_thread() ? zip_decompress(zip_thread(), packed.data,
						  box->cipher_len, out->data,
						  box->plain_len)
				 : -ENOMEM;
	if (r == -EBADMSG)
		(void)fail(r,
			   "%s: damaged: its contents do not match their "
			   "seal",
			   name);
	if (r == 0)
		out->len = box->plain_len;
out:
	explicit_bzero(&key, sizeof(key));
	return r;
}

static int fail_misplaced(const char *name)
{
	return fail(-EBADMSG,
		    "%s: damaged or misplaced: it is not "
		    "sealed for this vault under this name",
		    name);
}

int format_read_box(const struct keyring *k, const void *data, size_t len,
		    uint8_t type, const char *name, struct buf *out)
{
	struct box box;
	int r = format_parse_box(data, len, type, name, &box);

	if (r < 0)
		return r;
	r = format_open_box(k, NULL, &box, name, out);
	return r == -EKEYREJECTED ? fail_misplaced(name) : r;
}

int format_box_key(const struct keyring *k, const struct box *box,
		   const char *name, struct seal_key *out)
{
	int r = get_box_key(k, NULL, box, name, out);

	return r == -EKEYREJECTED ? fail_misplaced(name) : r;
}

/* A frame's place and lengths are sealed with it, so that the directory, which
 * says where frames are, cannot be wrong about one without that being seen. */
void format_frame_aad(uint8_t aad[FORMAT_FRAME_AAD_LEN], uint32_t number,
		      const struct frame *f)
{
	put_le32(aad, number);
	put_le64(aad + 4, f->off);
	put_le32(aad + 12, f->clen);
	put_le32(aad + 16, f->plen);
	aad[20] = f->codec;
}

void format_put_dir(struct buf *out, const struct pack_dir *dir)
{
	size_t i;

	buf_put_varint(out, dir->nframes);
	for (i = 0; i < dir->nframes; i++) {
		buf_put_varint(out, dir->frames[i].clen);
		buf_put_varint(out, dir->frames[i].plen);
		buf_put_u8(out, dir->frames[i].codec);
	}
	buf_put_varint(out, dir->nchunks);
	for (i = 0; i < dir->nchunks; i++) {
		buf_put_u8(out, dir->chunks[i].type);
		buf_put(out, dir->chunks[i].id.b, ID_LEN);
		buf_put_varint(out, dir->chunks[i].len);
		buf_put_varint(out, dir->chunks[i].frame);
		buf_put_varint(out, dir->chunks[i].off);
	}
}

void format_release_dir(struct pack_dir *dir)
{
	free(dir->frames);
	free(dir->chunks);
	memset(dir, 0, sizeof(*dir));
}

/* A frame costs at least 3 bytes of directory, a chunk 36: so what a count
 * makes us allocate is bounded by what was read. */
static int get_frames(struct reader *r, struct pack_dir *out)
{
	uint64_t off = FORMAT_HEADER_LEN;
	size_t n, i;

	n = (size_t)reader_varint_max(r, reader_left(r) / 3);
	if (r->bad)
		return -EBADMSG;
	out->frames = alloc_array(n, sizeof(*out->frames));
	if (!out->frames)
		return -ENOMEM;
	out->nframes = n;
	for (i = 0; i < n; i++) {
		struct frame *f = &out->frames[i];

		f->clen = (uint32_t)reader_varint_max(r, FORMAT_FRAME_MAX);
		f->plen = (uint32_t)reader_varint_max(r, FORMAT_FRAME_MAX);
		f->codec = reader_u8(r);
		f->off = off;
		off += f->clen + CRYPT_TAG_LEN;
		if (r->bad || f->plen == 0 || f->codec > CODEC_ZSTD ||
		    off > FORMAT_PACK_MAX ||
		    (f->codec == CODEC_RAW && f->clen != f->plen))
			return -EBADMSG;
	}
	return 0;
}

/* A slice of one frame, or whole frames to the end of the last. */
static bool chunk_fits(const struct pack_dir *dir, const struct chunk_ref *c)
{
	uint64_t left = c->len;
	size_t i = c->frame;

	if (i >= dir->nframes)
		return false;
	if ((uint64_t)c->off + c->len <= dir->frames[i].plen)
		return c->len > 0;
	if (c->off != 0)
		return false;
	for (; i < dir->nframes && left >= dir->frames[i].plen; i++)
		left -= dir->frames[i].plen;
	return left == 0;
}

static int get_chunk(struct reader *r, const struct pack_dir *dir,
		     struct chunk_ref *c)
{
	const uint8_t *id;

	c->type = reader_u8(r);
	id = reader_get(r, ID_LEN);
	if (id)
		memcpy(c->id.b, id, ID_LEN);
	c->len = (uint32_t)reader_varint_max(r, FORMAT_CHUNK_MAX);
	c->frame = (uint32_t)reader_varint_max(r, UINT32_MAX);
	c->off = (uint32_t)reader_varint_max(r, FORMAT_FRAME_MAX);
	return !r->bad && chunk_fits(dir, c) ? 0 : -EBADMSG;
}

static int get_chunks(struct reader *r, struct pack_dir *out)
{
	size_t n, i;
	int err = 0;

	n = (size_t)reader_varint_max(r, reader_left(r) / 36);
	if (r->bad)
		return -EBADMSG;
	out->chunks = alloc_array(n, sizeof(*out->chunks));
	if (!out->chunks)
		return -ENOMEM;
	out->nchunks = n;
	for (i = 0; i < n && err == 0; i++)
		err = get_chunk(r, out, &out->chunks[i]);
	return err == 0 && reader_done(r) ? 0 : -EBADMSG;
}

/* The same, but they are only looked at. */
static int pass_chunks(struct reader *r, const struct pack_dir *dir)
{
	struct chunk_ref c;
	size_t n = (size_t)reader_varint_max(r, reader_left(r) / 36), i;
	int err = r->bad ? -EBADMSG : 0;

	for (i = 0; i < n && err == 0; i++)
		err = get_chunk(r, dir, &c);
	return err == 0 && reader_done(r) ? 0 : -EBADMSG;
}

static int fail_dir(const char *pack)
{
	return fail(-EBADMSG, "pack %s: its directory is malformed", pack);
}

int format_get_dir(const void *data, size_t len, const char *pack,
		   bool frames_only, struct pack_dir *out)
{
	struct reader r;
	int err;

	memset(out, 0, sizeof(*out));
	if (len > FORMAT_DIR_MAX)
		return fail(-EBADMSG, "pack %s: its directory is too long",
			    pack);
	reader_init(&r, data, len);
	err = get_frames(&r, out);
	if (err == 0 && !frames_only)
		err = get_chunks(&r, out);
	if (err < 0)
		format_release_dir(out);
	return err == -EBADMSG ? fail_dir(pack) : err;
}

int format_check_dir(const void *data, size_t len, const char *pack)
{
	struct pack_dir dir = { .nframes = 0 };
	struct reader r;
	int err;

	if (len > FORMAT_DIR_MAX)
		return fail(-EBADMSG, "pack %s: its directory is too long",
			    pack);
	reader_init(&r, data, len);
	err = get_frames(&r, &dir);
	if (err == 0)
		err = pass_chunks(&r, &dir);
	format_release_dir(&dir);
	return err == -EBADMSG ? fail_dir(pack) : err;
}

void format_put_trailer(uint8_t *out, const struct pack_trailer *t)
{
	memset(out, 0, FORMAT_TRAILER_LEN);
	put_le64(out, t->dir_off);
	put_le32(out + 8, t->dir_clen);
	put_le32(out + 12, t->dir_plen);
	out[16] = t->codec;
	put_le32(out + 20, FORMAT_TRAILER_MAGIC);
}

int format_get_trailer(const void *data, uint64_t size, const char *pack,
		       struct pack_trailer *out)
{
	const uint8_t *p = data;

	out->dir_off = get_le64(p);
	out->dir_clen = get_le32(p + 8);
	out->dir_plen = get_le32(p + 12);
	out->codec = p[16];
	if (get_le32(p + 20) != FORMAT_TRAILER_MAGIC || p[17] || p[18] ||
	    p[19] || out->codec > CODEC_ZSTD ||
	    out->dir_plen > FORMAT_DIR_MAX || out->dir_clen > FORMAT_DIR_MAX ||
	    out->dir_off < FORMAT_HEADER_LEN || out->dir_off > size ||
	    out->dir_off + out->dir_clen + CRYPT_TAG_LEN + FORMAT_TRAILER_LEN !=
		    size ||
	    (out->codec == CODEC_RAW && out->dir_clen != out->dir_plen))
		return fail(-EBADMSG,
			    "pack %s: damaged: its last bytes are "
			    "not a pack's",
			    pack);
	return 0;
}

/* A compressed frame is decrypted over itself, and only then unpacked: @in is
 * the caller's to lose, and no third buffer is needed. */
int format_open_frame(const struct seal_key *key, uint32_t number,
		      const struct frame *f, void *in, void *out)
{
	uint8_t aad[FORMAT_FRAME_AAD_LEN];
	int r;

	format_frame_aad(aad, number, f);
	r = crypt_open(key, number, aad, sizeof(aad), in, f->clen,
		       f->codec == CODEC_RAW ? out : in);
	if (r < 0 || f->codec == CODEC_RAW)
		return r;
	if (!zip_thread())
		return -ENOMEM;
	return zip_decompress(zip_thread(), in, f->clen, out, f->plen);
}

int format_pack_key_name(const char *name, char out[OBJECT_NAME_MAX])
{
	size_t end;

	if (!name_is_pack(name, &end))
		return -EBADMSG;
	snprintf(out, OBJECT_NAME_MAX, "pack/%.*s", (int)end, name);
	return 0;
}

int format_pack_object_name(const char *name, char out[OBJECT_NAME_MAX])
{
	size_t end;

	if (!name_is_pack(name, &end))
		return -EBADMSG;
	snprintf(out, OBJECT_NAME_MAX, "pack/%.2s/%s", name + end + 1, name);
	return 0;
}

int format_pack_hash(const char *name, uint8_t out[CRYPT_SHA256_LEN])
{
	size_t end;

	return name_is_pack(name, &end) &&
			       hex_decode(name + end + 1, CRYPT_SHA256_LEN,
					  out) == 0
		       ? 0
		       : -EBADMSG;
}
