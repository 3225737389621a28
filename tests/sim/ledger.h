/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is true of the simulated vault, whoever knows it: which points are
 * committed, purged or kept, what they refer to, and which packs hold what. It
 * sees each object that is put and each that is deleted, with the vault's keys, and
 * reports what must never be.
 */
#ifndef TESTS_SIM_LEDGER_H
#define TESTS_SIM_LEDGER_H

#include "tests/sim/sim.h"

#define LEDGER_CHUNKS 256
#define LEDGER_POINTS 64

/* A set of chunks, by their numbers. */
struct chunk_set {
	uint64_t w[LEDGER_CHUNKS / 64];
};

static inline void chunk_set_add(struct chunk_set *s, unsigned int i)
{
	s->w[i / 64] |= UINT64_C(1) << i % 64;
}

static inline bool chunk_set_meets(const struct chunk_set *a,
				   const struct chunk_set *b)
{
	return (a->w[0] & b->w[0]) | (a->w[1] & b->w[1]) | (a->w[2] & b->w[2]) |
	       (a->w[3] & b->w[3]);
}

struct ledger_point {
	char id[NAME_HEX + 1];
	char sid[NAME_HEX + 1];
	struct chunk_set needs;
	uint32_t files; /* of its tree: which chunks of data they hold */
	uint32_t config; /* of its config file */
	bool is_purged;
	uint64_t purged_at; /* a step */
};

struct ledger_pack {
	char name[PACK_NAME_MAX];
	struct chunk_set has;
	bool is_there, is_named; /* by an index object that is there */
};

/* Begin with what is in the store, which is another vault than before. */
void ledger_begin(struct keyring *k);
void ledger_release(void);
/* The number of a chunk. */
unsigned int ledger_chunk(const struct id *id);
/* A tree whose root is this holds these chunks of data. */
void ledger_note_tree(const struct id *root, uint32_t files);
/* Which ones; 0: no such tree. */
uint32_t ledger_tree(const struct id *root);
/* An object came or went. @a: through whom; NULL: nobody's hand. */
void ledger_put(const struct sim_actor *a, const char *name);
void ledger_deleted(const struct sim_actor *a, const char *name);
/* NULL: none such is committed. */
struct ledger_point *ledger_find(const char *id);
size_t ledger_npoints(void);
struct ledger_point *ledger_at(size_t i);
/* The point that a session made, or NULL. */
struct ledger_point *ledger_of_session(const char *sid);
/* Which chunks all points need that are not purged. */
struct chunk_set ledger_needs(void);
const struct ledger_pack *ledger_packs(size_t *n_out);
/* The wish was answered, and somebody was told that the point stays. */
void ledger_was_kept(const char *id, uint32_t number);

#endif
