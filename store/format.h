/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The byte layout of objects and packs; vmbackup-vault(5) is its manual, and
 * changes with this file. Trees have theirs in entry.h and tree.h.
 *
 * A small sealed object ("box"):
 *
 *     0  8  magic "vmbackup"
 *     8  2  format version, 1
 *    10  1  enum object_type
 *    11  1  zero
 *    12  4  key epoch
 *    16 16  vault id
 *    32 32  salt
 *    64 32  commitment to the object's key
 *    96  4  length of the clear text       (box only from here)
 *   100  4  length of the plaintext
 *   104  4  length of the ciphertext
 *   108  1  codec: 0 raw, 1 zstd
 *   109  3  zero
 *   112  .  clear text, then ciphertext, then 16 bytes of tag; nothing behind
 *
 * All before the ciphertext is associated data, the frame number is 0.
 *
 * A pack: the first 96 bytes of the same header, frames back to back (each its
 * ciphertext and tag), the directory as the frame of number 0xffffffff, and
 *
 *     0  8  offset of the directory
 *     8  4  length of its ciphertext
 *    12  4  length of its plaintext
 *    16  1  codec
 *    17  3  zero
 *    20  4  magic "vmbt"
 *
 * The associated data of a pack's frame: number (4), offset (8), ciphertext
 * length (4), plaintext length (4), codec (1). Integers are little-endian.
 *
 * A pack directory, in plain:
 *
 *     varint number of frames
 *         varint ciphertext length, varint plaintext length, u8 codec; each
 *     varint number of chunks
 *         u8 enum chunk_type, 32 id, varint length, varint first frame,
 *         varint offset in that frame; each
 *
 * A chunk that lies in one frame is a slice of it. A longer one begins at
 * offset 0, fills its frames but for none, and ends where its last frame ends.
 */
#ifndef STORE_FORMAT_H
#define STORE_FORMAT_H

#include "store/base/attrs.h"
#include "store/base/buf.h"
#include "store/base/id.h"
#include "store/base/name.h"
#include "store/crypt/crypt.h"

#include <stdbool.h>

struct keyring;
struct seam;

#define FORMAT_MAGIC "vmbackup"
#define FORMAT_VERSION 1
#define FORMAT_HEADER_LEN 96
#define FORMAT_BOX_LEN 112
#define FORMAT_TRAILER_LEN 24
#define FORMAT_TRAILER_MAGIC 0x74626d76u /* "vmbt" */
#define FORMAT_DIR_FRAME 0xffffffffu
#define FORMAT_FRAME_AAD_LEN 21

/* Bounds that a decoder enforces before it allocates. */
#define FORMAT_FRAME_MAX (128u << 10) /* plaintext of a frame */
#define FORMAT_CHUNK_MAX (16u << 20) /* plaintext of a chunk */
#define FORMAT_PACK_TARGET (16u << 20) /* a pack is closed at this size */
#define FORMAT_PACK_MAX (64u << 20)
#define FORMAT_DIR_MAX (32u << 20) /* plaintext of a directory */
#define FORMAT_BOX_MAX (64u << 20) /* plaintext of a box */
/* Writers end a pack's directory and an index object's plaintext about here, far
 * below what readers accept. */
#define FORMAT_DIR_TARGET (1u << 20)
#define FORMAT_INDEX_TARGET (4u << 20)
/* No frame of a directory takes more bytes, and no chunk. */
#define FORMAT_DIR_FRAME_MAX (5 + 5 + 1)
#define FORMAT_DIR_CHUNK_MAX (1 + 32 + 5 + 5 + 5)
#define FORMAT_CLEAR_MAX (64u << 10)
/* No box is longer as it is stored. */
#define FORMAT_BOX_OBJECT_MAX                                                  \
	(FORMAT_BOX_LEN + FORMAT_CLEAR_MAX + FORMAT_BOX_MAX + CRYPT_TAG_LEN)
#define FORMAT_SMALL_CHUNK (64u << 10) /* up to here a chunk shares a frame */

