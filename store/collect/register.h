/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Objects by which a collection decides, or is decided. Whoever creates one first
 * has the word, and an answer that is lost may have been to the put that won. So
 * what stands there is read back, whatever the store said, and that counts. Where the
 * store is full, what is kept for that is given up first (reserve.h).
 */
#ifndef STORE_COLLECT_REGISTER_H
#define STORE_COLLECT_REGISTER_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stddef.h>
#include <stdint.h>

struct vault;

/*
 * Read the plaintext of a small object into @out, from the vault itself. Return 0,
 * -ENOENT (silent), -EBADMSG or another negative errno, said in words.
 */
MUST_CHECK int register_read(struct vault *v, uint8_t type, const char *name,
			     struct buf *out);
/*
 * Create the object @name with the plaintext @mine, and @clear, which may be NULL, for
 * who cannot read that, unless one stands there, and
 * read what stands there then into @out: that is durable. Where it cannot be read,
 * nobody knows whether @mine was taken. Return 0, or a negative errno, said in
 * words, after which nothing may be done that rests on either answer.
 */
MUST_CHECK int register_put(struct vault *v, uint8_t type, const char *name,
			    const struct buf *clear, const struct buf *mine,
			    struct buf *out);
/*
 * Put an object that nobody else makes, such as a tomb. Return 0 when it stands
 * with the plaintext @plain, or a negative errno, said in words: whether it stands
 * is not known then.
 */
MUST_CHECK int register_put_own(struct vault *v, uint8_t type, const char *name,
				const struct buf *clear,
				const struct buf *plain);

#endif
