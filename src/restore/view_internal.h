/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the two passes over what is no tree share; for view*.c alone. */
#ifndef SRC_RESTORE_VIEW_INTERNAL_H
#define SRC_RESTORE_VIEW_INTERNAL_H

#include "fs/view_sorted.h"
#include "fs/walk.h"
#include "src/restore/internal.h"

/* Read what is at @node of the namespace, whose path in the point is @path.
 * Return 0 or a negative errno; give @out back with ref_put(). */
MUST_CHECK int view_ref(struct restore *run, const char *path, uint64_t node,
			struct ref *out);

#endif
