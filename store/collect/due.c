/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/collect/due.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/buf.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/collect/register.h"
#include "store/format.h"
#include "store/point.h"
#include "store/record/forget.h"
#include "store/record/purge.h"
#include "store/vault.h"
#include "store/writer/window.h"

/* ---- when wishes were stored ---- */

struct stored_wish {
	char id[NAME_HEX + 1]; /* of the point */
	uint32_t n;
	int64_t stored_ns;
};

struct stored_wishes {
	struct stored_wish *items; /* owned; sorted by id and number */
	size_t n, cap;
};

static int on_wish(void *arg, const char *name, const struct backend_info *info)
{
	struct stored_wishes *all = arg;
	struct stored_wish *w;

	if (array_reserve(&all->items, &all->cap, all->n + 1) < 0)
		return -ENOMEM;
	w = &all->items[all->n];
	if (name_numbered(name, "forget/", w->id, &w->n)) {
		w->stored_ns = info->stored_ns;
		all->n++;
	}
	return 0;
}

static int by_wish(const void *a, const void *b)
{
	const struct stored_wish *x = a, *y = b;
	int c = strcmp(x->id, y->id);

	return c != 0 ? c : (x->n > y->n) - (x->n < y->n);
}

/* When the wish @n to remove @p was stored, or -1. */
static int64_t stored_at(const struct stored_wishes *all, const struct point *p,
			 uint32_t n)
{
	struct stored_wish key = { .n = n };
	const struct stored_wish *found;

	if (all->n == 0)
		return -1;
	memcpy(key.id, p->id, sizeof(key.id));
	found = bsearch(&key, all->items, all->n, sizeof(key), by_wish);
	return found ? found->stored_ns : -1;
}

/* ---- which are due ---- */

static const char *why_kept(const struct point *p)
{
	if (p->verdict_unknown)
		return "whether it was removed cannot be read";
	if (p->has_missing_note && !p->missing_is_settled)
		return "one of its notes is missing";
	/* It may give more time than all the others. */
	if (p->nunread_forgets > 0)
		return "one of the wishes to remove it cannot be read or is "
		       "missing";
	/* One that cannot be read counts as one that says so. */
	return p->is_protected ? "it is protected" : NULL;
}

static int64_t add_time(int64_t a, int64_t b)
{
	int64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static void judge(const struct stored_wishes *all, struct due_point *d,
		  int64_t floor_ns, int64_t now_ns)
{
	const struct point *p = d->point;
	size_t i;

	d->due_ns = p->until_ns;
	d->kept = why_kept(p);
	for (i = 0; i < p->nopen_forgets; i++) {
		int64_t stored = stored_at(all, p, p->open_forgets[i]);

		if (stored < 0)
			d->kept = "the wish to remove it is not listed";
		else
			d->due_ns = MAX(d->due_ns, add_time(stored, floor_ns));
	}
	d->is_due = !d->kept && now_ns > d->due_ns;
}

int due_list_make(struct vault *v, const struct point_list *l, int64_t now_ns,
		  struct due_list *out)
{
	struct stored_wishes all = { .n = 0 };
	int64_t floor_ns;
	size_t i;
	int r;

	*out = (struct due_list){ .items = alloc_array(l->n + 1,
						       sizeof(*out->items)) };
	if (!out->items)
		return -ENOMEM;
	r = window_floor(v, &floor_ns);
	if (r == 0)
		r = vault_list(v, "forget/", on_wish, &all);
	if (r == 0 && all.n)
		qsort(all.items, all.n, sizeof(*all.items), by_wish);
	for (i = 0; i < l->n && r == 0; i++) {
		struct due_point *d = &out->items[out->n];

		if (l->points[i]->nopen_forgets == 0)
			continue;
		*d = (struct due_point){ .point = l->points[i], .index = i };
		judge(&all, d, floor_ns, now_ns);
		out->n++;
		out->ndue += d->is_due;
	}
	free(all.items);
	return r;
}

void due_list_release(struct due_list *d)
{
	free(d->items);
	*d = (struct due_list){ .n = 0 };
}

/* ---- removing ---- */

int due_purge(struct vault *v, const struct point *p, const char *by,
	      bool *purged_out)
{
	AUTO_BUF struct buf mine = BUF_INIT;
	AUTO_BUF struct buf stands = BUF_INIT;
	struct seam *seam = vault_seam(v);
	char name[OBJECT_NAME_MAX];
	uint32_t number = 0;
	size_t i;
	int r;

	for (i = 0; i < p->nopen_forgets; i++)
		number = MAX(number, p->open_forgets[i]);
	snprintf(name, sizeof(name), "purge/%s-%u", p->id, number);
	r = purge_encode(true, p->id, by, seam->ops->realtime_ns(seam), &mine);
	if (r == 0)
		r = register_put(v, OBJECT_PURGE, name, NULL, &mine, &stands);
	if (r == 0)
		r = purge_decode(stands.data, stands.len, name, purged_out);
	return r;
}
