/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A backend in memory, with injected faults: the tests' backend.
 *
 * Besides being a backend it can be told to fail, it counts what it is asked,
 * and it lets a test at the bytes of its objects behind everybody's back.
 * All is safe from any thread but for what is said of backend_mem_data().
 */
#ifndef STORE_BACKEND_MEM_H
#define STORE_BACKEND_MEM_H

#include "store/backend/backend.h"

enum backend_mem_op {
	BACKEND_MEM_PUT,
	BACKEND_MEM_GET,
	BACKEND_MEM_HEAD,
	BACKEND_MEM_LIST,
	BACKEND_MEM_SYNC,
	BACKEND_MEM_DELETE,
	BACKEND_MEM_OPS, /* how many there are */
};

/* An empty one, as after backend_create(). NULL when memory is out. Close it
 * with backend_close(). */
MUST_CHECK struct backend *backend_mem_new(void);
/* A new one with copies of the objects, no faults, all counts 0; or NULL. */
MUST_CHECK struct backend *backend_mem_clone(struct backend *b);

/* ---- faults ---- */

enum backend_mem_flags {
	BACKEND_MEM_STICKY = 1 << 0, /* and every one after it */
	/* A put or delete happens, and only then fails: a lost reply. */
	BACKEND_MEM_LOST_REPLY = 1 << 1,
	/* A put leaves nothing, the caller is told that all went well. */
	BACKEND_MEM_LIES = 1 << 2,
	/* It waits until it is released, or for its deadline, or until somebody
	 * asks for an end; then it is done, or fails so. */
	BACKEND_MEM_HANGS = 1 << 3,
};

/*
 * Let the @nth (from 1, counted from now) operation @op on a name that begins
 * with @prefix ("" is all) fail with @err. Up to 16 faults at a time; a fault
 * that is not sticky is used up when it happens.
 */
void backend_mem_fail(struct backend *b, enum backend_mem_op op,
		      const char *prefix, unsigned int nth, int err,
		      unsigned int flags);
/* From now on nothing hangs any more. */
void backend_mem_release_hanging(struct backend *b);
/* How many calls hang at the moment. */
unsigned int backend_mem_hanging(struct backend *b);
/* Let calls take at most @timeout_ns, and end when *@stop is set (NULL: never).
 * Set it while nobody is at work. */
void backend_mem_set_patience(struct backend *b, int64_t timeout_ns,
			      const volatile bool *stop);

/* What happens to any call, by dice that follow from a seed. */
struct backend_mem_weather {
	uint64_t seed;
	unsigned int lost; /* of 1000 calls; done, and then -ETIMEDOUT */
	unsigned int throttled; /* of 1000; not done, and -EAGAIN */
	unsigned int delay_us; /* at most */
	bool shuffle; /* pages of listings are out of order */
	size_t page_names; /* at most in a page of a listing; 0: as before */
	unsigned int list_threads; /* that fetch pages at once; 0: the caller */
};
void backend_mem_set_weather(struct backend *b,
			     const struct backend_mem_weather *w);
/* Forget all faults; what the weather does to listings stays. */
void backend_mem_heal(struct backend *b);
/* How many faults have happened. */
unsigned int backend_mem_failures(struct backend *b);

/*
 * Called before each operation, with no lock held, so that it may use the
 * backend itself: to let something happen just there. What it returns but 0 is
 * how the operation fails. NULL: no more. Set it while nobody is at work.
 */
typedef int backend_mem_watch_fn(void *arg, enum backend_mem_op op,
				 const char *name);
void backend_mem_watch(struct backend *b, backend_mem_watch_fn *fn, void *arg);

/* Let backend_may_lag() say so. Set it while nobody is at work. */
void backend_mem_set_lag(struct backend *b, bool may_lag);

/* ---- counts ---- */

struct backend_mem_counts {
	uint64_t calls[BACKEND_MEM_OPS]; /* failed ones as well */
	uint64_t bytes_put; /* of new objects */
	uint64_t bytes_got;
};

/* @kind: what names begin with up to the first '/' ("pack"); NULL: all. */
void backend_mem_get_counts(struct backend *b, const char *kind,
			    struct backend_mem_counts *out);
void backend_mem_reset_counts(struct backend *b);

/* ---- behind everybody's back: no faults, no counts ---- */

/* How many objects, and the name of the @i-th in order; NULL past the end. The
 * name is good until an object is removed or renamed. */
size_t backend_mem_nobjects(struct backend *b);
const char *backend_mem_name(struct backend *b, size_t i);
/* The object's own bytes, to look at and to change; NULL when it is absent.
 * Good until it is set, removed or renamed; not to be changed while others
 * read it. */
uint8_t *backend_mem_data(struct backend *b, const char *name, size_t *len_out);
/* Make or replace an object. Return 0 or -ENOMEM. */
int backend_mem_set(struct backend *b, const char *name, const void *data,
		    size_t len);
/* Let it have been stored at another time. Return 0 or -ENOENT. */
int backend_mem_set_time(struct backend *b, const char *name,
			 int64_t stored_ns);
/* Truncate, or extend with zeros. Return 0, -ENOENT or -ENOMEM. */
int backend_mem_resize(struct backend *b, const char *name, size_t len);
/* Return 0 or -ENOENT; -EEXIST where @to is taken; -ENOMEM. */
int backend_mem_rename(struct backend *b, const char *from, const char *to);
/* Return 0 or -ENOENT. */
int backend_mem_remove(struct backend *b, const char *name);

#endif
