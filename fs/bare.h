/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which inodes of volumes have no extended attributes.
 *
 * "ls -l" asks for the attributes of each file that it lists, one by one, and an
 * inode that was read for its owner and size a moment ago would be read again,
 * to find none. It is noted here, in a table of a fixed size: a new row takes the
 * place of an old one, and who asks for that reads the inode. Safe from any
 * thread; nothing blocks.
 */
#ifndef FS_BARE_H
#define FS_BARE_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>

struct bare;

/* Return NULL where there is no memory. */
MUST_CHECK struct bare *bare_new(void);
void bare_free(struct bare *t); /* NULL is fine. */
/* Note that @node, a node number of the view, has none and never will. */
void bare_note(struct bare *t, uint64_t node);
/* Is it known to have none? */
bool bare_has(const struct bare *t, uint64_t node);

#endif
