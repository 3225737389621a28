/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The threads that serve a FUSE session.
 *
 * One thread, the reader, waits for requests and serves what it gets itself:
 * a client that waits for each answer then costs no other thread a wake-up.
 * Others are parked, and are woken when a second request waits, when a long
 * read was taken in hand, or when the one that serves is held up.
 *
 * A request can be taken away from the thread that serves it: by an interrupt
 * (the kernel waits for our answer), or when its time is over. It is then
 * answered, the thread is asked to end the work (store/base/stop.h), and what it
 * comes up with later is dropped. There is always a thread left to hear of
 * interrupts: when all the others are held up, it serves what can be served
 * without waiting and puts the rest aside. What is put aside has its time, too.
 *
 * The kernel tells of every signal that has a handler, a timer's or a
 * profiler's, and stat(2) or open(2) that ended for one would fail where no
 * other filesystem lets them. So an interrupt ends a request at once where the
 * client is being killed; else only when the request has been in hand for
 * LOOP_INTERRUPT_NS, which is when somebody who pressed Ctrl-C wants to know.
 */
#ifndef FS_FUSE_LOOP_H
#define FS_FUSE_LOOP_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct fuse_in_header;
struct fuse_req;
struct fuse_session;
struct loop;

#define LOOP_THREADS_MAX 64
#define LOOP_INTERRUPT_NS INT64_C(2000000000)

struct loop_options {
	unsigned int threads; /* that serve at once, at most LOOP_THREADS_MAX;
			       * 0: one a core, 2 to 4 */
	int64_t deadline_ns; /* then a request is answered EIO; 0: never */
	bool stay; /* do not follow the client from core to core */
	/* Can this request, of @len bytes, be served without waiting for the
	 * backend, where call_may_wait() says no? NULL: none can. */
	bool (*at_hand)(void *arg, const struct fuse_in_header *request,
			size_t len);
	void *arg; /* borrowed */
};

/*
 * Start serving a mounted session (borrowed until loop_free()).
 * Return 0, -ENOMEM or -EAGAIN (no threads).
 */
MUST_CHECK int loop_start(struct fuse_session *se, const struct loop_options *o,
			  struct loop **out);
/* A descriptor that becomes readable when the session has ended. Borrowed. */
int loop_fd(const struct loop *l);
/* Take no more requests. When it returns nobody reads the device, and it may
 * be closed. NULL is fine, as below. */
void loop_stop(struct loop *l);
/*
 * End: call it once the session is unmounted. Return true when all threads
 * ended in time and the loop is freed; false when some hang in the backend:
 * then nothing they use may be freed.
 */
MUST_CHECK bool loop_free(struct loop *l);

#define LOOP_OPCODES 64
/* FUSE_STATX, of protocol 7.39; older headers do not have it. */
#define LOOP_STATX 52

struct loop_stats {
	uint64_t requests;
	uint64_t by_opcode[LOOP_OPCODES]; /* enum fuse_opcode; the last one
					   * holds all that are higher */
	uint64_t interrupted, late; /* taken away */
	uint64_t helped; /* parked threads woken */
	uint64_t moved; /* changes of core */
	unsigned int threads, held_up;
};
void loop_get_stats(struct loop *l, struct loop_stats *out);
/* "LOOKUP 12, READ 3": what came, appended. */
void loop_put_counts(struct loop *l, struct buf *out);

/* ---- for the operations: the request that this thread serves ---- */

/* Every operation that answers begins with this; false: it was answered. */
MUST_CHECK bool call_begin(struct fuse_req *req);
/* And ends with this, before it answers; false: nobody waits any more. */
MUST_CHECK bool call_end(void);
/* Does the client want what statx(2) tells? The library takes such a request for
 * getattr. */
bool call_wants_statx(void);
/* May this thread wait for the backend? Where not, it is the last one that
 * reads requests. */
bool call_may_wait(void);
/* This thread's buffer, of at least @len bytes; NULL: no memory. */
MUST_CHECK void *call_buffer(size_t len);

#endif
