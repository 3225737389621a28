/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A verdict, purge/<point>-<n>, says whether a wish to remove a point was
 * followed. See vmbackup-vault(5). */
#ifndef STORE_RECORD_PURGE_H
#define STORE_RECORD_PURGE_H

#include "store/base/attrs.h"

#include "store/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Append the plaintext of a verdict on a point; @by says who gives it
 * ("root@web1"), NULL: nobody. Return 0 or -ENOMEM. */
MUST_CHECK int purge_encode(bool is_purged, const char *point, const char *by,
			    int64_t time_ns, struct buf *out);
/* Decode the plaintext of the verdict called @name: @purged_out says whether
 * the point is to be gone. Return 0 or -EBADMSG, said in words. */
MUST_CHECK int purge_decode(const void *data, size_t len, const char *name,
			    bool *purged_out);

#endif
