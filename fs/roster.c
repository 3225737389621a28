/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Three tables that only grow, and indexes over what is live, built anew at
 * each change and swapped under the lock. The one index "marks" holds a row for
 * each tag of each point, and one with the tag ROSTER_ALL: sorted, it answers
 * all questions of what stands in a directory.
 */
#include "config.h"

#include "fs/roster_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/point.h"

struct roster *roster_new(void)
{
	struct roster *r = calloc(1, sizeof(*r));

	if (r)
		pthread_rwlock_init(&r->lock, NULL);
	return r;
}

static void free_table(struct table *t)
{
	while (t->n > 0)
		free(t->items[--t->n]);
	free(t->items);
}

static void release_index(struct index *x)
{
	free(x->marks);
	free(x->by_name);
}

void roster_free(struct roster *r)
{
	if (!r)
		return;
	free_table(&r->machines);
	free_table(&r->tags);
	free_table(&r->points);
	release_index(&r->index);
	point_list_put(r->list);
	pthread_rwlock_destroy(&r->lock);
	free(r);
}

/* ---- tables ---- */

void *roster_get(const struct table *t, uint32_t serial)
{
	return serial >= 1 && serial <= t->n ? t->items[serial - 1] : NULL;
}

/* A new zeroed item; its serial is t->n. NULL: no memory, or full. */
static void *table_add(struct table *t, size_t size)
{
	void *item;

	if (t->n >= ROSTER_SERIAL_MAX) {
		(void)fail(-EOVERFLOW,
			   "more than %u points, machines or tags "
			   "were seen since the mount: mount anew",
			   ROSTER_SERIAL_MAX);
		return NULL;
	}
	if (array_reserve(&t->items, &t->cap, t->n + 1) < 0)
		return NULL;
	item = calloc(1, size);
	if (item)
		t->items[t->n++] = item;
	return item;
}

int roster_find_named(const struct table *t, const char *name, uint32_t *out)
{
	uint32_t i;

	for (i = 1; i <= t->n; i++) {
		const struct named *item = t->items[i - 1];

		if (strcmp(item->name, name) != 0)
			continue;
		*out = i;
		return 0;
	}
	return -ENOENT;
}

static int need_named(struct table *t, const char *name, uint32_t *out)
{
	struct named *item;

	if (roster_find_named(t, name, out) == 0)
		return 0;
	if (strlen(name) >= ROSTER_NAME_MAX)
		return -EINVAL;
	item = table_add(t, sizeof(*item));
	if (!item)
		return -ENOMEM;
	memcpy(item->name, name, strlen(name) + 1);
	item->touched = true;
	*out = (uint32_t)t->n;
	return 0;
}

/* ---- update ---- */

static int add_known(struct roster *r, const struct point *p,
		     struct known_point **out)
{
	uint32_t machine;
	uint8_t id[16];
	struct known_point *x;
	int e;

	if (hex_decode(p->id, sizeof(id), id) < 0)
		return fail(-EINVAL, "point %s: not an id", p->id);
	e = need_named(&r->machines, p->vm, &machine);
	if (e < 0)
		return e;
	x = table_add(&r->points, sizeof(*x));
	if (!x)
		return -ENOMEM;
	x->p.serial = (uint32_t)r->points.n;
	x->p.machine = machine;
	memcpy(x->p.id, id, sizeof(id));
	x->p.time_ns = p->time_ns;
	x->p.has_tree = p->has_tree;
	x->p.root = p->root;
	x->p.ndisks = (uint32_t)p->ndisks;
	x->p.nconfigs = (uint32_t)p->nconfigs;
	*out = x;
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct known_point *const *x = a, *const *y = b;

	return memcmp((*x)->p.id, (*y)->p.id, sizeof((*x)->p.id));
}

/* All known points, sorted by id. */
static int sort_known(const struct roster *r, struct known_point ***out)
{
	struct known_point **sorted =
		alloc_array(r->points.n + 1, sizeof(*sorted));

	if (!sorted)
		return -ENOMEM;
	if (r->points.n > 0)
		memcpy(sorted, r->points.items, r->points.n * sizeof(*sorted));
	qsort(sorted, r->points.n, sizeof(*sorted), by_id);
	*out = sorted;
	return 0;
}

/* The end of the sorted points from @i on whose ids begin alike; @oldest_out: the
 * least of their serials. */
static size_t alike_end(struct known_point *const *sorted, size_t n, size_t i,
			uint32_t *oldest_out)
{
	size_t j = i;

	*oldest_out = UINT32_MAX;
	for (; j < n && memcmp(sorted[i]->p.id, sorted[j]->p.id, 4) == 0; j++)
		*oldest_out = MIN(*oldest_out, sorted[j]->p.serial);
	return j;
}

