/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The verbs of vmbackup: one row each, one file each (src/cmd/<verb>.c).
 *
 * main parses the global options and the verb's own (anywhere behind the verb),
 * answers --help, and calls run with the operands. A verb opens what it needs
 * with context_open_vault(), prints to stdout, and returns
 *
 *     0, a positive enum exit_code, or a negative errno that has been said in
 *     words and that context_exit_code() turns into the exit code.
 */
#ifndef SRC_CMD_CMD_H
#define SRC_CMD_CMD_H

#include "src/cli/context.h"
#include "src/cli/options.h"
#include "store/base/attrs.h"

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
	int (*run)(struct context *ctx, void *args, int argc, char **argv);
	unsigned int flags;
};

/* Ends with NULL. */
extern const struct command *const cmd_table[];
/* The global options; fields of struct context. */
extern const struct option_row cmd_global_options[];

/* Each in the file of its name. */
extern const struct command cmd_backup, cmd_boot, cmd_cache, cmd_cat, cmd_check,
	cmd_completion, cmd_diff, cmd_find, cmd_forget, cmd_help, cmd_init,
	cmd_key, cmd_ls, cmd_mount, cmd_nbd, cmd_note, cmd_points, cmd_protect,
	cmd_prune, cmd_tag, cmd_undelete, cmd_unprotect, cmd_rename, cmd_repair,
	cmd_restore, cmd_rewrite, cmd_stats, cmd_umount, cmd_version,
	cmd_versions;

/* The row that has this name or alias, or NULL. */
const struct command *cmd_find_row(const char *name);
/* The verb's help text. */
void cmd_print_help(FILE *f, const struct command *c);
/* The program's. */
void cmd_print_overview(FILE *f);
#endif
