/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Forgetting points in such a way that each machine keeps one, and what is protected
 * stays, also while others forget and protect.
 */
#ifndef SRC_FORGET_GUARD_H
#define SRC_FORGET_GUARD_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>

struct forget_wish;
struct point;
struct point_list;
struct vault;

/* Return 0, or -EPERM where a machine would have no point left in @l without the @n
 * points of it; said in words. */
MUST_CHECK int guard_last(const struct point_list *l,
			  const struct point *const *points, size_t n);
/*
 * Forget @n points of a list, and list the points once more. Where somebody has
 * protected one of them since, or asked it to stay, or where a machine has no other
 * point left (unless @remove_all), the wishes are taken back: of two that do this at
 * once, the later one sees what the earlier one did. From then on @v lists forgotten
 * points, too.
 * Return 0; -EAGAIN (nothing was forgotten, for others were at work; run it again); or
 * a negative errno as forget_points(), forget_take_back() or the listing; said in
 * words. After an error of the listing the wishes are taken back, too.
 */
MUST_CHECK int guard_forget(struct vault *v, const struct point *const *points,
			    size_t n, const struct forget_wish *wish,
			    bool remove_all);
/*
 * Bring @n points back, and list the points once more. Return 0; -EAGAIN (one of them
 * was forgotten again meanwhile); or a negative errno as forget_undo() or the
 * listing; said in words.
 */
MUST_CHECK int guard_undelete(struct vault *v,
			      const struct point *const *points, size_t n,
			      const char *by);

#endif
