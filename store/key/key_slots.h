/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The key slots of a vault, read in one go: the objects key/<slot>, which
 * anybody who can write to the store may have put there, so that what they ask
 * for is bounded before it is done.
 */
#ifndef STORE_KEY_KEY_SLOTS_H
#define STORE_KEY_KEY_SLOTS_H

#include "store/vault.h"

/* More are not looked at: nobody has so many. A slot object is short. What is no
 * slot does not count. */
#define KEY_SLOTS_MAX 1024
/* What scrypt may cost in all while slots are tried with one password, in
 * blocks of 1 KiB: 64 slots of the default cost. */
#define KEY_WORK_MAX (UINT64_C(64) << 17)

struct key_slot {
	char name[33]; /* without its folder */
	uint8_t *raw; /* the object; owned, NULL where it could not be read */
	size_t len;
	struct key_info info; /* info.kind "damaged" where it is; owned */
	int64_t stored_ns; /* as the store says; 0 where it was not listed */
	uint64_t cost; /* of scrypt, in blocks of 1 KiB; 0 for a key file */
	/* It opened, and its epoch's object does not bear it out: nothing is to be
	 * written with it. */
	bool is_unproven;
	int error; /* why it is damaged; it was said in words */
};

struct key_slots {
	struct key_slot *slots; /* owned; sorted by cost, then name */
	size_t n;
};

/*
 * Read all slots of @v. One that is damaged or cannot be read is among them
 * and hides no other. Return 0, -ENOMEM, or what the listing says, in words.
 */
MUST_CHECK int key_slots_read(struct vault *v, struct key_slots *out);
void key_slots_release(struct key_slots *s);
/*
 * Find a slot of @v that opens with @c: @first, the name of the one that did last
 * time (may be ""), which is read by its name, or else one of those that are listed:
 * those that cost no more than usual before others, and of these those of later epochs,
 * and then those that the store has had for longer, first. @vault_id: the vault's, which the slot's must be. @newest: the newest epoch that there is.
 * @out: for key_slot_release(). @ring_out: the keys of its epoch, which epoch/<n>
 * bore out, and of those before, for keyring_free(). A slot of an epoch that the
 * vault has not is passed over, for its rotation was not finished, or another was
 * faster, unless no other opens: then @out->is_unproven, which is said.
 * Return 0; -EKEYREJECTED (none does, and all could be tried), -EBADMSG (there
 * are none), or the error of one that could not be tried; said in words.
 */
MUST_CHECK int key_slots_open(struct vault *v, const char *first,
			      const struct credential *c,
			      const uint8_t *vault_id, uint32_t newest,
			      struct key_slot *out, struct keyring **ring_out);
void key_slot_release(struct key_slot *slot);

#endif
