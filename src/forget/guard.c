/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/forget/guard.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/log.h"
#include "store/point.h"
#include "store/vault.h"
#include "store/writer/forget.h"

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t) * (const struct point *const *)a;
	uintptr_t y = (uintptr_t) * (const struct point *const *)b;

	return x < y ? -1 : x > y;
}

/* The points of one machine, which follow one another in the list: would it be
 * left without any? */
static bool is_emptied(struct point *const *points, size_t n,
		       const struct point *const *named, size_t nnamed)
{
	bool has_named = false, has_other = false;
	size_t i;

	for (i = 0; i < n; i++) {
		bool is_named = bsearch(&points[i], named, nnamed,
					sizeof(*named), by_address);

		has_named |= is_named;
		has_other |= !is_named && !points[i]->verdict_unknown;
	}
	return has_named && !has_other;
}

/* That the last point of a machine goes is asked for in so many words. */
int guard_last(const struct point_list *l, const struct point *const *points,
	       size_t n)
{
	AUTO_FREE const struct point **named = alloc_array(n, sizeof(*named));
	size_t i, end;

	if (!named)
		return -ENOMEM;
	if (n == 0)
		return 0;
	memcpy(named, points, n * sizeof(*named));
	qsort(named, n, sizeof(*named), by_address);
	for (i = 0; i < l->n; i = end) {
		for (end = i + 1; end < l->n; end++)
			if (strcmp(l->points[i]->machine,
				   l->points[end]->machine) != 0)
				break;
		if (is_emptied(&l->points[i], end - i,
			       (const struct point *const *)named, n))
			return fail(-EPERM,
				    "%s would have no point left; if that is "
				    "what you want, say "
				    "--unsafe-allow-remove-all",
				    l->points[i]->vm);
	}
	return 0;
}

/* ---- looking again ---- */

/* A point that was forgotten, and whether its machine has one that was not. */
struct gone {
	const struct point *point; /* as it was judged; borrowed */
	bool has_other;
};

static int by_machine(const void *a, const void *b)
{
	const struct gone *x = a, *y = b;

	return strcmp(x->point->machine, y->point->machine);
}

static int by_machine_and_id(const void *a, const void *b)
{
	const struct gone *x = a, *y = b;
	int c = by_machine(a, b);

	return c ? c : strcmp(x->point->id, y->point->id);
}

static int check_own(const struct point *was, const struct point *is)
{
	if (is->is_protected)
		return fail(-EAGAIN,
			    "point %s was protected meanwhile: nothing is "
			    "forgotten; run the command again",
			    is->id);
	if (is->keep_until_ns > was->keep_until_ns)
		return fail(-EAGAIN,
			    "point %s was asked to stay meanwhile: nothing is "
			    "forgotten; run the command again",
			    is->id);
	return 0;
}

/* Any point that was forgotten of a machine may be marked for it. */
static int check_machines(const struct gone *gone, size_t n)
{
	size_t i, end;

	for (i = 0; i < n; i = end) {
		bool has_other = false;

		for (end = i; end < n && by_machine(&gone[i], &gone[end]) == 0;
		     end++)
			has_other |= gone[end].has_other;
		if (!has_other)
			return fail(-EAGAIN,
				    "somebody else forgot points of %s "
				    "meanwhile, and it would have none left: "
				    "nothing is forgotten here; run the "
				    "command again",
				    gone[i].point->vm);
	}
	return 0;
}

/* @gone is sorted. */
static int look_again(const struct point_list *l, struct gone *gone, size_t n,
		      bool remove_all)
{
	size_t i;
	int r = 0;

	for (i = 0; i < l->n && r == 0; i++) {
		const struct point *p = l->points[i];
		const struct gone key = { .point = p };
		struct gone *found =
			bsearch(&key, gone, n, sizeof(key), by_machine_and_id);

		if (found)
			r = check_own(found->point, p);
		else if (point_is_aside(p) || p->verdict_unknown)
			continue;
		else if ((found = bsearch(&key, gone, n, sizeof(key),
					  by_machine)))
			found->has_other = true;
	}
	return r == 0 && !remove_all ? check_machines(gone, n) : r;
}

static int take_back(struct vault *v, const struct point *const *points,
		     const uint32_t *numbers, size_t n, const char *by)
{
	size_t i;
	int r = 0, one;

	for (i = 0; i < n; i++) {
		one = forget_take_back(v, points[i], numbers[i], by);
		r = r < 0 ? r : one;
	}
	return r;
}

int guard_forget(struct vault *v, const struct point *const *points, size_t n,
		 const struct forget_wish *wish, bool remove_all)
{
	AUTO_FREE uint32_t *numbers = alloc_array(n + 1, sizeof(*numbers));
	AUTO_FREE struct gone *gone = alloc_array(n + 1, sizeof(*gone));
	struct point_list *l = NULL;
	size_t i;
	int r, back;

	if (!numbers || !gone)
		return -ENOMEM;
	r = forget_points(v, points, n, wish, numbers);
	if (r < 0 || n == 0)
		return r;
	for (i = 0; i < n; i++)
		gone[i] = (struct gone){ .point = points[i] };
	qsort(gone, n, sizeof(*gone), by_machine_and_id);
	vault_show_forgotten(v);
	r = vault_points(v, &l);
	if (r == 0)
		r = look_again(l, gone, n, remove_all);
	point_list_put(l);
	if (r == 0)
		return 0;
	back = take_back(v, points, numbers, n, wish->by);
	return back < 0 ? back : r;
}

/* ---- bringing back ---- */

/* Whether each of the points is listed, and forgotten by nobody. */
static int check_back(const struct point_list *l,
		      const struct point *const *points, size_t n)
{
	size_t i, k;

	for (i = 0; i < n; i++) {
		for (k = 0; k < l->n; k++)
			if (strcmp(l->points[k]->id, points[i]->id) == 0)
				break;
		if (k == l->n || l->points[k]->verdict_unknown)
			return fail(-EAGAIN,
				    "whether point %s is back cannot be seen: "
				    "run the command again",
				    points[i]->id);
		if (l->points[k]->nopen_forgets > 0)
			return fail(-EAGAIN,
				    "somebody else forgot point %s meanwhile: "
				    "run the command again to bring it back",
				    points[i]->id);
	}
	return 0;
}

int guard_undelete(struct vault *v, const struct point *const *points, size_t n,
		   const char *by)
{
	struct point_list *l = NULL;
	size_t i;
	int r = 0;

	for (i = 0; i < n && r == 0; i++)
		r = forget_undo(v, points[i], by);
	vault_show_forgotten(v);
	if (r == 0)
		r = vault_points(v, &l);
	if (r == 0)
		r = check_back(l, points, n);
	point_list_put(l);
	return r;
}
