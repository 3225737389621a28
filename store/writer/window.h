/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * For how long undelete works in a vault, whatever a wish says: 14 days, or what
 * somebody asked for ever. That is an object window/<days>, and only its name counts;
 * it is never deleted, so that the time can be made longer, and not shorter again. See
 * vmbackup-vault(5).
 */
#ifndef STORE_WRITER_WINDOW_H
#define STORE_WRITER_WINDOW_H

#include "store/base/attrs.h"

#include <stdint.h>

struct vault;

/*
 * Find that time, within the bounds of store/record/forget.h. Who cannot list the
 * objects knows nothing: it never falls back to less. Any thread. Return 0 or the
 * negative errno of the listing, said in words.
 */
MUST_CHECK int window_floor(struct vault *v, int64_t *out_ns);
/*
 * Make it @window_ns for ever, whole days; where it is longer already, nothing is
 * done. Durable on return. Return 0; -EINVAL (not within the bounds, silent); as
 * vault_may_write(); or a negative errno of the backend; said in words.
 */
MUST_CHECK int window_raise(struct vault *v, int64_t window_ns);

#endif
