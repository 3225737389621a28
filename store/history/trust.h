/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who may sign for which machine, as this machine knows it. It is remembered beside
 * what was seen of the vault (seen.h), in lines of what was accepted:
 *
 *     signer first <key> <machine>      the first one that signed for it
 *     signer trusted <key> <machine>    somebody said so here
 *     signer trusted-all <key>          the same, for whatever machine
 *     signer revoked <key>              nothing that it signs counts,
 *     signer kept <key> <session>       but this commit, and what that follows
 *     signer demanded                   the vault's points have to be signed
 *
 * A machine is what lists call it, for that is what people and commands go by: who
 * has the vault's key can call his own machine by another's name, and has no key that
 * may sign for it.
 */
#ifndef STORE_HISTORY_TRUST_H
#define STORE_HISTORY_TRUST_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/crypt/sign.h"

#define TRUST_KEY_HEX (2 * SIGN_KEY_LEN)

enum trust_kind {
	TRUST_FIRST,
	TRUST_GIVEN,
	TRUST_GIVEN_ALL,
	TRUST_TAKEN, /* revoked */
	TRUST_KEPT,
	TRUST_DEMANDED, /* of no key */
};

struct trust_row {
	enum trust_kind kind;
	uint8_t key[SIGN_KEY_LEN];
	/* NULL: all; of TRUST_KEPT a session. Borrowed from what it was read of. */
	const char *machine;
};

struct trust {
	struct trust_row *rows; /* owned */
	size_t n, cap;
};

enum trust_verdict {
	TRUST_IS_OPEN, /* nobody is known to sign for the machine */
	TRUST_IS_GIVEN, /* this key may */
	TRUST_IS_ANOTHERS, /* another key may, and this one may not */
	TRUST_IS_REVOKED,
};

/* Read one key: 64 hexadecimal digits in small letters and no more. */
bool trust_parse_key(const char *text, uint8_t key[SIGN_KEY_LEN]);
/* What is to be remembered, for free(); NULL where there is no memory. */
MUST_CHECK char *trust_line(const struct trust_row *row);
/* Add a row. Return 0 or -ENOMEM. */
MUST_CHECK int trust_add(struct trust *t, const struct trust_row *row);
/* Add what the line @text, which stays borrowed, says; nothing where it is of
 * something else. Return 0 or -ENOMEM. */
MUST_CHECK int trust_add_line(struct trust *t, const char *text);
/* Append all rows, for trust_take(); ask buf_error(). */
void trust_put(const struct trust *t, struct buf *out);
/* Add the rows of @len bytes that trust_put() put, which stay borrowed. Return 0,
 * -ENOMEM, or -EBADMSG (they are something else), silently. */
MUST_CHECK int trust_take(const char *text, size_t len, struct trust *t);
void trust_release(struct trust *t);
/* Whether the vault was seen to demand signatures. */
bool trust_is_demanded(const struct trust *t);
/* Whether what is signed with @key counts as @machine's. */
enum trust_verdict trust_judge(const struct trust *t, const uint8_t *key,
			       const char *machine);
/* The same of what it signed before it was revoked. */
enum trust_verdict trust_judge_kept(const struct trust *t, const uint8_t *key,
				    const char *machine);

#endif
