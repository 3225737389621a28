/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * All that a point reaches: nodes of its tree and of extent maps, and what they
 * name. Two threads read nodes, so that one decodes while the other waits for the
 * store. Whoever walks says of each node whether to look below it, before it is
 * read, and so visits what points share as often as it wants.
 */
#ifndef STORE_MARK_WALK_H
#define STORE_MARK_WALK_H

#include "store/base/attrs.h"
#include "store/base/id.h"

#include <stddef.h>

struct point;
struct prints;
struct task;
struct vault;
struct walk;

/* How far walks are: what a task is told. */
struct walk_progress {
	uint64_t points; /* walked */
	uint64_t nodes; /* read */
	uint64_t chunks; /* found, each once */
};

/* What is told, by one thread at a time; each returns a negative errno to end the
 * walk. */
struct walk_visitor {
	/* a node; return 1 to look below it, or 0 */
	int (*node)(void *arg, const struct id *id);
	/* other chunks: their prints */
	int (*chunks)(void *arg, const uint64_t *prints, size_t n);
	void *arg;
	const struct prints *prints; /* whose; borrowed */
};

/* Return 0 or -ENOMEM. @v and @visitor stay borrowed. */
MUST_CHECK int walk_new(struct vault *v, const struct walk_visitor *visitor,
			struct walk **out);
/* NULL is fine. */
void walk_free(struct walk *w);
/*
 * Walk a point. @task may be NULL; it is told struct walk_progress, on this thread.
 * Return 0; what the visitor returned; -EBADMSG (something is damaged or missing),
 * or what the way to it says, said in words; -EINTR (the task was stopped) or
 * -ENOMEM.
 */
MUST_CHECK int walk_point(struct walk *w, const struct point *p,
			  struct task *task);

#endif
