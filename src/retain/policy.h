/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A retention policy as people write it, and reasons as they read them. */
#ifndef SRC_RETAIN_POLICY_H
#define SRC_RETAIN_POLICY_H

#include "src/retain/keep.h"
#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdint.h>

/* "7", or "unlimited" or "-1". Return 0 or -EINVAL. */
MUST_CHECK int keep_parse_count(const char *text, uint32_t *out);
/*
 * "36h", "7d", "2w", "6mo", "1y", or a sum "1y6mo": in nanoseconds. Months and years
 * count as the longest that there are, 31 and 366 days. "m" alone is refused: here it
 * would be a month to some and a minute to others. Return 0 or -EINVAL.
 */
MUST_CHECK int keep_parse_duration(const char *text, int64_t *out);
/* "machine,paths"; also "vm", "host", "tags"; "" is no group: bits of enum
 * keep_group. Return 0 or -EINVAL. */
MUST_CHECK int keep_parse_groups(const char *text, unsigned int *out);
/* Append why a point is kept: "last, oldest monthly"; nothing where it is not. Ask
 * buf_error(). */
void keep_put_reasons(const struct keep_verdict *v, struct buf *out);
/* Call @fn with each of these reasons. */
void keep_each_reason(const struct keep_verdict *v,
		      void (*fn)(void *arg, const char *reason), void *arg);
/* Append why a point is in doubt: "incomplete, dated in the future". */
void keep_put_doubts(const struct keep_verdict *v, struct buf *out);

#endif
