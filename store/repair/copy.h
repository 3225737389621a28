/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The objects of points, taken from a copy of the vault. */
#ifndef STORE_REPAIR_COPY_H
#define STORE_REPAIR_COPY_H

#include "store/base/attrs.h"

struct repair_options;
struct repair_result;
struct task;
struct vault;

/*
 * Put back the registers and objects of points that are damaged or gone, as far as
 * @o's other vault has what is provably the same; say of each what became of it, and
 * count it in @out, which is added to. Return 0, -EINVAL (the other is no copy of
 * this vault), -EINTR, or another negative errno; said in words.
 */
MUST_CHECK int copy_points(struct vault *v, const struct repair_options *o,
			   struct task *task, struct repair_result *out);

#endif
