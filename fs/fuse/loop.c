/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The threads that serve a FUSE session: see loop.h for the idea.
 *
 * A thread is reading (in or before the read of the device), busy (a request
 * in hand), parked, or held up: busy with one request for more than a tick of
 * the monitor. The monitor ticks only while there is work.
 *
 * Who reads next, without a lock in the usual case:
 *
 *   - a busy thread goes back to reading, unless another reads already and
 *     nothing waits: then it parks;
 *   - whoever takes a request wakes a parked thread to read in its place when
 *     more requests wait, or when this one is a long read;
 *   - the monitor wakes one where nobody reads because all are held up.
 *
 * Interrupts never get to the library: it would have to be told of every
 * request under its own locks. We know which thread has which request, and
 * answer for it.
 */
#include "config.h"

#include "fs/fuse/loop.h"

#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include "fs/fuse/loop_internal.h"
#include "fs/fuse/placement.h"
#include "store/base/lock.h"
#include "store/base/log.h"

#define LOOP_SIGNAL SIGUSR2

static _Thread_local struct worker *self;

/* ---- the call in hand ---- */

bool call_begin(struct fuse_req *req)
{
	struct worker *w = self;
	int error = 0;

	if (!w)
		return true;
	pthread_mutex_lock(&w->lock);
	if (w->taken == w->unique)
		error = w->taken_error;
	else
		w->req = req;
	pthread_mutex_unlock(&w->lock);
	if (!error)
		return true;
	fuse_reply_err(req, error);
	return false;
}

bool call_end(void)
{
	struct worker *w = self;
	struct fuse_req *req;

	if (!w)
		return true;
	pthread_mutex_lock(&w->lock);
	req = w->req;
	w->req = NULL;
	pthread_mutex_unlock(&w->lock);
	return req != NULL;
}

bool call_wants_statx(void)
{
	return self && self->statx;
}

bool call_may_wait(void)
{
	return !self || !self->hurried;
}

void *call_buffer(size_t len)
{
	struct worker *w = self;
	void *data;

	if (!w)
		return NULL;
	if (len <= w->buffer_len)
		return w->buffer;
	data = aligned_alloc(4096, (len + 4095) & ~(size_t)4095);
	if (!data)
		return NULL;
	free(w->buffer);
	w->buffer = data;
	w->buffer_len = len;
	return data;
}

bool loop_take_away(struct worker *w, uint64_t unique, int error)
{
	struct fuse_req *req = NULL;
	bool found;

	if (w->unique != unique)
		return false;
	pthread_mutex_lock(&w->lock);
	found = w->unique == unique;
	if (found) {
		req = w->req;
		w->req = NULL;
		if (!req) {
			/* It comes to call_begin(), or is answered already. */
			w->taken = unique;
			w->taken_error = error;
		}
	}
	pthread_mutex_unlock(&w->lock);
	if (found)
		w->stop.asked = unique; /* nobody waits for the rest of it */
	if (req)
		fuse_reply_err(req, error);
	return found;
}

void loop_answer(struct loop *l, uint64_t unique, int error)
{
	struct fuse_out_header out = { .len = sizeof(out),
				       .error = -error,
				       .unique = unique };
	ssize_t n = write(fuse_session_fd(l->se), &out, sizeof(out));

	(void)n; /* the client is gone: nobody to tell */
}

/* ---- waking and parking ---- */

static void *worker_main(void *arg);

/* Called with the lock held. */
static void start_worker(struct loop *l)
{
	struct worker *w = &l->workers[l->nworkers];

	if (l->nworkers == l->max || l->ending)
		return;
	if (pthread_create(&w->thread, NULL, worker_main, w) != 0)
		return;
	l->nworkers++;
	l->nalive++;
}

void loop_wake_helper(struct loop *l, bool may_start)
{
	SCOPED_LOCK(&l->lock);
	if (l->nparked > l->nwake) {
		l->nwake++;
		l->helped++;
		pthread_cond_signal(&l->unpark);
	} else if (may_start) {
		start_worker(l);
	}
}

