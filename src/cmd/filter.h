/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which points a verb is about. */
#ifndef SRC_CMD_FILTER_H
#define SRC_CMD_FILTER_H

#include "src/cli/options.h"
#include "store/base/attrs.h"

#include <stdbool.h>

struct context;
struct point;
struct point_list;

struct point_filter {
	struct string_list vms, tags, hosts;
	unsigned int latest; /* of each machine; 0: all */
};

/* clang-format off */
#define POINTS_FILTER_ROWS(s, field)                                        \
	OPT_LIST("vm", 0, "VM", s, field.vms,                               \
		 "only points of machine VM; may be repeated"),             \
	OPT_LIST("tag", 0, "TAG[,TAG]...", s, field.tags,                   \
		 "only points with all these tags; may be repeated: any"),  \
	OPT_LIST("host", 'H', "NAME", s, field.hosts,                       \
		 "only points made on host NAME; may be repeated"),         \
	OPT_UINT("latest", 0, "N", s, field.latest,                         \
		 "only the last N points of each machine")
/* clang-format on */

/* One flag for each point of @l; the caller frees *out. Return 0, -ENOMEM. */
MUST_CHECK int point_filter_apply(const struct point_filter *f,
				  const struct point_list *l, bool **out);
/* "<vm>/<time>" of point @i. */
void filter_name(const struct point_list *l, size_t i, char *out, size_t size);
/* The id of its tree; 65 bytes. */
void filter_root_hex(const struct point *p, char *out);
/* Open the vault and print its points: what "points" does, and "ls" without
 * operands. */
MUST_CHECK int filter_print(struct context *ctx, const struct point_filter *f);

#endif
