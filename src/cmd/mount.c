/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/output.h"
#include "src/cmd/cmd.h"
#include "src/mount/daemon.h"
#include "src/mount/options.h"
#include "store/base/log.h"

struct args {
	struct string_list options;
	bool foreground;
};

static const struct option_row rows[] = {
	OPT_LIST("options", 'o', "OPTION,...", struct args, options,
		 "mount options, as behind mount -o"),
	OPT_FLAG("foreground", 'f', struct args, foreground,
		 "serve from this process, until it is unmounted"),
	OPT_END
};

struct ready {
	struct context *ctx;
	const char *dir;
};

static void say_ready(void *arg)
{
	struct ready *y = arg;
	json_t *o;

	if (!y->ctx->json) {
		log_info("%s is mounted on %s", y->ctx->url, y->dir);
		return;
	}
	o = output_message("mounted");
	output_set_string(o, "vault", y->ctx->url);
	output_set_string(o, "mountpoint", y->dir);
	if (output_json(o) < 0 || output_flush() < 0)
		log_info("the message that it is mounted could not be printed");
}

static int run_mount(struct context *ctx, void *args, int argc, char **argv)
{
	struct args *a = args;
	struct mount_options options;
	struct ready ready = { .ctx = ctx };
	struct mounting m = { .ctx = ctx,
			      .options = &options,
			      .foreground = a->foreground,
			      .ready = say_ready,
			      .arg = &ready };
	size_t i;
	int r = 0;

	if (argc == 2 && !ctx->repository) {
		ctx->repository = argv[0];
		argv++;
		argc--;
	}
	if (argc != 1)
		return context_usage(ctx,
				     "mount takes a vault and a directory");
	mount_options_init(&options);
	for (i = 0; i < a->options.n && r == 0; i++)
		r = mount_options_parse(&options, a->options.items[i], false);
	m.dir = argv[0];
	ready.dir = argv[0];
	if (r == 0)
		r = daemon_run(&m);
	mount_options_release(&options);
	/* The daemon has said why, and there is nothing to be added. */
	return context_exit_code(r);
}

const struct command cmd_mount = {
	.name = "mount",
	.operands = "[VAULT] DIR",
	.summary = "show all points as a read-only directory tree",
	.help = "The mount options are those of mount.vmbackupfs(8);\n"
		"mount.vmbackupfs --help lists them.",
	.options = rows,
	.args_size = sizeof(struct args),
	.run = run_mount,
	.flags = COMMAND_STOPS,
};