static void park(struct worker *w)
{
	struct loop *l = w->loop;

	SCOPED_LOCK(&l->lock);
	w->state = WORKER_PARKED;
	l->nparked++;
	while (l->nwake == 0 && !l->ending)
		pthread_cond_wait(&l->unpark, &l->lock);
	if (l->nwake > 0)
		l->nwake--;
	l->nparked--;
}

static bool more_waits(struct loop *l)
{
	struct pollfd p = { .fd = fuse_session_fd(l->se), .events = POLLIN };

	return poll(&p, 1, 0) > 0 && (p.revents & POLLIN);
}

static void kick_monitor(struct loop *l)
{
	if (!l->monitor_sleeps)
		return;
	SCOPED_LOCK(&l->lock);
	l->monitor_sleeps = false;
	pthread_cond_signal(&l->kick);
}

/* ---- a worker ---- */

static bool is_long(const void *data, size_t len)
{
	const struct fuse_in_header *h = data;
	const struct fuse_read_in *arg = (const void *)(h + 1);

	return h->opcode == FUSE_READ && len >= sizeof(*h) + sizeof(*arg) &&
	       arg->size > LONG_READ;
}

static void begin_work(struct worker *w, const struct fuse_in_header *h,
		       int64_t since_ns)
{
	struct loop *l = w->loop;

	if (w->client != (int)h->pid) {
		w->client = (int)h->pid;
		l->switches++;
	}
	w->since_ns = since_ns;
	w->turn++;
	w->stop.serving = h->unique;
	w->unique = h->unique;
	w->state = WORKER_BUSY;
	kick_monitor(l);
}

static void end_work(struct worker *w)
{
	struct loop *l = w->loop;

	w->unique = 0;
	w->hurried = false;
	l->nbusy--;
	if (atomic_exchange(&w->held_up, false))
		l->nheld--;
	if (atomic_exchange(&w->late, false))
		l->nlate--;
}

/*
 * The library answers FUSE_STATX that it does not know it. It begins as
 * FUSE_GETATTR does, which is what the library takes it for then; the operation
 * knows better.
 */
static void disguise_statx(struct worker *w, struct fuse_in_header *h,
			   size_t len)
{
	w->statx = h->opcode == LOOP_STATX &&
		   len >= sizeof(*h) + sizeof(struct fuse_getattr_in);
	if (w->statx)
		h->opcode = FUSE_GETATTR;
}

/* Once reserve() let it. @since_ns is when the request was read. */
static void serve(struct worker *w, void *data, size_t len, int64_t since_ns)
{
	struct fuse_buf in = { .size = len, .mem = data };

	begin_work(w, data, since_ns);
	disguise_statx(w, data, len);
	fuse_session_process_buf(w->loop->se, &in);
	end_work(w);
}

/*
 * May this thread become busy? One must be left to hear of interrupts. Where
 * it may it counts as busy from now on, until end_work().
 */
static bool reserve(struct loop *l)
{
	if (atomic_fetch_add(&l->nbusy, 1) < (int)l->max - 1)
		return true;
	l->nbusy--;
	return false;
}

/* What waited while all were held up. */
static void serve_aside(struct worker *w)
{
	const struct fuse_in_header *h;
	struct loop *l = w->loop;
	struct aside *a;

	while (l->naside > 0 && reserve(l)) {
		a = aside_take(l, 0);
		if (!a) {
			l->nbusy--;
			return;
		}
		h = (const void *)a->data;
		if (a->interrupted)
			w->interrupted = h->unique;
		serve(w, a->data, a->len, a->since_ns);
		free(a);
	}
}

/* More threads than those held up are busy: no more than asked for. */
static bool may_help(const struct loop *l)
{
	return l->nbusy - l->nheld + l->nreading < (int)l->options.threads;
}

