/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The monitor of the loop: a thread that looks at the others every few
 * milliseconds while there is work, and sleeps when there is none. It finds out
 * who is held up, has somebody read when all are, answers for requests whose
 * time is over, and lets a lone client be served on its own core.
 */
#include "config.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>

#include "fs/fuse/loop_internal.h"
#include "fs/fuse/placement.h"
#include "store/base/buf.h"
#include "store/base/lock.h"
#include "store/base/log.h"

int64_t loop_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

void loop_next_tick(struct timespec *out)
{
	clock_gettime(CLOCK_MONOTONIC, out);
	out->tv_nsec += TICK_NS;
	if (out->tv_nsec >= 1000000000) {
		out->tv_nsec -= 1000000000;
		out->tv_sec++;
	}
}

/* Note who is held up, and answer for those whose time is over. */
static void inspect(struct loop *l, struct worker *w, uint64_t turn,
		    int64_t now)
{
	uint64_t unique = w->unique;

	if (w->state != WORKER_BUSY || unique == 0)
		return;
	if (turn == w->seen_turn && !w->held_up) {
		w->held_up = true;
		l->nheld++;
		/* It ended just now? Then it did not see the mark. */
		if (w->unique == 0 && atomic_exchange(&w->held_up, false))
			l->nheld--;
	}
	if (w->interrupted == unique && now - w->since_ns > LOOP_INTERRUPT_NS &&
	    loop_take_away(w, unique, EINTR)) {
		w->interrupted = 0;
		l->interrupted++;
	}
	if (l->options.deadline_ns > 0 && !w->late &&
	    now - w->since_ns > l->options.deadline_ns &&
	    loop_take_away(w, unique, EIO)) {
		l->late++;
		w->late = true;
		l->nlate++;
		if (w->unique != unique && atomic_exchange(&w->late, false))
			l->nlate--;
		log_line(LOG_LEVEL_ERROR,
			 "a request took longer than %g s "
			 "and was answered with an error",
			 (double)l->options.deadline_ns / 1e9);
	}
}

static void place_threads(struct loop *l, struct placement_look *look)
{
	struct timespec t;
	int64_t now;
	uint64_t switches = l->switches;

	if (!l->placement)
		return;
	clock_gettime(CLOCK_MONOTONIC, &t);
	now = t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
	look->ns = now - l->ticked_ns;
	l->ticked_ns = now;
	if (switches != l->seen_switches)
		look->client = 0;
	l->seen_switches = switches;
	placement_tick(l->placement, look);
}

/* One look at all. Return whether there was any work. */
static bool tick(struct loop *l)
{
	struct placement_look look = { 0 };
	int64_t now = loop_now_ns();
	unsigned int i, nserving = 0;
	bool busy = false;

	for (i = 0; i < l->max; i++) {
		struct worker *w = &l->workers[i];
		uint64_t turn = w->turn;

		inspect(l, w, turn, now);
		busy |= w->state == WORKER_BUSY;
		if (turn == w->seen_turn)
			continue;
		nserving++;
		look.requests += turn - w->seen_turn;
		look.worker = w->tid;
		look.client = w->client;
		w->seen_turn = turn;
	}
	aside_answer_late(l, now);
	if (nserving > 1)
		look.worker = 0;
	place_threads(l, &look);
	if (l->nreading == 0 && l->nheld > 0 && l->nheld == l->nbusy)
		loop_wake_helper(l, true);
	return busy || nserving > 0;
}

static void monitor_wait(struct loop *l)
{
	struct timespec until;

	SCOPED_LOCK(&l->lock);
	if (l->ticks_idle >= IDLE_TICKS) {
		l->monitor_sleeps = true;
		if (l->nbusy > 0) /* it came before it could see that */
			l->monitor_sleeps = false;
		while (l->monitor_sleeps && !l->ending)
			pthread_cond_wait(&l->kick, &l->lock);
		l->ticks_idle = 0;
		return;
	}
	loop_next_tick(&until);
	if (!l->ending)
		pthread_cond_timedwait(&l->kick, &l->lock, &until);
}

void *monitor_main(void *arg)
{
	struct loop *l = arg;

	while (!l->ending) {
		monitor_wait(l);
		l->ticks_idle = tick(l) ? 0 : l->ticks_idle + 1;
	}
	SCOPED_LOCK(&l->lock);
	l->nalive--;
	pthread_cond_broadcast(&l->ended);
	return NULL;
}

void loop_get_stats(struct loop *l, struct loop_stats *out)
{
	unsigned int i;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < l->max; i++)
		out->requests += l->workers[i].turn;
	for (i = 0; i < LOOP_OPCODES; i++)
		out->by_opcode[i] = l->by_opcode[i];
	out->interrupted = l->interrupted;
	out->late = l->late;
	out->helped = l->helped;
	out->held_up = (unsigned int)l->nheld;
	out->moved = l->placement ? placement_moves(l->placement) : 0;
	SCOPED_LOCK(&l->lock);
	out->threads = l->nworkers;
}

void loop_put_counts(struct loop *l, struct buf *out)
{
	static const char *const names[LOOP_OPCODES] = {
		[FUSE_LOOKUP] = "LOOKUP",
		[FUSE_FORGET] = "FORGET",
		[FUSE_BATCH_FORGET] = "BATCH_FORGET",
		[FUSE_GETATTR] = "GETATTR",
		[FUSE_READLINK] = "READLINK",
		[FUSE_OPEN] = "OPEN",
		[FUSE_OPENDIR] = "OPENDIR",
		[FUSE_READ] = "READ",
		[FUSE_LSEEK] = "LSEEK",
		[FUSE_READDIR] = "READDIR",
		[FUSE_READDIRPLUS] = "READDIRPLUS",
		[FUSE_FLUSH] = "FLUSH",
		[FUSE_STATFS] = "STATFS",
		[FUSE_GETXATTR] = "GETXATTR",
		[FUSE_LISTXATTR] = "LISTXATTR",
		[FUSE_INTERRUPT] = "INTERRUPT",
		[LOOP_STATX] = "STATX",
	};
	const char *comma = "";
	int i;

	for (i = 0; i < LOOP_OPCODES; i++) {
		if (!names[i] || l->by_opcode[i] == 0)
			continue;
		buf_printf(out, "%s%s %llu", comma, names[i],
			   (unsigned long long)l->by_opcode[i]);
		comma = ", ";
	}
}
