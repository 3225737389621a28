/* SPDX-License-Identifier: GPL-3.0-or-later */
/* "key rotate": a new master key for all that is written from now on. */
#ifndef SRC_KEYS_KEY_ROTATE_H
#define SRC_KEYS_KEY_ROTATE_H

#include "src/cli/options.h"
#include "store/base/attrs.h"

struct context;
struct vault;

/*
 * Rotate the keys of @v, which context_credential() opened, and say which keys open
 * what comes, and which do not. @key_files and @password_files: of other keys that
 * are to go on. @log_n 0: scrypt's default cost. Return 0 or a negative errno, said
 * in words.
 */
MUST_CHECK int key_rotate(struct context *ctx, struct vault *v,
			  const struct string_list *key_files,
			  const struct string_list *password_files,
			  unsigned int log_n);

#endif
