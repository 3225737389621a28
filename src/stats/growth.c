/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Each point says how many bytes were new when it was made, and how many the
 * objects took that were stored for it. Periods are the first letters of a point's
 * time: a year, a month, a day, or all of it.
 */
#include "config.h"

#include "src/stats/growth.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "src/cli/output.h"
#include "store/point.h"

struct period {
	char name[OUTPUT_TIME_LEN]; /* "2026-11" */
	const struct point *point; /* the only one; NULL: there are more */
	size_t points;
	uint64_t added, stored; /* bytes */
	uint64_t total; /* stored in it and before */
};

struct growth {
	struct period *list; /* owned */
	size_t n;
};

static const struct {
	const char *name;
	size_t len; /* of a time, in letters */
} periods[] = { { "year", 4 }, { "month", 7 }, { "day", 10 }, { "point", 0 } };

static const size_t *find_period(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(periods); i++)
		if (strcmp(name, periods[i].name) == 0)
			return &periods[i].len;
	return NULL;
}

bool growth_period_ok(const char *period)
{
	return find_period(period) != NULL;
}

static int by_time(const void *a, const void *b)
{
	const struct point *x = *(struct point *const *)a;
	const struct point *y = *(struct point *const *)b;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	return strcmp(x->id, y->id);
}

static void add(struct growth *g, const struct point *p, size_t len)
{
	struct period *last = g->n ? &g->list[g->n - 1] : NULL;
	char name[OUTPUT_TIME_LEN];

	output_time(p->time_ns, name);
	if (len)
		name[len] = '\0';
	if (!last || !len || strcmp(last->name, name) != 0) {
		last = &g->list[g->n++];
		*last = (struct period){ .point = p };
		memcpy(last->name, name, sizeof(name));
		last->total = g->n > 1 ? last[-1].total : 0;
	} else {
		last->point = NULL;
	}
	last->points++;
	last->added += p->data_added;
	last->stored += p->data_added_packed;
	last->total += p->data_added_packed;
}

static int print_table(const struct growth *g, bool each)
{
	struct table *t = table_new(5, each ? 0x1c : 0x1e);
	char size[OUTPUT_SIZE_LEN];
	size_t i;
	int r;

	if (!t)
		return -ENOMEM;
	table_cell(t, "Time");
	table_cell(t, each ? "Machine" : "Points");
	table_cell(t, "New");
	table_cell(t, "Stored");
	table_cell(t, "In all");
	table_line(t);
	for (i = 0; i < g->n; i++) {
		const struct period *p = &g->list[i];

		table_cell(t, "%s", p->name);
		if (each)
			table_cell(t, "%s", p->point->vm);
		else
			table_cell(t, "%zu", p->points);
		table_cell(t, "%s", output_size(p->added, size));
		table_cell(t, "%s", output_size(p->stored, size));
		table_cell(t, "%s", output_size(p->total, size));
	}
	r = table_print(t);
	table_free(t);
	return r;
}

static int print_json(const struct growth *g, const char *period)
{
	json_t *o = output_message("growth"), *all = json_array();
	size_t i;

	output_set_string(o, "period", period);
	for (i = 0; i < g->n; i++) {
		const struct period *p = &g->list[i];
		json_t *one = json_object();

		output_set_string(one, "time", p->name);
		if (strcmp(period, "point") == 0) {
			output_set_string(one, "id", p->point->id);
			output_set_string(one, "vm", p->point->vm);
		}
		output_set_uint(one, "points_count", p->points);
		output_set_uint(one, "data_added", p->added);
		output_set_uint(one, "data_added_packed", p->stored);
		output_set_uint(one, "total_packed", p->total);
		json_array_append_new(all, one);
	}
	json_object_set_new(o, "periods", all);
	return output_json(o);
}

int growth_print(const struct point_list *l, const char *period, bool json)
{
	struct growth g = { alloc_array(l->n + 1, sizeof(*g.list)), 0 };
	struct point **points = alloc_array(l->n + 1, sizeof(struct point *));
	size_t len = *find_period(period), i;
	int r = -ENOMEM;

	if (g.list && points) {
		for (i = 0; i < l->n; i++)
			points[i] = l->points[i];
		if (l->n > 1)
			qsort(points, l->n, sizeof(*points), by_time);
		for (i = 0; i < l->n; i++)
			add(&g, points[i], len);
		r = json ? print_json(&g, period) : print_table(&g, len == 0);
	}
	free(points);
	free(g.list);
	return r;
}
