/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * That what commits follow is nested, for any two, is found out without writing
 * down what each of them follows, for that would be the square of their number. If
 * it is so, then of all that a commit names the one that follows most follows all
 * that the others follow, and how many a commit follows is known at once: those
 * that it names, and those that this one follows. So they are put in the order of
 * these numbers, and gathered: with each commit what it follows is added to what
 * those before it follow. If nothing stands apart, the newest of all that was
 * gathered are those, and only those, which the commit names.
 */
#include "config.h"

#include "store/history/chain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/hex.h"

#define NOWHERE CHAIN_NOWHERE
#define BITS_MAX 24

struct judging {
	const struct chain_node *nodes;
	size_t n;
	uint8_t (*sids)[COMMIT_SID_LEN]; /* of the nodes; owned */
	/* Sids are random: those whose first bits are b begin at bucket[b], and end
	 * where the next ones begin. Owned. */
	size_t *bucket;
	unsigned int bits;
	/* Where each node's references lead: those of node i from first[i] on.
	 * Owned. */
	size_t *first, *to;
	bool *named; /* by anybody; owned */
	/* For the fork; owned. */
	size_t *size; /* how many a commit follows; NOWHERE: not known */
	size_t *order; /* nodes by that */
	size_t ntold;
	bool *gathered, *covered; /* it is among those; one of those names it */
	bool *below, *above; /* of a commit */
	size_t *stack;
	size_t newest; /* how many were gathered that none of those names */
	struct chain *out;
};

static int add_flaw(struct judging *j, enum chain_flaw_kind kind,
		    const uint8_t *sid, size_t at, size_t by)
{
	struct chain *c = j->out;
	struct chain_flaw *f;

	if (array_reserve(&c->flaws, &c->cap, c->nflaws + 1) < 0)
		return -ENOMEM;
	f = &c->flaws[c->nflaws++];
	f->kind = kind;
	f->at = at;
	f->by = by;
	f->by_sid = j->nodes[by].sid;
	hex_encode(sid, COMMIT_SID_LEN, f->sid);
	return 0;
}

/* The first bits of a sid. */
static size_t bucket_of(const struct judging *j, const uint8_t *sid)
{
	size_t first = (size_t)sid[0] << 16 | (size_t)sid[1] << 8 | sid[2];

	return first >> (BITS_MAX - j->bits);
}

static size_t find(const struct judging *j, const uint8_t *sid)
{
	size_t b = bucket_of(j, sid);
	size_t low = j->bucket[b], high = j->bucket[b + 1];

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = memcmp(j->sids[mid], sid, COMMIT_SID_LEN);

		if (c == 0)
			return mid;
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NOWHERE;
}

static int follow_ref(struct judging *j, size_t node,
		      const struct commit_ref *ref, size_t *to)
{
	*to = find(j, ref->sid);
	if (*to != NOWHERE)
		j->named[*to] = true;
	if (!ref->has_hash)
		return 0; /* it may have been anybody's garbage */
	if (*to == NOWHERE)
		return add_flaw(j, CHAIN_REMOVED, ref->sid, NOWHERE, node);
	if (j->nodes[*to].own &&
	    memcmp(j->nodes[*to].own, ref->hash, COMMIT_HASH_LEN) != 0)
		return add_flaw(j, CHAIN_REPLACED, ref->sid, *to, node);
	return 0;
}

static int follow_all(struct judging *j)
{
	size_t i, k, at = 0;
	int r = 0;

	for (i = 0; i < j->n && r == 0; i++) {
		j->first[i] = at;
		for (k = 0; k < j->nodes[i].nrefs && r == 0; k++)
			r = follow_ref(j, i, &j->nodes[i].refs[k],
				       &j->to[at++]);
	}
	j->first[j->n] = at;
	return r;
}

static void find_heads(const struct judging *j)
{
	size_t i;

	for (i = 0; i < j->n; i++)
		if (!j->named[i] && !j->nodes[i].is_fenced)
			j->out->heads[j->out->nheads++] = i;
}

/* ---- a fork ---- */