/* No thread may be held up by this request. */
static void handle_without_waiting(struct worker *w)
{
	struct loop *l = w->loop;
	const struct loop_options *o = &l->options;
	const struct fuse_in_header *h = w->request;
	size_t len = w->request_len;

	if (o->at_hand && o->at_hand(o->arg, h, len)) {
		l->nbusy++;
		w->hurried = true;
		serve(w, w->request, len, loop_now_ns());
	} else if (l->nlate >= (int)l->max - 1) {
		/* All the others have waited for as long as anybody shall. */
		loop_answer(l, h->unique, EIO);
		l->late++;
	} else if (aside_put(l, h, len) < 0) {
		loop_answer(l, h->unique, ENOMEM);
	}
	serve_aside(w); /* where another came free meanwhile */
}

/* A request was read. */
static void handle(struct worker *w)
{
	struct loop *l = w->loop;
	const struct fuse_in_header *h = w->request;
	size_t len = w->request_len;

	if (len < sizeof(*h))
		return;
	l->by_opcode[MIN(h->opcode, LOOP_OPCODES - 1u)]++;
	if (h->opcode == FUSE_INTERRUPT) {
		loop_interrupt(l, h, len);
		return;
	}
	if (!reserve(l)) {
		if (h->opcode == FUSE_FORGET || h->opcode == FUSE_BATCH_FORGET)
			return; /* nothing is kept, and nobody waits */
		handle_without_waiting(w);
		return;
	}
	if (l->nreading == 0 && may_help(l) &&
	    (is_long(h, len) || more_waits(l))) {
		l->switches++;
		loop_wake_helper(l, false);
	}
	serve(w, w->request, len, loop_now_ns());
	serve_aside(w);
}

static bool receive(struct worker *w)
{
	struct loop *l = w->loop;
	struct fuse_buf in = { .mem = w->request };
	int r;

	w->state = WORKER_READING;
	l->nreading++;
	r = fuse_session_receive_buf(l->se, &in);
	l->nreading--;
	w->request = in.mem;
	w->request_len = r > 0 ? (size_t)r : 0;
	return r > 0;
}

static void session_over(struct loop *l)
{
	uint64_t one = 1;
	ssize_t n;

	SCOPED_LOCK(&l->lock);
	l->ending = true;
	pthread_cond_broadcast(&l->unpark);
	pthread_cond_broadcast(&l->kick);
	n = write(l->ended_fd, &one, sizeof(one));
	(void)n;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct loop *l = w->loop;
	bool parked = false;

	self = w;
	(void)stop_obey(&w->stop);
	w->tid = gettid();
	while (!l->ending) {
		if (!parked && l->nreading > 0 && !more_waits(l)) {
			park(w);
			parked = true;
			continue;
		}
		parked = false;
		if (receive(w))
			handle(w);
		else if (fuse_session_exited(l->se))
			session_over(l);
	}
	free(w->request);
	free(w->buffer);
	self = NULL;
	SCOPED_LOCK(&l->lock);
	w->state = WORKER_NONE;
	l->nalive--;
	pthread_cond_broadcast(&l->ended);
	return NULL;
}

/* ---- start and end ---- */

static unsigned int choose_threads(unsigned int asked)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	if (asked == 0)
		asked = n < 2 ? 2 : n > 4 ? 4 : (unsigned int)n;
	return MIN(asked, (unsigned int)LOOP_THREADS_MAX);
}

/* The signal that ends a read of the device; its handler does nothing. */
static void on_signal(int sig)
{
	(void)sig;
}

static void init_signal(void)
{
	struct sigaction a = { .sa_handler = on_signal };

	sigemptyset(&a.sa_mask);
	sigaction(LOOP_SIGNAL, &a, NULL);
}

