/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rules of the protocol that are left out on purpose, one in a run: the
 * simulation has to notice each. What the real code does is spoilt on its way to
 * the store: an answer is another, or comes from another moment.
 */
#ifndef TESTS_SIM_PLANTS_H
#define TESTS_SIM_PLANTS_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>

#include "store/base/name.h"

struct backend_page;
struct sim_actor;

enum sim_op {
	SIM_PUT,
	SIM_GET,
	SIM_HEAD,
	SIM_LIST,
	SIM_SYNC,
	SIM_DELETE,
	SIM_OPS
};

#define PLANTS(X)                                                              \
	X(NONE, "none")                                                        \
	/* writers */                                                          \
	X(SESSION_FIRST, "a session's object comes after its listings")        \
	X(SESSION_UNSURE, "a session begins though its object did not come")   \
	X(TOMBS_FIRST, "packs are listed before tombs")                        \
	X(TOMBS_READ_FIRST, "tombs are read after packs were listed")          \
	X(TOMBS_HONOURED, "tombs are passed over")                             \
	X(SWEPT_UNUSABLE, "packs that were swept away and came back are used") \
	X(SWEEPS_AFTER_TOMBS, "sweeps are listed before tombs")                \
	X(PARENT_AFTER_SESSION, "a parent is judged before the session")       \
	X(PURGE_HONOURED, "a purged point is a parent")                        \
	X(REGISTER, "a commit is put over a fence")                            \
	X(COMMIT_READ_BACK, "a commit's loss is taken for a success")          \
	X(INDEX_BEFORE_COMMIT, "the index comes after the commit")             \
	X(PACK_BEFORE_INDEX, "a pack is not there when it is named")           \
	X(PACKS_UNSURE, "a pack's lost put is taken for done")                 \
	X(LIST_ERRORS, "a listing that fails is an empty one")                 \
	/* points and readers */                                               \
	X(UNDELETE_REGISTER, "who comes too late is told that it is kept")     \
	X(READER_PURGES, "a reader does not look who was purged")              \
	X(READER_RELOADS, "a reader keeps to the index that it knows")         \
	X(READER_ERRORS, "a pack that cannot be read is gone")                 \
	/* collectors */                                                       \
	X(PURGE_REGISTER, "a purge is put over a verdict that keeps")          \
	X(PURGE_UNASKED, "a point is purged that nobody wished away")          \
	X(TOMB_FIRST, "sessions are listed before the tomb stands")            \
	X(TOMB_UNSURE, "a tomb's loss is taken for a success")                 \
	X(SESSIONS_WAIT, "sessions are not waited for")                        \
	X(SESSIONS_ERRORS, "a listing of sessions that fails is empty")        \
	X(FENCE_READ_BACK, "a session that won its register is fenced")        \
	X(REMARK, "the second mark is left out")                               \
	X(REMARK_AFTER, "commits are listed before the last decision")         \
	X(PURGES_OF_MARK, "the second mark goes by newer purges")              \
	X(COVER, "a pack goes with a chunk that lives")                        \
	X(UNREAD_POINTS, "a point that cannot be read refers to nothing")      \
	X(SWEEP_REGISTER, "a sweep that was aborted goes on")                  \
	X(SWEEP_FIRST, "packs go before the sweep stands")                     \
	X(TAKEOVER_ABORTS, "another's tomb goes without a word")               \
	X(TAKEOVER_FINISHES, "another's sweep is not finished")                \
	X(TOMB_LAST, "the tomb goes before its packs")                         \
	X(INDEX_NEW_FIRST, "old indexes go before the new one stands")         \
	X(INDEX_SWEPT_ONLY, "entries of packs that stay are dropped")          \
	X(INDEX_READ_ONLY, "indexes go that nobody read")

enum plant {
#define PLANT_NAME(name, text) PLANT_##name,
	PLANTS(PLANT_NAME)
#undef PLANT_NAME
		PLANT_COUNT
};

/* The text of a plant, and its name; NULL past the last. */
const char *plant_text(enum plant p);
const char *plant_name(enum plant p);
/* Return the plant of that name; PLANT_COUNT where there is none. */
enum plant plant_find(const char *name);

#define PLANT_HELD 3 /* puts that are held back */
#define PLANT_LISTS 4 /* listings of another moment */

/* What is remembered of an actor for the sake of the plants. */
struct plant_state {
	struct {
		char name[OBJECT_NAME_MAX];
		uint8_t *data; /* owned */
		size_t len;
	} held[PLANT_HELD];
	/* what it believes to have put, and others did: owned */
	char ghost[OBJECT_NAME_MAX];
	uint8_t *ghost_data;
	size_t ghost_len;
	bool has_session; /* a writer that has begun one */
	struct {
		char prefix[16];
		struct backend_page *page; /* owned */
	} lists[PLANT_LISTS];
};
void plant_forget(struct sim_actor *a);

/*
 * What a plant makes of a call, before it is done. Return true where it has been
 * answered: with *r.
 */
bool plant_put(struct sim_actor *a, const char *name, const void *data,
	       size_t len, int *r);
bool plant_get(struct sim_actor *a, const char *name, size_t max, uint8_t **out,
	       size_t *len_out, int *r);
bool plant_list(struct sim_actor *a, const char *prefix,
		struct backend_page *page, int *r);
/* What else goes when an object does. */
void plant_delete(struct sim_actor *a, const char *name);
/* Whether the call has to fail, for this plant bears only where something fails. */
bool plant_strikes(const struct sim_actor *a, enum sim_op op, const char *name);
/* And of its answer. */
int plant_put_answer(struct sim_actor *a, const char *name, const void *data,
		     size_t len, int r);
int plant_get_answer(struct sim_actor *a, const char *name, int r);
int plant_list_answer(struct sim_actor *a, const char *prefix, int r);

#endif