enum object_type {
	OBJECT_CONFIG = 1,
	OBJECT_KEY = 2,
	OBJECT_SESSION = 3,
	OBJECT_DATA_PACK = 4,
	OBJECT_TREE_PACK = 5,
	OBJECT_INDEX = 6,
	OBJECT_POINT = 7,
	OBJECT_COMMIT = 8,
	OBJECT_PURGE = 9,
	OBJECT_TOMB = 10,
	OBJECT_SWEEP = 11,
	OBJECT_QUARANTINE = 12,
	OBJECT_NOTE = 13,
	OBJECT_FEATURE = 14,
	OBJECT_HEARTBEAT = 15,
	OBJECT_DIGEST = 16,
	OBJECT_FORGET = 17,
	OBJECT_MACHINE = 18,
	/* 19: parity of packs, which is not sealed; see store/parity */
	OBJECT_LEDGER = 20,
	OBJECT_EPOCH = 21,
	OBJECT_WINDOW = 23,
	OBJECT_TYPE_MAX = OBJECT_WINDOW,
};

enum chunk_type {
	CHUNK_DATA = 1, /* bytes of a file */
	CHUNK_NODE = 2, /* a tree node */
	CHUNK_EXTENTS = 3, /* a node of an extent map */
	CHUNK_DISK = 4, /* a grid cell of a disk */
	CHUNK_XATTRS = 5, /* extended attributes too long for an entry */
};

enum codec { CODEC_RAW = 0, CODEC_ZSTD = 1 };

/* True for the types that live in data packs; the others live in tree packs. */
static inline bool chunk_type_is_data(uint8_t type)
{
	return type == CHUNK_DATA || type == CHUNK_DISK;
}

struct object_header {
	uint8_t type;
	uint32_t
		epoch; /* of the keys: not authentic before the object opened */
	uint8_t vault_id[VAULT_ID_LEN];
	uint8_t salt[CRYPT_SALT_LEN];
	uint8_t commit[CRYPT_COMMIT_LEN];
};

void format_put_header(uint8_t *out, const struct object_header *h);
/*
 * @what names the object in messages.
 * Return 0, -EBADMSG (not an object of a vault, damaged) or -EOPNOTSUPP (a
 * newer format).
 */
MUST_CHECK int format_get_header(const void *data, size_t len, const char *what,
				 struct object_header *out);

/* Say that an object's epoch is one whose keys are not known. Return
 * -EOPNOTSUPP. */
int format_fail_epoch(const char *name, uint32_t epoch);

/*
 * Seal @plain (and bind @clear) into @out, which is cleared first, under the newest
 * epoch. @base: NULL for the vault's key (@k), else 32 bytes of a key slot, and @k
 * may be NULL with @vault_id given: that is of epoch 0 then.
 * @name is the object's name, which opening must give again.
 * Return 0, -EMSGSIZE, -ENOMEM or -EIO.
 */
MUST_CHECK int format_seal_box(const struct keyring *k, const uint8_t *base,
			       const uint8_t *vault_id, struct seam *seam,
			       uint8_t type, const char *name,
			       const void *clear, size_t clear_len,
			       const void *plain, size_t plain_len,
			       struct buf *out);

/* The same of @epoch. */
MUST_CHECK int format_seal_box_of(const struct keyring *k, const uint8_t *base,
				  const uint8_t *vault_id, struct seam *seam,
				  uint8_t type, uint32_t epoch,
				  const char *name, const void *clear,
				  size_t clear_len, const void *plain,
				  size_t plain_len, struct buf *out);

/* A box taken apart, not yet opened. Pointers borrowed from the object. */
struct box {
	struct object_header header;
	const uint8_t *clear;
	uint32_t clear_len;
	const uint8_t *cipher; /* cipher_len bytes and a tag */
	uint32_t cipher_len;
	uint32_t plain_len;
	uint8_t codec;
	size_t aad_len; /* from the object's start */
	const uint8_t *object;
};

/* Check every length of a box. Return 0, -EBADMSG or -EOPNOTSUPP, said in
 * words with @name. */
MUST_CHECK int format_parse_box(const void *data, size_t len, uint8_t type,
				const char *name, struct box *out);
