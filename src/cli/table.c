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

/* The cells are in one buffer, each behind its struct cell. A row that is a line
 * across has one with LINE as its first cell, and no others. */
struct table {
	size_t ncolumns;
	unsigned int right;
	size_t ncells; /* so far, with those that a line stands for */
	bool fit; /* the last column may be cut */
	bool terminal; /* what is written must not control it */
	struct buf cells;
	size_t *widths; /* owned; of the columns, so far */
};

struct cell {
	uint32_t len; /* bytes */
	uint32_t width; /* characters, taking each for one column */
};

#define LINE UINT32_MAX /* for len */
#define CUT_MIN 8 /* columns that are left of the last one */
#define PIECE 65536 /* what is printed at once */

struct table *table_new(size_t ncolumns, unsigned int right)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->widths = alloc_array(ncolumns, sizeof(*t->widths));
	if (!t->widths) {
		free(t);
		return NULL;
	}
	t->ncolumns = ncolumns;
	t->right = right;
	t->terminal = isatty(STDOUT_FILENO);
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	buf_release(&t->cells);
	free(t->widths);
	free(t);
}

/* Most texts are ASCII, of which eight bytes are looked at at once. */
static size_t width(const char *s, size_t len)
{
	size_t i = 0, n;
	uint64_t eight;

	for (; i + sizeof(eight) <= len; i += sizeof(eight)) {
		memcpy(&eight, s + i, sizeof(eight));
		if (eight & UINT64_C(0x8080808080808080))
			break;
	}
	for (n = i; i < len; i++)
		n += (s[i] & 0xc0) != 0x80;
	return n;
}

/* Put the cell that begins at @at and ends with the buffer among the others. */
static void end_cell(struct table *t, size_t at)
{
	size_t column = t->ncells++ % t->ncolumns, len;
	struct cell c;

	if (buf_error(&t->cells) < 0)
		return;
	len = t->cells.len - at - sizeof(c);
	if (len >= LINE) {
		t->cells.failed = true;
		return;
	}
	c.len = (uint32_t)len;
	c.width = (uint32_t)width((const char *)t->cells.data + at + sizeof(c),
				  len);
	memcpy(t->cells.data + at, &c, sizeof(c));
	t->widths[column] = MAX(t->widths[column], c.width);
}

void table_text(struct table *t, const char *text, size_t len)
{
	static const struct cell none;
	size_t at = t->cells.len;

	buf_put(&t->cells, &none, sizeof(none));
	if (t->terminal)
		output_escape(&t->cells, text, len);
	else
		buf_put(&t->cells, text, len);
	end_cell(t, at);
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
		table_text(t, text, (size_t)n);
		return;
	}
	va_start(ap, fmt);
	n = vasprintf(&cell, fmt, ap);
	va_end(ap);
	if (n < 0) {
		t->cells.failed = true;
		return;
	}
	table_text(t, cell, (size_t)n);
	free(cell);
}

void table_line(struct table *t)
{
	static const struct cell line = { .len = LINE };

	buf_put(&t->cells, &line, sizeof(line));
	t->ncells += t->ncolumns;
}

void table_fit(struct table *t)
{
	t->fit = true;
}

/* Append at most @max characters; what is cut ends in dots. */
static void put_cut(struct buf *out, const char *s, const struct cell *c,
		    size_t max)
{
	size_t n = 0, at = 0;

	if (c->width <= max) {
		buf_put(out, s, c->len);
		return;
	}
	for (; at < c->len; at++)
		if ((s[at] & 0xc0) != 0x80 && n++ == max - strlen("..."))
			break;
	buf_put(out, s, at);
	buf_put(out, "...", strlen("..."));
}

static void put_many(struct buf *out, char c, size_t n)
{
	if (n == 0 || buf_reserve(out, n) < 0)
		return;
	memset(out->data + out->len, c, n);
	out->len += n;
}

static void put_cell(struct buf *out, const char *s, const struct cell *c,
		     size_t column_width, bool right, bool last)
{
	size_t pad = column_width - MIN(c->width, column_width);

	if (right)
		put_many(out, ' ', pad);
	if (last && !right)
		put_cut(out, s, c, column_width);
	else
		buf_put(out, s, c->len);
	if (!right && !last)
		put_many(out, ' ', pad);
	buf_put(out, "  ", last ? 0 : 2);
	buf_put(out, "\n", last ? 1 : 0);
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
static void fit_last(struct table *t, size_t *total)
{
	size_t *last = &t->widths[t->ncolumns - 1], max = terminal_width();
	size_t others = *total - *last;

	if (!t->fit || max == 0 || *total <= max || max < others + CUT_MIN)
		return;
	*last = max - others;
	*total = max;
}

static int print_all(const struct buf *out)
{
	if (buf_error(out) < 0)
		return -ENOMEM;
	return out->len ? output_write(out->data, out->len) : output_error();
}

int table_print(struct table *t)
{
	AUTO_BUF struct buf out = BUF_INIT;
	size_t i, at = 0, total = 0;
	struct cell c;
	int r = 0;

	if (buf_error(&t->cells) < 0)
		return -ENOMEM;
	for (i = 0; i < t->ncolumns; i++)
		total += t->widths[i] + (i > 0 ? 2 : 0);
	fit_last(t, &total);
	for (i = 0; at < t->cells.len && r == 0; i++) {
		size_t column = i % t->ncolumns;

		memcpy(&c, t->cells.data + at, sizeof(c));
		at += sizeof(c);
		if (c.len == LINE) {
			put_many(&out, '-', total);
			buf_put(&out, "\n", 1);
			i += t->ncolumns - 1;
			continue;
		}
		put_cell(&out, (const char *)t->cells.data + at, &c,
			 t->widths[column], t->right >> column & 1,
			 column + 1 == t->ncolumns);
		at += c.len;
		if (out.len >= PIECE || buf_error(&out) < 0) {
			r = print_all(&out);
			buf_clear(&out);
		}
	}
	return r < 0 ? r : print_all(&out);
}
