/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is said of a point is said of the one that was made from it, too. */
#ifndef STORE_REPAIR_NOTES_H
#define STORE_REPAIR_NOTES_H

#include "store/base/attrs.h"

#include <stdbool.h>

struct point;
struct vault;

/*
 * Put the notes of @old on @made that still hold for it: texts, protection, keep,
 * suspicion. (Tags are in the point.) Before them @text says what it is; and last of
 * all a note on @old that says "@what <id of made>". Both points are of lists. What is
 * there already is not put again. Return 0 or a negative errno, said in words.
 */
MUST_CHECK int notes_carry_over(struct vault *v, const struct point *old,
				const struct point *made, const char *text,
				const char *what, const char *by);
/* Return whether a note on @old names the point @id, as that last one does. */
bool notes_tell_of(const struct point *old, const char *id);

#endif
