/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From what people type to nodes: for the commands. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/view_internal.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/point.h"

uint64_t view_point_node(struct view *w, const struct point *p)
{
	uint32_t serial;

	if (roster_find_id(w->roster, p->id, &serial) < 0)
		return 0;
	return node_made(MADE_POINT, 0, serial);
}

int view_walk(struct view *w, uint64_t from, const char *path,
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

static bool two_digits(const char *p)
{
	return isdigit((unsigned char)p[0]) && isdigit((unsigned char)p[1]);
}

/* Is the colon at @at one of "T10:15:00Z"? */
static bool in_time(const char *text, const char *at)
{
	size_t before = (size_t)(at - text);

	if (!two_digits(at + 1) || before < 3 || !two_digits(at - 2))
		return false;
	return at[-3] == 'T' ||
	       (before >= 6 && at[-3] == ':' && in_time(text, at - 3));
}

const char *view_spec_end(const char *spec)
{
	const char *p = spec;

	while (*p && (*p != ':' || in_time(spec, p)))
		p++;
	return p;
}

int view_resolve(struct view *w, const char *spec, struct view_attr *out)
{
	const char *end = view_spec_end(spec);
	AUTO_FREE char *name = strndup(spec, (size_t)(end - spec));
	struct point_list *l;
	const struct point *p;
	size_t i;
	int r;

	if (!name)
		return -ENOMEM;
	l = view_points(w);
	r = point_find(l, name, &i);
	if (r == 0) {
		p = l->points[i];
		r = view_walk(w, view_point_node(w, p), *end ? end + 1 : end,
			      out);
		if (r == -ENOENT || r == -ENOTDIR)
			r = fail(-ENOENT, "%s/%s has no %s", p->vm, l->names[i],
				 end + 1);
	}
	point_list_put(l);
	return r;
}
