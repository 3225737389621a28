/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A verdict, purge/<point>-<n>, says whether a wish to remove a point was
 * followed. See vmbackup-vault(5). */
#ifndef STORE_RECORD_PURGE_H
#define STORE_RECORD_PURGE_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>

#include "store/base/name.h"

/* Read the point's id out of the name of a verdict. Return 0 or -EBADMSG
 * (silent: not such a name). */
MUST_CHECK int purge_parse_name(const char *name, char out[NAME_HEX + 1]);
/* Decode the plaintext of the verdict called @name: @purged_out says whether
 * the point is to be gone. Return 0 or -EBADMSG, said in words. */
MUST_CHECK int purge_decode(const void *data, size_t len, const char *name,
			    bool *purged_out);

#endif