/* Give new points their names in ids/: 8 digits, or all where an older one has
 * the same. */
static int choose_links(struct roster *r)
{
	struct known_point **sorted = NULL;
	size_t i, end;
	int e = sort_known(r, &sorted);

	for (i = 0; e == 0 && i < r->points.n; i = end) {
		uint32_t oldest;

		end = alike_end(sorted, r->points.n, i, &oldest);
		for (; i < end; i++)
			if (!sorted[i]->p.link[0])
				hex_encode(sorted[i]->p.id,
					   sorted[i]->p.serial == oldest ? 4
									 : 16,
					   sorted[i]->p.link);
	}
	free(sorted);
	if (e == 0)
		r->nlinked = r->points.n;
	return e;
}

/* A machine may have another name now: its points move there, and keep their
 * names and numbers. Both directories change. */
static int move_known(struct roster *r, const struct point *p,
		      struct known_point *x)
{
	struct named *was = roster_get(&r->machines, x->p.machine), *is;
	uint32_t machine;
	int e;

	if (strcmp(was->name, p->vm) == 0)
		return 0;
	e = need_named(&r->machines, p->vm, &machine);
	if (e < 0)
		return e;
	is = roster_get(&r->machines, machine);
	was->touched = is->touched = true;
	x->p.machine = machine;
	return 0;
}

/* The known point for each of @list, in its order; new ones are added. */
static int match_known(struct roster *r, const struct point_list *list,
		       struct known_point **known)
{
	struct known_point key, *pkey = &key, **sorted = NULL;
	size_t i, nsorted = r->points.n;
	int e = sort_known(r, &sorted);

	for (i = 0; e == 0 && i < list->n; i++) {
		struct known_point **hit = NULL;

		if (hex_decode(list->points[i]->id, sizeof(key.p.id),
			       key.p.id) == 0)
			hit = bsearch(&pkey, sorted, nsorted, sizeof(*sorted),
				      by_id);
		if (hit) {
			known[i] = *hit;
			e = move_known(r, list->points[i], *hit);
		} else {
			e = add_known(r, list->points[i], &known[i]);
		}
	}
	free(sorted);
	return e == 0 && r->points.n > r->nlinked ? choose_links(r) : e;
}

int roster_compare_marks(const void *a, const void *b)
{
	const struct roster_mark *x = a, *y = b;

	if (x->tag != y->tag)
		return x->tag < y->tag ? -1 : 1;
	if (x->machine != y->machine)
		return x->machine < y->machine ? -1 : 1;
	return x->point < y->point ? -1 : x->point > y->point;
}

static int by_name(const void *a, const void *b, void *arg)
{
	const struct roster *r = arg;
	const struct known_point *x =
		roster_get(&r->points, *(const uint32_t *)a);
	const struct known_point *y =
		roster_get(&r->points, *(const uint32_t *)b);

	if (x->p.machine != y->p.machine)
		return x->p.machine < y->p.machine ? -1 : 1;
	return strcmp(x->p.name, y->p.name);
}

/* Room for the index of @list; marks are filled, by_name is not sorted yet. */
static int build_index(struct roster *r, const struct point_list *list,
		       struct known_point *const *known, struct index *x)
{
	size_t i, j, n = list->n;

	for (i = 0; i < list->n; i++)
		n += list->points[i]->ntags;
	x->marks = alloc_array(n + 1, sizeof(*x->marks));
	x->by_name = alloc_array(list->n + 1, sizeof(*x->by_name));
	if (!x->marks || !x->by_name)
		return -ENOMEM;
	for (i = 0; i < list->n; i++) {
		struct roster_mark m = { ROSTER_ALL, known[i]->p.machine,
					 known[i]->p.serial };

		x->by_name[i] = m.point;
		x->marks[x->nmarks++] = m;
		for (j = 0; j < list->points[i]->ntags; j++) {
			int e = need_named(&r->tags, list->points[i]->tags[j],
					   &m.tag);

			if (e < 0)
				return e;
			x->marks[x->nmarks++] = m;
		}
	}
	x->nlive = list->n;
	qsort(x->marks, x->nmarks, sizeof(*x->marks), roster_compare_marks);
	return 0;
}

/* Which machines have another set of points than before? */
static void touch_machines(struct roster *r)
{
	size_t i;

	for (i = 0; i < r->points.n; i++) {
		struct known_point *x = r->points.items[i];
		struct named *m = roster_get(&r->machines, x->p.machine);

		if (x->p.live != (x->point != NULL))
			m->touched = true;
		x->p.live = x->point != NULL;
	}
}

