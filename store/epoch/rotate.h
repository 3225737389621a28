/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Giving a vault a new master key, for all that is sealed from then on. What that is
 * for: somebody learned a password, and his slot was removed; the master key that he
 * may have kept opens nothing new.
 *
 * Only who is given a slot of the new epoch can open what comes: nobody can make one
 * for a password that he does not know. So each slot that is to go on needs its
 * password or key file now, or is added later ("key add"). The others open what was
 * written before, and nothing is written with them.
 */
#ifndef STORE_EPOCH_ROTATE_H
#define STORE_EPOCH_ROTATE_H

#include "store/base/attrs.h"
#include "store/vault.h"

#include <stdint.h>

/* A password or key file that is to open the new epoch. */
struct rotate_key {
	const struct credential *credential; /* borrowed */
	/* What it opened up to now; made by rotate_run(), where it got so far. */
	char old_slot[33];
	char slot[33]; /* the new one */
};

/*
 * Make a new epoch, with a slot for each of @n @keys, of which the first is the one
 * that opened @v. All of them must open slots of the newest epoch, whose labels the
 * new ones get, and which are removed at the end. @log_n 0: scrypt's default cost.
 * @epoch_out: the new epoch. @v goes on with the keys that it has: close it.
 *
 * Killed anywhere, it leaves the vault as it was, but for slots of an epoch that does
 * not come to be, or rotated, with slots that nobody needs.
 * Return 0; -EKEYREJECTED (a key opens no slot of the newest epoch); -EEXIST
 * (somebody else rotated at this moment, and nothing was done); what
 * vault_may_write() says; or another negative errno; said in words.
 */
MUST_CHECK int rotate_run(struct vault *v, struct rotate_key *keys, size_t n,
			  unsigned int log_n, uint32_t *epoch_out);
struct feature_words;
/* Put another object feature/<n>, which says that programs have to know these bits.
 * Return 0 or a negative errno, said in words. */
MUST_CHECK int rotate_put_feature(struct vault *v,
				  const struct feature_words *words);
/* Put the object of feature/ that keeps programs away which know of no epochs. Return 0
 * or a negative errno, said in words. */
MUST_CHECK int rotate_demand(struct vault *v);

#endif
