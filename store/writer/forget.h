/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Forgetting points, and bringing them back. Nothing here deletes anything: a wish
 * to remove a point is put (store/record/forget.h), or answered.
 */
#ifndef STORE_WRITER_FORGET_H
#define STORE_WRITER_FORGET_H

#include "store/base/attrs.h"

#include <stddef.h>
#include <stdint.h>

struct point;
struct point_list;
struct vault;

struct forget_wish {
	/* So long it can be taken back, or for as long as the vault asks for
	 * (store/writer/window.h). */
	int64_t window_ns;
	/* When the vault received its newest point, or 0: the wish counts from
	 * then, where the clock of this machine is behind. */
	int64_t vault_ns;
	const char *reason; /* for people; borrowed, may be NULL */
	const char *by; /* "root@web1"; borrowed, may be NULL */
};

/*
 * Return whether @n points can be forgotten, which may be none: 0; as
 * vault_may_write(); -EPERM (one of the points is protected) or -EBADMSG (whether one
 * was removed cannot be read, so that a wish would have no effect); said in words.
 */
MUST_CHECK int forget_check(struct vault *v, const struct point *const *points,
			    size_t n);
/*
 * Forget points of a list: they are not in the next one, and a collection may
 * remove them once the window is over. Each wish is durable on return;
 * where the backend fails on the way, it is said how many were put. @numbers_out (may
 * be NULL) has room for the numbers of all wishes: forget/<id>-<number>.
 * Return 0; -EINVAL (the window is not within its bounds, or the reason is too long or
 * cannot be shown); as forget_check() (nothing was forgotten); or a negative errno of
 * the backend; said in words.
 */
MUST_CHECK int forget_points(struct vault *v, const struct point *const *points,
			     size_t n, const struct forget_wish *wish,
			     uint32_t *numbers_out);
/* Answer the one wish of that number: the point stays. Returns as forget_undo(). */
MUST_CHECK int forget_take_back(struct vault *v, const struct point *p,
				uint32_t number, const char *by);
/*
 * Bring a forgotten point back: answer all wishes to remove it that are in the list
 * that @p is of. Return 0 (also where others did the same); -EALREADY (it was
 * removed meanwhile, for ever); -EBADMSG (whether it was removed cannot be read; nothing
 * was done); or a negative errno, after which nobody knows whether it stays; said in
 * words.
 */
MUST_CHECK int forget_undo(struct vault *v, const struct point *p,
			   const char *by);
/*
 * Find out when the vault received each point of a list: the time of its commit, by
 * the clock of the store; 0 where that is not known. @out has room for all, or is NULL.
 * @newest_out: when it received the newest of all that were ever written, or 0.
 * Return 0 or the negative errno of the listing, said in words.
 */
MUST_CHECK int forget_stored_times(struct vault *v, const struct point_list *l,
				   int64_t *out, int64_t *newest_out);

#endif
