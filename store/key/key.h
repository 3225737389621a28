/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Key slots: the vault's master key, sealed under a passphrase or a key file.
 *
 * Object key/<slot> is a box (format.h) of type OBJECT_KEY bound to that name,
 * whose base key is the slot's. Clear text, a JSON document of one line:
 * {"kdf":"scrypt","log_n":17,"r":8,"p":1,"salt":"<64 digits>","info":{...}} or
 * {"kdf":"keyfile","salt":"<64 digits>","info":{...}}; info is what people see.
 * Plaintext: the master keys of all epochs up to that of the header, 32 bytes each; or
 * the keys of a writer that reads nothing (store/crypt/put_keys.h).
 */
#ifndef STORE_KEY_KEY_H
#define STORE_KEY_KEY_H

#include "store/vault.h"

#define KEY_SCRYPT_LOG_N 17
#define KEY_SLOT_MAX (64u << 10) /* a slot object is no longer */

/* Seal @keys, the plaintext of a slot of @epoch, into a new slot object. @slot: its
 * 32 digits. Return 0 or a negative errno said in words. */
MUST_CHECK int key_seal(const struct secret *keys, uint32_t epoch,
			const uint8_t *vault_id, struct seam *seam,
			const char *slot, const struct credential *c,
			unsigned int scrypt_log_n, const char *info_json,
			struct buf *out);
/*
 * Try one slot object. The epoch in its header is authentic where it opens.
 * @is_put_out: what it holds is of a writer that reads nothing, for put_keys_decode(),
 * which takes it; else it is master keys. Return 0; -EKEYREJECTED (another passphrase
 * or kind; silent); -EOPNOTSUPP (of a kind that is not known, or what it holds is
 * neither; silent, unless its format is newer); or -EBADMSG, said in words. All
 * parameters are bounded before scrypt runs.
 */
MUST_CHECK int key_open(const void *data, size_t len, const char *slot,
			const struct credential *c, struct secret **keys_out,
			bool *is_put_out, uint8_t vault_id_out[VAULT_ID_LEN]);
/* Say what "key list" shows of a slot, its kind and info, which needs no key;
 * the caller frees out->label. @cost_out: what scrypt costs, in blocks of 1 KiB
 * that it fills; 0 where it is not scrypt. Return 0, -EBADMSG or
 * -EOPNOTSUPP (said in words), or -ENOMEM. */
MUST_CHECK int key_describe(const void *data, size_t len, const char *slot,
			    struct key_info *out, uint64_t *cost_out);

/* Seal @keys, as key_seal(), into a new slot and put it to the backend, under the name
 * key/<@slot>, which is chosen at random. @log_n 0: the default. Return 0 or a
 * negative errno said in words. */
MUST_CHECK int key_put_slot(struct backend *b, const struct secret *keys,
			    uint32_t epoch, const uint8_t *vault_id,
			    struct seam *seam, const struct credential *c,
			    unsigned int log_n, const char *label,
			    char slot[33]);

#endif
