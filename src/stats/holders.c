/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A walk over all points tells of 63 groups what each has, and of the others
 * together whether they have it too. So there are as many walks as it takes, but
 * where each point is a group and there are more: then one walk tells what each has
 * alone, and what it shares is not asked for.
 */
#include "config.h"

#include "src/stats/holders.h"

#include <errno.h>

#include "src/cli/context.h"
#include "src/cli/progress.h"
#include "src/cli/signals.h"
#include "store/base/task.h"
#include "store/mark/shares.h"
#include "store/mark/walk.h"
#include "store/point.h"
#include "store/vault.h"

#define AT_ONCE (SHARES_GROUPS_MAX - 1)
#define OTHERS (UINT64_C(1) << AT_ONCE)

int holders_parse(const char *text, enum holders_by *out)
{
	static const char *const names[] = { "point", "machine", "tag" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(text, names[i]) == 0) {
			*out = (enum holders_by)i;
			return 0;
		}
	return -EINVAL;
}

void holders_release(struct holders *h)
{
	free(h->groups);
	free(h->group_of);
	memset(h, 0, sizeof(*h));
}

/* ---- groups ---- */

static bool is_forgotten(const struct point *p)
{
	return p->nopen_forgets > 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct holder *)a)->name,
		      ((const struct holder *)b)->name);
}

/* By tag: all tags, each once, sorted. */
static int find_tags(struct holders *h)
{
	const struct point_list *l = h->list;
	size_t i, j, n = 0, kept = 0;

	for (i = 0; i < l->n; i++)
		n += l->points[i]->ntags;
	h->groups = alloc_array(n + 2, sizeof(*h->groups));
	if (!h->groups)
		return -ENOMEM;
	for (i = 0, n = 0; i < l->n; i++)
		for (j = 0; j < l->points[i]->ntags; j++)
			if (!is_forgotten(l->points[i]))
				h->groups[n++].name = l->points[i]->tags[j];
	if (n > 1)
		qsort(h->groups, n, sizeof(*h->groups), by_name);
	for (i = 0; i < n; i++)
		if (i == 0 || by_name(&h->groups[kept - 1], &h->groups[i]) != 0)
			h->groups[kept++] = h->groups[i];
	h->n = kept;
	return 0;
}

/* By machine, or each by itself: points of one machine stand together. */
static int find_runs(struct holders *h)
{
	const struct point_list *l = h->list;
	struct holder *last = NULL;
	size_t i;

	h->groups = alloc_array(l->n + 2, sizeof(*h->groups));
	h->group_of = alloc_array(l->n + 1, sizeof(*h->group_of));
	if (!h->groups || !h->group_of)
		return -ENOMEM;
	for (i = 0; i < l->n; i++) {
		const struct point *p = l->points[i];

		if (is_forgotten(p))
			continue;
		if (!last || h->by == HOLDERS_BY_POINT ||
		    strcmp(last->name, p->vm) != 0) {
			last = &h->groups[h->n++];
			last->name = p->vm;
			last->index = i;
			last->point = h->by == HOLDERS_BY_POINT ? p : NULL;
		}
		h->group_of[i] = (uint32_t)(h->n - 1);
	}
	return 0;
}

static size_t tag_group(const struct holders *h, const char *tag)
{
	const struct holder key = { .name = tag };

	return (size_t)((const struct holder *)bsearch(&key, h->groups,
						       h->nnamed, sizeof(key),
						       by_name) -
			h->groups);
}

/* Call @fn with each group of a point. */
static void each_group(const struct holders *h, size_t point,
		       void (*fn)(void *arg, size_t group), void *arg)
{
	const struct point *p = h->list->points[point];
	size_t i;

	if (is_forgotten(p))
		fn(arg, h->n - 1);
	else if (h->by != HOLDERS_BY_TAG)
		fn(arg, h->group_of[point]);
	else if (p->ntags == 0)
		fn(arg, h->nnamed);
	for (i = 0; h->by == HOLDERS_BY_TAG && !is_forgotten(p) && i < p->ntags;
	     i++)
		fn(arg, tag_group(h, p->tags[i]));
}

struct sizes {
	struct holders *holders;
	const struct point *point;
};

static void add_sizes(void *arg, size_t group)
{
	const struct sizes *s = arg;
	struct holder *g = &s->holders->groups[group];
	size_t i;

	g->points++;
	g->bytes += s->point->bytes;
	for (i = 0; i < s->point->ndisks; i++)
		g->disk_used += s->point->disks[i].used;
}

