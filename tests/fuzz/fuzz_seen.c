/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file of what was seen of a vault. Nobody guesses a line's check: where the
 * first byte is 'l' each line gets the one that fits, else the file is as it is.
 * What was read is written again as the writer writes it, and must read back as
 * the same. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/history/seen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct seen_file file = { .vault_id = { 1, 2, 3 } };

static void read_text(const struct buf *text, struct seen *out)
{
	AUTO_CLOSE int fd = memfd_create("seen", MFD_CLOEXEC);

	memset(out, 0, sizeof(*out));
	if (buf_error(text) < 0 || fd < 0 ||
	    (text->len &&
	     write(fd, text->data, text->len) != (ssize_t)text->len) ||
	    seen_read_fd(&file, fd, out) < 0)
		abort();
}

static void put_checked(const uint8_t *data, size_t len, struct buf *out)
{
	while (len > 0) {
		const uint8_t *end = memchr(data, '\n', len);
		size_t n = end ? (size_t)(end - data) : len;

		seen_put_line(&file, (const char *)data, n, out);
		n += end ? 1 : 0;
		data += n;
		len -= n;
	}
}

static void put_text(const struct buf *line, struct buf *out)
{
	seen_put_line(&file, (char *)line->data, line->len, out);
}

static void put_rows(const struct seen *s, struct buf *out)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		const struct seen_row *row = &s->rows[i];
		AUTO_BUF struct buf at = BUF_INIT, line = BUF_INIT;

		buf_printf(&at, "at %s", row->place ? row->place : "-");
		put_text(&at, out);
		buf_printf(&line, "%s %s %lld %s", row->name,
			   row->point ? row->point : "-",
			   (long long)row->time_s, row->vm ? row->vm : "-");
		put_text(&line, out);
	}
}

static bool same_text(const char *a, const char *b)
{
	return !a == !b && (!a || strcmp(a, b) == 0);
}

static void check_rows(const struct seen *s)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct seen again;
	size_t i;

	put_rows(s, &text);
	read_text(&text, &again);
	if (again.n != s->n || again.bad || again.torn)
		abort();
	for (i = 0; i < s->n; i++) {
		const struct seen_row *a = &s->rows[i], *b = &again.rows[i];

		if (i > 0 && strcmp(a[-1].name, a->name) >= 0)
			abort();
		if (seen_find(s, a->name) != a || strcmp(a->name, b->name) ||
		    a->time_s != b->time_s || !same_text(a->point, b->point) ||
		    !same_text(a->vm, b->vm) || !same_text(a->place, b->place))
			abort();
	}
	seen_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct seen s;

	if (len == 0)
		return 0;
	if (data[0] == 'l')
		put_checked(data + 1, len - 1, &text);
	else
		buf_put(&text, data + 1, len - 1);
	read_text(&text, &s);
	check_rows(&s);
	seen_release(&s);
	return 0;
}
