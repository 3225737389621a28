/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Help texts, printed from the tables that parse. */
#include "config.h"

#include "src/cmd/cmd.h"
#include "store/base/log.h"

#include <errno.h>
#include <string.h>

/* Is @word one of the words in @list? */
static bool word_in(const char *list, const char *word)
{
	size_t len = strlen(word);

	while (list && *list) {
		size_t n = strcspn(list, " ");

		if (n == len && !strncmp(list, word, len))
			return true;
		list += n + (list[n] ? 1 : 0);
	}
	return false;
}

const struct command *cmd_find_row(const char *name)
{
	const struct command *const *c;

	for (c = cmd_table; *c; c++)
		if (!strcmp((*c)->name, name) || word_in((*c)->aliases, name))
			return *c;
	return NULL;
}

void cmd_print_help(FILE *f, const struct command *c)
{
	fprintf(f, "Usage: vmbackup %s [OPTION]...%s%s\n\n%c%s.\n", c->name,
		c->operands ? " " : "", c->operands ? c->operands : "",
		c->summary[0] & ~0x20, c->summary + 1);
	if (c->aliases)
		fprintf(f, "Also known as: %s\n", c->aliases);
	if (c->options) {
		fputs("\nOptions:\n", f);
		options_usage(f, c->options);
	}
	if (c->help) {
		fputs("\n", f);
		options_wrap(f, c->help);
	}
	fputs("\nGlobal options:\n", f);
	options_usage(f, cmd_global_options);
	fputs("  -h, --help                this text\n", f);
}

void cmd_print_overview(FILE *f)
{
	const struct command *const *c;

	fputs("Usage: vmbackup [OPTION]... VERB [OPTION]... [OPERAND]...\n\n"
	      "Keep recovery points of machines in a vault.\n\nVerbs:\n",
	      f);
	for (c = cmd_table; *c; c++)
		if (!((*c)->flags & COMMAND_HIDDEN))
			fprintf(f, "  %-11s %s\n", (*c)->name, (*c)->summary);
	fputs("\nGlobal options:\n", f);
	options_usage(f, cmd_global_options);
	fputs("  -h, --help                this text, or a verb's\n\n"
	      "A point is VM/TIME, VM/latest, VM/latest~2, VM, latest, or at"
	      " least 4 digits of\nits id; a place in it is POINT:path, with"
	      " the paths of the mount, as in\nweb1/latest:files/etc/passwd.\n"
	      "\n\"vmbackup help VERB\" tells more; so does vmbackup(1).\n",
	      f);
}

static int run_help(struct context *ctx, void *args, int argc, char **argv)
{
	const struct command *c;

	(void)args;
	if (argc == 0) {
		cmd_print_overview(stdout);
		return 0;
	}
	c = cmd_find_row(argv[0]);
	if (argc > 1)
		return context_usage(ctx, "help takes one verb");
	if (!c)
		return fail(-EINVAL,
			    "there is no verb \"%s\"; \"vmbackup help\" lists"
			    " those that there are",
			    argv[0]);
	cmd_print_help(stdout, c);
	return 0;
}

const struct command cmd_help = {
	.name = "help",
	.operands = "[VERB]",
	.summary = "print the verbs, or what one does",
	.run = run_help,
};