static void init_locks(struct loop *l)
{
	pthread_condattr_t a;
	unsigned int i;

	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&l->unpark, &a);
	pthread_cond_init(&l->kick, &a);
	pthread_cond_init(&l->ended, &a);
	pthread_condattr_destroy(&a);
	for (i = 0; i < l->max; i++) {
		pthread_mutex_init(&l->workers[i].lock, NULL);
		l->workers[i].loop = l;
	}
}

static void release(struct loop *l)
{
	struct aside *a;
	unsigned int i;

	while ((a = aside_take(l, 0)))
		free(a);
	for (i = 0; i < l->max; i++)
		pthread_mutex_destroy(&l->workers[i].lock);
	pthread_cond_destroy(&l->unpark);
	pthread_cond_destroy(&l->kick);
	pthread_cond_destroy(&l->ended);
	pthread_mutex_destroy(&l->lock);
	placement_free(l->placement);
	if (l->ended_fd >= 0)
		close(l->ended_fd);
	free(l);
}

int loop_start(struct fuse_session *se, const struct loop_options *o,
	       struct loop **out)
{
	unsigned int i, threads = choose_threads(o->threads);
	unsigned int max = MAX(2 * threads, (unsigned int)WORKERS_MIN);
	struct loop *l;

	*out = NULL;
	l = calloc(1, sizeof(*l) + max * sizeof(l->workers[0]));
	if (!l)
		return -ENOMEM;
	l->max = max;
	init_signal();
	init_locks(l);
	l->se = se;
	l->options = *o;
	l->options.threads = threads;
	l->last = &l->first;
	l->placement = o->stay ? NULL : placement_new();
	l->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->ended_fd < 0 ||
	    pthread_create(&l->monitor, NULL, monitor_main, l) != 0) {
		release(l);
		return -EAGAIN;
	}
	pthread_mutex_lock(&l->lock);
	l->nalive = 1;
	for (i = 0; i < l->options.threads; i++)
		start_worker(l);
	i = l->nworkers;
	pthread_mutex_unlock(&l->lock);
	if (i > 0) {
		*out = l;
		return 0;
	}
	if (!loop_free(l))
		log_debug("the monitor of the FUSE session does not end");
	return -EAGAIN;
}

int loop_fd(const struct loop *l)
{
	return l->ended_fd;
}

/* Wait until there is none of @any, for END_WAIT_NS at most. Called with the
 * lock held. Threads that read the device are woken by a signal, again and
 * again: one may be just before its read. */
static bool wait_none(struct loop *l, bool (*any)(const struct loop *l))
{
	int64_t end = loop_now_ns() + END_WAIT_NS;
	struct timespec until;
	unsigned int i;

	while (any(l) && loop_now_ns() < end) {
		for (i = 0; i < l->nworkers; i++)
			if (l->workers[i].state == WORKER_READING)
				pthread_kill(l->workers[i].thread, LOOP_SIGNAL);
		loop_next_tick(&until);
		pthread_cond_timedwait(&l->ended, &l->lock, &until);
	}
	return !any(l);
}

static bool any_reads(const struct loop *l)
{
	return l->nreading > 0;
}

static bool any_lives(const struct loop *l)
{
	return l->nalive > 0;
}

void loop_stop(struct loop *l)
{
	if (!l)
		return;
	fuse_session_exit(l->se);
	session_over(l);
	SCOPED_LOCK(&l->lock);
	if (!wait_none(l, any_reads))
		log_debug("a thread still reads the FUSE device");
}

bool loop_free(struct loop *l)
{
	unsigned int i;
	bool all;

	if (!l)
		return true;
	loop_stop(l);
	pthread_mutex_lock(&l->lock);
	all = wait_none(l, any_lives);
	pthread_mutex_unlock(&l->lock);
	if (!all)
		return false;
	pthread_join(l->monitor, NULL);
	for (i = 0; i < l->nworkers; i++)
		pthread_join(l->workers[i].thread, NULL);
	release(l);
	return true;
}
