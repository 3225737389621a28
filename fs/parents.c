/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "fs/parents.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "store/base/lock.h"

#define WAYS 4 /* rows that one node may be in */

struct row {
	uint64_t node, parent; /* 0: an empty row */
};

struct parents {
	pthread_mutex_t lock; /* protects all below */
	unsigned int next; /* the way that is replaced next */
	struct row rows[PARENTS_ROWS];
};

struct parents *parents_new(void)
{
	struct parents *t = calloc(1, sizeof(*t));

	if (t)
		pthread_mutex_init(&t->lock, NULL);
	return t;
}

void parents_free(struct parents *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* The first of the rows of @node: the multiplier is Knuth's, 2^64 divided by the
 * golden ratio, which spreads neighbouring numbers. */
static struct row *rows_of(struct parents *t, uint64_t node)
{
	uint64_t hash = node * UINT64_C(0x9e3779b97f4a7c15);

	return &t->rows[(hash >> 32) % (PARENTS_ROWS / WAYS) * WAYS];
}

void parents_note(struct parents *t, uint64_t node, uint64_t parent)
{
	struct row *rows;
	unsigned int i;

	SCOPED_LOCK(&t->lock);
	rows = rows_of(t, node);
	for (i = 0; i < WAYS; i++)
		if (rows[i].node == node || rows[i].node == 0)
			break;
	if (i == WAYS)
		i = t->next++ % WAYS;
	rows[i] = (struct row){ node, parent };
}

int parents_find(struct parents *t, uint64_t node, uint64_t *out)
{
	struct row *rows;
	unsigned int i;

	SCOPED_LOCK(&t->lock);
	rows = rows_of(t, node);
	for (i = 0; i < WAYS; i++)
		if (rows[i].node == node) {
			*out = rows[i].parent;
			return 0;
		}
	return -ESTALE;
}
