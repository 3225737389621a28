/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What registers say that is not so, though each of them can be read. Whoever may put
 * objects and has a key of the vault can put a register; others look through it, and
 * what it did harm to is told here.
 */
#include "config.h"

#include "store/check/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/seam.h"
#include "store/point.h"
#include "store/vault.h"

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

/* ---- verdicts ---- */

static int add_wish(struct check_wish **list, size_t *n, size_t *cap,
		    const char *name, int64_t stored_ns)
{
	struct check_wish *w;

	/* One that is named otherwise is a stray. */
	name = strchr(name, '/') + 1;
	if (strlen(name) >= sizeof(w->name))
		return 0;
	if (array_reserve(list, cap, *n + 1) < 0)
		return -ENOMEM;
	w = &(*list)[(*n)++];
	snprintf(w->name, sizeof(w->name), "%s", name);
	w->stored_ns = stored_ns;
	return 0;
}

int check_add_wish(struct check *c, const char *name, int64_t stored_ns)
{
	return add_wish(&c->wishes, &c->nwishes, &c->wishes_cap, name,
			stored_ns);
}

int check_add_removal(struct check *c, const char *name)
{
	return add_wish(&c->removals, &c->nremovals, &c->removals_cap, name, 0);
}

static int by_wish(const void *a, const void *b)
{
	return strcmp(((const struct check_wish *)a)->name,
		      ((const struct check_wish *)b)->name);
}

static const char *show_removed(int there)
{
	return there ? "it counts for nothing, and the point is shown and "
		       "kept: nothing is lost by it; to remove the point, run: "
		       "vmbackup forget"
		     : "and the object of the point is gone: nobody knows "
		       "whether it was to go; bring the wish or the point back "
		       "from a copy";
}

/* A verdict that answers no wish, or one that has not been there for its time. There may
 * be a wish that was not listed yet. */
static int report_removal(struct check *c, const struct check_wish *x,
			  const struct check_wish *wish)
{
	char name[OBJECT_NAME_MAX], object[OBJECT_NAME_MAX];
	struct backend_info info;
	int there, r = -ENOENT;

	snprintf(object, sizeof(object), "purge/%s", x->name);
	if (!wish) {
		snprintf(name, sizeof(name), "forget/%s", x->name);
		r = backend_head(c->backend, name, &info);
	}
	if (!wish && r != -ENOENT)
		return r;
	snprintf(name, sizeof(name), "point/%.*s", NAME_HEX, x->name);
	r = backend_head(c->backend, name, &info);
	if (r < 0 && r != -ENOENT)
		return r;
	there = r == 0;
	if (!wish)
		return check_found(
			c, true, object,
			"it says that the point was removed for "
			"ever, but nobody wished that, for forget/%s "
			"is not there: %s",
			x->name, show_removed(there));
	return there ? check_found(
			       c, false, object,
			       "it says that the point was removed for "
			       "ever, but the wish for that has been in the "
			       "vault for less time than undelete works "
			       "here: somebody put "
			       "it too early, or the vault is a copy whose "
			       "objects are young; nothing of the point is "
			       "deleted before they are over")
		     : 0;
}

int check_removals(struct check *c)
{
	int64_t now_ns = c->seam->ops->realtime_ns(c->seam), age_ns;
	size_t i;
	int r = 0;

	if (c->nwishes)
		qsort(c->wishes, c->nwishes, sizeof(*c->wishes), by_wish);
	for (i = 0; i < c->nremovals && r >= 0; i++) {
		const struct check_wish *x = &c->removals[i];
		const struct check_wish *wish =
			c->nwishes ? bsearch(x, c->wishes, c->nwishes,
					     sizeof(*x), by_wish)
				   : NULL;

		if (!wish || (!__builtin_sub_overflow(now_ns, wish->stored_ns,
						      &age_ns) &&
			      age_ns < c->window_ns))
			r = report_removal(c, x, wish);
	}
	return MIN(r, 0);
}
