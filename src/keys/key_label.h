/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a key slot says of where it comes from. */
#ifndef SRC_KEYS_KEY_LABEL_H
#define SRC_KEYS_KEY_LABEL_H

#include "store/base/attrs.h"

struct context;

/* {"created":...,"host":...,"user":...,"label":...}, to be freed by the caller.
 * NULL for @host or @user: those of now; for @label: none. @machine: of a key that adds
 * points and reads none, "" where they are of any machine; else NULL. Return NULL where
 * there is no memory. */
MUST_CHECK char *key_label(struct context *ctx, const char *host,
			   const char *user, const char *label,
			   const char *machine);

#endif
