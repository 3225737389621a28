/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What no verb writes over or into, since without it nothing can be read again:
 * the vault at hand, the cache, the files with its keys and passwords. */
#ifndef SRC_CMD_GUARDED_H
#define SRC_CMD_GUARDED_H

#include "store/base/attrs.h"

struct context;
struct guard;

/* Let @g guard all of it. @ctx must know its vault. Return 0 or a negative
 * errno, said in words. */
MUST_CHECK int guarded_add(struct context *ctx, struct guard *g);
/*
 * Is a verb free to make or to write a file at @path, or below it where that is
 * a directory? Return 0, -EBUSY (it would be in the way of what is guarded) or
 * another negative errno; said in words.
 */
MUST_CHECK int guarded_check(struct context *ctx, const char *path);

#endif
