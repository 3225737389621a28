/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Another vault, that a verb takes something from: the options that say what opens
 * it, and opening it. Nothing of it is kept on this machine, for it may never be
 * seen again.
 */
#ifndef SRC_CLI_FROM_H
#define SRC_CLI_FROM_H

#include "src/cli/options.h"
#include "store/base/attrs.h"

#include <stdbool.h>

struct context;
struct vault;
struct vault_options;

/* What was asked for on the command line; borrowed, NULL where not. */
struct from_args {
	const char *key_file;
	const char *password_file;
	const char *password_command;
};

/* clang-format off */
#define FROM_ROWS(s, field)                                                 \
	OPT_STRING("from-key-file", 0, "FILE", s, field.key_file,           \
		   "open that VAULT with this key file"                     \
		   " (VMBACKUP_FROM_KEY_FILE)"),                            \
	OPT_STRING("from-password-file", 0, "FILE", s, field.password_file, \
		   "with the password in FILE"                              \
		   " (VMBACKUP_FROM_PASSWORD_FILE)"),                       \
	OPT_STRING("from-password-command", 0, "COMMAND", s,                \
		   field.password_command,                                  \
		   "with the password that COMMAND prints")
/* clang-format on */

/* Whether any of the options was given. */
bool from_is_given(const struct from_args *a);
/*
 * Open the vault at @url as @o says, which need not name the place, the seam or what
 * opens it; @prompt asks for its password. Return 0, -ENOMEDIUM (there is none) or as
 * vault_open(); said in words.
 */
MUST_CHECK int from_open(struct context *ctx, const char *url,
			 const struct from_args *a, const char *prompt,
			 const struct vault_options *o, struct vault **out);

#endif
