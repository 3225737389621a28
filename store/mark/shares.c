/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The number beside a print is that of a holding: of which groups all points are
 * that hold the chunk, and of which some are. When a point comes to a chunk, the
 * first become fewer and the second more, or neither changes. A node's chunks are
 * held at least as the node is, for whoever came to it went on to them. So where
 * nothing changes for a node, nothing does below it.
 *
 * Holdings are few, for points that follow each other share most of what they have,
 * and each is stored once. What a point makes of one is looked up once a point.
 *
 * Where groups are many, holdings are one a group and one more, "several".
 */
#include "config.h"

#include "store/mark/shares.h"

#include <errno.h>

#include "store/base/array.h"
#include "store/mark/packs.h"
#include "store/mark/prints.h"
#include "store/mark/walk.h"
#include "store/vault.h"

struct holding {
	uint64_t each, all;
	uint64_t chunks, bytes;
};

struct shares {
	struct vault *vault; /* borrowed */
	struct task *task; /* borrowed; may be NULL */
	struct walk *walk; /* owned */
	struct walk_visitor visitor;
	struct prints held;
	uint32_t many; /* groups; 0: masks */
	/* The first is of what nobody holds; owned. */
	struct holding *holdings;
	size_t n, cap;
	/* Where they are: open addressing, 0 is free; owned. */
	uint32_t *slots;
	size_t nslots; /* a power of two */
	/* What the point that is walked makes of each; 0: not known yet; owned. */
	uint32_t *next;
	size_t next_cap;
	uint64_t groups; /* of that point */
	int error; /* the first */
};

/* ---- holdings ---- */

static size_t hash(uint64_t each, uint64_t all)
{
	uint64_t h = (each * UINT64_C(0x9e3779b97f4a7c15)) ^ all;

	h *= UINT64_C(0xff51afd7ed558ccd);
	return (size_t)(h ^ h >> 32);
}

static uint32_t *slot_of(const struct shares *s, uint64_t each, uint64_t all)
{
	size_t i = hash(each, all);

	for (;; i++) {
		uint32_t *slot = &s->slots[i & (s->nslots - 1)];
		const struct holding *h = &s->holdings[*slot];

		if (*slot == 0 || (h->each == each && h->all == all))
			return slot;
	}
}

static int grow_slots(struct shares *s)
{
	size_t i;

	free(s->slots);
	s->nslots = s->nslots ? 2 * s->nslots : 256;
	s->slots = alloc_array(s->nslots, sizeof(*s->slots));
	if (!s->slots)
		return -ENOMEM;
	for (i = 1; i < s->n; i++)
		*slot_of(s, s->holdings[i].each, s->holdings[i].all) =
			(uint32_t)i;
	return 0;
}

static int add_holding(struct shares *s, uint64_t each, uint64_t all)
{
	size_t before = s->next_cap;

	if (array_reserve(&s->holdings, &s->cap, s->n + 1) < 0 ||
	    array_reserve(&s->next, &s->next_cap, s->n + 1) < 0)
		return -ENOMEM;
	if (s->next_cap > before)
		memset(s->next + before, 0,
		       (s->next_cap - before) * sizeof(*s->next));
	s->holdings[s->n++] = (struct holding){ .each = each, .all = all };
	return 0;
}

/* Return its number in @out. */
static int find_holding(struct shares *s, uint64_t each, uint64_t all,
			uint32_t *out)
{
	uint32_t *slot;

	if (2 * (s->n + 1) > s->nslots && grow_slots(s) < 0)
		return -ENOMEM;
	slot = slot_of(s, each, all);
	if (*slot == 0) {
		if (add_holding(s, each, all) < 0)
			return -ENOMEM;
		*slot = (uint32_t)(s->n - 1);
	}
	*out = *slot;
	return 0;
}

/* What becomes of a holding when the point that is walked comes to it. */
static int next_of(struct shares *s, uint32_t holding, uint32_t *out)
{
	const struct holding *h = &s->holdings[holding];
	uint32_t own = (uint32_t)s->groups + 1, found;
	int r;

	if (s->many) {
		*out = holding == 0 || holding == own ? own : s->many + 1;
		return 0;
	}
	*out = s->next[holding];
	if (*out)
		return 0;
	r = find_holding(s, (holding ? h->each : UINT64_MAX) & s->groups,
			 h->all | s->groups, &found);
	if (r == 0)
		s->next[holding] = *out = found;
	return r;
}

/* ---- walking ---- */

/* Return 1 where it changed who holds it. */
static int hold(struct shares *s, uint64_t print)
{
	uint32_t *word, next;
	int r = prints_add(&s->held, print, &word);

	if (r >= 0)
		r = next_of(s, *word, &next);
	if (r < 0)
		return r;
	r = *word != next;
	*word = next;
	return r;
}

