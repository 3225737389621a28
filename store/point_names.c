/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A machine is its id; the name is what people call it. An id that nobody gave
 * follows from the first name, so that two backups that make the first points
 * of one machine at once agree on it. A machine is renamed by an object that
 * says so, and the last of these counts.
 *
 * Two machines can come to one name without anybody's fault: one is renamed to
 * it while another makes its first point under it. They must not look like one
 * machine then, with one history. The one whose id follows from the name keeps
 * it, or else that of the lower id, and each other has "~" and digits of its id
 * behind it.
 */
#include "config.h"

#include "store/point_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/log.h"
#include "store/record/note.h"

#define PREFIX "machine/"
#define NS_PER_S INT64_C(1000000000)

/* ---- machines ---- */

static uint32_t number_of(const struct kept *item)
{
	char hex[NAME_HEX + 1];
	uint32_t n = 0;

	(void)!name_numbered(item->name, PREFIX, hex, &n);
	return n;
}

/* The last name that a machine was given, or NULL. */
static const char *name_of(const struct point_objects *o, const char *machine,
			   uint32_t *next_out)
{
	size_t n, i = point_items_of(&o->machines, PREFIX, machine, &n);
	const char *name = NULL;
	uint32_t number, last = 0;

	*next_out = 0;
	for (; n > 0; n--, i++) {
		const struct note *note = o->machines.items[i].value;

		number = number_of(&o->machines.items[i]);
		*next_out = MAX(*next_out, number + 1);
		if (!note || note->kind != NOTE_NAME ||
		    !point_name_ok(note->text) || (name && number < last))
			continue;
		name = note->text;
		last = number;
	}
	return name;
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct naming_row *)a)->id,
		      ((const struct naming_row *)b)->id);
}

static int by_name(const void *a, const void *b)
{
	const struct naming_row *x = *(struct naming_row *const *)a;
	const struct naming_row *y = *(struct naming_row *const *)b;
	int c = strcmp(x->name, y->name);

	return c ? c : strcmp(x->id, y->id);
}

/* A row for each machine that has a point. */
static int collect_machines(const struct point_objects *o, struct naming *n)
{
	size_t i, k = 0;
	uint32_t next;

	n->rows = alloc_array(o->points.n + 1, sizeof(*n->rows));
	if (!n->rows)
		return -ENOMEM;
	for (i = 0; i < o->points.n; i++) {
		const struct point *p = o->points.items[i].value;

		if (!p)
			continue;
		memcpy(n->rows[k].id, p->machine, sizeof(p->machine));
		n->rows[k++].name = p->vm;
	}
	qsort(n->rows, k, sizeof(*n->rows), by_id);
	for (i = 0; i < k; i++)
		if (n->n == 0 ||
		    strcmp(n->rows[n->n - 1].id, n->rows[i].id) != 0)
			n->rows[n->n++] = n->rows[i];
	for (i = 0; i < n->n; i++) {
		const char *name = name_of(o, n->rows[i].id, &next);

		if (name)
			n->rows[i].name = name;
	}
	return 0;
}

/* Several machines have one name: all but one get another. */
static int part_one(struct naming_row **rows, size_t n)
{
	char natural[POINT_ID_HEX + 1];
	size_t i, owner = 0;
	int r = point_machine_of(rows[0]->name, natural);

	for (i = 0; i < n && r == 0; i++)
		if (strcmp(rows[i]->id, natural) == 0)
			owner = i;
	for (i = 0; i < n && r == 0; i++) {
		if (i == owner)
			continue;
		/* A name stays within its bound: its beginning tells enough. */
		if (asprintf(&rows[i]->shown, "%.200s~%.8s", rows[i]->name,
			     rows[i]->id) < 0) {
			rows[i]->shown = NULL;
			r = -ENOMEM;
		} else {
			log_warn("two machines are called %s: one is shown as "
				 "%s; see vmbackup rename",
				 rows[i]->name, rows[i]->shown);
		}
	}
	return r;
}

static int part_all(struct naming *n)
{
	struct naming_row **sorted = alloc_array(n->n + 1, sizeof(*sorted));
	size_t i, end;
	int r = sorted ? 0 : -ENOMEM;

	for (i = 0; i < n->n && r == 0; i++)
		sorted[i] = &n->rows[i];
	if (r == 0 && n->n)
		qsort(sorted, n->n, sizeof(*sorted), by_name);
	for (i = 0; i < n->n && r == 0; i = end) {
		for (end = i + 1; end < n->n; end++)
			if (strcmp(sorted[i]->name, sorted[end]->name) != 0)
				break;
		if (end - i > 1)
			r = part_one(&sorted[i], end - i);
	}
	free(sorted);
	return r;
}

int naming_make(const struct point_objects *o, struct naming *out)
{
	int r;

	memset(out, 0, sizeof(*out));
	/* Where nothing was renamed, each point says what its machine is
	 * called. */
	if (o->machines.n == 0)
		return 0;
	r = collect_machines(o, out);
	return r < 0 ? r : part_all(out);
}

void naming_release(struct naming *n)
{
	size_t i;

	for (i = 0; i < n->n; i++)
		free(n->rows[i].shown);
	free(n->rows);
	memset(n, 0, sizeof(*n));
}

static int find_row(const void *key, const void *row)
{
	return strcmp(key, ((const struct naming_row *)row)->id);
}

const char *naming_find(const struct naming *n, const struct point *p)
{
	const struct naming_row *row = NULL;

	if (n->n)
		row = bsearch(p->machine, n->rows, n->n, sizeof(*n->rows),
			      find_row);
	if (!row)
		return p->vm;
	return row->shown ? row->shown : row->name;
}

int naming_machines(const struct point_objects *o, struct point_list *l)
{
	char id[POINT_ID_HEX + 1];
	size_t i, n, cap = 0;

	for (i = 0; i < o->machines.n; i += n) {
		struct point_machine *m;
		const char *name;

		memcpy(id, o->machines.items[i].name + strlen(PREFIX),
		       POINT_ID_HEX);
		id[POINT_ID_HEX] = '\0';
		(void)point_items_of(&o->machines, PREFIX, id, &n);
		if (array_reserve(&l->machines, &cap, l->nmachines + 1) < 0)
			return -ENOMEM;
		m = &l->machines[l->nmachines];
		memcpy(m->id, id, sizeof(id));
		name = name_of(o, id, &m->next);
		m->name = name ? strdup(name) : NULL;
		if (name && !m->name)
			return -ENOMEM;
		l->nmachines++;
	}
	return 0;
}

/* ---- points ---- */

static int by_place(const void *a, const void *b)
{
	const struct point *x = *(struct point *const *)a;
	const struct point *y = *(struct point *const *)b;
	int c = strcmp(x->vm, y->vm);

	if (c == 0)
		c = x->time_ns < y->time_ns ? -1 : x->time_ns > y->time_ns;
	return c ? c : strcmp(x->id, y->id);
}

/* Rounded down, as in the name. */
static int64_t second_of(const struct point *p)
{
	return p->time_ns / NS_PER_S - (p->time_ns % NS_PER_S < 0);
}

/* The end of the points from @i on that have a machine and second in common. */
static size_t second_end(const struct point_list *l, size_t i)
{
	const struct point *first = l->points[i];
	size_t j = i + 1;

	while (j < l->n && second_of(first) == second_of(l->points[j]) &&
	       strcmp(first->vm, l->points[j]->vm) == 0)
		j++;
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
		int digits = 8;

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
