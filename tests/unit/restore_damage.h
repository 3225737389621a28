/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a restore with --delete may do where the point is damaged. */
#ifndef TESTS_UNIT_RESTORE_DAMAGE_H
#define TESTS_UNIT_RESTORE_DAMAGE_H

#include "store/base/buf.h"

struct backend;
struct vault;

/* Where the model says so, damage what is written from here... */
void damage_prepare(struct backend *b);
/* ...to here. */
void damage_do(struct backend *b);
/* As it was: later points share what was damaged. */
void damage_undo(struct backend *b);
/*
 * Check the target, whose lines were @before and are now @after, against those
 * that the model @wants, which has done the restore; and that nothing was
 * deleted behind the first thing in its way that cannot be read.
 */
void damage_check(struct vault *v, unsigned int run, const char *path,
		  struct buf *before, struct buf *after, struct buf *want);

#endif
