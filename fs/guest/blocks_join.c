/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Ranges of several blocks as one: the parts stand one behind the other, and
 * within a part the bytes are dealt over its ranges, a stripe at a time. A
 * part of one range is one whose single stripe is all of it.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/guest/blocks.h"

struct part {
	uint64_t start; /* within the whole */
	uint64_t len;
	uint64_t stripe;
	size_t first; /* in ranges[] */
	size_t nranges;
};

struct join {
	struct blocks b;
	struct part *parts; /* owned; in order, none empty */
	size_t nparts;
	struct blocks_stripe *ranges; /* owned, and their blocks held */
	size_t nranges;
};

/* How many bytes of a part lie in its range @i. */
static uint64_t range_len(const struct part *p, size_t i)
{
	uint64_t row = p->stripe * p->nranges;
	uint64_t rest = p->len % row;
	uint64_t before = p->stripe * i;
	uint64_t last = rest > before ? MIN(rest - before, p->stripe) : 0;

	return p->len / row * p->stripe + last;
}

/* The part that @off lies in; @off is below the size. */
static size_t part_of(const struct join *j, uint64_t off)
{
	size_t low = 0, high = j->nparts;

	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (j->parts[mid].start <= off)
			low = mid;
		else
			high = mid;
	}
	return low;
}

static int join_read(struct blocks *b, uint64_t off, void *out, size_t len)
{
	struct join *j = container_of(b, struct join, b);
	size_t i = part_of(j, off);
	uint8_t *to = out;
	int r;

	while (len > 0) {
		const struct part *p = &j->parts[i];
		uint64_t in = off - p->start; /* within the part */
		uint64_t nth = in / p->stripe, within = in % p->stripe;
		const struct blocks_stripe *range =
			&j->ranges[p->first + nth % p->nranges];
		uint64_t n = MIN(p->stripe - within, p->len - in);

		n = MIN(n, len);
		r = blocks_read(range->b,
				range->off + nth / p->nranges * p->stripe +
					within,
				to, (size_t)n);
		if (r < 0)
			return r;
		to += n;
		off += n;
		len -= (size_t)n;
		if (off - p->start == p->len)
			i++;
	}
	return 0;
}

/*
 * The next hole or data at or behind @in of one part: each range is asked from
 * the first of its bytes that is not before @in, and the nearest answer is the
 * one. Return 0, -ENXIO (none in this part) or an error.
 */
static int part_seek(const struct join *j, const struct part *p, uint64_t in,
		     bool hole, uint64_t *out)
{
	uint64_t nth = in / p->stripe, best = UINT64_MAX;
	uint64_t row = nth / p->nranges, at;
	size_t column = (size_t)(nth % p->nranges), i;
	int r;

	for (i = 0; i < p->nranges; i++) {
		const struct blocks_stripe *range = &j->ranges[p->first + i];
		uint64_t from = row * p->stripe;

		if (i < column)
			from += p->stripe;
		else if (i == column)
			from += in % p->stripe;
		if (from >= range_len(p, i))
			continue;
		r = blocks_seek(range->b, range->off + from, hole, &at);
		if (r == -ENXIO)
			continue;
		if (r < 0)
			return r;
		at -= range->off;
		if (at >= range_len(p, i))
			continue;
		at = (at / p->stripe * p->nranges + i) * p->stripe +
		     at % p->stripe;
		best = MIN(best, at);
	}
	if (best == UINT64_MAX)
		return -ENXIO;
	*out = best;
	return 0;
}

static int join_seek(struct blocks *b, uint64_t off, bool hole, uint64_t *out)
{
	struct join *j = container_of(b, struct join, b);
	size_t i;
	int r;

	for (i = part_of(j, off); i < j->nparts; i++) {
		const struct part *p = &j->parts[i];
		uint64_t at = 0;

		r = part_seek(j, p, off > p->start ? off - p->start : 0, hole,
			      &at);
		if (r == -ENXIO)
			continue;
		if (r == 0)
			*out = p->start + at;
		return r;
	}
	*out = b->size;
	return hole ? 0 : -ENXIO;
}

static void join_free(struct blocks *b)
{
	struct join *j = container_of(b, struct join, b);
	size_t i;

	for (i = 0; i < j->nranges; i++)
		blocks_put(j->ranges[i].b);
	free(j->ranges);
	free(j->parts);
	free(j);
}

static const struct blocks_ops join_ops = {
	.read = join_read,
	.seek = join_seek,
	.free = join_free,
};

/* Take over one part, which is not empty. Return 0, -ERANGE or -EINVAL. */
static int add_part(struct join *j, const struct blocks_part *from)
{
	struct part *p = &j->parts[j->nparts];
	size_t i;

	p->start = j->b.size;
	p->len = from->len;
	p->nranges = from->nranges;
	p->first = j->nranges;
	p->stripe = from->nranges == 1 ? from->len : from->stripe;
	if (p->nranges == 0 || p->stripe == 0 ||
	    p->stripe > UINT64_MAX / p->nranges ||
	    p->len > UINT64_MAX - p->start)
		return -EINVAL;
	for (i = 0; i < p->nranges; i++) {
		const struct blocks_stripe *range = &from->ranges[i];

		if (range->off > range->b->size ||
		    range_len(p, i) > range->b->size - range->off)
			return -ERANGE;
		j->ranges[j->nranges].b = blocks_get(range->b);
		j->ranges[j->nranges++].off = range->off;
	}
	j->b.size += p->len;
	j->nparts++;
	return 0;
}

int blocks_join(const struct blocks_part *parts, size_t n, struct blocks **out)
{
	size_t i, nranges = 0;
	struct join *j;
	int r = 0;

	*out = NULL;
	for (i = 0; i < n; i++) {
		if (parts[i].nranges > SIZE_MAX / 2 - nranges)
			return -EINVAL;
		nranges += parts[i].nranges;
	}
	j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	blocks_init(&j->b, &join_ops, 0);
	j->parts = alloc_array(n + 1, sizeof(*j->parts));
	j->ranges = alloc_array(nranges + 1, sizeof(*j->ranges));
	if (!j->parts || !j->ranges)
		r = -ENOMEM;
	for (i = 0; i < n && r == 0; i++)
		if (parts[i].len > 0)
			r = add_part(j, &parts[i]);
	if (r < 0) {
		blocks_put(&j->b);
		return r;
	}
	*out = &j->b;
	return 0;
}
