/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which directory a directory of a volume was found in.
 *
 * Guests' filesystems are read by inode, and not all of them can tell the way
 * up. The kernel asks for it when a file handle (NFS, open_by_handle_at(2))
 * names a directory that it has forgotten. What was looked up is noted here, in
 * a table of a fixed size: a new row takes the place of an old one, and who asks
 * for the old one is told that it is not known. Entries of trees do not need
 * this: their keys are paths.
 */
#ifndef FS_PARENTS_H
#define FS_PARENTS_H

#include "store/base/attrs.h"

#include <stdint.h>

struct parents;

#define PARENTS_ROWS (1u << 16) /* 16 bytes each */

/* Return NULL where there is no memory. */
MUST_CHECK struct parents *parents_new(void);
void parents_free(struct parents *t); /* NULL is fine. */
/* Note that directory @node was found in directory @parent; both are node
 * numbers of the view. Safe from any thread, as below. */
void parents_note(struct parents *t, uint64_t node, uint64_t parent);
/* Return 0, or -ESTALE where it was never noted or has been replaced. */
MUST_CHECK int parents_find(struct parents *t, uint64_t node, uint64_t *out);

#endif
