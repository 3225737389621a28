/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The keys of writers that add points and read none; vmbackup-vault(5), "Writers that
 * read nothing".
 *
 * Such a writer has a number, which follows from the name of the machine whose points
 * it makes; 0: of any machine. For each number and epoch of the vault's keys there is
 * a key of X25519 (RFC 7748), whose private half follows from the master key, and whose
 * public half the writer has. The salt of what it seals is the public half of a key
 * that was made for this object alone; from the secret that the two keys share follows
 * the object's. So whoever sealed it and has thrown that key away cannot open it again.
 *
 * In headers, such an object has for its epoch what put_epoch() returns: PUT_MARK, the
 * epoch and the number. The same begins the ids of the writer's sessions, which end with
 * a tag that follows from its keys: so the names of objects tell whose they are, and
 * what it seals in the name of another session opens nowhere.
 */
#ifndef STORE_CRYPT_PUT_H
#define STORE_CRYPT_PUT_H

#include "store/base/attrs.h"
#include "store/crypt/crypt.h"

#include <stdbool.h>
#include <stdint.h>

#define PUT_KEY_LEN 32 /* of X25519, each half */
#define PUT_MARK 0x80000000u
#define PUT_NUMBER_BITS 21
#define PUT_NUMBER_MAX ((1u << PUT_NUMBER_BITS) - 1)
#define PUT_VAULT_EPOCH_MAX 0x3ffu
#define PUT_SID_LEN 16

static inline uint32_t put_epoch(uint32_t vault_epoch, uint32_t number)
{
	return PUT_MARK | vault_epoch << PUT_NUMBER_BITS | number;
}

/* Is a header's epoch one of those? */
static inline bool put_is(uint32_t epoch)
{
	return (epoch & PUT_MARK) != 0;
}

/* Of such an epoch: that of the vault's keys, and the writer's number. */
static inline uint32_t put_vault_epoch(uint32_t epoch)
{
	return epoch >> PUT_NUMBER_BITS & PUT_VAULT_EPOCH_MAX;
}

/* Of the epoch in any header: that of the vault's keys on which it depends. */
static inline uint32_t put_depends_on(uint32_t epoch)
{
	return put_is(epoch) ? put_vault_epoch(epoch) : epoch;
}

static inline uint32_t put_number(uint32_t epoch)
{
	return epoch & PUT_NUMBER_MAX;
}

/* What follows from a master key for one number. */
struct put_pair {
	uint8_t private_half[PUT_KEY_LEN];
	uint8_t public_half[PUT_KEY_LEN];
	uint8_t hedge[CRYPT_KEY_LEN]; /* for the keys of its objects */
};

/* Which number the writer of @machine has: 1 to PUT_NUMBER_MAX; @prk: of the vault's
 * keys, 32 bytes. Return 0 or -EIO. */
MUST_CHECK int put_number_of(const uint8_t *prk, const char *machine,
			     uint32_t *out);
/* Derive the keys of @number; wipe them later. Return 0, -EIO or -ENOMEM. */
MUST_CHECK int put_derive(const uint8_t *prk, uint32_t number,
			  struct put_pair *out);
/* Derive the key of the tags of its sessions, CRYPT_KEY_LEN bytes. Return 0 or -EIO. */
MUST_CHECK int put_sid_key(const uint8_t *prk, uint32_t number, uint8_t *out);
/* The public half of @private_half. Return 0, -EIO or -ENOMEM. */
MUST_CHECK int put_public(const uint8_t *private_half, uint8_t *out);
/* What types of objects such a writer may seal: others open nowhere. */
bool put_may_seal(uint8_t type);
/*
 * The base key of an object of @type, for crypt_seal_key(): from the private half of
 * the one key, and the public one of the other. @salt: the public half of the object's
 * key; @vault_key: that of the vault's. Return 0; -EKEYREJECTED (what they share is
 * zero: no such key was made by a program that means well; silent); -EIO or -ENOMEM.
 */
MUST_CHECK int put_base_key(const uint8_t *private_half, const uint8_t *other,
			    const uint8_t *salt, const uint8_t *vault_key,
			    const uint8_t *vault_id, uint8_t type,
			    uint8_t *out);
/* Complete the id of a session: 8 bytes are there, the tag follows. @key: of
 * put_sid_key(). Return 0 or -EIO. */
MUST_CHECK int put_sid_tag(const uint8_t *key, uint8_t sid[PUT_SID_LEN]);

#endif
