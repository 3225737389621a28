/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A commit register, commit/<sid>, says which point its session made, or that
 * it may make none any more. See vmbackup-vault(5). */
#ifndef STORE_RECORD_COMMIT_H
#define STORE_RECORD_COMMIT_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stddef.h>
#include <stdint.h>

#include "store/base/name.h"

#define COMMIT_HASH_LEN 32 /* SHA-256 */

struct commit {
	char point[NAME_HEX + 1]; /* "" where it was fenced */
	uint8_t hash[COMMIT_HASH_LEN]; /* of the point's object */
};

/* Append the plaintext of session @sid's register; see buf_error(). */
void commit_encode(const struct commit *c, const char *sid, struct buf *out);
/* The same, of a session that makes no point. */
void commit_encode_fenced(const char *sid, struct buf *out);
/* Decode the plaintext of the register called @name, "commit/<sid>". Return 0 or
 * -EBADMSG (one that names another session among it), said in words. */
MUST_CHECK int commit_decode(const void *data, size_t len, const char *name,
			     struct commit *out);

#endif