/* Only what says what it follows counts. */
static bool counts(const struct judging *j, size_t node)
{
	return node != NOWHERE && j->nodes[node].is_told &&
	       !j->nodes[node].is_settled;
}

/* Whether one that @node names, and that could not be read then, names @to: it
 * looked like a newest one, and was not. */
static bool is_behind_unread(const struct judging *j, size_t node, size_t to)
{
	size_t i, k;

	for (i = 0; i < j->nodes[node].nrefs; i++) {
		size_t at = j->to[j->first[node] + i];

		if (j->nodes[node].refs[i].has_hash || !counts(j, at))
			continue;
		for (k = j->first[at]; k < j->first[at + 1]; k++)
			if (j->to[k] == to)
				return true;
	}
	return false;
}

/* What a commit follows is known where that is known of all that it names; what is
 * on the stack waits for these. Return false where one waits for itself. */
static bool weigh_one(struct judging *j, size_t node, size_t *depth)
{
	size_t k, n = 0, most = 0;

	for (k = j->first[node]; k < j->first[node + 1]; k++) {
		size_t to = j->to[k];

		if (!counts(j, to))
			continue;
		if (j->size[to] == NOWHERE) {
			if (j->gathered[to])
				return false;
			j->gathered[to] = true;
			j->stack[(*depth)++] = to;
			return true;
		}
		n += !is_behind_unread(j, node, to);
		most = MAX(most, j->size[to]);
	}
	j->size[node] = n + most;
	--*depth;
	return true;
}

static bool weigh(struct judging *j, size_t node)
{
	size_t depth = 0;

	if (j->size[node] != NOWHERE)
		return true;
	j->stack[depth++] = node;
	j->gathered[node] = true;
	while (depth > 0)
		if (!weigh_one(j, j->stack[depth - 1], &depth))
			return false;
	return true;
}

/* Each is put on the stack once, when it is gathered. */
static void gather_one(struct judging *j, size_t node, size_t *depth)
{
	if (!counts(j, node) || j->gathered[node])
		return;
	j->gathered[node] = true;
	j->newest += !j->covered[node];
	j->stack[(*depth)++] = node;
}

static void cover(struct judging *j, size_t node)
{
	if (!counts(j, node) || j->covered[node])
		return;
	j->covered[node] = true;
	j->newest -= j->gathered[node];
}

/* Gather what a commit follows; return how many it names of the newest. */
static size_t gather_below(struct judging *j, size_t node)
{
	size_t k, n = 0, depth = 0;

	for (k = j->first[node]; k < j->first[node + 1]; k++)
		gather_one(j, j->to[k], &depth);
	while (depth > 0) {
		size_t at = j->stack[--depth];

		for (k = j->first[at]; k < j->first[at + 1]; k++) {
			cover(j, j->to[k]);
			gather_one(j, j->to[k], &depth);
		}
	}
	for (k = j->first[node]; k < j->first[node + 1]; k++)
		n += counts(j, j->to[k]) && !j->covered[j->to[k]];
	return n;
}

/* Whether one that @node names names one that is not marked. */
static bool has_second(const struct judging *j, size_t node, const bool *mark)
{
	size_t i, k;

	for (i = j->first[node]; i < j->first[node + 1]; i++) {
		size_t to = j->to[i];

		if (!counts(j, to))
			continue;
		for (k = j->first[to]; k < j->first[to + 1]; k++)
			if (counts(j, j->to[k]) && !mark[j->to[k]])
				return true;
	}
	return false;
}

/* Mark all that @node follows; what one follows stands before it. */
static void mark_below(const struct judging *j, size_t node, bool *mark)
{
	size_t i, k;

	memset(mark, 0, j->n * sizeof(*mark));
	mark[node] = true;
	for (i = j->ntold; i-- > 0;) {
		size_t at = j->order[i];

		for (k = j->first[at]; mark[at] && k < j->first[at + 1]; k++)
			if (counts(j, j->to[k]))
				mark[j->to[k]] = true;
	}
	mark[node] = false;
}

