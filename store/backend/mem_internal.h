/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The backend in memory, shared among its files: mem.c has the operations,
 * mem_objects.c what they work on, mem_faults.c what goes wrong with them.
 */
#ifndef STORE_BACKEND_MEM_INTERNAL_H
#define STORE_BACKEND_MEM_INTERNAL_H

#include "store/backend/mem.h"

#include <pthread.h>

#include "store/backend/internal.h"

#define MEM_FAULTS 16
#define MEM_KINDS 32

struct mem_object {
	char *name; /* owned */
	uint8_t *data; /* owned */
	size_t len;
	int64_t stored_ns;
};

struct mem_fault {
	enum backend_mem_op op;
	char prefix[BACKEND_NAME_MAX + 1];
	unsigned int left; /* calls until it happens; 0: none is set here */
	int err;
	unsigned int flags;
};

struct mem_kind {
	char name[BACKEND_NAME_MAX + 1];
	struct backend_mem_counts counts;
};

struct backend_mem {
	struct backend base;
	backend_mem_watch_fn *watch;
	void *watch_arg; /* borrowed */
	bool may_lag; /* as backend_may_lag() */
	pthread_mutex_t lock; /* protects all below */
	struct mem_object **objects; /* owned, and so is each; sorted by name */
	size_t n, cap;
	struct mem_fault faults[MEM_FAULTS];
	unsigned int failures;
	struct mem_kind kinds[MEM_KINDS];
	struct backend_mem_weather weather;
	uint64_t dice; /* the weather's generator */
	unsigned int hanging; /* how many calls do */
	bool open; /* what hangs is let go */
	pthread_cond_t released; /* open, or another reason to look */
	size_t nkinds; /* names that find no room count in the last one */
};

static inline struct backend_mem *mem_of(struct backend *b)
{
	return container_of(b, struct backend_mem, base);
}

/* ---- mem_objects.c; the caller holds the lock ---- */

void mem_object_free(struct mem_object *o);
/* A copy of @data under @name, stored now; NULL when memory is out. */
MUST_CHECK struct mem_object *mem_object_new(const char *name, const void *data,
					     size_t len);
struct backend_info mem_object_info(const struct mem_object *o);
/* The index of the first object whose name is not before @name. */
size_t mem_lower_bound(const struct backend_mem *m, const char *name);
/* The object of that name, or NULL. */
struct mem_object *mem_find(const struct backend_mem *m, const char *name);
/* Takes over @o, whose name must be new; on no memory it frees it. */
MUST_CHECK int mem_insert(struct backend_mem *m, struct mem_object *o);
/* Take an object out, for the caller to free; NULL when it is absent. */
struct mem_object *mem_take(struct backend_mem *m, const char *name);

/* ---- mem_faults.c ---- */

/* The counts of @name's kind. The caller holds the lock. */
struct backend_mem_counts *mem_counts_of(struct backend_mem *m,
					 const char *name);
/*
 * What every operation begins with: the watcher, the count, the faults, the
 * weather. Return 0, or how it is to fail and with what flags.
 */
int mem_enter(struct backend_mem *m, const struct backend_call *c,
	      enum backend_mem_op op, const char *name,
	      unsigned int *flags_out);
/* Put a page out of order, if the weather is so. The caller holds the lock. */
void mem_shuffle(struct backend_mem *m, struct backend_page *page);
/* Return @err, said in words unless it is one that is silent. */
int mem_broken(const struct backend_mem *m, int err, const char *what,
	       const char *name);

#endif
