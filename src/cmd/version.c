/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <stdio.h>

#include "src/cli/output.h"
#include "src/cmd/cmd.h"
#include "store/format.h"

static int run_version(struct context *ctx, void *args, int argc, char **argv)
{
	json_t *o;

	(void)args;
	if (argc > 0)
		return context_usage(ctx, "\"%s\" is too much", argv[0]);
	if (!ctx->json) {
		printf("vmbackup %s (vault format %d)\n", PACKAGE_VERSION,
		       FORMAT_VERSION);
		return 0;
	}
	o = output_message("version");
	output_set_string(o, "version", PACKAGE_VERSION);
	output_set_uint(o, "format_version", FORMAT_VERSION);
	return output_json(o);
}

const struct command cmd_version = {
	.name = "version",
	.summary = "print the version",
	.run = run_version,
};
