/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Completion for the shells, from the tables of verbs and options. */
#include "config.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "src/cli/output.h"
#include "src/cmd/cmd.h"

static bool takes_argument(const struct option_row *row)
{
	return row->type != OPTION_FLAG && row->type != OPTION_COUNT;
}

/* "off|fast", and not "N|SIZE", whose words are to be replaced. */
static bool is_choice(const char *arg)
{
	return strchr(arg, '|') && islower((unsigned char)arg[0]);
}

static void put_words(const char *words, char separator)
{
	for (; *words; words++)
		putchar(*words == ' ' || *words == '|' ? separator : *words);
}

static void put_verbs(char separator)
{
	const struct command *const *c;
	bool first = true;

	for (c = cmd_table; *c; c++) {
		if ((*c)->flags & COMMAND_HIDDEN)
			continue;
		if (!first)
			putchar(separator);
		fputs((*c)->name, stdout);
		first = false;
	}
}

/* What the first operand may be: words of the verb's own, or a verb. */
static void put_operands(const struct command *c, char separator)
{
	if (c == &cmd_help)
		put_verbs(separator);
	else if (c->words)
		put_words(c->words, separator);
}

/* ---- bash ---- */

static void bash_options(const struct option_row *row)
{
	for (; row && row->name; row++) {
		if (!row->help)
			continue;
		printf(" --%s", row->name);
		if (row->letter)
			printf(" -%c", row->letter);
	}
}

/* What completes the argument of an option, as a case branch. */
static void bash_argument(const char *verb, const struct option_row *row)
{
	if (!row->help || !takes_argument(row))
		return;
	printf("\t%s,--%s", verb, row->name);
	if (row->letter)
		printf("|%s,-%c", verb, row->letter);
	printf(") ");
	if (!strcmp(row->arg, "FILE"))
		printf("compopt -o filenames;"
		       " COMPREPLY=($(compgen -f -- \"$cur\")); ");
	else if (!strcmp(row->arg, "DIR") || !strcmp(row->arg, "VAULT"))
		printf("compopt -o filenames;"
		       " COMPREPLY=($(compgen -d -- \"$cur\")); ");
	else if (is_choice(row->arg)) {
		printf("COMPREPLY=($(compgen -W '");
		put_words(row->arg, ' ');
		printf("' -- \"$cur\")); ");
	}
	printf("return ;;\n");
}

/* The options of a row that an argument follows. */
static void bash_takes(const struct option_row *row)
{
	for (; row && row->name; row++) {
		if (!takes_argument(row))
			continue;
		printf("--%s ", row->name);
		if (row->letter)
			printf("-%c ", row->letter);
	}
}

/* What a verb's options and its first operand may be, as a case branch. */
static void bash_verb(const struct command *c)
{
	printf("\t%s", c->name);
	if (c->aliases) {
		putchar('|');
		put_words(c->aliases, '|');
	}
	printf(") options+='");
	bash_options(c->options);
	printf("' takes+='");
	bash_takes(c->options);
	printf("' words='");
	put_operands(c, ' ');
	printf("' ;;\n");
}

static void bash(void)
{
	const struct command *const *c;
	const struct option_row *row;

	printf("# bash completion for vmbackup\n_vmbackup()\n{\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev verb= i\n"
	       "\tprev=${COMP_WORDS[COMP_CWORD-1]}\n"
	       "\tlocal takes=' ");
	bash_takes(cmd_global_options);
	printf("'\n"
	       "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	       "\t\tcase ${COMP_WORDS[i]} in\n"
	       "\t\t-*) [[ $takes == *\" ${COMP_WORDS[i]} \"* ]] && ((i++))"
	       " ;;\n"
	       "\t\t*) verb=${COMP_WORDS[i]}; break ;;\n"
	       "\t\tesac\n\tdone\n\tCOMPREPLY=()\n\tcase $verb,$prev in\n");
	for (row = cmd_global_options; row->name; row++)
		bash_argument("*", row);
	for (c = cmd_table; *c; c++)
		for (row = (*c)->options; row && row->name; row++)
			bash_argument((*c)->name, row);
	printf("\tesac\n\tlocal options='");
	bash_options(cmd_global_options);
	printf(" --help -h' words=\n\tcase $verb in\n\t'') words='");
	put_verbs(' ');
	printf("' ;;\n");
	for (c = cmd_table; *c; c++)
		bash_verb(*c);
	/* Words are for the first operand only; behind it there are files. */
	printf("\tesac\n"
	       "\tfor ((i++; i < COMP_CWORD; i++)); do\n"
	       "\t\tcase ${COMP_WORDS[i]} in\n"
	       "\t\t-*) [[ $takes == *\" ${COMP_WORDS[i]} \"* ]] && ((i++))"
	       " ;;\n"
	       "\t\t*) words=; break ;;\n"
	       "\t\tesac\n\tdone\n"
	       "\tif [[ $cur == -* ]]; then\n"
	       "\t\tCOMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
	       "\telif [[ -n $words ]]; then\n"
	       "\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	       "\telse\n\t\tcompopt -o filenames\n"
	       "\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n\tfi\n}\n"
	       "complete -F _vmbackup vmbackup\n");
}

/* ---- zsh ---- */

/* Text in a single-quoted _arguments description. */
static void zsh_text(const char *s)
{
	for (; *s; s++) {
		if (*s == '\'')
			printf("'\\''");
		else if (*s == '[' || *s == ']' || *s == ':' || *s == '\\')
			printf("\\%c", *s);
		else
			putchar(*s);
	}
}