/*
 * Open a parsed box into @out (cleared first). @base as in format_seal_box().
 * Return 0, -EKEYREJECTED (silent: the commitment is of another key, name or
 * salt),
 * -EBADMSG (damaged, said in words), -EOPNOTSUPP (keys of an epoch that is not
 * known, said in words), -ENOMEM or -EIO.
 */
MUST_CHECK int format_open_box(const struct keyring *k, const uint8_t *base,
			       const struct box *box, const char *name,
			       struct buf *out);
/* Derive the key of a parsed box of the vault's, and look whether it is that;
 * wipe it. Return 0, -EBADMSG (it is of another vault or name, said in words),
 * -EOPNOTSUPP (of an epoch that is not known, said in words) or -EIO. */
MUST_CHECK int format_box_key(const struct keyring *k, const struct box *box,
			      const char *name, struct seal_key *out);
/* Both at once for the vault's key; a wrong commitment is -EBADMSG, said in
 * words. */
MUST_CHECK int format_read_box(const struct keyring *k, const void *data,
			       size_t len, uint8_t type, const char *name,
			       struct buf *out);

struct frame {
	uint64_t off; /* in the pack */
	uint32_t clen; /* ciphertext, without the tag */
	uint32_t plen;
	uint8_t codec;
};

struct chunk_ref {
	struct id id;
	uint32_t len;
	uint32_t frame; /* the first */
	uint32_t off; /* in that frame's plaintext */
	uint8_t type;
};

struct pack_dir {
	struct frame *frames; /* owned */
	size_t nframes;
	struct chunk_ref *chunks; /* owned; NULL where asked for frames only */
	size_t nchunks;
};

void format_frame_aad(uint8_t aad[FORMAT_FRAME_AAD_LEN], uint32_t number,
		      const struct frame *f);
/* Append the directory's plaintext to @out; ask buf_error(). */
void format_put_dir(struct buf *out, const struct pack_dir *dir);
/*
 * Decode and check a directory: offsets that follow from lengths, bounds,
 * every chunk inside its frames. @frames_only skips the chunks (they are not
 * checked either).
 * Return 0, -EBADMSG (said in words) or -ENOMEM. Release with
 * format_release_dir().
 */
MUST_CHECK int format_get_dir(const void *data, size_t len, const char *pack,
			      bool frames_only, struct pack_dir *out);
/* Only look whether it is a directory as format_get_dir() wants it. Return 0,
 * -EBADMSG (said in words) or -ENOMEM. */
MUST_CHECK int format_check_dir(const void *data, size_t len, const char *pack);
void format_release_dir(struct pack_dir *dir);

struct pack_trailer {
	uint64_t dir_off;
	uint32_t dir_clen;
	uint32_t dir_plen;
	uint8_t codec;
};

void format_put_trailer(uint8_t *out, const struct pack_trailer *t);
/* @size is the pack's; the trailer must add up to it. Return 0 or -EBADMSG,
 * said in words. */
MUST_CHECK int format_get_trailer(const void *data, uint64_t size,
				  const char *pack, struct pack_trailer *out);

/*
 * Decrypt and decompress a frame. @in holds clen + CRYPT_TAG_LEN bytes and is
 * overwritten;
 * @out has room for plen. Return 0, -EBADMSG (silent) or -EIO/-ENOMEM.
 */
MUST_CHECK int format_open_frame(const struct seal_key *key, uint32_t number,
				 const struct frame *f, void *in, void *out);

/* A pack's object is called "pack/<xx>/<name>", <xx> the first two digits of
 * the hash. */
/* The name that a pack's key is bound to: "pack/<sid>-<n>". Return 0 or
 * -EBADMSG (not a pack's name). */
MUST_CHECK int format_pack_key_name(const char *name,
				    char out[OBJECT_NAME_MAX]);
/* "<sid>-<n>-<sha256>" to its object name. Return 0 or -EBADMSG. */
MUST_CHECK int format_pack_object_name(const char *name,
				       char out[OBJECT_NAME_MAX]);
/* The hash in a pack's name. Return 0 or -EBADMSG. */
MUST_CHECK int format_pack_hash(const char *name,
				uint8_t out[CRYPT_SHA256_LEN]);

#endif
