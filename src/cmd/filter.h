/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The options that say which points a verb is about. */
#ifndef SRC_CMD_FILTER_H
#define SRC_CMD_FILTER_H

#include "src/cli/options.h"
#include "store/base/attrs.h"

#include <stdbool.h>

struct context;
struct point;
struct point_list;
struct vault;

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

/* Make a flag for each point of @l: is it wanted? The caller frees *out. Return
 * 0 or -ENOMEM. */
MUST_CHECK int point_filter_apply(const struct point_filter *f,
				  const struct point_list *l, bool **out);
/* Print "<vm>/<time>" of point @i into @out. */
void filter_name(const struct point_list *l, size_t i, char *out, size_t size);
/* Print the id of the point's tree into the 65 bytes of @out. */
void filter_root_hex(const struct point *p, char *out);
/* Say of which machines it is in doubt what they are called. Return 0, or -EBADMSG
 * where there are any. */
int filter_report_names(const struct point_list *l);
/*
 * Find the points that operands name, each once: @out has room for @argc. @writes:
 * something will be said of them that cannot be taken back, so that a latest point is
 * refused that may not be the latest. Return 0, -EBADMSG for that, or as
 * point_find(); said in words.
 */
MUST_CHECK int filter_find_points(struct vault *v, struct point_list *l,
				  int argc, char **argv, bool writes,
				  const struct point **out, size_t *n_out);
/* Open the vault and print its points: what "points" does, and "ls" without
 * operands. */
MUST_CHECK int filter_print(struct context *ctx, const struct point_filter *f);

#endif
