/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is never written over, into, or away, by a restore or by another verb
 * that writes files: the vault, the cache, the files with keys.
 *
 * A guard knows them by device and inode, so that neither a symbolic link nor
 * a bind mount nor another spelling leads past it. Of a directory it knows all
 * directories below, since a bind mount may show any of them elsewhere.
 */
#ifndef SRC_RESTORE_GUARD_H
#define SRC_RESTORE_GUARD_H

#include "store/base/attrs.h"

#include <sys/stat.h>

struct guard;

/* Return an empty guard, or NULL. guard_free(NULL) does nothing. */
MUST_CHECK struct guard *guard_new(void);
void guard_free(struct guard *g);
/*
 * Guard what stands at @path, which @what names in messages: "the vault";
 * borrowed. Links are followed, and those on the way are guarded, too. What is
 * not there needs no guard.
 * Return 0; -ENOMEM; or, said in words, the negative errno of a directory
 * whose own directories cannot be listed.
 */
MUST_CHECK int guard_add(struct guard *g, const char *path, const char *what);
/* Return what @st is, as guard_add() was told, or NULL: it is not guarded.
 * @g may be NULL. Safe from any thread once all is added. */
const char *guard_find(const struct guard *g, const struct stat *st);
/*
 * Return what @path lies in, or would lie in once it was made, or NULL: in
 * nothing that is guarded. It looks from the nearest directory that exists
 * upwards to the root.
 */
const char *guard_find_above(const struct guard *g, const char *path);
/*
 * Tell what would be harmed if a file at @path were made, replaced or written
 * to; NULL: nothing that is guarded. @path may lie in it or be it, through
 * whatever links; or it is a file in it, by a hard link or a bind mount, which
 * takes a look at each of its files.
 * Return 0; -ENOMEM; or the negative errno of a listing, said in words.
 */
MUST_CHECK int guard_find_file(const struct guard *g, const char *path,
			       const char **what_out);

#endif
