/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A set of chunks in little memory, for one thread at a time: of each a print, 63
 * bits that follow from its id under a key which is drawn anew for each set. So
 * nobody can make chunks whose prints agree, and by chance two of 10^7 do so once
 * in 200,000 sets.
 *
 * It is for whoever bears it that a chunk is taken for one of the set which is not:
 * a dead chunk is kept then. One that is in the set is never missed.
 *
 * Memory: 10 to 13 bytes a chunk; with words, half as much again. It grows in 256
 * parts, one after the other, so that growing takes no more than that.
 */
#ifndef STORE_MARK_PRINTS_H
#define STORE_MARK_PRINTS_H

#include "store/base/attrs.h"
#include "store/base/id.h"

#include <stddef.h>

#define PRINTS_PARTS 256

struct seam;

struct prints_part {
	/* The print and a bit: held. 0 is free. Owned. */
	uint64_t *slots;
	uint32_t *words; /* owned; NULL: the set has none */
	size_t cap, n;
};

struct prints {
	struct prints_part parts[PRINTS_PARTS];
	uint8_t key[16];
	bool has_words;
	uint64_t n; /* chunks in the set */
	uint64_t held; /* those that prints_hold() was told of */
};

/* Begin an empty set; with @words, a number stands beside each chunk. Return 0 or
 * the negative errno of the random generator. */
MUST_CHECK int prints_init(struct prints *p, struct seam *seam, bool words);
/* Free what it holds. It may be all zeros. */
void prints_release(struct prints *p);
/* Return the print of a chunk, never 0. Any thread. */
uint64_t prints_of(const struct prints *p, const struct id *id);
/* Make the place of a print ready in the processor's cache. */
void prints_expect(const struct prints *p, uint64_t print);
/* Add a chunk. @word_out, which may be NULL: its number, 0 at first, until the next
 * call. Return 1, 0 (it was there) or -ENOMEM. */
MUST_CHECK int prints_add(struct prints *p, uint64_t print,
			  uint32_t **word_out);
bool prints_has(const struct prints *p, uint64_t print);
/* Return the number of a chunk; 0 where it is not there. */
uint32_t prints_word(const struct prints *p, uint64_t print);
/* Note that a pack holds that chunk. Return whether it is in the set. */
bool prints_hold(struct prints *p, uint64_t print);
/* Forget which chunks are held. */
void prints_let_go(struct prints *p);
/* Return the bytes of memory that the set takes. */
uint64_t prints_memory(const struct prints *p);

#endif
