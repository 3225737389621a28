/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/forget/judged.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/log.h"
#include "store/point.h"
#include "store/record/forget.h"
#include "store/writer/forget.h"

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What a backup was told to take: its sources, and "disk:vda". */
static int make_paths(const struct point *p, char ***out, size_t *n_out)
{
	char **paths = alloc_array(p->nsources + p->ndisks + 1, sizeof(*paths));
	size_t i, n = 0;

	*out = paths;
	if (!paths)
		return -ENOMEM;
	for (i = 0; i < p->nsources + p->ndisks; i++) {
		if (i < p->nsources)
			paths[n] = strdup(p->sources[i]);
		else if (asprintf(&paths[n], "disk:%s",
				  p->disks[i - p->nsources].name) < 0)
			paths[n] = NULL;
		if (!paths[n++])
			return -ENOMEM;
	}
	qsort(paths, n, sizeof(*paths), by_text);
	*n_out = n;
	return 0;
}

static int add_judged(struct judged *j, size_t i)
{
	const struct point *p = j->list->points[i];
	struct keep_point *k = &j->points[j->n];
	int r = make_paths(p, &j->paths[j->n], &k->npaths);

	j->index[j->n++] = i;
	k->id = p->id;
	k->machine = p->machine;
	k->host = p->host;
	k->tags = (const char *const *)p->tags;
	k->ntags = p->ntags;
	k->paths = (const char *const *)j->paths[j->n - 1];
	k->time_ns = p->time_ns;
	k->stored_ns = j->stored[i];
	k->until_ns = p->keep_until_ns;
	k->flags = (p->is_protected ? KEEP_IS_PROTECTED : 0u) |
		   (p->is_verified ? KEEP_IS_VERIFIED : 0u) |
		   (p->incomplete ? KEEP_IS_INCOMPLETE : 0u) |
		   (p->is_suspicious ? KEEP_IS_SUSPICIOUS : 0u);
	return r;
}

/* By a clock that is behind, all points would seem to be of the future. */
static int check_clock(const struct keep_clock *clock)
{
	int64_t days =
		clock->now_ns < clock->vault_ns
			? (clock->vault_ns - clock->now_ns) / FORGET_DAY_NS
			: 0;
	char time[POINT_TIME_LEN];

	if (days < 1)
		return 0;
	point_time_name(clock->vault_ns, time);
	return fail(
		-EPERM,
		"the clock of this machine is %lld day%s behind that of the "
		"vault, which received its newest point at %s: set it, or "
		"name the points that are to go",
		(long long)days, days == 1 ? "" : "s", time);
}

int judged_make(struct vault *v, const struct point_list *l,
		const struct keep_policy *policy, const bool *wanted,
		int64_t now_ns, struct judged *j)
{
	struct keep_clock clock = { .now_ns = now_ns };
	size_t max = l->n + 1, i;
	int r = 0;

	j->list = l;
	j->index = alloc_array(max, sizeof(*j->index));
	j->points = alloc_array(max, sizeof(*j->points));
	j->paths = alloc_array(max, sizeof(*j->paths));
	j->verdicts = alloc_array(max, sizeof(*j->verdicts));
	j->order = alloc_array(max, sizeof(*j->order));
	j->stored = alloc_array(max, sizeof(*j->stored));
	if (!j->index || !j->points || !j->paths || !j->verdicts || !j->order ||
	    !j->stored)
		return -ENOMEM;
	r = forget_stored_times(v, j->list, j->stored, &j->vault_ns);
	clock.vault_ns = j->vault_ns;
	if (r == 0)
		r = check_clock(&clock);
	for (i = 0; i < j->list->n && r == 0; i++)
		/* What anybody may have made pushes nothing out. */
		if (wanted[i] && !j->list->points[i]->is_untrusted)
			r = add_judged(j, i);
	return r < 0 ? r
		     : keep_apply(policy, j->points, j->n, &clock, j->verdicts,
				  j->order);
}

void judged_release(struct judged *j)
{
	size_t i, k;

	for (i = 0; i < j->n; i++) {
		for (k = 0; j->paths[i] && j->paths[i][k]; k++)
			free(j->paths[i][k]);
		free(j->paths[i]);
	}
	free(j->index);
	free(j->points);
	free(j->paths);
	free(j->verdicts);
	free(j->order);
	free(j->stored);
}
