/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From points and paths to nodes, for the commands. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "fs/view_internal.h"
#include "store/point.h"

uint64_t view_point_node(struct view *w, const struct point *p)
{
	uint32_t serial;

	if (roster_find_id(w->roster, p->id, &serial) < 0)
		return 0;
	return node_made(MADE_POINT, 0, serial);
}

int view_lookup_path(struct view *w, uint64_t from, const char *path,
		     struct view_attr *out)
{
	char name[ENTRY_NAME_MAX + 1];
	int r = view_getattr(w, from, out);

	while (r == 0 && *path) {
		size_t n = strcspn(path, "/");

		if (n > ENTRY_NAME_MAX)
			return -ENOENT;
		memcpy(name, path, n);
		name[n] = '\0';
		path += n;
		path += *path == '/';
		if (n == 0 || strcmp(name, ".") == 0)
			continue;
		r = view_lookup(w, out->node, name, out);
	}
	return r;
}
