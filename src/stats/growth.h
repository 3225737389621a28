/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How a vault grew: what the points that are there added when they were made. */
#ifndef SRC_STATS_GROWTH_H
#define SRC_STATS_GROWTH_H

#include "store/base/attrs.h"

#include <stdbool.h>

struct point_list;

/* Return whether @period is one: "point", "day", "month" or "year". */
bool growth_period_ok(const char *period);
/* Print a table, or with @json a message "growth", of what was added in each period,
 * in UTC. Return 0, -ENOMEM or the error that stdout has. */
MUST_CHECK int growth_print(const struct point_list *l, const char *period,
			    bool json);

#endif
