/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Digests, digest/<sid>-<n>: what the registers of many sessions say, and what
 * their points say, in one object, so that whoever sees a vault for the first time
 * need not read each of them. They only save reading: the registers stay the
 * truth, and a digest may be missing, or tell of fewer. See vmbackup-vault(5).
 */
#ifndef STORE_RECORD_DIGEST_H
#define STORE_RECORD_DIGEST_H

#include "store/base/attrs.h"
#include "store/base/buf.h"
#include "store/base/name.h"
#include "store/record/commit.h"

#define DIGEST_MAX (8u << 20) /* bytes of plaintext */
#define DIGEST_GONE_MAX 65536 /* digests that one supersedes */
/* "<sid>-<n>" and NUL. */
#define DIGEST_NAME_MAX (NAME_HEX + 1 + 10 + 1)

/* A decided session. */
struct digest_entry {
	char sid[NAME_HEX + 1];
	/* The register's plaintext, which nobody has decoded yet; borrowed; NULL: it was
	 * fenced, or a program put it that did not tell. */
	const uint8_t *reg;
	size_t reg_len;
	/* What the register says, where @reg is NULL. */
	struct commit commit;
	const uint8_t *point; /* the point's plaintext; borrowed */
	size_t point_len; /* 0 where it was fenced */
};

/*
 * Decode the register of @e, where it has one, into its commit. Return 0, -EBADMSG
 * (said in words: it is malformed, or is none of a point) or -ENOMEM.
 */
MUST_CHECK int digest_entry_decode(struct digest_entry *e);
/* Append an entry; their number goes before all of them, as a varint, and behind
 * them the number of names of superseded digests and these, each with its length;
 * ask buf_error(). */
void digest_put(struct buf *out, const struct digest_entry *e);
/*
 * Decode the plaintext of the digest called @name, and call @entry for each of its
 * entries, then @gone with the name of each digest that it supersedes, until one
 * returns other than 0; either may be NULL. Return that, 0, or -EBADMSG (said in words).
 */
MUST_CHECK int
digest_decode(const void *data, size_t len, const char *name,
	      int (*entry)(void *arg, const struct digest_entry *e),
	      int (*gone)(void *arg, const char *name), void *arg);

#endif
