/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The verbs of vmbackup: one row each, one file each (cmd_<verb>.c).
 *
 * main parses the global options and the verb's own (anywhere behind the verb),
 * answers --help, and calls run with the operands. A verb opens what it needs
 * with cmd_open_vault(), prints to stdout, and returns
 *
 *     0, a positive enum exit_code, or a negative errno that has been said in
 *     words and that cmd_exit_code() turns into the exit code.
 *
 * All usage errors are -EINVAL, said in words with cmd_usage().
 */
#ifndef SRC_CMD_H
#define SRC_CMD_H

#include "src/options.h"
#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>

struct credentials;
struct seam;
struct vault;
struct vault_options;
struct view;

/* An unknown code means failure. */
enum exit_code {
	EXIT_CODE_OK = 0,
	EXIT_CODE_FAILED = 1,
	EXIT_CODE_USAGE = 2, /* command line, environment */
	EXIT_CODE_PARTIAL = 3, /* done, but some source data was unreadable,
				* or some of it was not restored or removed */
	EXIT_CODE_NO_VAULT = 10,
	EXIT_CODE_LOCKED = 11, /* fenced by a collector */
	EXIT_CODE_KEY = 12, /* wrong password or key, or none at hand */
	EXIT_CODE_DAMAGE = 13,
	EXIT_CODE_UNREACHABLE = 14,
	EXIT_CODE_NO_SPACE = 15,
	EXIT_CODE_VERSION = 16, /* a format that is newer than this program */
	EXIT_CODE_INTERRUPTED = 130,
};

struct command;

/* What a verb gets from main. */
struct cmd_context {
	/* From the command line or the environment; borrowed, may be NULL. */
	const char *repository;
	const char *repository_file;
	const char *password_file;
	const char *password_command;
	const char *key_file;
	const char *cache_dir;
	struct string_list luks_key_files;
	bool no_cache;
	bool no_lock; /* accepted: readers take no locks */
	bool json;
	bool no_color;
	unsigned int quiet;
	unsigned int verbose;
	bool version;

	const struct command *command;
	struct seam *seam;
	char *url; /* owned; see cmd_vault_url() */
	char *cache; /* owned; see cmd_cache_dir() */
};

enum command_flags {
	COMMAND_STOPS = 1 << 0, /* looks at signals_stop() while it works; the
				 * other verbs end at once on SIGINT */
	COMMAND_HIDDEN = 1 << 1,
};

struct command {
	const char *name;
	const char *aliases; /* separated by spaces; NULL: none */
	const char *operands; /* for the usage text; NULL: none */
	const char *summary; /* one line, small first letter, no stop */
	const char *help; /* below the options; each newline ends a paragraph,
			   * lines are broken when printed; may be NULL */
	const char *words; /* what the first operand may be, separated by
			    * spaces, for completion; NULL: anything */
	const struct option_row *options; /* NULL: none */
	size_t args_size; /* of the struct that options fill, zeroed before */
	int (*run)(struct cmd_context *ctx, void *args, int argc, char **argv);
	unsigned int flags;
};

/* Ends with NULL. */
extern const struct command *const cmd_table[];
/* The global options; fields of struct cmd_context. */
extern const struct option_row cmd_global_options[];

/* Each in the file of its name. */
extern const struct command cmd_backup, cmd_boot, cmd_cache, cmd_cat, cmd_check,
	cmd_completion, cmd_diff, cmd_find, cmd_help, cmd_init, cmd_key, cmd_ls,
	cmd_mount, cmd_nbd, cmd_points, cmd_restore, cmd_stats, cmd_umount, cmd_version,
	cmd_versions;

/* The row that has this name or alias, or NULL. */
const struct command *cmd_find_row(const char *name);
/* The verb's help text. */
void cmd_print_help(FILE *f, const struct command *c);
/* The program's. */
void cmd_print_overview(FILE *f);
/* Say what is wrong with the command line and where help is; -EINVAL. */
PRINTF(2, 3)
int cmd_usage(const struct cmd_context *ctx, const char *fmt, ...);
/* The exit code of a verb's return value. */
int cmd_exit_code(int r);

/*
 * Where the vault is: --repo, --repository-file, the environment.
 * Return 0, or -EINVAL, said in words. @out is owned by @ctx.
 */
MUST_CHECK int cmd_vault_url(struct cmd_context *ctx, const char **out);
/* The folder that holds the caches of vaults, or NULL (none is wanted, or
 * there is no home); owned by @ctx. Return 0 or -ENOMEM. */
MUST_CHECK int cmd_cache_dir(struct cmd_context *ctx, const char **out);
/*
 * Fill @o's url, seam, cache_dir and credential (its secrets are the caller's:
 * credentials_release(), also after an error). Errors as cmd_open_vault().
 */
MUST_CHECK int cmd_find_vault(struct cmd_context *ctx, struct vault_options *o);
/*
 * Find the credentials and open the vault. Close it with vault_close().
 * Return 0; -ENOMEDIUM (there is no vault); -EKEYREJECTED, -ENOKEY; or as
 * vault_open(); all said in words.
 */
MUST_CHECK int cmd_open_vault(struct cmd_context *ctx, struct vault **out);
/* The same, and the namespace on it. Free the view, then close the vault. */
MUST_CHECK int cmd_open_view(struct cmd_context *ctx, struct vault **v_out,
			     struct view **out);
/*
 * What a read that failed with @r should end as: -EIO becomes -EBADMSG where
 * the vault met damage, so that the exit code says so. Others pass.
 */
int cmd_read_error(struct vault *v, int r);

#endif
