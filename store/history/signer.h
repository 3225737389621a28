/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The key with which this machine signs the points that it makes, one for all
 * vaults: 32 random bytes in a file beside what was seen of these, outside of every
 * vault. Whoever has a vault's key and not this one can make points, and none that
 * is signed with it.
 */
#ifndef STORE_HISTORY_SIGNER_H
#define STORE_HISTORY_SIGNER_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

struct secret;

#define SIGNER_FILE "signing.key"

/* Read the key below the directory @dir; NULL to @out where there is none, or where
 * the directory may not be looked into, which is said. Return 0, -EPERM (others may
 * read it), -EBADMSG (it is no key) or another negative errno, said in words. */
MUST_CHECK int signer_load(const char *dir, struct secret **out);
/* Sign a register that commit_encode_after() made with a vault's id. Return 0 or a
 * negative errno. */
MUST_CHECK int signer_sign(const struct secret *seed, struct buf *plain);
/* Verify what is @signed_len bytes long at @data. Return as sign_verify(). */
MUST_CHECK int signer_verify(const uint8_t *key, const void *data,
			     size_t signed_len, const uint8_t *sig);

#endif
