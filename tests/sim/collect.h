/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inside of the reference collector, which does what the protocol says, word
 * for word, and nothing to be fast. */
#ifndef TESTS_SIM_COLLECT_H
#define TESTS_SIM_COLLECT_H

#include "store/backend/names.h"
#include "store/record/pack_list.h"
#include "tests/sim/truth.h"

struct buf;

/* One cycle. */
struct cycle {
	struct sim_actor *actor;
	struct vault *vault; /* borrowed */
	char gid[NAME_HEX + 1];
	struct backend_names purged; /* points, of the mark */
	struct pack_list condemned, doomed; /* C and D */
	struct backend_names sessions; /* as listed */
	struct chunk_set live;
};

/* Read an object's plaintext. Return 0, -ENOENT or another negative errno. */
int cycle_read(struct cycle *c, uint8_t type, const char *name,
	       struct buf *out);
int cycle_put(struct cycle *c, uint8_t type, const char *name,
	      const struct buf *plain);
/*
 * Put a register, and read what it says then, whoever put it. Return 0, or a
 * negative errno: nobody knows.
 */
int cycle_decide(struct cycle *c, uint8_t type, const char *name,
		 const struct buf *plain, struct buf *out);
/* Delete packs, and look until none of them is listed. */
int cycle_delete_packs(struct cycle *c, const struct pack_list *l);
/* Finish or abort what others began. */
int cycle_take_over(struct cycle *c);
/* Make one index object of all, without the packs that are swept. */
int cycle_rewrite_index(struct cycle *c);

#endif
