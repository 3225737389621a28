/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The two passes over what is no tree; for restore_view*.c alone. */
#ifndef SRC_RESTORE_VIEW_INTERNAL_H
#define SRC_RESTORE_VIEW_INTERNAL_H

#include "fs/view_sorted.h"
#include "src/restore/internal.h"

/* A directory on the way down. */
struct view_spot {
	struct view_sorted dir;
	size_t next; /* subdirectory */
	uint64_t rank; /* of its first entry */
	size_t key_len, path_len; /* second pass: of the run's */
};

struct view_walk {
	struct restore *run;
	struct view_spot *spots; /* owned */
	size_t n, cap;
	uint64_t rank; /* of the next entry to be met */
	struct node_set seen;
	uint8_t *piece; /* owned; second pass: two pieces */
};

void view_walk_release(struct view_walk *w);
/* Read directory @node, whose path is the run's, and put it on top; what is
 * lost of it is counted. Return 0 or -ENOMEM. */
MUST_CHECK int view_walk_push(struct view_walk *w, uint64_t node);
/* The path of a name in the directory being walked, with a NUL. */
MUST_CHECK int view_walk_path(const struct restore *run, const char *name,
			      struct buf *out);
MUST_CHECK int view_walk_ref(struct restore *run, const char *path,
			     uint64_t node, struct ref *out);

#endif
