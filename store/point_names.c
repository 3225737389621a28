/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A machine is its id; the name is what people call it. An id that nobody gave
 * follows from the first name, so that two backups that make the first points
 * of one machine at once agree on it. A machine is renamed by an object that
 * says so, and the last of these counts. Where it is lost or damaged, the machine
 * is one all the same, whatever its points were called.
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
#include "store/vault_internal.h"

#define PREFIX "machine/"
#define NS_PER_S INT64_C(1000000000)

/* ---- machines ---- */

/* What the objects of a machine say. */
struct given {
	const char *name; /* the last that can be read, or NULL; borrowed */
	uint32_t next; /* the number of the next */
	bool in_doubt; /* a later one cannot be read */
};

static int read_given(const struct point_objects *o, const char *machine,
		      struct given *out)
{
	size_t k, n, i = point_items_of(&o->machines, PREFIX, machine, &n);
	struct numbered *sorted;
	int r;

	memset(out, 0, sizeof(*out));
	if (n == 0)
		return 0;
	r = point_number_items(&o->machines.items[i], n, PREFIX, &sorted);
	if (r < 0)
		return r;
	out->next = point_next_number(sorted, n);
	for (k = 0; k < n; k++) {
		const struct note *note = sorted[k].item->value;

		if (!note && sorted[k].number < out->next)
			out->in_doubt = true;
		if (!note || note->kind != NOTE_NAME ||
		    !point_name_ok(note->text))
			continue;
		out->name = note->text;
		out->in_doubt = false;
	}
	free(sorted);
	return 0;
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

/*
 * What a machine is called. Where no object says so, it is called as in its
 * newest point; but where its points have several names it was renamed, and the
 * objects that said so are lost. Where the last object cannot be read, the newest
 * point knows best, too.
 */
static int name_machine(struct vault *v, const struct point_objects *o,
			struct naming_row *row)
{
	struct given given;
	int r = read_given(o, row->id, &given);

	if (r < 0)
		return r;
	row->in_doubt = given.in_doubt || (row->has_several && !given.next);
	if (given.name && !row->in_doubt)
		row->name = given.name;
	if (row->in_doubt && vault_is_news(v, row->id))
		log_warn(
			"what machine %.8s is called now is lost or cannot be "
			"read: it is shown as %s; run: vmbackup rename %s NAME",
			row->id, row->name, row->name);
	return 0;
}

/* Do two points of a machine tell that it was renamed? Not where one of them was
 * made under the name by which it was shown. */
static bool is_renamed(const struct naming_row *newest, const char *name)
{
	return strcmp(newest->name, name) != 0 &&
	       !point_name_is_parted(newest->name) &&
	       !point_name_is_parted(name);
}

/* Find machines while rows are made: there may be ten thousand points of them. The
 * places are few enough to be full by half at most. */
struct machine_index {
	const struct vault
		*vault; /* whoever chooses ids does not know its key */
	uint32_t *places; /* owned; of rows, plus one; 0: none */
	size_t mask;
};

static struct naming_row *find_machine(const struct machine_index *x,
				       struct naming *n, const char *id)
{
	struct name_sum hash = { 0, 0 };
	size_t at;

