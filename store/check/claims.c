/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What registers say that is not so, though each of them can be read. Whoever may put
 * objects and has a key of the vault can put a register; others look through it, and
 * what it did harm to is told here.
 */
#include "config.h"

#include "store/check/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/point.h"

static int by_id(const void *a, const void *b)
{
	const struct point *const *x = a, *const *y = b;

	return strcmp((*x)->id, (*y)->id);
}

int check_sort_points(struct check *c)
{
	const struct point_list *l = c->out->points_list;

	c->by_id = alloc_array(l->n + 1, sizeof(*c->by_id));
	if (!c->by_id)
		return -ENOMEM;
	if (l->n) {
		memcpy(c->by_id, l->points, l->n * sizeof(*c->by_id));
		qsort(c->by_id, l->n, sizeof(*c->by_id), by_id);
	}
	return 0;
}

/* The point of that id, where it was listed and is whole. */
static const struct point *find_point(const struct check *c, const char *id)
{
	size_t low = 0, high = c->out->points_list->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(c->by_id[mid]->id, id);

		if (order == 0)
			return c->by_id[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

int check_claim(struct check *c, const char *commit, const char *point)
{
	const struct point *p = find_point(c, point);
	int n;

	if (!p || strcmp(commit + strlen("commit/"), p->session) == 0)
		return 0;
	n = check_found(c, true, commit,
			"it claims point/%s, which commit/%s made: somebody "
			"who has a key of the vault put it, by mistake or ill "
			"will; it counts for nothing, and nothing is lost by "
			"it; to be rid of it, delete the object, and then run: "
			"vmbackup check --accept-rollback",
			point, p->session);
	return MIN(n, 0);
}