static void zsh_action(const struct option_row *row)
{
	if (!takes_argument(row))
		return;
	putchar(':');
	if (is_choice(row->arg)) {
		printf("value:(");
		put_words(row->arg, ' ');
		putchar(')');
		return;
	}
	zsh_text(row->arg);
	if (!strcmp(row->arg, "FILE"))
		printf(":_files");
	else if (!strcmp(row->arg, "DIR") || !strcmp(row->arg, "VAULT"))
		printf(":_files -/");
	else
		printf(": ");
}

static void zsh_options(const struct option_row *row)
{
	for (; row && row->name; row++) {
		if (!row->help)
			continue;
		if (row->letter)
			printf(" \\\n\t\t\t{-%c,--%s}'[", row->letter,
			       row->name);
		else
			printf(" \\\n\t\t\t'--%s[", row->name);
		zsh_text(row->help);
		putchar(']');
		zsh_action(row);
		putchar('\'');
	}
}

static void zsh(void)
{
	const struct command *const *c;

	printf("#compdef vmbackup\n_vmbackup()\n{\n"
	       "\tlocal curcontext=$curcontext state line\n"
	       "\tlocal -A opt_args\n"
	       "\t_arguments -C");
	zsh_options(cmd_global_options);
	printf(" \\\n\t\t\t{-h,--help}'[help]' \\\n"
	       "\t\t\t'1:verb:->verb' '*::operand:->rest'\n"
	       "\tcase $state in\n\tverb)\n\t\tlocal -a verbs=(");
	for (c = cmd_table; *c; c++) {
		if ((*c)->flags & COMMAND_HIDDEN)
			continue;
		printf("\n\t\t\t'%s:", (*c)->name);
		zsh_text((*c)->summary);
		putchar('\'');
	}
	printf(")\n\t\t_describe verb verbs\n\t\t;;\n"
	       "\trest)\n\t\tcase $line[1] in\n");
	for (c = cmd_table; *c; c++) {
		printf("\t\t%s", (*c)->name);
		if ((*c)->aliases) {
			putchar('|');
			put_words((*c)->aliases, '|');
		}
		printf(")\n\t\t\t_arguments");
		zsh_options((*c)->options);
		if ((*c)->words || *c == &cmd_help) {
			printf(" '1:what:(");
			put_operands(*c, ' ');
			printf(")'");
		}
		printf(" '*:operand:_files' ;;\n");
	}
	printf("\t\tesac\n\t\t;;\n\tesac\n}\n_vmbackup \"$@\"\n");
}

/* ---- fish ---- */

static void fish_text(const char *s)
{
	for (; *s; s++) {
		if (*s == '\'' || *s == '\\')
			putchar('\\');
		putchar(*s);
	}
}

static void fish_options(const char *condition, const struct option_row *row)
{
	for (; row && row->name; row++) {
		if (!row->help)
			continue;
		printf("complete -c vmbackup%s -l %s", condition, row->name);
		if (row->letter)
			printf(" -s %c", row->letter);
		if (takes_argument(row)) {
			printf(" -r");
			if (is_choice(row->arg)) {
				printf(" -f -a '");
				put_words(row->arg, ' ');
				putchar('\'');
			} else if (!strcmp(row->arg, "DIR") ||
				   !strcmp(row->arg, "VAULT")) {
				printf(" -a '(__fish_complete_directories)'");
			} else if (strcmp(row->arg, "FILE") != 0) {
				printf(" -f");
			}
		}
		printf(" -d '");
		fish_text(row->help);
		printf("'\n");
	}
}

static void fish(void)
{
	const struct command *const *c;
	char condition[512];

	printf("# fish completion for vmbackup\n");
	/* __fish_use_subcommand would take an option's argument for a verb. */
	printf("function __vmbackup_no_verb\n"
	       "\tnot __fish_seen_subcommand_from");
	for (c = cmd_table; *c; c++)
		if (!((*c)->flags & COMMAND_HIDDEN))
			printf(" %s", (*c)->name);
	printf("\nend\n");
	fish_options("", cmd_global_options);
	printf("complete -c vmbackup -l help -s h -d 'help'\n");
	for (c = cmd_table; *c; c++) {
		if ((*c)->flags & COMMAND_HIDDEN)
			continue;
		printf("complete -c vmbackup -f -n __vmbackup_no_verb -a %s"
		       " -d '",
		       (*c)->name);
		fish_text((*c)->summary);
		printf("'\n");
		snprintf(condition, sizeof(condition),
			 " -n '__fish_seen_subcommand_from %s%s%s'", (*c)->name,
			 (*c)->aliases ? " " : "",
			 (*c)->aliases ? (*c)->aliases : "");
		fish_options(condition, (*c)->options);
		if (!(*c)->words && *c != &cmd_help)
			continue;
		printf("complete -c vmbackup -f%s -a '", condition);
		put_operands(*c, ' ');
		printf("'\n");
	}
}

static int run_completion(struct context *ctx, void *args, int argc,
			  char **argv)
{
	(void)args;
	if (argc != 1)
		return context_usage(ctx,
				     "for which shell? say bash, zsh or fish");
	if (!strcmp(argv[0], "bash"))
		bash();
	else if (!strcmp(argv[0], "zsh"))
		zsh();
	else if (!strcmp(argv[0], "fish"))
		fish();
	else
		return context_usage(ctx, "there is no completion for \"%s\"",
				     argv[0]);
	return output_error();
}

const struct command cmd_completion = {
	.name = "completion",
	.operands = "bash|zsh|fish",
	.summary = "print what makes a shell complete verbs and options",
	.help = "bash: source <(vmbackup completion bash)",
	.words = "bash zsh fish",
	.run = run_completion,
};