static int on_node(void *arg, const struct id *id)
{
	struct shares *s = arg;

	return hold(s, prints_of(&s->held, id));
}

static int on_chunks(void *arg, const uint64_t *prints, size_t n)
{
	size_t i;
	int r = 0;

	for (i = 0; i < n && r >= 0; i++)
		r = hold(arg, prints[i]);
	return MIN(r, 0);
}

static int init(struct shares *s, uint32_t many)
{
	uint32_t i;
	int r = add_holding(s, 0, 0);

	s->many = many;
	for (i = 0; many && i <= many && r == 0; i++)
		r = add_holding(s, i < many, 1);
	if (r == 0)
		r = prints_init(&s->held, vault_seam(s->vault), true);
	s->visitor = (struct walk_visitor){ on_node, on_chunks, s, &s->held };
	return r < 0 ? r : walk_new(s->vault, &s->visitor, &s->walk);
}

int shares_new(struct vault *v, uint32_t many, struct shares **out)
{
	struct shares *s = calloc(1, sizeof(*s));
	int r;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->vault = v;
	r = init(s, many);
	if (r < 0) {
		shares_free(s);
		return r;
	}
	*out = s;
	return 0;
}

void shares_free(struct shares *s)
{
	if (!s)
		return;
	walk_free(s->walk);
	prints_release(&s->held);
	free(s->holdings);
	free(s->slots);
	free(s->next);
	free(s);
}

void shares_set_task(struct shares *s, struct task *task)
{
	s->task = task;
}

int shares_point(struct shares *s, const struct point *p, uint64_t groups)
{
	if (s->error < 0)
		return s->error;
	s->groups = groups;
	memset(s->next, 0, s->next_cap * sizeof(*s->next));
	s->error = walk_point(s->walk, p, s->task);
	return s->error;
}

/* ---- packs ---- */

struct shares_count {
	struct shares *shares;
	int (*fn)(void *arg, const struct shares_pack *p);
	void *arg;
	uint64_t unread;
};

/* The group of a holding, where groups are many and it has one. */
static uint32_t group_of(const struct shares *s, uint32_t holding)
{
	return s->many && holding && holding <= s->many ? holding - 1 : 0;
}

static void count_live(const struct shares *s, uint32_t holding,
		       struct shares_pack *p)
{
	const struct holding *h = &s->holdings[holding];
	uint32_t group = group_of(s, holding);

	/* Two groups of many are several. */
	if (p->live_chunks++ == 0)
		p->group = group;
	else if (group != p->group)
		p->each = 0;
	p->each &= h->each;
	p->all |= h->all;
}

static int on_pack(void *arg, const struct pack_found *found)
{
	struct shares_count *count = arg;
	struct shares *s = count->shares;
	struct shares_pack p = { .size = found->size, .each = UINT64_MAX };
	size_t i;

	if (!found->listed || !found->readable) {
		count->unread += found->listed ? found->size : 0;
		return 0;
	}
	for (i = 0; i < found->dir.nchunks; i++) {
		const struct chunk_ref *c = &found->dir.chunks[i];
		uint64_t bytes = packs_chunk_bytes(&found->dir, c);
		uint32_t holding =
			prints_word(&s->held, prints_of(&s->held, &c->id));

		s->holdings[holding].chunks++;
		s->holdings[holding].bytes += bytes;
		if (holding)
			count_live(s, holding, &p);
		else
			p.dead_bytes += bytes;
	}
	if (p.live_chunks == 0)
		p.each = 0;
	return count->fn ? count->fn(count->arg, &p) : 0;
}

int shares_packs(struct shares *s,
		 int (*fn)(void *arg, const struct shares_pack *p), void *arg,
		 uint64_t *unread_out)
{
	struct shares_count count = { s, fn, arg, 0 };
	size_t i;
	int r;

	if (s->error < 0)
		return s->error;
	for (i = 0; i < s->n; i++)
		s->holdings[i].chunks = s->holdings[i].bytes = 0;
	r = packs_each(s->vault, s->task, on_pack, &count);
	*unread_out = count.unread;
	return r;
}

void shares_each(const struct shares *s,
		 void (*fn)(void *arg, const struct shares_sum *sum), void *arg)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		const struct holding *h = &s->holdings[i];
		const struct shares_sum sum = {
			.each = h->each,
			.all = h->all,
			.group = group_of(s, (uint32_t)i),
			.chunks = h->chunks,
			.bytes = h->bytes,
		};

		if (h->chunks)
			fn(arg, &sum);
	}
}
