/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finding and walking what roster.c has put in order. */
#include "config.h"

#include "fs/roster_internal.h"

#include <errno.h>
#include <string.h>

#include "store/base/hex.h"
#include "store/point.h"

/* ---- walking ---- */

/* The first mark at or behind this one, or NULL. */
static const struct roster_mark *seek(const struct roster *r,
				      const struct roster_mark *m)
{
	size_t lo = 0, hi = r->index.nmarks;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (roster_compare_marks(&r->index.marks[mid], m) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < r->index.nmarks ? &r->index.marks[lo] : NULL;
}

int roster_next_tag(struct roster *r, uint32_t after, uint32_t *out)
{
	struct roster_mark from = { after + 1, 0, 0 };
	const struct roster_mark *m;

	ROSTER_HOLD(r, false);
	m = seek(r, &from);
	if (!m)
		return -ENOENT;
	*out = m->tag;
	return 0;
}

int roster_next_machine(struct roster *r, uint32_t tag, uint32_t after,
			uint32_t *out)
{
	struct roster_mark from = { tag, after + 1, 0 };
	const struct roster_mark *m;

	ROSTER_HOLD(r, false);
	m = seek(r, &from);
	if (!m || m->tag != tag)
		return -ENOENT;
	*out = m->machine;
	return 0;
}

int roster_next_point(struct roster *r, uint32_t tag, uint32_t machine,
		      uint32_t after, uint32_t *out)
{
	struct roster_mark from = { tag, machine, after + 1 };
	const struct roster_mark *m;

	ROSTER_HOLD(r, false);
	m = seek(r, &from);
	if (!m || m->tag != tag || m->machine != machine)
		return -ENOENT;
	*out = m->point;
	return 0;
}

int roster_next_any(struct roster *r, uint32_t after, uint32_t *out)
{
	ROSTER_HOLD(r, false);
	while (after < r->points.n) {
		const struct known_point *x = roster_get(&r->points, ++after);

		if (x->point) {
			*out = after;
			return 0;
		}
	}
	return -ENOENT;
}

bool roster_has_tag(struct roster *r, uint32_t point, uint32_t tag)
{
	const struct known_point *x;
	const struct roster_mark *m;
	struct roster_mark want;

	ROSTER_HOLD(r, false);
	x = roster_get(&r->points, point);
	if (!x)
		return false;
	want = (struct roster_mark){ tag, x->p.machine, point };
	m = seek(r, &want);
	return m && roster_compare_marks(m, &want) == 0;
}

/* ---- by name ---- */

int roster_find_machine(struct roster *r, const char *name, uint32_t *out)
{
	struct roster_mark from = { ROSTER_ALL, 0, 0 };
	const struct roster_mark *m;

	ROSTER_HOLD(r, false);
	if (roster_find_named(&r->machines, name, &from.machine) < 0)
		return -ENOENT;
	m = seek(r, &from);
	if (!m || m->tag != ROSTER_ALL || m->machine != from.machine)
		return -ENOENT;
	*out = from.machine;
	return 0;
}

int roster_find_tag(struct roster *r, const char *name, uint32_t *out)
{
	struct roster_mark from = { 0, 0, 0 };
	const struct roster_mark *m;

	ROSTER_HOLD(r, false);
	if (roster_find_named(&r->tags, name, &from.tag) < 0)
		return -ENOENT;
	m = seek(r, &from);
	if (!m || m->tag != from.tag)
		return -ENOENT;
	*out = from.tag;
	return 0;
}

/* The point of rank @i by machine and name. */
static const struct known_point *ranked(const struct roster *r, size_t i)
{
	return roster_get(&r->points, r->index.by_name[i]);
}

/* The first rank that is not before (@machine, @name). */
static size_t rank_of(const struct roster *r, uint32_t machine,
		      const char *name)
{
	size_t lo = 0, hi = r->index.nlive;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct known_point *x = ranked(r, mid);

		if (x->p.machine < machine ||
		    (x->p.machine == machine && strcmp(x->p.name, name) < 0))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int roster_find_point(struct roster *r, uint32_t machine, const char *name,
		      uint32_t *out)
{
	const struct known_point *x;
	size_t i;

	ROSTER_HOLD(r, false);
	i = rank_of(r, machine, name);
	if (i == r->index.nlive)
		return -ENOENT;
	x = ranked(r, i);
	if (x->p.machine != machine || strcmp(x->p.name, name) != 0)
		return -ENOENT;
	*out = x->p.serial;
	return 0;
}

int roster_latest(struct roster *r, uint32_t machine, uint32_t *out)
{
	const struct known_point *best = NULL, *x;
	size_t i;

	ROSTER_HOLD(r, false);
	i = rank_of(r, machine + 1, "");
	/* None that was forgotten, where these are shown, too. Of several of one second the one with the greatest id, as point_find()
	 * has it, however they are named here. */
	for (; i > 0; i--) {
		x = ranked(r, i - 1);
		if (x->p.machine != machine ||
		    (best && x->p.time_ns != best->p.time_ns))
			break;
		if (!point_is_aside(x->point) &&
		    (!best || memcmp(x->p.id, best->p.id, sizeof(x->p.id)) > 0))
			best = x;
	}
	if (!best)
		return -ENOENT;
	*out = best->p.serial;
	return 0;
}

int roster_find_id(struct roster *r, const char *name, uint32_t *out)
{
	size_t i, len = strlen(name);
	char hex[33];

	ROSTER_HOLD(r, false);
	for (i = 0; i < r->points.n; i++) {
		const struct known_point *x = r->points.items[i];

		if (!x->point)
			continue;
		if (len == POINT_ID_HEX)
			hex_encode(x->p.id, sizeof(x->p.id), hex);
		if (strcmp(x->p.link, name) == 0 ||
		    (len == POINT_ID_HEX && strcmp(hex, name) == 0)) {
			*out = x->p.serial;
			return 0;
		}
	}
	return -ENOENT;
}
