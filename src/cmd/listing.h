/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Nodes of the namespace as ls and find show them, and a walk over them. */
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

/* "<vm>/<time>" of a point of the view's list; appended. */
void listing_point_name(struct view *w, const struct point *p, struct buf *out);
/* Set name, path, type, mode, uid, gid, size, times, target ... */
MUST_CHECK int listing_json(json_t *o, struct view *w, const char *path,
			    size_t path_len, const struct view_attr *attr);
/* Print one line with mode, owner, size, time and @path (and " -> target"). */
MUST_CHECK int listing_long(struct view *w, const char *path, size_t path_len,
			    const struct view_attr *attr);

/*
 * Call @fn for everything below directory @attr, a directory before what it
 * holds. @prefix is put before the paths ("" or one that ends in '/').
 * @fn returns 0, 1 (do not go below this directory), or what ends the walk.
 * Memory grows with depth only. Directories that cannot be read have been said
 * in words; the walk goes on and *failures counts them, as it does entries
 * whose inode is damaged (attr->damaged).
 */
typedef int listing_fn(void *arg, const char *path, size_t path_len,
		       const struct view_attr *attr);
MUST_CHECK int listing_walk(struct view *w, const struct view_attr *attr,
			    const char *prefix, listing_fn *fn, void *arg,
			    uint64_t *failures);

#endif
