/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A deterministic simulation of many clients of one vault: the real code of
 * store/ on a backend in memory. Each client is a coroutine, an actor, with a
 * handle of its own. Just one of them runs at a time: at each call of the backend
 * it gives way, and one generator of numbers, which begins with a seed, says who
 * goes on and what becomes of the call. So a seed is a run, and the same run each
 * time.
 *
 * Beside the actors there is a truth (truth.h), which sees each change of the
 * store and says what must never be.
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "store/base/attrs.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "store/backend/internal.h"
#include "store/base/id.h"
#include "store/base/name.h"
#include "tests/sim/plants.h"

struct backend_found;
struct keyring;
struct vault;
struct vault_options;

#define SIM_SECOND INT64_C(1000000000)
#define SIM_DAY (86400 * SIM_SECOND)
#define SIM_YEAR (365 * SIM_DAY)

#define SIM_ACTORS 10
#define SIM_KEYS 16 /* of pthread_getspecific() */
#define SIM_MACHINES 3
#define SIM_LATE 8 /* copies of puts that are still on their way */

enum sim_role {
	SIM_WRITER,
	SIM_COLLECTOR,
	SIM_READER,
	SIM_OPERATOR,
	SIM_ROLES
};

/* Where somebody goes on. */
struct sim_place {
	ucontext_t context; /* to begin */
	jmp_buf buf; /* later */
	bool was_left;
};

struct sim_actor {
	struct backend backend; /* its way to the store */
	enum sim_role role;
	unsigned int number;
	void (*main)(struct sim_actor *a);
	/* ---- the coroutine ---- */
	struct sim_place place;
	void *stack; /* kept from run to run */
	bool running; /* main has not returned */
	bool hushed;
	void *specific[SIM_KEYS]; /* as a thread has them; kept, too */
	uint64_t sleeps_until; /* a step */
	/* ---- the process and the machine that it is ---- */
	int pid; /* another one after each death */
	bool dead; /* killed: nothing that it does has an effect any more */
	const char *machine; /* whose local database it uses; NULL: its own */
	int64_t clock_ns; /* its clock's distance from the true time */
	struct vault *vault;
	unsigned int faults; /* that hit it since somebody looked */
	unsigned int cut; /* so many calls fail to come: the store is away */
	bool is_tired; /* it came to a place where a long sleep is of interest */
	struct plant_state plant;
};

/* Of 1000 calls, how many. */
struct sim_weather {
	unsigned int passing, lost, error, cut, crash, late, interval, nap, hot,
		jump;
};

struct sim {
	uint64_t seed, dice; /* of the schedule */
	uint64_t bytes; /* the state of the random bytes */
	uint64_t step, steps_max;
	uint64_t hash; /* of the trace */
	bool trace; /* print it */
	int64_t now_ns; /* the true time */
	int64_t store_ns; /* the store's clock's distance from it */
	bool in_store; /* who asks for the time is the store */
	struct sim_weather weather;
	struct backend *store; /* the objects */
	struct sim_actor actors[SIM_ACTORS];
	unsigned int nactors;
	struct sim_actor *current; /* NULL: nobody; calls go straight through */
	struct sim_place scheduler;
	int next_pid;
	struct {
		struct sim_actor *from;
		uint64_t at; /* a step */
		char name[OBJECT_NAME_MAX];
		uint8_t *data; /* owned */
		size_t len;
	} late[SIM_LATE];
	enum plant plant; /* the rule that is left out */
	char violation[512]; /* the first; "" */
};

extern struct sim sim;

/* ---- numbers.c: chance, clocks and the seam ---- */

/* A number below @n, of the schedule's generator. */
unsigned int sim_dice(unsigned int n);
/* Of 1000 calls so many give true. */
bool sim_chance(unsigned int permille);
/* The seam of all actors. */
struct seam *sim_seam(void);

/* ---- coroutines.c ---- */

/* Begin an actor; @slot is its coroutine. */
void sim_start(struct sim_actor *a, void (*main)(struct sim_actor *a));
/* Let the scheduler choose who goes on. */
void sim_yield(void);
/* Run all actors until each has ended. */
void sim_run(void);
/* Kill the current actor. */
void sim_kill(struct sim_actor *a);
/* After its death it is another process. */
void sim_be_born(struct sim_actor *a);
void sim_free_stacks(void);

/* ---- store.c ---- */

/* Make the actor's way to the store. */
void sim_connect(struct sim_actor *a);
/* Copies of puts that are due arrive; @all: all of them. */
void sim_deliver(bool all);
void sim_drop_late(void);

/* ---- locals.c: local databases, in memory ---- */

/* All are empty again, as those of new machines. */
void sim_reset_locals(void);
void sim_free_locals(void);

/* ---- memo.c: what was worked out before ---- */

/* To be called between runs: it must not grow for ever. */
void sim_trim_memo(void);
void sim_free_memo(void);

/* ---- trace and violations ---- */

/* Take an event into the trace. */
PRINTF(2, 3)
void sim_trace(const struct sim_actor *a, const char *fmt, ...);
/* The same of a call of the backend, and its answer. */
void sim_trace_call(const struct sim_actor *a, const char *op, const char *name,
		    int r);
/* Print what is no event, but follows from those that are. */
PRINTF(2, 3) void sim_note(const struct sim_actor *a, const char *fmt, ...);
/* Something is as it must never be. */
PRINTF(1, 2) void sim_violated(const char *fmt, ...);

/* ---- actors ---- */

#define SIM_DATA 6 /* chunks of data that there are in this world */
/* The bytes of chunk number @i; return how many. */
#define SIM_CHUNK_MAX 256
size_t sim_chunk_bytes(unsigned int i, uint8_t out[SIM_CHUNK_MAX]);
/* The options with which all open the vault. */
struct vault_options sim_options(struct sim_actor *a);
/* Open the actor's handle, if it is not. Return 0 or a negative errno. */
int sim_open(struct sim_actor *a);
void sim_close(struct sim_actor *a);
void sim_writer(struct sim_actor *a);
void sim_reader(struct sim_actor *a);
void sim_operator(struct sim_actor *a);
void sim_collector(struct sim_actor *a);
/* One cycle of the reference collector. Return 0 or a negative errno. */
int sim_collect(struct sim_actor *a);
/* Only follow the wishes that are due. */
int sim_purge(struct sim_actor *a);
/* Read all of a point through @v, and compare it. Return 0, -EILSEQ (wrong
 * bytes) or another negative errno. */
struct point;
int sim_read_point(struct vault *v, const struct point *p);

#endif
