/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/buf.h"
#include "store/base/log.h"

#define ROWS_MAX 96 /* of all sets of one program */
#define USAGE_COLUMN 28
#define USAGE_WIDTH 79

/* The rows of all sets, and the tables that getopt_long() wants. */
struct parser {
	const struct option_row *rows[ROWS_MAX];
	void *args[ROWS_MAX];
	size_t n;
	bool help;
	struct option longs[ROWS_MAX + 2];
	char shorts[3 * ROWS_MAX + 8];
};

enum { VAL_ROW = 0x100, VAL_HELP = 0xfff };

static bool takes_argument(const struct option_row *row)
{
	return row->type != OPTION_FLAG && row->type != OPTION_COUNT;
}

/* Collect the rows, the last set first, so that its names and letters win. */
static void parser_init(struct parser *p, const struct option_set *sets,
			size_t nsets, bool stop_at_operand)
{
	size_t nlongs = 0, len = 0;

	memset(p, 0, sizeof(*p));
	if (stop_at_operand)
		p->shorts[len++] = '+';
	p->shorts[len++] = ':';
	while (nsets-- > 0) {
		const struct option_row *row = sets[nsets].rows;

		for (; row && row->name && p->n < ROWS_MAX; row++) {
			size_t i;

			for (i = 0; i < nlongs; i++)
				if (!strcmp(p->longs[i].name, row->name))
					break;
			if (i < nlongs)
				continue;
			p->longs[nlongs++] =
				(struct option){ row->name,
						 takes_argument(row)
							 ? required_argument
							 : no_argument,
						 NULL, VAL_ROW + (int)p->n };
			if (row->letter && !strchr(p->shorts, row->letter)) {
				p->shorts[len++] = row->letter;
				if (takes_argument(row))
					p->shorts[len++] = ':';
			}
			p->rows[p->n] = row;
			p->args[p->n++] = sets[nsets].args;
		}
	}
	p->longs[nlongs] =
		(struct option){ "help", no_argument, NULL, VAL_HELP };
	if (!strchr(p->shorts, 'h'))
		p->shorts[len++] = 'h';
}

int string_list_add(struct string_list *list, const char *item)
{
	if (array_reserve(&list->items, &list->cap, list->n + 1) < 0)
		return -ENOMEM;
	list->items[list->n++] = item;
	return 0;
}

static int row_apply(const struct option_row *row, void *args, const char *text)
{
	void *field = (char *)args + row->off;
	unsigned long n;
	char *end;

	switch (row->type) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return 0;
	case OPTION_COUNT:
		++*(unsigned int *)field;
		return 0;
	case OPTION_STRING:
		*(const char **)field = text;
		return 0;
	case OPTION_LIST:
		return string_list_add(field, text);
	case OPTION_UINT:
		errno = 0;
		n = strtoul(text, &end, 10);
		if (*text < '0' || *text > '9' || *end || errno || n > 1000000)
			return fail(-EINVAL,
				    "--%s: \"%s\" is not a number"
				    " from 0 to 1000000",
				    row->name, text);
		*(unsigned int *)field = (unsigned int)n;
		return 0;
	case OPTION_SIZE:
		if (options_size(text, field) < 0)
			return fail(-EINVAL,
				    "--%s: \"%s\" is not a size;"
				    " say 4096, 64K, 1.5G",
				    row->name, text);
		return 0;
	}
	return -EINVAL;
}

/* The row whose letter this is; the last set's come first. */
static size_t find_letter(const struct parser *p, int letter)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (p->rows[i]->letter == letter)
			break;
	return i;
}

static int parser_refuse(const struct parser *p, int c, char **argv)
{
	const char *word = argv[optind - 1];
	size_t i;

	if (c == ':') {
		i = optopt >= VAL_ROW ? (size_t)(optopt - VAL_ROW)
				      : find_letter(p, optopt);
		if (i < p->n)
			return fail(-EINVAL, "option --%s needs %s",
				    p->rows[i]->name, p->rows[i]->arg);
	}
	if (optopt > 0 && optopt < VAL_ROW)
		return fail(-EINVAL, "unknown option -%c", optopt);
	if (optopt >= VAL_ROW)
		return fail(-EINVAL, "option %.*s takes no value",
			    (int)strcspn(word, "="), word);
	return fail(-EINVAL, "unknown or ambiguous option %s", word);
}

