/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A volume that is being looked at; for view_inside.c and view_inside_list.c. */
#ifndef FS_INSIDE_INTERNAL_H
#define FS_INSIDE_INTERNAL_H

#include "fs/roster.h"
#include "fs/view_internal.h"
#include "fs/volumes.h"

struct inside {
	struct view *w;
	uint32_t volume;
	struct lent lent;
	const char *name; /* borrowed */
	struct roster_point point;
};

void inside_leave(struct inside *p);
#define AUTO_INSIDE CLEANUP(inside_leave)

/* Enter the volume of a node that was given out, so that it was readable once.
 * Return 0 or a negative errno; inside_leave() in any case. */
MUST_CHECK int inside_enter(struct inside *p, struct view *w, uint64_t node);
/*
 * Only what it means for the one who asked may leave a reader as an errno of
 * its own; all else is that the guest's filesystem could not be read here.
 */
int inside_error(int r);
uint64_t inside_ino(const struct inside *p, uint64_t guest_node);
/* The attributes of the inode that @name leads to: it is damage where there is
 * none, for -ENOENT would say that there is no such name. */
MUST_CHECK int inside_named(const struct inside *p, uint64_t guest_node,
			    const char *name, struct view_attr *out);

#endif
