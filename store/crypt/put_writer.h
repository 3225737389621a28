/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How a writer seals that adds points and reads none: each object with a key of its
 * own. The private halves of what it has to read again, which is all but the packs of
 * data, are given to a keeper, who is this machine's; those of data are thrown away as
 * soon as the pack is sealed.
 */
#ifndef STORE_CRYPT_PUT_WRITER_H
#define STORE_CRYPT_PUT_WRITER_H

#include "store/base/attrs.h"
#include "store/crypt/put_keys.h"

struct put_writer;
struct seam;

/* Keeps private halves by their public ones; both of PUT_KEY_LEN bytes. Called from any
 * thread. */
struct put_keeper {
	/* Return 0 or a negative errno, said in words. */
	int (*keep)(void *arg, const uint8_t *public_half,
		    const uint8_t *private_half);
	/* Return 0, -ENOENT or another negative errno. */
	int (*find)(void *arg, const uint8_t *public_half,
		    uint8_t *private_out);
	void *arg;
};

/* @keys are copied. Return 0 or -ENOMEM. */
MUST_CHECK int put_writer_new(const struct put_keys *keys,
			      struct put_writer **out);
/* NULL is fine. */
void put_writer_free(struct put_writer *w);
const struct put_keys *put_writer_keys(const struct put_writer *w);
/* From now on @keeper, copied, keeps them; before other threads use @w. Until then, and
 * without one, they are in memory. */
void put_writer_set_keeper(struct put_writer *w,
			   const struct put_keeper *keeper);
/* Make a key for an object; as keyring_salt(). Thread-safe. Return 0 or a negative
 * errno. */
MUST_CHECK int put_writer_salt(struct put_writer *w, struct seam *seam,
			       const char *name, const uint8_t *digest,
			       uint8_t *salt_out);
/* The base key of an object of @type that this writer has sealed, or is to seal, with
 * this salt. Thread-safe. Return 0, -EOPNOTSUPP (its key was not kept; silent) or
 * another negative errno. */
MUST_CHECK int put_writer_base_key(struct put_writer *w,
				   const uint8_t *vault_id, uint8_t type,
				   const uint8_t *salt, uint8_t *out);

#endif