	vault_sum_add(x->vault, &hash, id);
	for (at = hash.sum & x->mask; x->places[at]; at = (at + 1) & x->mask)
		if (strcmp(n->rows[x->places[at] - 1].id, id) == 0)
			return &n->rows[x->places[at] - 1];
	x->places[at] = (uint32_t)++n->n;
	return &n->rows[n->n - 1];
}

/* The newest point of a machine tells its name. */
static void take_name(struct naming_row *row, const struct point *p)
{
	bool is_new =
		!row->name || p->time_ns > row->time_ns ||
		(p->time_ns == row->time_ns && strcmp(p->vm, row->name) < 0);

	if (!row->name)
		memcpy(row->id, p->machine, sizeof(p->machine));
	else
		row->has_several |= strcmp(p->vm, row->name) != 0;
	if (!is_new)
		return;
	row->time_ns = p->time_ns;
	row->name = p->vm;
}

static void collect_points(const struct point_objects *o,
			   const struct machine_index *x, struct naming *n)
{
	bool any = false;
	size_t i;

	for (i = 0; i < o->points.n; i++) {
		const struct point *p = o->points.items[i].value;

		if (p)
			take_name(find_machine(x, n, p->machine), p);
	}
	for (i = 0; i < n->n; i++) {
		any |= n->rows[i].has_several;
		n->rows[i].has_several = false;
	}
	for (i = 0; any && i < o->points.n; i++) {
		const struct point *p = o->points.items[i].value;
		struct naming_row *row =
			p ? find_machine(x, n, p->machine) : NULL;

		if (row)
			row->has_several |= is_renamed(row, p->vm);
	}
}

/* A row for each machine that has a point. */
static int collect_machines(const struct point_objects *o, struct naming *n)
{
	struct machine_index x = { .vault = n->vault, .mask = 15 };
	size_t i;
	int r = 0;

	if (o->points.n > UINT32_MAX / 4)
		return -ENOMEM;
	while (x.mask < 2 * o->points.n)
		x.mask = 2 * x.mask + 1;
	x.places = alloc_array(x.mask + 1, sizeof(*x.places));
	n->rows = alloc_array(o->points.n + 1, sizeof(*n->rows));
	if (x.places && n->rows)
		collect_points(o, &x, n);
	else
		r = -ENOMEM;
	free(x.places);
	if (r == 0 && n->n)
		qsort(n->rows, n->n, sizeof(*n->rows), by_id);
	for (i = 0; i < n->n && r == 0; i++)
		r = name_machine(n->vault, o, &n->rows[i]);
	return r;
}

bool point_name_is_parted(const char *name)
{
	const char *end = strrchr(name, '~');
	size_t n = end ? strlen(end + 1) : 0;

	return end && end != name && (n == 8 || n == POINT_ID_HEX) &&
	       point_hex_ok(end + 1, n);
}

static bool is_shown(const struct naming *n, const char *text)
{
	size_t i;

	for (i = 0; i < n->n; i++)
		if (strcmp(n->rows[i].name, text) == 0 ||
		    (n->rows[i].shown && strcmp(n->rows[i].shown, text) == 0))
			return true;
	return false;
}

/* Show a machine under another name than its own, and no other's. */
static int part_from(const struct naming *n, struct naming_row *row)
{
	/* A name stays within its bound: its beginning tells enough, cut before
	 * a character. */
	int digits, len = (int)MIN(strlen(row->name), 200);
	char *shown = NULL;

	while (len > 0 && ((uint8_t)row->name[len] & 0xc0) == 0x80)
		len--;
	for (digits = 8; digits <= POINT_ID_HEX; digits += POINT_ID_HEX - 8) {
		free(shown);
		if (asprintf(&shown, "%.*s~%.*s", len, row->name, digits,
			     row->id) < 0)
			return -ENOMEM;
		if (!is_shown(n, shown))
			break;
	}
	row->shown = shown;
	if (vault_is_news(n->vault, shown))
		log_warn(
			"two machines are called %s: one is shown as %s; see vmbackup "
			"rename",
			row->name, row->shown);
	return 0;
}

/* Several machines have one name: all but one get another. */
static int part_one(const struct naming *names, struct naming_row **rows,
		    size_t n)
{
	char natural[POINT_ID_HEX + 1];
	size_t i, owner = 0;
	int r = point_machine_of(rows[0]->name, 0, natural);

	for (i = 0; i < n && r == 0; i++)
		if (strcmp(rows[i]->id, natural) == 0)
			owner = i;
	for (i = 0; i < n && r == 0; i++)
		if (i != owner)
			r = part_from(names, rows[i]);
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
			r = part_one(n, &sorted[i], end - i);
	}
	free(sorted);
	return r;
}

int naming_make(struct vault *v, const struct point_objects *o,
		struct naming *out)
{
	int r;

