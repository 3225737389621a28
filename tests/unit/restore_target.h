/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The target of a restore with --delete: on disk, and as the model has it. */
#ifndef TESTS_UNIT_RESTORE_TARGET_H
#define TESTS_UNIT_RESTORE_TARGET_H

#include "tests/unit/restore_model.h"

/* Make entries in directory @path that resemble those of @like, with mounts,
 * vaults, guarded things and names of one file. Return the same as a node. */
struct node *target_grow(const struct node *like, const char *path);
/* Unmount what was mounted, and remove the target. */
void target_remove(void);
/* Append a line for each entry below @top, as model_print() does it. */
void target_print(const char *top, struct buf *out);

#endif
