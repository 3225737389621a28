/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Directories of the namespace, whole and in the order of their names' bytes,
 * for those that compare or replace; and which ones were met. A filesystem in a
 * disk lists in an order of its own, and may have been made to lead in circles,
 * or to one directory on very many ways.
 */
#ifndef FS_VIEW_SORTED_H
#define FS_VIEW_SORTED_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct view;

#define VIEW_DIR_MAX (64u << 20) /* names */
#define VIEW_DEPTH_MAX 16384 /* directories in one another */

struct view_name {
	uint64_t node;
	uint64_t off; /* of the name, with its NUL, in text */
	uint32_t mode; /* type alone where it is damaged */
	uint16_t len;
	bool damaged;
	uint8_t mark; /* the caller's */
};

struct view_sorted {
	struct view_name *names; /* owned */
	size_t n, cap;
	struct buf text;
	uint64_t lost; /* names twice, names that cannot be, the unread rest */
};

/* Read all of @node into @d, which is empty; what is lost is said in words
 * with @path. Return 0 or a negative errno (-EIO: nothing could be read). */
MUST_CHECK int view_sorted_read(struct view_sorted *d, struct view *w,
				uint64_t node, const char *path);
void view_sorted_release(struct view_sorted *d);

static inline const char *view_sorted_name(const struct view_sorted *d,
					   const struct view_name *n)
{
	return (const char *)d->text.data + n->off;
}

/* Directories that were entered; zeros to begin. */
struct node_set {
	uint64_t *slots; /* owned */
	size_t n, cap;
};

/* Return 1 (new), 0 (it was in it) or -ENOMEM. */
MUST_CHECK int node_set_add(struct node_set *s, uint64_t node);
void node_set_release(struct node_set *s);

#endif
