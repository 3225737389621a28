/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inside of the loop; for fs/fuse/loop*.c alone. */
#ifndef FS_FUSE_LOOP_INTERNAL_H
#define FS_FUSE_LOOP_INTERNAL_H

#include "fs/fuse/loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "store/base/stop.h"

#define TICK_NS 4000000
#define IDLE_TICKS 25 /* then the monitor sleeps */
#define WORKERS_MIN 16 /* with those that replace the held up */
#define LONG_READ (64u << 10)
#define END_WAIT_NS INT64_C(2000000000)

struct placement;

enum worker_state { WORKER_NONE, WORKER_READING, WORKER_BUSY, WORKER_PARKED };

struct worker {
	struct loop *loop; /* borrowed */
	pthread_t thread;
	atomic_int tid;
	atomic_int client; /* the thread whose request was taken last */
	_Atomic enum worker_state state;
	atomic_uint_fast64_t turn; /* requests taken so far */
	atomic_uint_fast64_t unique; /* of the request in hand; 0: none */
	atomic_int_fast64_t since_ns; /* when it was taken */
	/* Asks the thread to end what was taken away from it. */
	struct stop stop;
	pthread_mutex_t lock; /* protects the three below */
	struct fuse_req *req; /* to be answered by whoever takes it */
	uint64_t taken; /* the unique that was taken away unanswered */
	int taken_error;
	/* The request whose client has had a signal that does not kill it. */
	atomic_uint_fast64_t interrupted;
	/* The monitor's. */
	uint64_t seen_turn; /* at its last tick */
	atomic_bool held_up;
	atomic_bool late; /* what it has in hand was answered, as too late */
	/* This thread's own. */
	bool hurried; /* it may not wait for the backend */
	bool statx; /* the request in hand came as FUSE_STATX */
	void *request; /* the one in hand, as it was read; owned */
	size_t request_len;
	void *buffer; /* owned */
	size_t buffer_len;
};

/* A request put aside, as it was read. */
struct aside {
	struct aside *next;
	int64_t since_ns; /* when it was read */
	/* As a worker's request, and told to the one that takes it. Set under
	 * the loop's lock, while it is in the list. */
	bool interrupted;
	size_t len;
	uint8_t data[];
};

struct loop {
	struct fuse_session *se; /* borrowed */
	struct loop_options options;
	int ended_fd; /* owned */
	/* The monitor's. */
	int ticks_idle;
	int64_t ticked_ns;
	uint64_t seen_switches;
	atomic_uint_fast64_t switches; /* of clients, or requests that waited */
	atomic_int nreading, nbusy, nheld, nlate;
	atomic_bool monitor_sleeps, ending;
	atomic_uint_fast64_t interrupted, late, helped;
	atomic_uint_fast64_t by_opcode[LOOP_OPCODES];
	struct placement *placement; /* owned; NULL: stay */
	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t unpark, kick, ended;
	unsigned int nworkers; /* started */
	unsigned int nalive; /* with the monitor */
	unsigned int nparked, nwake; /* waiting; told to go and read */
	struct aside *first, **last;
	atomic_uint naside; /* in that list */
	pthread_t monitor;
	unsigned int max; /* workers */
	struct worker workers[];
};

/* CLOCK_MONOTONIC, to some milliseconds. */
int64_t loop_now_ns(void);
/* The moment of the next tick, for pthread_cond_timedwait(). */
void loop_next_tick(struct timespec *out);
/* Answer @unique with @error for the thread that has it in hand. Return whether
 * it has. */
bool loop_take_away(struct worker *w, uint64_t unique, int error);
/* Answer a request that the library never saw. */
void loop_answer(struct loop *l, uint64_t unique, int error);
/* Have another thread read; @may_start lets a new one be started where none is
 * parked. */
void loop_wake_helper(struct loop *l, bool may_start);

/* loop_aside.c: requests that were put aside, as they were read. */

/* Return 0 or -ENOMEM. */
MUST_CHECK int aside_put(struct loop *l, const void *data, size_t len);
/* Take the first one, or, where @unique is not 0, that one. Return NULL where
 * there is none. The caller frees it. */
struct aside *aside_take(struct loop *l, uint64_t unique);
/* Answer those that were interrupted or whose time is over. */
void aside_answer_late(struct loop *l, int64_t now);

/*
 * loop_interrupt.c: a client has had a signal. Where it is being killed its
 * request is answered; else it is marked, and the monitor answers it when it
 * has taken too long.
 */
void loop_interrupt(struct loop *l, const void *data, size_t len);

/* loop_monitor.c: the thread that looks after the others. */
void *monitor_main(void *arg);

#endif
