/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A list of points: its holders, its order, and what its points are called. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/point_internal.h"

struct point_list *point_list_get(struct point_list *l)
{
	__atomic_add_fetch(&l->refs, 1, __ATOMIC_RELAXED);
	return l;
}

void point_list_put(struct point_list *l)
{
	size_t i;

	if (!l || __atomic_sub_fetch(&l->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (i = 0; i < l->n; i++)
		point_free(l->points[i]);
	for (i = 0; i < l->nmachines; i++)
		free(l->machines[i].name);
	free(l->machines);
	free(l->points);
	free(l->names);
	free(l->damaged);
	free(l);
}

static int by_place(const void *a, const void *b)
{
	const struct point *x = *(struct point *const *)a;
	const struct point *y = *(struct point *const *)b;
	int c = strcmp(x->vm, y->vm);

	if (c == 0)
		c = x->time_ns < y->time_ns ? -1 : x->time_ns > y->time_ns;
	return c ? c : strcmp(x->id, y->id);
}

/* The end of the points from @i on that have a machine and second in common. */
static size_t second_end(const struct point_list *l, size_t i)
{
	char time[POINT_TIME_LEN], other[POINT_TIME_LEN];
	size_t j = i;

	point_time_name(l->points[i]->time_ns, time);
	do
		if (++j < l->n)
			point_time_name(l->points[j]->time_ns, other);
	while (j < l->n && strcmp(l->points[i]->vm, l->points[j]->vm) == 0 &&
	       strcmp(time, other) == 0);
	return j;
}

/*
 * A point is named by its time. Where two of a machine have one second, none of
 * them is: which of them came first nobody knows for sure, and a name that had
 * led to one of them would lead to another one later.
 */
static int name_points(struct point_list *l)
{
	size_t i, j, end;

	l->names = alloc_array(l->n, sizeof(*l->names));
	if (!l->names)
		return -ENOMEM;
	for (i = 0; i < l->n; i = end) {
		char time[POINT_TIME_LEN];
		int digits = 8;

		point_time_name(l->points[i]->time_ns, time);
		end = second_end(l, i);
		/* They are sorted by their ids. */
		for (j = i + 1; j < end; j++)
			if (strncmp(l->points[j]->id, l->points[j - 1]->id,
				    8) == 0)
				digits = POINT_ID_HEX;
		for (j = i; j < end; j++)
			point_put_name(l->points[j], end - i > 1 ? digits : 0,
				       l->names[j]);
	}
	return 0;
}

int point_list_finish(struct point_list *l)
{
	if (l->n)
		qsort(l->points, l->n, sizeof(*l->points), by_place);
	return name_points(l);
}