int options_parse(const struct option_set *sets, size_t nsets, int argc,
		  char **argv, bool stop_at_operand, int *first_out)
{
	struct parser p;
	bool help = false;
	int c, r;

	parser_init(&p, sets, nsets, stop_at_operand);
	optind = 0; /* begin anew, whoever parsed before */
	opterr = 0;
	while ((c = getopt_long(argc, argv, p.shorts, p.longs, NULL)) != -1) {
		size_t i;

		if (c == '?' || c == ':')
			return parser_refuse(&p, c, argv);
		i = c >= VAL_ROW ? (size_t)(c - VAL_ROW) : find_letter(&p, c);
		if (c == VAL_HELP || (c == 'h' && i >= p.n)) {
			help = true;
			continue;
		}
		r = row_apply(p.rows[i], p.args[i], optarg);
		if (r < 0)
			return r;
	}
	*first_out = optind;
	return help ? 1 : 0;
}

void options_release(const struct option_set *set)
{
	const struct option_row *row;

	for (row = set->rows; row && row->name; row++) {
		struct string_list *list;

		if (row->type != OPTION_LIST)
			continue;
		list = (void *)((char *)set->args + row->off);
		free(list->items);
		list->items = NULL;
		list->n = 0;
	}
}

/* Print the paragraph at @text in words from @column on, lines of USAGE_WIDTH.
 * Return its length. */
static size_t print_wrapped(FILE *f, const char *text, int column, int at)
{
	const char *start = text;

	if (at >= column) {
		fprintf(f, "\n");
		at = 0;
	}
	fprintf(f, "%*s", column - MAX(at, 0), "");
	at = column;
	while (*text && *text != '\n') {
		int len = (int)strcspn(text, " \n");

		if (at > column && at + 1 + len > USAGE_WIDTH) {
			fprintf(f, "\n%*s", column, "");
			at = column;
		}
		at += fprintf(f, "%s%.*s", at > column ? " " : "", len, text);
		text += len;
		text += strspn(text, " ");
	}
	fprintf(f, "\n");
	return (size_t)(text - start);
}

void options_wrap(FILE *f, const char *text)
{
	while (*text) {
		text += print_wrapped(f, text, 0, -1);
		text += *text == '\n';
	}
}

void options_usage(FILE *f, const struct option_row *rows)
{
	const struct option_row *row;

	for (row = rows; row && row->name; row++) {
		int at;

		if (!row->help)
			continue;
		if (row->letter)
			at = fprintf(f, "  -%c, --%s", row->letter, row->name);
		else
			at = fprintf(f, "      --%s", row->name);
		if (takes_argument(row))
			at += fprintf(f, " %s", row->arg);
		/* At least two spaces between the columns. */
		print_wrapped(f, row->help, USAGE_COLUMN,
			      at + 2 > USAGE_COLUMN ? USAGE_COLUMN : at);
	}
}

int options_size(const char *text, uint64_t *out)
{
	static const char units[] = "KMGTPE";
	const char *unit;
	double v;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	v = strtod(text, &end);
	if (errno || strspn(text, "0123456789.") != (size_t)(end - text))
		return -EINVAL;
	if (!*end || !strcmp(end, "B")) {
		/* Exact where a double is not. */
		*out = strtoull(text, &end, 10);
		return errno || (*end && strcmp(end, "B")) ? -EINVAL : 0;
	}
	unit = strchr(units, *end & ~0x20);
	if (!unit || !*unit)
		return -EINVAL;
	end++;
	if (*end && strcmp(end, "B") != 0 && strcmp(end, "iB") != 0)
		return -EINVAL;
	v *= (double)(UINT64_C(1) << (10 * (unit - units + 1)));
	if (v >= 18446744073709551616.0)
		return -EINVAL;
	*out = (uint64_t)v;
	return 0;
}
