/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The wish to remove a point, forget/<point>-<n>. A point with one that is not
 * answered is forgotten: it is not listed any more, and a collection may remove it
 * once the time is over in which the wish can be taken back. The answer is
 * purge/<point>-<n>: see store/record/purge.h and vmbackup-vault(5).
 */
#ifndef STORE_RECORD_FORGET_H
#define STORE_RECORD_FORGET_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define FORGET_DAY_NS (INT64_C(86400) * 1000000000)
/* The time in which a wish can be taken back: never less, never more. */
#define FORGET_WINDOW_MIN_NS (14 * FORGET_DAY_NS)
#define FORGET_WINDOW_MAX_NS (180 * FORGET_DAY_NS)
#define FORGET_WINDOW_PREFIX "window/"
#define FORGET_TEXT_MAX 4096 /* bytes of a reason, or of who wished it */

struct forget {
	int64_t time_ns; /* when it was wished */
	/* The point is not to be removed before: within the bounds above of
	 * time_ns, whatever the object says. */
	int64_t until_ns;
	char *by; /* "root@web1"; owned, may be NULL */
	char *reason; /* for people; owned, may be NULL */
};

/* What an object window/<days> asks for, by its @name, within the bounds above: in that
 * time any wish can be taken back. */
int64_t forget_window_of(const char *name);
void forget_release(struct forget *f);
/* Return whether a wish can hold that text: plain text of at most FORGET_TEXT_MAX
 * bytes. */
bool forget_text_ok(const char *text);
/*
 * Append the plaintext of a wish; where @f->by cannot be held, it is left out. Return
 * 0, -EINVAL (until_ns is not within the bounds, or the reason cannot be held) or
 * -ENOMEM.
 */
MUST_CHECK int forget_encode(const struct forget *f, struct buf *out);
/* Decode the plaintext of the wish called @name. Return 0, -EBADMSG (said in
 * words) or -ENOMEM. */
MUST_CHECK int forget_decode(const void *data, size_t len, const char *name,
			     struct forget *out);

#endif
