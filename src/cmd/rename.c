/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "src/cli/noting.h"
#include "src/cli/output.h"
#include "src/cmd/cmd.h"
#include "store/base/log.h"
#include "store/point.h"
#include "store/vault.h"
#include "store/writer/note.h"

static int print_renamed(struct context *ctx, const char *old, const char *name)
{
	json_t *o;

	if (!ctx->json) {
		if (!ctx->quiet)
			printf("%s is called %s now\n", old, name);
		return 0;
	}
	o = output_message("renamed");
	output_set_string(o, "old", old);
	output_set_string(o, "new", name);
	return output_json(o);
}

static int run_rename(struct context *ctx, void *args, int argc, char **argv)
{
	struct point_list *l = NULL;
	struct vault *v = NULL;
	char by[NOTING_BY_MAX];
	int r;

	(void)args;
	if (argc != 2)
		return context_usage(ctx, "say: rename OLD NEW");
	r = context_open_vault_only(ctx, &v);
	if (r == 0)
		r = context_read_error(v, vault_points(v, &l));
	if (r == 0)
		r = note_rename(v, l, argv[0], argv[1], noting_by(by));
	point_list_put(l);
	vault_close(v);
	return r < 0 ? r : print_renamed(ctx, argv[0], argv[1]);
}

const struct command cmd_rename = {
	.name = "rename",
	.operands = "OLD NEW",
	.summary = "give a machine another name, in all its points",
	.help = "The machine keeps its history: its points, and the backups"
		" that come under the new name, are one machine's. The old"
		" name is free for another machine.",
	.run = run_rename,
};
