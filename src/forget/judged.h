/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The points of a vault as a retention policy sees them, and what it says of them. */
#ifndef SRC_FORGET_JUDGED_H
#define SRC_FORGET_JUDGED_H

#include "src/retain/keep.h"
#include "store/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct point_list;
struct vault;

struct judged {
	const struct point_list *list; /* borrowed */
	size_t n;
	/* All owned, and of each point: where it is in the list; as the policy
	 * sees it; what was taken, sources and "disk:vda", each owned, ending
	 * with NULL; the verdict; the points by group and receipt. */
	size_t *index;
	struct keep_point *points;
	char ***paths;
	struct keep_verdict *verdicts;
	size_t *order;
	int64_t *stored; /* of each point of the list */
	int64_t vault_ns; /* when the vault received its newest point, or 0 */
};

/*
 * Apply @policy to the points of @l of which @wanted says so. @j, which is zeroed
 * before, is to be released also after an error. Return 0, -ENOMEM, -EPERM (@now_ns
 * is more than a day before the vault received its newest point, so the clock cannot
 * be right), or the negative errno of listing when the vault received them; the last
 * two said in words.
 */
MUST_CHECK int judged_make(struct vault *v, const struct point_list *l,
			   const struct keep_policy *policy, const bool *wanted,
			   int64_t now_ns, struct judged *j);
void judged_release(struct judged *j);

#endif
