/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a check found, told to people and to programs. */
#ifndef SRC_CHECK_DAMAGE_H
#define SRC_CHECK_DAMAGE_H

#include "store/base/attrs.h"

#include <stdbool.h>

struct check_result;
struct context;

/* A task's tick for checks and repairs: @arg is a struct progress, and @progress the
 * struct check_progress that it is to show. */
void damage_progress(void *arg, const void *progress);
/* Print each finding, what it hits, and a summary; @is_scrub: nothing but the bytes of
 * packs was looked at. Return 0 or the negative errno of the output. */
MUST_CHECK int damage_report(struct context *ctx,
			     const struct check_result *res, bool is_scrub);

#endif
