/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests that were read when no thread could serve them. */
#include "config.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fuse/loop_internal.h"
#include "store/base/lock.h"

int aside_put(struct loop *l, const void *data, size_t len)
{
	struct aside *a = malloc(sizeof(*a) + len);

	if (!a)
		return -ENOMEM;
	a->next = NULL;
	a->since_ns = loop_now_ns();
	a->interrupted = false;
	a->len = len;
	memcpy(a->data, data, len);
	SCOPED_LOCK(&l->lock);
	*l->last = a;
	l->last = &a->next;
	l->naside++;
	return 0;
}

/* Take out the one that *@at leads to. Called with the lock held. */
static struct aside *unlink_aside(struct loop *l, struct aside **at)
{
	struct aside *a = *at;

	*at = a->next;
	if (!*at)
		l->last = at;
	l->naside--;
	return a;
}

struct aside *aside_take(struct loop *l, uint64_t unique)
{
	struct aside **at, *a;

	SCOPED_LOCK(&l->lock);
	for (at = &l->first; (a = *at); at = &a->next) {
		const struct fuse_in_header *h = (const void *)a->data;

		if (unique != 0 && h->unique != unique)
			continue;
		return unlink_aside(l, at);
	}
	return NULL;
}

/* What a request that was put aside is to be answered by now; 0: it waits on. */
static int verdict(const struct loop *l, const struct aside *a, int64_t now)
{
	int64_t age = now - a->since_ns;

	if (l->options.deadline_ns > 0 && age > l->options.deadline_ns)
		return EIO;
	return a->interrupted && age > LOOP_INTERRUPT_NS ? EINTR : 0;
}

static struct aside *take_late(struct loop *l, int64_t now, int *error)
{
	struct aside **at;

	SCOPED_LOCK(&l->lock);
	for (at = &l->first; *at; at = &(*at)->next) {
		*error = verdict(l, *at, now);
		if (*error)
			return unlink_aside(l, at);
	}
	return NULL;
}

void aside_answer_late(struct loop *l, int64_t now)
{
	const struct fuse_in_header *h;
	struct aside *a;
	int error;

	while (l->naside > 0 && (a = take_late(l, now, &error))) {
		h = (const void *)a->data;
		loop_answer(l, h->unique, error);
		if (error == EIO)
			l->late++;
		else
			l->interrupted++;
		free(a);
	}
}
