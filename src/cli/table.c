/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/cli/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* A cell is a string in one buffer, each with its NUL; a row that begins with
 * a line across holds LINE in its first cell and nothing in the others. */
struct table {
	size_t ncolumns;
	unsigned int right;
	size_t ncells;
	bool fit; /* the last column may be cut */
	bool terminal; /* what is written must not control it */
	struct buf text;
};

#define LINE "\1"
#define CUT_MIN 8 /* columns that are left of the last one */

struct table *table_new(size_t ncolumns, unsigned int right)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->ncolumns = ncolumns;
	t->right = right;
	t->terminal = isatty(STDOUT_FILENO);
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	buf_release(&t->text);
	free(t);
}

static void add_cell(struct table *t, const char *cell, size_t len)
{
	if (t->terminal)
		output_escape(&t->text, cell, len);
	else
		buf_put(&t->text, cell, len);
	buf_put_u8(&t->text, 0);
	t->ncells++;
}

/* Most cells are short, and need no memory of their own. */
void table_cell(struct table *t, const char *fmt, ...)
{
	char text[256], *cell = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(text)) {
		add_cell(t, text, (size_t)n);
		return;
	}
	va_start(ap, fmt);
	n = vasprintf(&cell, fmt, ap);
	va_end(ap);
	if (n < 0) {
		t->text.failed = true;
		return;
	}
	add_cell(t, cell, (size_t)n);
	free(cell);
}

void table_line(struct table *t)
{
	size_t i;

	for (i = 0; i < t->ncolumns; i++) {
		buf_put(&t->text, LINE, i == 0 ? 2 : 0);
		if (i > 0)
			buf_put_u8(&t->text, 0);
		t->ncells++;
	}
}

void table_fit(struct table *t)
{
	t->fit = true;
}

/* Characters, taking each for one column. */
static size_t width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

/* Print at most @max characters; what is cut ends in dots. */
static void print_cut(const char *s, size_t max)
{
	size_t n = 0, keep = width(s) > max ? max - strlen("...") : max;
	const char *p = s;

	for (; *p; p++)
		if ((*p & 0xc0) != 0x80 && n++ == keep)
			break;
	fwrite(s, 1, (size_t)(p - s), stdout);
	if (*p)
		fputs("...", stdout);
}

static void print_blanks(size_t n)
{
	while (n-- > 0)
		putc_unlocked(' ', stdout);
}

static void print_cell(const char *s, size_t column_width, bool right,
		       bool last)
{
	size_t pad = column_width - MIN(width(s), column_width);

	if (right)
		print_blanks(pad);
	if (last && !right)
		print_cut(s, column_width);
	else
		fputs(s, stdout);
	if (!right && !last)
		print_blanks(pad);
	fputs(last ? "\n" : "  ", stdout);
}

/* The columns of the terminal that is written to; 0: it is none. */
static size_t terminal_width(void)
{
	struct winsize w;

	return isatty(STDOUT_FILENO) &&
			       ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0
		       ? w.ws_col
		       : 0;
}

/* Cut the last column, if that makes the table fit, but not to nothing. */
static void fit_last(const struct table *t, size_t *widths, size_t *total)
{
	size_t *last = &widths[t->ncolumns - 1], max = terminal_width();
	size_t others = *total - *last;

	if (!t->fit || max == 0 || *total <= max || max < others + CUT_MIN)
		return;
	*last = max - others;
	*total = max;
}

int table_print(struct table *t)
{
	size_t *widths, i, total = 0;
	const char *s;

	if (buf_error(&t->text) < 0)
		return -ENOMEM;
	widths = alloc_array(t->ncolumns, sizeof(*widths));
	if (!widths)
		return -ENOMEM;
	s = (const char *)t->text.data;
	for (i = 0; i < t->ncells; i++, s += strlen(s) + 1)
		if (strcmp(s, LINE) != 0)
			widths[i % t->ncolumns] =
				MAX(widths[i % t->ncolumns], width(s));
	for (i = 0; i < t->ncolumns; i++)
		total += widths[i] + (i > 0 ? 2 : 0);
	fit_last(t, widths, &total);
	s = (const char *)t->text.data;
	for (i = 0; i < t->ncells; i++, s += strlen(s) + 1) {
		size_t c = i % t->ncolumns;

		if (c == 0 && !strcmp(s, LINE)) {
			size_t n;

			for (n = 0; n < total; n++)
				putchar('-');
			putchar('\n');
			/* The other cells of the row are empty. */
			for (n = 1; n < t->ncolumns; n++, i++)
				s += strlen(s) + 1;
			continue;
		}
		print_cell(s, widths[c], t->right >> c & 1,
			   c + 1 == t->ncolumns);
	}
	free(widths);
	return output_error();
}
