/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A commit register, commit/<sid>, says which point its session made, or that
 * it may make none any more; which commits it follows; and who made the point,
 * where that was signed. See vmbackup-vault(5).
 */
#ifndef STORE_RECORD_COMMIT_H
#define STORE_RECORD_COMMIT_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/base/name.h"

#define COMMIT_HASH_LEN 32 /* SHA-256 */
#define COMMIT_SID_LEN (NAME_HEX / 2)
#define COMMIT_KEY_LEN 32 /* Ed25519 */
#define COMMIT_SIG_LEN 64
/* How many commits one may name that it follows: so many sessions are never at
 * work at once. */
#define COMMIT_AFTER_MAX 256

struct commit {
	char point[NAME_HEX + 1]; /* "" where it was fenced */
	uint8_t hash[COMMIT_HASH_LEN]; /* of the point's object */
};

/* Another commit, as one that follows it names it. Bytes alone. */
struct commit_ref {
	uint8_t sid[COMMIT_SID_LEN];
	uint8_t has_hash; /* 0: it could not be read then */
	uint8_t hash[COMMIT_HASH_LEN]; /* of its plaintext */
};

/* What a commit follows. */
struct commit_after {
	bool is_told; /* false in those of programs that did not say it */
	bool is_cut; /* there were more than it names */
	size_t n;
	struct commit_ref refs[COMMIT_AFTER_MAX]; /* ascending by sid */
};

/* Who made it. */
struct commit_sig {
	bool is_there;
	/* It has the form that it must have: the rest is only set then. */
	bool is_whole;
	uint8_t key[COMMIT_KEY_LEN], value[COMMIT_SIG_LEN];
	size_t signed_len; /* so many bytes of the plaintext are signed */
	/* A vault's id, as the commit says whose it is. */
	char vault[NAME_HEX + 1];
};

/* Append the plaintext of session @sid's register; see buf_error(). */
void commit_encode(const struct commit *c, const char *sid, struct buf *out);
/* The same, with what it follows, and, where @vault is not NULL, the vault's id,
 * 32 digits, which one that is to be signed has. */
void commit_encode_after(const struct commit *c, const char *sid,
			 const struct commit_after *after, const char *vault,
			 struct buf *out);
/* The same, of a session that makes no point. */
void commit_encode_fenced(const char *sid, struct buf *out);
/*
 * Of the bytes that were encoded with a vault's id, set *@len_out to how many are
 * to be signed: they are there without what ends the document.
 */
void commit_signed_part(const struct buf *plain, size_t *len_out);
/* Put the signature behind these. */
void commit_put_sig(struct buf *plain, const uint8_t *key,
		    const uint8_t *value);
/* Decode the plaintext of the register called @name, "commit/<sid>". Return 0 or
 * -EBADMSG (one that names another session among it), said in words. */
MUST_CHECK int commit_decode(const void *data, size_t len, const char *name,
			     struct commit *out);
/*
 * The same, with what it follows, and its signature, which nobody has verified yet.
 * A signature that is malformed is no error; one that was fenced has neither.
 */
MUST_CHECK int commit_decode_all(const void *data, size_t len, const char *name,
				 struct commit *out, struct commit_after *after,
				 struct commit_sig *sig);

#endif
