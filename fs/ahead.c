/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "fs/ahead.h"

#include <pthread.h>
#include <stdlib.h>

#include "store/base/lock.h"

/* Listings that go on at one time without reading anything twice; each may
 * have some megabytes. */
#define WAITING 4

struct aheads {
	pthread_mutex_t lock; /* protects what follows */
	struct ahead *waiting[WAITING]; /* owned; NULL: none */
	unsigned int next; /* the one that waits longest */
};

void ahead_free(struct ahead *a)
{
	if (!a)
		return;
	free(a->rows);
	free(a->attrs);
	buf_release(&a->names);
	free(a);
}

struct aheads *aheads_new(void)
{
	struct aheads *s = calloc(1, sizeof(*s));

	if (s)
		pthread_mutex_init(&s->lock, NULL);
	return s;
}

void aheads_free(struct aheads *s)
{
	size_t i;

	if (!s)
		return;
	for (i = 0; i < WAITING; i++)
		ahead_free(s->waiting[i]);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

struct ahead *aheads_take(struct aheads *s, uint64_t dir, uint64_t cookie)
{
	size_t i;

	SCOPED_LOCK(&s->lock);
	for (i = 0; i < WAITING; i++) {
		struct ahead *a = s->waiting[i];

		if (!a || a->dir != dir || a->cookie != cookie)
			continue;
		s->waiting[i] = NULL;
		return a;
	}
	return NULL;
}

void aheads_keep(struct aheads *s, struct ahead *a)
{
	struct ahead *old;
	size_t i;

	pthread_mutex_lock(&s->lock);
	for (i = 0; i < WAITING && s->waiting[i]; i++)
		;
	if (i == WAITING) {
		i = s->next;
		s->next = (s->next + 1) % WAITING;
	}
	old = s->waiting[i];
	s->waiting[i] = a;
	pthread_mutex_unlock(&s->lock);
	ahead_free(old);
}
