/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Saying something of a point, or of a machine, that is in the vault. */
#ifndef STORE_WRITER_NOTE_H
#define STORE_WRITER_NOTE_H

#include "store/base/attrs.h"
#include "store/base/buf.h"
#include "store/base/name.h"
#include "store/record/note.h"

#include <stdint.h>

struct point;
struct point_list;
struct vault;

/*
 * Put a note on the point @p of a list. @text may be NULL where the kind needs
 * none; @by says who writes it ("root@web1"), NULL: nobody. It is durable on
 * return, and in the next list of points.
 * Return 0, -EINVAL (the text is missing, too long, or cannot be shown), or a
 * negative errno of the backend; said in words.
 */
MUST_CHECK int note_point(struct vault *v, const struct point *p,
			  enum note_kind kind, const char *text,
			  const char *by);

/*
 * Put an object called "<prefix><id>-<n>" of the plaintext @plain, n being *@number
 * or the next that is free: the list of what is said of the point or machine of that
 * id has one more. The number after it is then in @number. Return 0 or a negative
 * errno, said in words.
 */
MUST_CHECK int note_put_object(struct vault *v, uint8_t type,
			       const char *prefix, const char *id,
			       uint32_t *number, const struct buf *plain);

struct note_wish {
	enum note_kind kind;
	const char *text; /* borrowed, may be NULL */
};
/*
 * Put @n notes on each of @points, in that order. They are all looked at before
 * the first is put: where one cannot be noted, none is. Returns as note_point();
 * where the backend fails on the way, it is said how many were put.
 */
MUST_CHECK int note_points(struct vault *v, const struct point *const *points,
			   size_t npoints, const struct note_wish *wishes,
			   size_t n, const char *by);
/*
 * Call the machine that is called @old in the list @l @name from now on, in all
 * its points and for the backups that come. Where its name is in doubt, @name may
 * be what it is shown as.
 * Return 0; -ENOENT (no machine of that name has a point); -EEXIST (another one
 * is called @name); -EINVAL (no name); or a negative errno of the backend; said
 * in words.
 */
MUST_CHECK int note_rename(struct vault *v, const struct point_list *l,
			   const char *old, const char *name, const char *by);
/*
 * Find the id of the machine that a backup under the name @vm is of: the one
 * that is called so now, or a new one. Whoever does that with the same points
 * finds the same. Return 0; -EINVAL (no new machine can be called so) or -EBADMSG
 * (none is known to be, but what some machine is called cannot be read), said in
 * words; or another negative errno.
 */
MUST_CHECK int note_machine_of(const struct point_list *l, const char *vm,
			       char out[NAME_HEX + 1]);

#endif
