/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SRC_CLI_KEYFILE_H
#define SRC_CLI_KEYFILE_H

#include "store/base/attrs.h"

struct seam;
struct secret;

/* Make a key file of 32 random bytes at @path, mode 0600, durable; what it
 * holds goes to @out, which credentials_release() or secret_free() frees.
 * Return 0, -EEXIST or another negative errno, said in words. */
MUST_CHECK int keyfile_make(struct seam *seam, const char *path,
			    const struct secret **out);

#endif
