/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Points are of one of three kinds: they are to go, they were forgotten before, or
 * they stay. What has a point of the first kind and none of the last would be freed.
 * Points that were forgotten before are waited for only if they can be brought back
 * for longer.
 */
#include "config.h"

#include "src/forget/freed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "src/cli/context.h"
#include "src/cli/output.h"
#include "src/cli/progress.h"
#include "src/cli/signals.h"
#include "store/base/log.h"
#include "store/base/task.h"
#include "store/mark/shares.h"
#include "store/mark/walk.h"
#include "store/point.h"
#include "store/vault.h"

enum { GOES = 1, STAYS = 2 };

struct freed_walk {
	const struct point_list *list; /* borrowed */
	const char **gone; /* ids, sorted; owned */
	size_t n;
	struct progress *progress;
	struct freed freed;
};

static int by_id(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static uint64_t kind_of(const struct freed_walk *c, const struct point *p)
{
	const char *id = p->id;

	if (c->n > 0 && bsearch(&id, c->gone, c->n, sizeof(*c->gone), by_id))
		return GOES;
	return p->nopen_forgets > 0 ? 0 : STAYS;
}

static void tick(void *arg, const void *progress)
{
	const struct freed_walk *c = arg;
	const struct walk_progress *p = progress;
	const struct progress_state state = { .items_done = p->points,
					      .items_total = c->list->n };

	progress_update(c->progress, &state);
}

static int count_pack(void *arg, const struct shares_pack *p)
{
	struct freed_walk *c = arg;

	if (p->all == GOES) {
		c->freed.packs++;
		c->freed.pack_bytes += p->size;
	}
	return 0;
}

static void count_sum(void *arg, const struct shares_sum *sum)
{
	struct freed_walk *c = arg;

	if (sum->all == GOES)
		c->freed.bytes += sum->bytes;
}

static int count_shares(struct freed_walk *c, struct vault *v)
{
	struct task task = { signals_stop(), tick, c, 0 };
	struct shares *s;
	uint64_t unread;
	size_t i;
	int r = shares_new(v, 0, &s);

	if (r < 0)
		return r;
	shares_set_task(s, &task);
	for (i = 0; i < c->list->n && r == 0; i++)
		r = shares_point(s, c->list->points[i],
				 kind_of(c, c->list->points[i]));
	if (r == 0)
		r = shares_packs(s, count_pack, c, &unread);
	if (r == 0)
		shares_each(s, count_sum, c);
	shares_free(s);
	return r;
}

/* All points there are; one that cannot be read may hold anything. */
static int count_all(struct freed_walk *c, struct vault *v)
{
	struct point_list *l = NULL;
	int r;

	vault_show_forgotten(v);
	r = vault_points(v, &l);
	if (r == 0 && l->ndamaged > 0)
		r = -EBADMSG;
	c->list = l;
	if (r == 0)
		r = count_shares(c, v);
	c->freed.is_known = r == 0;
	point_list_put(l);
	return r;
}

int freed_count(const struct context *ctx, struct vault *v,
		const struct point *const *points, size_t n, struct freed *out)
{
	struct freed_walk c = { .n = n };
	size_t i;
	int r;

	memset(out, 0, sizeof(*out));
	c.gone = alloc_array(n + 1, sizeof(*c.gone));
	if (!c.gone)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		c.gone[i] = points[i]->id;
	if (n > 1)
		qsort(c.gone, n, sizeof(*c.gone), by_id);
	/* What is printed as JSON is one document. */
	c.progress = ctx->json ? NULL : progress_new(ctx, "points");
	r = count_all(&c, v);
	progress_free(c.progress);
	free(c.gone);
	if (r == -EINTR || r == -ENOMEM)
		return r;
	if (r < 0)
		log_warn("vault %s: what would be freed cannot be told; see"
			 " \"vmbackup check\"",
			 vault_url(v));
	*out = c.freed;
	return 0;
}

void freed_print(const struct freed *f)
{
	char bytes[OUTPUT_SIZE_LEN], packs[OUTPUT_SIZE_LEN];

	if (!f->is_known)
		return;
	printf("%s would be freed in time; %" PRIu64
	       " pack%s of %s would hold nothing else\n",
	       output_size(f->bytes, bytes), f->packs, f->packs == 1 ? "" : "s",
	       output_size(f->pack_bytes, packs));
}

json_t *freed_json(const struct freed *f)
{
	json_t *o;

	if (!f->is_known)
		return json_null();
	o = json_object();
	output_set_uint(o, "size", f->bytes);
	output_set_uint(o, "packs_count", f->packs);
	output_set_uint(o, "packs_size", f->pack_bytes);
	return o;
}
