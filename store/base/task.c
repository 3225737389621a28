/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/base/task.h"

#include "store/base/seam.h"

/* Five times a second: a moving figure, and no load. */
#define TASK_TICK_NS 200000000

void task_tick_now(struct task *t, const void *progress)
{
	if (t->tick)
		t->tick(t->arg, progress);
}

bool task_is_due(struct task *t, struct seam *seam)
{
	int64_t now;

	if (!t->tick)
		return false;
	now = seam->ops->monotonic_ns(seam);
	if (now < t->next_ns)
		return false;
	t->next_ns = now + TASK_TICK_NS;
	return true;
}

void task_tick(struct task *t, struct seam *seam, const void *progress)
{
	if (task_is_due(t, seam))
		t->tick(t->arg, progress);
}
