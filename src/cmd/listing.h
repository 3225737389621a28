/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How ls, find and versions show nodes of the namespace. */
#ifndef SRC_CMD_LISTING_H
#define SRC_CMD_LISTING_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

struct context;
struct point;
struct view;
struct view_attr;

/* Append "<vm>/<time>" of a point of the view's list. */
void listing_point_name(struct view *w, const struct point *p, struct buf *out);
/* Set name, path, type, mode, uid, gid, size, times, target ... */
MUST_CHECK int listing_json(json_t *o, struct view *w, const char *path,
			    size_t path_len, const struct view_attr *attr);
/* Print one line with mode, owner, size, time and @path (and " -> target"). */
MUST_CHECK int listing_long(struct view *w, const char *path, size_t path_len,
			    const struct view_attr *attr);

#endif
