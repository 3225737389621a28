/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a retention policy says of points, for people and for programs. */
#ifndef SRC_FORGET_REPORT_H
#define SRC_FORGET_REPORT_H

#include "store/base/attrs.h"

struct freed;
struct judged;
struct keep_policy;

/* Print a table of what stays, and why, and one of what goes, of each group. Return
 * 0, -ENOMEM or the error that stdout has. */
MUST_CHECK int report_print(const struct judged *j,
			    const struct keep_policy *policy);
/* Print the same as a JSON array of groups, with restic's names; by what the policy
 * does not group is null in each. @freed, which may be NULL, stands in each as well.
 * Returns the same. */
MUST_CHECK int report_print_json(const struct judged *j,
				 const struct keep_policy *policy,
				 const struct freed *freed);

#endif
