/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What of the namespace is in memory for certain: what the view makes out of the
 * list of points. It can be shown while the backend does not answer.
 */
#include "config.h"

#include <string.h>

#include "fs/view_internal.h"

/* A directory of points, whose rows the roster has. */
static bool is_of_points(enum node_kind_made kind)
{
	switch (kind) {
	case MADE_ROOT:
	case MADE_VMS:
	case MADE_IDS:
	case MADE_TAGS:
	case MADE_HIDDEN:
	case MADE_VM:
	case MADE_TAG:
	case MADE_TAG_VM:
		return true;
	default:
		return false;
	}
}

bool view_at_hand(struct view *w, uint64_t node, const char *name, bool rows)
{
	enum node_kind_made kind = node_kind(node);
	struct view_attr a;

	if (node_is_entry(node) || node_is_guest(node))
		return false;
	if (name) {
		if (kind == MADE_POINT)
			return strcmp(name, "point.json") == 0 ||
			       strcmp(name, "disks") == 0;
		/* Not for a name that is not there: whether it came to be
		 * meanwhile only the backend knows. */
		return is_of_points(kind) && made_find(w, node, name, &a) == 0;
	}
	if (rows)
		return is_of_points(kind);
	return is_of_points(kind) || kind == MADE_POINT ||
	       kind == MADE_LATEST || kind == MADE_ID ||
	       kind == MADE_TAG_POINT || kind == MADE_POINT_JSON ||
	       kind == MADE_STATUS || kind == MADE_STATS ||
	       kind == MADE_VERSION || kind == MADE_DISKS;
}