/* Mark all that follow @node. */
static void mark_above(const struct judging *j, size_t node, bool *mark)
{
	size_t i, k;

	memset(mark, 0, j->n * sizeof(*mark));
	for (i = 0; i < j->ntold; i++) {
		size_t at = j->order[i];

		for (k = j->first[at]; k < j->first[at + 1]; k++)
			mark[at] |= j->to[k] == node ||
				    (counts(j, j->to[k]) && mark[j->to[k]]);
	}
}

/*
 * A store needs a while to list, and who lists may find one of two commits that
 * were made meanwhile, and not the older one. So two commits prove a fork only where
 * each lacks what another one that it lacks, too, has followed: a session does not
 * begin and end while another one lists. Return one for which @node and it do that,
 * or NOWHERE.
 */
static size_t find_proof(struct judging *j, size_t node)
{
	size_t i, k, at;

	mark_below(j, node, j->below);
	for (i = j->first[node]; i < j->first[node + 1]; i++) {
		size_t to = j->to[i];

		if (!counts(j, to))
			continue;
		for (k = j->first[to]; k < j->first[to + 1]; k++) {
			if (!counts(j, j->to[k]))
				continue;
			mark_above(j, j->to[k], j->above);
			for (at = 0; at < j->n; at++)
				if (counts(j, at) && at != j->to[k] &&
				    !j->above[at] &&
				    has_second(j, at, j->below))
					return at;
		}
	}
	return NOWHERE;
}

/* Sort by counting. Return a node that follows more than there is, which no honest
 * one does, or NOWHERE. */
static size_t put_in_order(struct judging *j, size_t *count)
{
	size_t i, at = 0, n;

	for (i = 0; i < j->n; i++) {
		if (!counts(j, i))
			continue;
		if (j->size[i] >= j->n)
			return i;
		count[j->size[i]]++;
	}
	for (i = 0; i < j->n; i++) {
		n = count[i];
		count[i] = at;
		at += n;
	}
	for (i = 0; i < j->n; i++)
		if (counts(j, i))
			j->order[count[j->size[i]]++] = i;
	return NOWHERE;
}

/* Whether a commit names one that could be read then and cannot be now: what it
 * follows by way of that one is not known. */
static bool names_unreadable(const struct judging *j, size_t node)
{
	size_t i;

	for (i = 0; i < j->nodes[node].nrefs; i++) {
		size_t to = j->to[j->first[node] + i];

		if (j->nodes[node].refs[i].has_hash && to != NOWHERE &&
		    !j->nodes[to].own)
			return true;
	}
	return false;
}

/* Whether each commit says all that it follows, and all of that is there and can be
 * read. */
static bool is_complete(const struct judging *j)
{
	size_t i;

	for (i = 0; i < j->out->nflaws; i++)
		if (j->out->flaws[i].kind == CHAIN_REMOVED &&
		    !j->nodes[j->out->flaws[i].by].is_settled)
			return false;
	for (i = 0; i < j->n; i++)
		if ((j->nodes[i].is_cut || names_unreadable(j, i)) &&
		    !j->nodes[i].is_settled)
			return false;
	return true;
}

/* What is in order, from the one on that proves it, each is told that does not
 * follow what it has to. */
static int gather_all(struct judging *j)
{
	size_t i, by, proof = NOWHERE;
	int r = 0;

	memset(j->gathered, 0, j->n * sizeof(*j->gathered));
	for (i = 0; i < j->ntold && r == 0; i++) {
		if (gather_below(j, j->order[i]) == j->newest)
			continue;
		by = find_proof(j, j->order[i]);
		proof = by != NOWHERE ? by : proof;
		if (proof != NOWHERE)
			r = add_flaw(j, CHAIN_FORKED, j->sids[j->order[i]],
				     j->order[i], proof);
	}
	return r;
}

static int make_fork_room(struct judging *j)
{
	j->size = alloc_array(j->n + 1, sizeof(*j->size));
	j->order = alloc_array(j->n + 1, sizeof(*j->order));
	j->gathered = alloc_array(j->n + 1, sizeof(*j->gathered));
	j->covered = alloc_array(j->n + 1, sizeof(*j->covered));
	j->below = alloc_array(j->n + 1, sizeof(*j->below));
	j->above = alloc_array(j->n + 1, sizeof(*j->above));
	j->stack = alloc_array(j->n + 1, sizeof(*j->stack));
	return j->size && j->order && j->gathered && j->covered && j->below &&
			       j->above && j->stack
		       ? 0
		       : -ENOMEM;
}