	memset(out, 0, sizeof(*out));
	out->vault = v;
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

static const char *shown_of(const struct naming_row *row)
{
	return row->shown ? row->shown : row->name;
}

static int find_row(const void *key, const void *row)
{
	return strcmp(key, ((const struct naming_row *)row)->id);
}

static const struct naming_row *row_of(const struct naming *n, const char *id)
{
	return n->n ? bsearch(id, n->rows, n->n, sizeof(*n->rows), find_row)
		    : NULL;
}

const char *naming_find(const struct naming *n, const struct point *p)
{
	const struct naming_row *row = row_of(n, p->machine);

	return row ? shown_of(row) : p->vm;
}

static int by_machine(const void *a, const void *b)
{
	return strcmp(((const struct point_machine *)a)->id,
		      ((const struct point_machine *)b)->id);
}

static int add_machine(struct point_list *l, size_t *cap, const char *id,
		       const char *name, const struct given *given)
{
	struct point_machine *m;

	if (array_reserve(&l->machines, cap, l->nmachines + 1) < 0)
		return -ENOMEM;
	m = &l->machines[l->nmachines];
	snprintf(m->id, sizeof(m->id), "%s", id);
	m->next = given->next;
	m->in_doubt = given->in_doubt;
	m->name = name ? strdup(name) : NULL;
	if (name && !m->name)
		return -ENOMEM;
	l->nmachines++;
	return 0;
}

static int find_shown(const void *key, const void *point)
{
	return strcmp(key, (*(struct point *const *)point)->vm);
}

/* Is a point of the machine among those that the list shows, by their names? */
static bool is_listed(const struct point_list *l, const struct naming_row *row)
{
	return l->n && bsearch(shown_of(row), l->points, l->n,
			       sizeof(*l->points), find_shown);
}

/* Nobody needs to know the name of a machine that has no point: where it cannot
 * be read, there is nothing that could be taken for another's. But one of which
 * all points are forgotten has its name, although the points do not tell it. */
int naming_machines(const struct point_objects *o, const struct naming *naming,
		    struct point_list *l)
{
	char id[POINT_ID_HEX + 1];
	size_t i, n, cap = 0;
	struct given given;
	int r = 0;

	for (i = 0; i < o->machines.n && r == 0; i += n) {
		memcpy(id, o->machines.items[i].name + strlen(PREFIX),
		       POINT_ID_HEX);
		id[POINT_ID_HEX] = '\0';
		(void)point_items_of(&o->machines, PREFIX, id, &n);
		r = read_given(o, id, &given);
		given.in_doubt = false;
		if (r == 0 && !row_of(naming, id))
			r = add_machine(l, &cap, id, given.name, &given);
	}
	for (i = 0; i < naming->n && r == 0; i++) {
		const struct naming_row *row = &naming->rows[i];

		r = read_given(o, row->id, &given);
		given.in_doubt = row->in_doubt;
		if (r == 0 &&
		    (given.next || row->in_doubt || !is_listed(l, row)))
			r = add_machine(l, &cap, row->id,
					row->in_doubt ? shown_of(row)
						      : row->name,
					&given);
	}
	if (r == 0 && l->nmachines)
		qsort(l->machines, l->nmachines, sizeof(*l->machines),
		      by_machine);
	return r;
}

/* ---- points ---- */

/* What a point is sorted by; most are told apart by numbers alone. */
struct place {
	uint64_t beginning; /* of the machine's name, as numbers are compared */
	int64_t time_ns;
	struct point *point;
};

static int by_place(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int c;

	if (x->beginning != y->beginning)
		return x->beginning < y->beginning ? -1 : 1;
	/* A name that is no longer than this ends in it. */
	c = x->beginning & 0xff ? strcmp(x->point->vm, y->point->vm) : 0;
	if (c == 0)
		c = x->time_ns < y->time_ns ? -1 : x->time_ns > y->time_ns;
	return c ? c : strcmp(x->point->id, y->point->id);
}

static uint64_t beginning_of(const char *text)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < sizeof(v); i++) {
		v = v << 8 | (uint8_t)*text;
		text += *text != '\0';
	}
	return v;
}

static int sort_points(struct point_list *l)
{
	struct place *places = alloc_array(l->n, sizeof(*places));
	size_t i;

	if (!places)
		return -ENOMEM;
	for (i = 0; i < l->n; i++) {
		places[i].beginning = beginning_of(l->points[i]->vm);
		places[i].time_ns = l->points[i]->time_ns;
		places[i].point = l->points[i];
	}
	qsort(places, l->n, sizeof(*places), by_place);
	for (i = 0; i < l->n; i++)
		l->points[i] = places[i].point;
	free(places);
	return 0;
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
	int r = l->n ? sort_points(l) : 0;

	return r < 0 ? r : name_points(l);
}
