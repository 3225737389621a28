/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The epochs of a vault's keys. A rotation makes a new master key, for what is
 * sealed from then on; key slots hold that of one epoch. The object epoch/<n> says
 * that there is an epoch n, which begins with it: whoever creates it first decides
 * which master key that is. It is sealed with keys of epoch n, and holds the master
 * keys of all epochs before:
 *
 *     32  master key of epoch 0, of epoch 1, ..., of epoch n - 1
 *
 * A slot holds the same, and that of epoch n, so that what there is can be read without
 * this object; but nothing is written then. So a slot of a later epoch opens what there
 * was before, and none of an earlier one opens what comes later.
 */
#ifndef STORE_EPOCH_EPOCH_H
#define STORE_EPOCH_EPOCH_H

#include "store/base/attrs.h"

#include <stdint.h>

struct backend;
struct buf;
struct keyring;
struct seam;
struct secret;
struct vault;

/*
 * The greatest n of an object epoch/<n>, whoever put it; 0 where there is none.
 * Return 0, or what the listing says, in words.
 */
MUST_CHECK int epoch_newest(struct backend *b, uint32_t *out);
/*
 * Make the keys of all epochs up to @epoch from their master keys, as a key slot holds
 * them: 32 bytes for each, of epoch 0 first. @out: for keyring_free().
 * Return 0 or a negative errno.
 */
MUST_CHECK int epoch_keyring(const struct secret *masters, uint32_t epoch,
			     const uint8_t *vault_id, struct keyring **out);
/*
 * Whether epoch/<n> bears them out, n being the newest epoch of @k; of epoch 0 nothing
 * is asked. Return 0; -ENOENT (there is no such object: the rotation was not finished,
 * or the object was lost; silent); -EKEYREJECTED (it was made with another master key,
 * by a rotation that was faster, or is damaged; silent); -EBADMSG or another negative
 * errno, said in words.
 */
MUST_CHECK int epoch_prove(struct vault *v, const struct keyring *k);
/* The same of epoch/<@epoch> of the vault in @b, an epoch whose keys are in @k. */
MUST_CHECK int epoch_check(struct backend *b, const struct keyring *k,
			   uint32_t epoch);
/* Seal what epoch/<@epoch>, 1 to keyring_epoch(@k), has to hold. Return 0 or a negative
 * errno. */
MUST_CHECK int epoch_seal(const struct keyring *k, struct seam *seam,
			  uint32_t epoch, struct buf *out);
/* What a slot, or epoch/<n>, holds: all master keys of @k, and then @next, which may
 * be NULL. Return it, for secret_free(); or NULL, when memory is out. */
MUST_CHECK struct secret *epoch_masters(const struct keyring *k,
					const struct secret *next);

/* Packs whose keys are of earlier epochs than the newest, as the index has them. */
struct epoch_old {
	uint64_t packs, bytes;
};

/* Count them. Return 0 or a negative errno. */
MUST_CHECK int epoch_count_old(struct vault *v, struct epoch_old *out);

/*
 * The newest epoch that this machine has met of a vault is kept in a file below the
 * state directory, outside of the vault and of the cache: whoever had an old key, and
 * puts the vault of then back, would have it seal with that again.
 */
/* The path of that file, to be freed; NULL where @state_dir is, or memory is out. */
MUST_CHECK char *epoch_file_name(const char *state_dir, const char *vault_id);
/* What it says; 0 where it is not there, says nothing, or @path is NULL. */
uint32_t epoch_file_read(const char *path);
/* Let it say @epoch. Where that cannot be written, it is said; NULL is fine. */
void epoch_file_write(const char *path, uint32_t epoch);

#endif
