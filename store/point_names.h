/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What machines are called now: as their points say, or as they were renamed. */
#ifndef STORE_POINT_NAMES_H
#define STORE_POINT_NAMES_H

#include "store/point.h"
#include "store/point_notes.h"

struct naming_row {
	char id[POINT_ID_HEX + 1];
	const char *name; /* borrowed from the objects */
	char *shown; /* owned; NULL: the name as it is */
};

struct naming {
	struct naming_row *rows; /* owned; sorted by id */
	size_t n;
};

/* Work out the names of all machines that have points. Return 0 or a negative
 * errno. */
MUST_CHECK int naming_make(const struct point_objects *o, struct naming *out);
void naming_release(struct naming *n);
/* What the machine of @p is called now; borrowed. */
const char *naming_find(const struct naming *n, const struct point *p);
/* Note in @l which machines were given names. Return 0 or -ENOMEM. */
MUST_CHECK int naming_machines(const struct point_objects *o,
			       struct point_list *l);

#endif
