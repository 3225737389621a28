/* SPDX-License-Identifier: GPL-3.0-or-later */
/* On which core the thread that serves a lone client runs. */
#ifndef FS_PLACEMENT_H
#define FS_PLACEMENT_H

#include "store/base/attrs.h"

#include <stdint.h>
#include <sys/types.h>

struct placement;

/* NULL: no memory, or one core only; then there is nothing to choose. */
MUST_CHECK struct placement *placement_new(void);
void placement_free(struct placement *p);
/* The calling thread has a request of thread @client in hand. */
void placement_follow(struct placement *p, pid_t client);
uint64_t placement_moves(const struct placement *p);

#endif
