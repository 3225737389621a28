/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The program: global options, the table of verbs, exit codes. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/output.h"
#include "src/cli/signals.h"
#include "src/cmd/cmd.h"
#include "store/base/log.h"
#include "store/base/seam.h"

const struct command *const cmd_table[] = {
	&cmd_init,    &cmd_backup,   &cmd_points,  &cmd_ls,
	&cmd_cat,     &cmd_find,     &cmd_diff,	   &cmd_versions,
	&cmd_stats,   &cmd_mount,    &cmd_umount,  &cmd_restore,
	&cmd_boot,    &cmd_nbd,	     &cmd_check,   &cmd_repair,
	&cmd_note,    &cmd_tag,	     &cmd_protect, &cmd_unprotect,
	&cmd_forget,  &cmd_undelete, &cmd_prune,   &cmd_rename,
	&cmd_rewrite, &cmd_key,	     &cmd_cache,   &cmd_completion,
	&cmd_version, &cmd_help,     NULL,
};

const struct option_row cmd_global_options[] = {
	OPT_STRING("repo", 'r', "VAULT", struct context, repository,
		   "the vault: a path or URL (VMBACKUP_REPOSITORY)"),
	OPT_STRING("vault", 0, "VAULT", struct context, repository, "the same"),
	OPT_STRING("repository-file", 0, "FILE", struct context,
		   repository_file,
		   "a file whose first line is the vault"
		   " (VMBACKUP_REPOSITORY_FILE)"),
	OPT_STRING("password-file", 'p', "FILE", struct context, password_file,
		   "read the password from the first line of"
		   " FILE (VMBACKUP_PASSWORD_FILE)"),
	OPT_STRING("password-command", 0, "COMMAND", struct context,
		   password_command,
		   "read it from what COMMAND prints"
		   " (VMBACKUP_PASSWORD_COMMAND)"),
	OPT_STRING("key-file", 0, "FILE", struct context, key_file,
		   "open the vault with a key file (VMBACKUP_KEY_FILE)"),
	OPT_LIST("luks-key-file", 0, "FILE", struct context, luks_key_files,
		 "a key file, or a passphrase in a file, for encrypted"
		 " volumes in disks; may be repeated"
		 " (VMBACKUP_LUKS_KEY_FILE)"),
	OPT_STRING("cache-dir", 0, "DIR", struct context, cache_dir,
		   "where local databases are kept (VMBACKUP_CACHE_DIR;"
		   " default: ~/.cache/vmbackup)"),
	OPT_FLAG("no-cache", 0, struct context, no_cache,
		 "keep nothing locally after the command"),
	OPT_FLAG("forgotten", 0, struct context, forgotten,
		 "also list and find points that were forgotten"),
	OPT_FLAG("untrusted", 0, struct context, untrusted,
		 "also list and find points without a signature that the vault"
		 " demands"),
	OPT_LIST("trust", 0, "KEY", struct context, trusted,
		 "a signing key that may sign for all machines, this once; may"
		 " be repeated"),
	OPT_FLAG("no-lock", 0, struct context, no_lock,
		 "accepted and ignored: readers take no locks"),
	OPT_FLAG("json", 0, struct context, json,
		 "print JSON: a document, or a line for each message"),
	OPT_FLAG("no-color", 0, struct context, no_color,
		 "accepted and ignored: there are no colors"),
	OPT_COUNT("quiet", 'q', struct context, quiet,
		  "print errors and results only"),
	OPT_COUNT("verbose", 'v', struct context, verbose,
		  "say more; twice: much more"),
	OPT_FLAG("version", 'V', struct context, version, "print the version"),
	OPT_END
};

/* Values that make no sense are errors, not defaults. */
static int check_environment(struct context *ctx)
{
	const char *fps = getenv("VMBACKUP_PROGRESS_FPS");
	const char *units = getenv("VMBACKUP_UNITS");
	const char *level = getenv("VMBACKUP_LOG");
	char *end;

	if (fps && *fps) {
		double v = strtod(fps, &end);

		if (*end || !(v >= 0 && v <= 1000))
			return fail(-EINVAL,
				    "VMBACKUP_PROGRESS_FPS: \"%s\" is"
				    " not a number from 0 to 1000",
				    fps);
	}
	if (units && *units && strcmp(units, "iec") != 0 &&
	    strcmp(units, "si") != 0 && strcmp(units, "raw") != 0)
		return fail(-EINVAL,
			    "VMBACKUP_UNITS: \"%s\" is none of iec,"
			    " si, raw",
			    units);
	if (level && !strcmp(level, "debug"))
		ctx->verbose = MAX(ctx->verbose, 2u);
	return 0;
}

/* Parse what follows the verb, and run it. */
static int run_verb(struct context *ctx, const struct command *c, int argc,
		    char **argv)
{
	void *args = calloc(1, c->args_size + 1);
	struct option_set sets[] = {
		{ cmd_global_options, ctx },
		{ c->options, args },
	};
	int first, r;

	if (!args)
		return -ENOMEM;
	ctx->verb = c->name;
	r = options_parse(sets, 2, argc, argv, false, &first);
	if (r == 0)
		r = check_environment(ctx);
	if (r == 0) {
		output_init("vmbackup", ctx->json, ctx->quiet, ctx->verbose);
		signals_watch(c->flags & COMMAND_STOPS);
		r = c->run(ctx, args, argc - first, argv + first);
	} else if (r == 1) {
		cmd_print_help(stdout, c);
		r = 0;
	}
	options_release(&sets[1]);
	free(args);
	return r;
}

static int run_program(struct context *ctx, int argc, char **argv)
{
	struct option_set globals = { cmd_global_options, ctx };
	const struct command *c;
	int first, r;

	r = options_parse(&globals, 1, argc, argv, true, &first);
	if (r < 0)
		return r;
	if (r == 1) {
		cmd_print_overview(stdout);
		return 0;
	}
	if (ctx->version)
		return run_verb(ctx, &cmd_version, 1, argv);
	if (first == argc) {
		cmd_print_overview(stderr);
		return EXIT_CODE_USAGE;
	}
	c = cmd_find_row(argv[first]);
	if (!c)
		return context_usage(ctx, "there is no verb \"%s\"",
				     argv[first]);
	return run_verb(ctx, c, argc - first, argv + first);
}

int main(int argc, char **argv)
{
	struct context ctx = { .seam = seam_system() };
	int code, i, r, flushed;
	bool json = false;

	output_open_standard();
	signals_init();
	/* Errors in the command line are JSON too where JSON is asked for. */
	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		json = json || !strcmp(argv[i], "--json");
	output_init("vmbackup", json, 0, 0);
	r = run_program(&ctx, argc, argv);
	flushed = output_flush();
	if (r == -EPIPE || flushed == -EPIPE)
		signals_die_of_pipe();
	if (r == -EINTR)
		log_warn("interrupted");
	else if (r < 0 && !*output_last_error())
		log_line(LOG_LEVEL_ERROR, "%s", strerror(-r));
	if (r == 0)
		r = flushed;
	code = context_exit_code(r);
	if (code != EXIT_CODE_OK && json)
		output_exit_error(code);
	options_release(&(struct option_set){ cmd_global_options, &ctx });
	context_forget_credential(&ctx);
	free(ctx.url);
	free(ctx.cache);
	free(ctx.state);
	return code;
}
