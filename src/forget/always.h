/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What forget --always does: for how long undelete works in a vault is made longer,
 * for ever. */
#ifndef SRC_FORGET_ALWAYS_H
#define SRC_FORGET_ALWAYS_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>

struct context;
struct forget_wish;
struct vault;

/* Make it @window_ns, whole days within the bounds of store/record/forget.h, unless it
 * @is_dry_run, and say so. Return 0 or a negative errno, said in words. */
MUST_CHECK int always_set(struct context *ctx, struct vault *v,
			  int64_t window_ns, bool is_dry_run);
/* Let @wish have the vault's window, where that is longer than its own. Return 0 or a
 * negative errno, said in words. */
MUST_CHECK int always_apply(struct vault *v, struct forget_wish *wish);

#endif
