/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A vault's keys: what names its chunks, hedges its salts, cuts its files and
 * seals its objects. Immutable after creation, so threads may share it.
 */
#ifndef STORE_CRYPT_KEYRING_H
#define STORE_CRYPT_KEYRING_H

#include "store/base/attrs.h"
#include "store/base/id.h"
#include "store/crypt/crypt.h"

#include <stdint.h>

struct put_keeper;
struct put_keys;
struct secret;
struct seam;
struct keyring;

/*
 * @master: CRYPT_KEY_LEN bytes, borrowed. @vault_id: VAULT_ID_LEN bytes.
 * Return 0, -EINVAL (a master key of another length), -ENOMEM or -EIO
 * (OpenSSL failed).
 */
MUST_CHECK int keyring_new(const struct secret *master, const uint8_t *vault_id,
			   struct keyring **out);
void keyring_free(struct keyring *k);
const uint8_t *keyring_vault_id(const struct keyring *k);
/*
 * Add the master key of the next epoch, CRYPT_KEY_LEN bytes, borrowed; before other
 * threads use @k. From then on it is the newest. Return 0, -EINVAL (another length),
 * -E2BIG (there are KEYRING_EPOCHS_MAX), -ENOMEM or -EIO.
 */
#define KEYRING_EPOCHS_MAX 1000
MUST_CHECK int keyring_add_epoch(struct keyring *k,
				 const struct secret *master);
/* The newest epoch: 0 where there never was another. What is sealed is sealed under
 * that one. Of a writer that reads nothing it is put_epoch() of its own
 * (store/crypt/put.h). */
uint32_t keyring_epoch(const struct keyring *k);
/* The newest epoch of the vault's keys: of such a writer that of its key. */
uint32_t keyring_vault_epoch(const struct keyring *k);
/* ---- writers that read nothing: store/crypt/put.h ---- */

/*
 * The keyring of such a writer: it has no master key, seals what put_may_seal()
 * allows, and opens of that what it sealed itself and kept the key of. @keys are
 * copied. Return 0, -ENOMEM or -EIO.
 */
MUST_CHECK int keyring_new_put(const struct put_keys *keys,
			       const uint8_t *vault_id, struct keyring **out);
/* What it was made of, borrowed; NULL: it is that of a reader. */
const struct put_keys *keyring_put_keys(const struct keyring *k);
/* Who keeps the keys of its objects; copied; before other threads use @k. */
void keyring_set_keeper(struct keyring *k, const struct put_keeper *keeper);
/* From the master keys, make what a slot of such a writer holds but for the chunker's
 * secret and the parity: under the newest epoch; for points of @machine, or of any
 * where it is "". Return 0, -EINVAL (a name over PUT_MACHINE_MAX), -ENOMEM or -EIO. */
MUST_CHECK int keyring_make_put(const struct keyring *k, const char *machine,
				struct put_keys *out);
/*
 * Whose session @sid is, 32 digits: put_epoch() of a writer that reads nothing, or 0:
 * of another one, as far as these keys tell. Where that cannot be found out, for want of
 * memory, it is what the id says by itself: such a session is not trusted by mistake.
 */
uint32_t keyring_sid_writer(const struct keyring *k, const char *sid);
/* Whether the writer of @epoch may make points of @machine. Return 1, 0, -EOPNOTSUPP (of
 * keys that are not known) or -EIO. */
MUST_CHECK int keyring_put_may_name(const struct keyring *k, uint32_t epoch,
				    const char *machine);
/* Make up the id of a session, 32 digits: of such a writer one of its own. Return 0 or a
 * negative errno. */
MUST_CHECK int keyring_new_sid(const struct keyring *k, struct seam *seam,
			       char sid[33]);

/* ---- master keys: of readers alone ---- */

/* The master key of the newest epoch, borrowed: for writing another key slot. */
const struct secret *keyring_master(const struct keyring *k);
/* The same of @epoch, which is at most keyring_epoch(). */
const struct secret *keyring_master_of(const struct keyring *k, uint32_t epoch);
/*
 * Make the chunker's table of @secret, 32 bytes, instead of the master key; before
 * other threads use @k. Return 0 or a negative errno.
 */
MUST_CHECK int keyring_set_chunker(struct keyring *k, const uint8_t *secret);
/* The table of the content-defined chunker; borrowed. */
const uint64_t *keyring_gear(const struct keyring *k); /* 256 */
/* The 16-byte SipHash key of tree node boundaries and inode numbers;
 * borrowed. */
const uint8_t *keyring_sipkey(const struct keyring *k);

/* HMAC-SHA256(K_id, type(1) || len(8 LE) || data). Thread-safe. Return 0 or
 * -EIO. */
MUST_CHECK int keyring_id(const struct keyring *k, uint8_t type,
			  const void *data, size_t len, struct id *out);

/* The same of @head and @data, as if one followed the other in memory. */
MUST_CHECK int keyring_id_of_two(const struct keyring *k, uint8_t type,
				 const void *head, size_t head_len,
				 const void *data, size_t len, struct id *out);

/* A fresh salt: HMAC(K_salt, 32 random bytes || name || digest): distinct
 * for distinct content even where the random generator repeats itself.
 * @digest: 32 bytes. */
MUST_CHECK int keyring_salt(const struct keyring *k, struct seam *seam,
			    const char *name, const uint8_t *digest,
			    uint8_t *salt_out);

/* Derive from the vault's key of @epoch for objects of @type (1..22) named @name.
 * Return 0, -EIO, -EINVAL (type, or a name over CRYPT_NAME_MAX), -EOPNOTSUPP (an
 * epoch whose keys are not known; silent), or -EKEYREJECTED (of a writer that reads
 * nothing, and that may not seal this: it is of no such type, or the name is not of a
 * session of its own; silent). */
MUST_CHECK int keyring_seal_key(const struct keyring *k, uint8_t type,
				uint32_t epoch, const char *name,
				const uint8_t *salt, struct seal_key *out);

#endif
