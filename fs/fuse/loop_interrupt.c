/* SPDX-License-Identifier: GPL-3.0-or-later */
/* FUSE_INTERRUPT: see loop.h for what is done about it. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs/fuse/loop_internal.h"
#include "store/base/lock.h"

/*
 * Is this thread being killed? The kernel makes every signal that ends a process
 * without a core dump a SIGKILL that is pending for each of its threads
 * (complete_signal() of its kernel/signal.c), and so it does in exit_group(2)
 * and execve(2). A thread that is gone is dead; where nothing can be known it
 * is taken to live.
 */
static bool is_killed(pid_t tid)
{
	char path[40], line[128];
	uint64_t set, pending = 0;
	FILE *f;

	if (tid <= 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%ld/status", (long)tid);
	f = fopen(path, "re");
	if (!f)
		return access("/proc/self/status", F_OK) == 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "SigPnd: %" SCNx64, &set) == 1 ||
		    sscanf(line, "ShdPnd: %" SCNx64, &set) == 1)
			pending |= set;
	fclose(f);
	return pending >> (SIGKILL - 1) & 1;
}

/* Return whether the request is among those put aside, or was answered there.
 * While we look at its client a thread may take it: it has it in hand then. */
static bool interrupt_aside(struct loop *l, uint64_t unique)
{
	const struct fuse_in_header *h;
	struct aside *a;
	pid_t client = 0;
	bool found = false, killed;

	pthread_mutex_lock(&l->lock);
	for (a = l->first; a && !found; a = a->next) {
		h = (const void *)a->data;
		found = h->unique == unique;
		if (found) {
			a->interrupted = true;
			client = (pid_t)h->pid;
		}
	}
	pthread_mutex_unlock(&l->lock);
	killed = found && is_killed(client);
	a = killed ? aside_take(l, unique) : NULL;
	if (a) {
		loop_answer(l, unique, EINTR);
		free(a);
		l->interrupted++;
	}
	return killed ? a != NULL : found;
}

/* Return whether this thread has the request in hand. */
static bool interrupt_worker(struct loop *l, struct worker *w, uint64_t unique)
{
	if (w->unique != unique)
		return false;
	if (!is_killed(w->client)) {
		w->interrupted = unique;
		return w->unique == unique;
	}
	if (!loop_take_away(w, unique, EINTR))
		return false;
	l->interrupted++;
	return true;
}

void loop_interrupt(struct loop *l, const void *data, size_t len)
{
	const struct fuse_in_header *h = data;
	const struct fuse_interrupt_in *arg = (const void *)(h + 1);
	unsigned int i;

	if (len < sizeof(*h) + sizeof(*arg) || interrupt_aside(l, arg->unique))
		return;
	for (i = 0; i < l->max; i++)
		if (interrupt_worker(l, &l->workers[i], arg->unique))
			return;
	/* Answered meanwhile, or read by a thread that has not said so yet:
	 * the kernel knows which, and tells us again if need be. */
	loop_answer(l, h->unique, EAGAIN);
}
