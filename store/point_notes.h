/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What was said of a point after it was made: verdicts and notes. */
#ifndef STORE_POINT_NOTES_H
#define STORE_POINT_NOTES_H

#include "store/kept.h"
#include "store/point.h"

/* All that points are made of, as read so far; each sorted by name. */
struct point_objects {
	struct kept_set commits; /* struct commit */
	struct kept_set verdicts; /* bool: purged */
	struct kept_set notes; /* struct note */
	struct kept_set machines; /* struct note */
	struct kept_set points; /* struct point */
};

/* In point_refresh.c: free what was read. */
void point_objects_release(struct point_objects *o);

/* Find the items of @s that are called "<prefix><id>-<n>". Return the index of
 * the first; they follow one another, but not in the order of n. */
size_t point_items_of(const struct kept_set *s, const char *prefix,
		      const char *id, size_t *n_out);

enum point_verdict {
	POINT_NO_VERDICT, /* or it was kept */
	POINT_PURGED,
	POINT_UNKNOWN_VERDICT, /* it cannot be read */
};

enum point_verdict point_verdict_on(const struct point_objects *o,
				    const char *id);
/* Give a point its notes and what follows from them; the items are those of
 * point_items_of(). Return 0 or -ENOMEM. */
MUST_CHECK int point_apply_notes(struct point *p, const struct kept *items,
				 size_t n);

#endif