static int find_groups(struct holders *h)
{
	size_t i;
	int r = h->by == HOLDERS_BY_TAG ? find_tags(h) : find_runs(h);

	if (r < 0)
		return r;
	h->nnamed = h->n;
	h->n += h->by == HOLDERS_BY_TAG; /* those without one */
	h->groups[h->n++].forgotten = true;
	for (i = 0; i < h->list->n; i++) {
		struct sizes s = { h, h->list->points[i] };

		each_group(h, i, add_sizes, &s);
	}
	return 0;
}

/* ---- counting ---- */

struct holders_walk {
	struct holders *holders;
	struct progress *progress;
	bool is_many;
	size_t first, n; /* the groups of this walk, but where they are many */
	uint64_t mask; /* of the point in hand */
	uint64_t walked; /* points, in the walks before */
	uint64_t total;
};

static void tick(void *arg, const void *progress)
{
	const struct holders_walk *w = arg;
	const struct walk_progress *p = progress;
	const struct progress_state state = {
		.items_done = w->walked + p->points,
		.items_total = w->total,
	};

	progress_update(w->progress, &state);
}

static void add_bit(void *arg, size_t group)
{
	struct holders_walk *w = arg;

	if (w->is_many)
		w->mask = group;
	else if (group - w->first < w->n)
		w->mask |= UINT64_C(1) << (group - w->first);
}

static uint64_t mask_of(struct holders_walk *w, size_t point)
{
	w->mask = 0;
	each_group(w->holders, point, add_bit, w);
	return w->mask || w->is_many ? w->mask : OTHERS;
}

static void count_pack(struct holder *g, const struct shares_pack *p)
{
	g->packs++;
	g->pack_bytes += p->size;
}

static int add_pack(void *arg, const struct shares_pack *p)
{
	struct holders_walk *w = arg;
	struct holder *groups = w->holders->groups;
	size_t i;

	if (w->is_many && (p->each & 1))
		count_pack(&groups[p->group], p);
	for (i = 0; i < w->n; i++)
		if (p->each >> i & 1)
			count_pack(&groups[w->first + i], p);
	return 0;
}

static void add_sum(void *arg, const struct shares_sum *sum)
{
	struct holders_walk *w = arg;
	struct holders *h = w->holders;
	size_t i;

	if (w->first == 0)
		*(sum->all ? &h->live : &h->dead) += sum->bytes;
	if (w->is_many && (sum->each & 1))
		h->groups[sum->group].exclusive += sum->bytes;
	for (i = 0; i < w->n; i++) {
		struct holder *g = &h->groups[w->first + i];

		g->exclusive += sum->each >> i & 1 ? sum->bytes : 0;
		g->held += sum->all >> i & 1 ? sum->bytes : 0;
	}
}

static int walk_once(struct holders_walk *w, struct vault *v)
{
	struct task task = { signals_stop(), tick, w, 0 };
	const struct point_list *l = w->holders->list;
	struct shares *s;
	size_t i;
	int r = shares_new(v, w->is_many ? (uint32_t)w->holders->n : 0, &s);

	if (r < 0)
		return r;
	shares_set_task(s, &task);
	for (i = 0; i < l->n && r == 0; i++)
		r = shares_point(s, l->points[i], mask_of(w, i));
	if (r == 0)
		r = shares_packs(s, add_pack, w, &w->holders->unread);
	if (r == 0)
		shares_each(s, add_sum, w);
	shares_free(s);
	w->walked += l->n;
	return r;
}

static int walk_all(struct holders_walk *w, struct vault *v)
{
	struct holders *h = w->holders;
	int r = 0;

	if (w->is_many)
		return walk_once(w, v);
	for (; w->first < h->n && r == 0; w->first += AT_ONCE) {
		w->n = MIN(h->n - w->first, (size_t)AT_ONCE);
		r = walk_once(w, v);
	}
	return r;
}

int holders_count(const struct context *ctx, struct vault *v,
		  const struct point_list *l, enum holders_by by,
		  struct holders *h)
{
	struct holders_walk w = { .holders = h };
	int r;

	memset(h, 0, sizeof(*h));
	h->by = by;
	h->list = l;
	r = find_groups(h);
	if (r < 0)
		return r;
	w.is_many = by == HOLDERS_BY_POINT && h->n > AT_ONCE;
	h->knows_held = !w.is_many;
	w.total =
		l->n * (w.is_many ? 1 : (h->n + AT_ONCE - 1) / (size_t)AT_ONCE);
	/* What is printed as JSON is one document. */
	w.progress = ctx->json ? NULL : progress_new(ctx, "points");
	r = walk_all(&w, v);
	progress_free(w.progress);
	return r;
}
