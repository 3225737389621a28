/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * On which core a lone client is served.
 *
 * A client that waits for each answer, as find and tar do, and the thread that
 * serves it never run at the same time. On one core a request costs two task
 * switches; on two, it costs waking a core that went idle, twice, which takes
 * several times as long. But the scheduler, that sees an idle core, moves a
 * woken task there.
 *
 * It does not do that where the task's last core is idle, and a core that has
 * only tasks of policy SCHED_IDLE counts as such. So the thread that serves is
 * made one of those and bound to the client's core: woken by the answer, the
 * client stays, runs at once, and asks again; then the core is the thread's.
 *
 * SCHED_IDLE is a bad place to be where a third task wants that core. So this
 * is tried for some milliseconds, and kept only while more requests are served
 * than were before; given up as soon as there is another client, a request
 * that waits, or little to do; and tried again ever more rarely.
 *
 * All is done from the loop's monitor; serving threads know nothing of it.
 * Leaving SCHED_IDLE takes CAP_SYS_NICE: without, nothing of this is done.
 */
#ifndef FS_FUSE_PLACEMENT_H
#define FS_FUSE_PLACEMENT_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct placement;

/* NULL: one core, no right to do it, or no memory. Not thread-safe. */
MUST_CHECK struct placement *placement_new(void);
/* Leaves the thread as it was. NULL is fine. */
void placement_free(struct placement *p);

/* What went on since the last look, some milliseconds ago. */
struct placement_look {
	int64_t ns; /* how long that is */
	uint64_t requests;
	pid_t worker; /* the thread that served all; 0: several, or none */
	pid_t client; /* that asked for all; 0: several, or none */
};
void placement_tick(struct placement *p, const struct placement_look *look);
/* How often a thread was bound, or bound to another core. */
uint64_t placement_moves(const struct placement *p);

#endif
