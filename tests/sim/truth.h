/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is true of the simulated vault, whoever knows it: which points are
 * committed, purged or kept, what they refer to, and which packs hold what. It
 * sees each object that is put and each that is deleted, with the vault's keys, and
 * reports what must never be.
 */
#ifndef TESTS_SIM_TRUTH_H
#define TESTS_SIM_TRUTH_H

#include "tests/sim/sim.h"

#define TRUTH_CHUNKS 256
#define TRUTH_POINTS 64

/* A set of chunks, by their numbers. */
struct chunk_set {
	uint64_t w[TRUTH_CHUNKS / 64];
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

struct truth_point {
	char id[NAME_HEX + 1];
	char sid[NAME_HEX + 1];
	struct chunk_set needs;
	uint32_t files; /* of its tree: which chunks of data they hold */
	uint32_t config; /* of its config file */
	bool is_purged;
	uint64_t purged_at; /* a step */
};

struct truth_pack {
	char name[PACK_NAME_MAX];
	struct chunk_set has;
	bool is_there, is_named; /* by an index object that is there */
};

/* Begin with what is in the store, which is another vault than before. */
void truth_begin(struct keyring *k);
void truth_release(void);
/* The number of a chunk. */
unsigned int truth_chunk(const struct id *id);
/* A tree whose root is this holds these chunks of data. */
void truth_note_tree(const struct id *root, uint32_t files);
/* Which ones; 0: no such tree. */
uint32_t truth_tree(const struct id *root);
/* An object came or went. @a: through whom; NULL: nobody's hand. */
void truth_put(const struct sim_actor *a, const char *name);
void truth_deleted(const struct sim_actor *a, const char *name);
/* NULL: none such is committed. */
struct truth_point *truth_find(const char *id);
size_t truth_npoints(void);
struct truth_point *truth_at(size_t i);
/* The point that a session made, or NULL. */
struct truth_point *truth_of_session(const char *sid);
/* Which chunks all points need that are not purged. */
struct chunk_set truth_needs(void);
const struct truth_pack *truth_packs(size_t *n_out);
/* The wish was answered, and somebody was told that the point stays. */
void truth_was_kept(const char *id, uint32_t number);

#endif
