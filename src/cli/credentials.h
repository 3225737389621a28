/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where passwords and keys come from: never from argv. The first of
 *
 *     --key-file, --password-file, --password-command,
 *     VMBACKUP_KEY_FILE, VMBACKUP_PASSWORD_FD, VMBACKUP_PASSWORD_FILE,
 *     VMBACKUP_PASSWORD_COMMAND, VMBACKUP_PASSWORD,
 *     $CREDENTIALS_DIRECTORY/vmbackup.key, .../vmbackup.password,
 *     a prompt on the terminal.
 *
 * A password ends at the first newline. Files named "-" are standard input.
 */
#ifndef SRC_CLI_CREDENTIALS_H
#define SRC_CLI_CREDENTIALS_H

#include "store/base/attrs.h"
#include "store/vault.h"

#include <stdbool.h>

#define CREDENTIALS_PASSWORD_MAX 4096
#define CREDENTIALS_KEY_MIN 32
#define CREDENTIALS_KEY_MAX (64u << 10)

/* What was asked for on the command line; borrowed, NULL where not. */
struct credential_source {
	const char *password_file;
	const char *password_command;
	const char *key_file;
	const char *env; /* prefix of the variables; NULL: "VMBACKUP_" */
	/* What to give where nothing is found, for the message; NULL: the
	 * options and variables of the vault's own key. */
	const char *remedy;
	bool no_prompt; /* never ask on the terminal */
	bool confirm; /* ask twice: for a new password */
	const char *prompt; /* NULL: "password for the vault: " */
};

/*
 * Fill @out; its secrets are the caller's: free them with
 * credentials_release(). Return 0; -ENOKEY (nothing found); -EINVAL (empty,
 * too long, too short, typed differently); -EINTR; or the errno of a file or
 * command that failed; all said in words.
 */
MUST_CHECK int credentials_load(const struct credential_source *s,
				struct credential *out);
void credentials_release(struct credential *c);
/* Read all of a file, which has at most @max bytes (else -EFBIG). Warns if
 * others can read it. "-" is standard input. */
MUST_CHECK int credentials_read_file(const char *path, size_t max,
				     struct secret **out);
/* Read a file's bytes as a key. Warns if others can read it. */
MUST_CHECK int credentials_read_key(const char *path, struct secret **out);

/*
 * Lay a loaded credential into a pipe for the program that this process is
 * about to become: that one reads it, once, where @path says (a password as a
 * first line). Its other end is closed. Return 0 or a negative errno, said in
 * words.
 */
#define CREDENTIALS_PATH_LEN 32
MUST_CHECK int credentials_hand_over(const struct credential *c,
				     char path[CREDENTIALS_PATH_LEN]);

#endif