static bool name_is_taken(const struct roster *r, const struct known_point *x)
{
	size_t i;

	for (i = 0; i < r->points.n; i++) {
		const struct known_point *y = r->points.items[i];

		if (y != x && y->p.machine == x->p.machine &&
		    strcmp(y->p.name, x->p.name) == 0)
			return true;
	}
	return false;
}

/* Name a point that is new. The names of one list differ, so the first one is
 * taken as it is. */
static void name_known(const struct roster *r, struct known_point *x,
		       const char *name, bool first)
{
	static const int digits[] = { 8, POINT_ID_HEX };
	size_t i;

	if (x->p.name[0])
		return;
	snprintf(x->p.name, sizeof(x->p.name), "%s", name);
	for (i = 0; i < ARRAY_SIZE(digits) && !first && name_is_taken(r, x);
	     i++)
		point_put_name(x->point, digits[i], x->p.name);
}

static void swap_in(struct roster *r, struct point_list *list,
		    struct known_point *const *known, struct index *x,
		    int64_t now_ns)
{
	bool first = !r->list;
	size_t i;

	for (i = 0; i < r->points.n; i++)
		((struct known_point *)r->points.items[i])->point = NULL;
	if (first)
		now_ns = 0;
	for (i = 0; i < list->n; i++) {
		known[i]->point = list->points[i];
		name_known(r, known[i], list->names[i], first);
		if (first)
			now_ns = MAX(now_ns, list->points[i]->time_ns);
	}
	touch_machines(r);
	for (i = 0; i < r->machines.n; i++) {
		struct named *m = r->machines.items[i];

		if (m->touched)
			m->changed_ns = now_ns;
		m->touched = false;
	}
	qsort_r(x->by_name, x->nlive, sizeof(*x->by_name), by_name, r);
	release_index(&r->index);
	r->index = *x;
	memset(x, 0, sizeof(*x));
	point_list_put(r->list);
	r->list = list;
	r->changed_ns = now_ns;
}

int roster_update(struct roster *r, struct point_list *list, int64_t now_ns)
{
	struct known_point **known = NULL;
	struct index x = { 0 };
	int e;

	ROSTER_HOLD(r, true);
	if (r->list && r->list->generation >= list->generation) {
		point_list_put(list);
		return 0;
	}
	known = alloc_array(list->n + 1, sizeof(*known));
	e = known ? match_known(r, list, known) : -ENOMEM;
	if (e == 0)
		e = build_index(r, list, known, &x);
	if (e == 0)
		swap_in(r, list, known, &x, now_ns);
	else
		point_list_put(list);
	release_index(&x);
	free(known);
	return e < 0 ? e : 1;
}

struct point_list *roster_list(struct roster *r)
{
	ROSTER_HOLD(r, false);
	return point_list_get(r->list);
}

int64_t roster_changed_ns(struct roster *r)
{
	ROSTER_HOLD(r, false);
	return r->changed_ns;
}

/* ---- by serial ---- */

int roster_get_point(struct roster *r, uint32_t serial,
		     struct roster_point *out)
{
	const struct known_point *x;

	ROSTER_HOLD(r, false);
	x = roster_get(&r->points, serial);
	if (!x)
		return -ESTALE;
	*out = x->p;
	return 0;
}

int roster_machine(struct roster *r, uint32_t serial,
		   char name[ROSTER_NAME_MAX], int64_t *changed_ns)
{
	const struct named *m;

	ROSTER_HOLD(r, false);
	m = roster_get(&r->machines, serial);
	if (!m)
		return -ESTALE;
	memcpy(name, m->name, sizeof(m->name));
	*changed_ns = m->changed_ns;
	return 0;
}

int roster_tag(struct roster *r, uint32_t serial, char name[ROSTER_NAME_MAX])
{
	const struct named *t;

	ROSTER_HOLD(r, false);
	t = roster_get(&r->tags, serial);
	if (!t)
		return -ESTALE;
	memcpy(name, t->name, sizeof(t->name));
	return 0;
}

int roster_hold(struct roster *r, uint32_t serial, struct point_list **list_out,
		const struct point **out)
{
	const struct known_point *x;

	ROSTER_HOLD(r, false);
	x = roster_get(&r->points, serial);
	if (!x || !x->point)
		return -ENOENT;
	*out = x->point;
	*list_out = point_list_get(r->list);
	return 0;
}

int roster_json(struct roster *r, uint32_t serial, struct buf *out)
{
	const struct known_point *x;

	ROSTER_HOLD(r, false);
	x = roster_get(&r->points, serial);
	if (!x || !x->point)
		return -ENOENT;
	return point_encode(x->point, true, out);
}