static int find_forks(struct judging *j)
{
	AUTO_FREE size_t *count = alloc_array(j->n + 1, sizeof(*count));
	size_t i;

	if (!count || make_fork_room(j) < 0)
		return -ENOMEM;
	for (i = 0; i < j->n; i++)
		j->size[i] = NOWHERE;
	for (i = 0; i < j->n; i++) {
		if (!counts(j, i))
			continue;
		j->ntold++;
		/* Hashes make no circles, so it is no honest one's. */
		if (!weigh(j, i))
			return add_flaw(j, CHAIN_FORKED, j->sids[i], i, i);
	}
	i = put_in_order(j, count);
	return i == NOWHERE ? gather_all(j)
			    : add_flaw(j, CHAIN_FORKED, j->sids[i], i, i);
}

/* ---- all of it ---- */

static int by_kind(const void *a, const void *b)
{
	const struct chain_flaw *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return strcmp(x->sid, y->sid);
}

static void sort_flaws(struct chain *c)
{
	size_t i, n = 0;

	if (c->nflaws < 2)
		return;
	qsort(c->flaws, c->nflaws, sizeof(*c->flaws), by_kind);
	for (i = 1; i < c->nflaws; i++)
		if (by_kind(&c->flaws[n], &c->flaws[i]) != 0 && ++n != i)
			c->flaws[n] = c->flaws[i];
	c->nflaws = n + 1;
}

static int make_room(struct judging *j)
{
	size_t i, refs = 0;

	for (i = 0; i < j->n; i++)
		refs += j->nodes[i].nrefs;
	j->sids = alloc_array(j->n + 1, sizeof(*j->sids));
	for (j->bits = 1; j->bits < BITS_MAX && j->n >> j->bits; j->bits++)
		;
	j->bucket = alloc_array(((size_t)1 << j->bits) + 1, sizeof(*j->bucket));
	j->first = alloc_array(j->n + 1, sizeof(*j->first));
	j->to = alloc_array(refs + 1, sizeof(*j->to));
	j->named = alloc_array(j->n + 1, sizeof(*j->named));
	j->out->heads = alloc_array(j->n + 1, sizeof(*j->out->heads));
	if (!j->sids || !j->bucket || !j->first || !j->to || !j->named ||
	    !j->out->heads)
		return -ENOMEM;
	for (i = 0; i < j->n; i++) {
		/* What is no session's is nobody's. */
		if (hex_decode(j->nodes[i].sid, COMMIT_SID_LEN, j->sids[i]) ==
		    0)
			j->bucket[bucket_of(j, j->sids[i]) + 1] = i + 1;
		else
			memset(j->sids[i], 0, COMMIT_SID_LEN);
	}
	/* An empty one begins where the next one does. */
	for (i = 1; i <= (size_t)1 << j->bits; i++)
		j->bucket[i] = MAX(j->bucket[i], j->bucket[i - 1]);
	return 0;
}

int chain_judge(const struct chain_node *nodes, size_t n, bool forks,
		struct chain *out)
{
	struct judging j = { .nodes = nodes, .n = n, .out = out };
	int r;

	memset(out, 0, sizeof(*out));
	r = make_room(&j);
	if (r == 0)
		r = follow_all(&j);
	if (r == 0)
		find_heads(&j);
	if (r == 0 && n > 0 && forks && is_complete(&j))
		r = find_forks(&j);
	if (r == 0)
		sort_flaws(out);
	free(j.sids);
	free(j.bucket);
	free(j.first);
	free(j.to);
	free(j.named);
	free(j.size);
	free(j.order);
	free(j.gathered);
	free(j.covered);
	free(j.below);
	free(j.above);
	free(j.stack);
	return r;
}

void chain_release(struct chain *c)
{
	free(c->heads);
	free(c->flaws);
	memset(c, 0, sizeof(*c));
}
