/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The walk over the sources: what is to be done with each entry. */
#ifndef SRC_BACKUP_TAKE_H
#define SRC_BACKUP_TAKE_H

#include "store/base/attrs.h"

struct backup;

/*
 * Take all that the run's scan hands out, until everything is in the tree.
 * What cannot be had is said and counted.
 * Return 0, -EINTR (asked to stop) or another negative errno that ends the run.
 */
MUST_CHECK int take_all(struct backup *b);

#endif
