/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Long work as its caller steers it: it can be asked to stop, and it tells how
 * far it is a few times a second. Backups, restores and checks take a task
 * from their caller, who need not know where in them time is spent.
 */
#ifndef STORE_BASE_TASK_H
#define STORE_BASE_TASK_H

#include <stdbool.h>
#include <stdint.h>

struct seam;

/* Zero it: such a task never stops early and tells nobody. */
struct task {
	const volatile bool
		*stop; /* set by whoever wants an end; may be NULL */
	/* Called in the working thread; @progress is what the header of the
	 * work says. May be NULL. */
	void (*tick)(void *arg, const void *progress);
	void *arg; /* for tick */
	int64_t next_ns; /* when tick is due; the task's own */
};

/* Whether the work has been asked to stop. Any thread may ask. */
static inline bool task_stopped(const struct task *t)
{
	return t->stop && *t->stop;
}

/* Whether a tick is due, and if so the next one later: for work whose progress
 * has to be summed up. Call task_tick_now() then. For the working thread
 * alone. */
bool task_is_due(struct task *t, struct seam *seam);
/* Call tick with @progress if it is due. For the working thread alone. */
void task_tick(struct task *t, struct seam *seam, const void *progress);
/* Call tick now, as at the end of the work. */
void task_tick_now(struct task *t, const void *progress);

#endif
