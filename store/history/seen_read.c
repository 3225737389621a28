/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/history/seen.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/array.h"
#include "store/base/bytes.h"
#include "store/base/hex.h"
#include "store/base/name.h"
#include "store/crypt/siphash.h"

#define SEEN_MAX (256u << 20)
#define CHECK_LEN 16 /* digits */
#define ACCEPTED "accepted "

void seen_release(struct seen *s)
{
	buf_release(&s->text);
	free(s->rows);
	free(s->accepted);
	trust_release(&s->trust);
	memset(s, 0, sizeof(*s));
}

static void put_check(const struct seen_file *f, const char *text, size_t len,
		      char out[CHECK_LEN + 1])
{
	uint64_t sum = siphash(f->vault_id, text, len);
	uint8_t raw[CHECK_LEN / 2];
	size_t i;

	for (i = 0; i < sizeof(raw); i++)
		raw[i] = (uint8_t)(sum >> (8 * i));
	hex_encode(raw, sizeof(raw), out);
}

void seen_put_line(const struct seen_file *f, const char *text, size_t len,
		   struct buf *out)
{
	char check[CHECK_LEN + 1];

	put_check(f, text, len, check);
	buf_put(out, check, CHECK_LEN);
	buf_put_u8(out, ' ');
	buf_put(out, text, len);
	buf_put_u8(out, '\n');
}

/* Cut the word at @at off its line; the rest, which is "" behind the last. */
static char *cut_word(char *at)
{
	char *space = strchr(at, ' ');

	if (!space)
		return at + strlen(at);
	*space = '\0';
	return space + 1;
}

/* There are as many times as lines, and strtoll() is slow. What is no number is 0,
 * which is the time of none. */
static int64_t number(const char *word)
{
	bool minus = *word == '-';
	int64_t n = 0;

	for (word += minus; *word >= '0' && *word <= '9'; word++)
		if (n < INT64_MAX / 100)
			n = 10 * n + (*word - '0');
	return minus ? -n : n;
}

static const char *known(const char *word)
{
	return *word && strcmp(word, "-") != 0 ? word : NULL;
}

/* Whether it is the name of a register that is remembered. */
static bool is_register(const char *name)
{
	char id[NAME_HEX + 1];

	return (strncmp(name, "commit/", 7) == 0 && name_is_hex(name + 7)) ||
	       name_numbered(name, "purge/", id, NULL) ||
	       name_numbered(name, "note/", id, NULL);
}

static int take_accepted(struct seen *s, const char *what)
{
	if (array_reserve(&s->accepted, &s->accepted_cap, s->naccepted + 1) < 0)
		return -ENOMEM;
	s->accepted[s->naccepted++] = what;
	return trust_add_line(&s->trust, what);
}

/* A line of a kind that is not known here says nothing, and is no damage. */
static int take_line(struct seen *s, char *line)
{
	char *point, *time, *vm;
	struct seen_row *row;

	if (strncmp(line, "at ", 3) == 0) {
		s->last_place = known(line + 3);
		return 0;
	}
	if (strncmp(line, ACCEPTED, strlen(ACCEPTED)) == 0)
		return take_accepted(s, line + strlen(ACCEPTED));
	point = cut_word(line);
	time = cut_word(point);
	vm = cut_word(time);
	if (!is_register(line))
		return 0;
	if (array_reserve(&s->rows, &s->cap, s->n + 1) < 0)
		return -ENOMEM;
	row = &s->rows[s->n++];
	row->name = line;
	row->point = name_is_hex(point) ? point : NULL;
	row->time_s = number(time);
	row->vm = row->point ? known(vm) : NULL;
	row->place = s->last_place;
	return 0;
}

static int parse(const struct seen_file *f, struct seen *s)
{
	char *at = (char *)s->text.data, *stop = at + s->text.len;
	char check[CHECK_LEN + 1];
	int r = 0;

	while (at < stop && r == 0) {
		char *end = memchr(at, '\n', (size_t)(stop - at));
		size_t len = end ? (size_t)(end - at) : 0;

		if (!end) {
			s->torn = true;
			break;
		}
		*end = '\0';
		if (len <= CHECK_LEN + 1 || at[CHECK_LEN] != ' ' ||
		    strlen(at) != len) {
			s->bad++;
		} else {
			put_check(f, at + CHECK_LEN + 1, len - CHECK_LEN - 1,
				  check);
			if (memcmp(check, at, CHECK_LEN) == 0)
				r = take_line(s, at + CHECK_LEN + 1);
			else
				s->bad++;
		}
		at = end + 1;
	}
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct seen_row *)a)->name,
		      ((const struct seen_row *)b)->name);
}

static void sort_rows(struct seen *s)
{
	size_t i, n = 0;

	if (s->n < 2)
		return;
	qsort(s->rows, s->n, sizeof(*s->rows), by_name);
	for (i = 1; i < s->n; i++)
		if (by_name(&s->rows[n], &s->rows[i]) != 0 && ++n != i)
			s->rows[n] = s->rows[i];
	s->n = n + 1;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool seen_is_accepted(const struct seen *s, const char *what)
{
	return s->naccepted && bsearch(&what, s->accepted, s->naccepted,
				       sizeof(*s->accepted), by_text);
}

const struct seen_row *seen_find(const struct seen *s, const char *name)
{
	struct seen_row key = { .name = name };

	return s->n ? bsearch(&key, s->rows, s->n, sizeof(*s->rows), by_name)
		    : NULL;
}

int seen_read_fd(const struct seen_file *f, int fd, struct seen *out)
{
	size_t len, done = 0;
	ssize_t n = 1;
	int r;

	if (fstat(fd, &out->st) < 0)
		return -errno;
	if (!S_ISREG(out->st.st_mode) || out->st.st_size > SEEN_MAX)
		return -EBADMSG;
	out->there = true;
	len = (size_t)out->st.st_size;
	r = buf_reserve(&out->text, len + 1);
	while (r == 0 && done < len && n > 0) {
		n = pread(fd, out->text.data + done, len - done, (off_t)done);
		if (n < 0 && errno != EINTR)
			r = -errno;
		done += n > 0 ? (size_t)n : 0;
		n = n < 0 ? 1 : n;
	}
	if (r < 0)
		return r;
	out->text.len = done;
	r = parse(f, out);
	if (r == 0)
		sort_rows(out);
	if (r == 0 && out->naccepted)
		qsort(out->accepted, out->naccepted, sizeof(*out->accepted),
		      by_text);
	return r;
}

int seen_read(const struct seen_file *f, struct seen *out)
{
	AUTO_CLOSE int fd = -1;

	memset(out, 0, sizeof(*out));
	fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	return seen_read_fd(f, fd, out);
}

/* What is added makes it longer, and what is written anew has another number. */
bool seen_is_of(const struct seen *s, const struct stat *now)
{
	return s->there && now->st_dev == s->st.st_dev &&
	       now->st_ino == s->st.st_ino && now->st_size == s->st.st_size &&
	       now->st_mtim.tv_sec == s->st.st_mtim.tv_sec &&
	       now->st_mtim.tv_nsec == s->st.st_mtim.tv_nsec;
}

bool seen_is_current(const struct seen_file *f, const struct seen *s)
{
	struct stat st;

	if (lstat(f->path, &st) < 0)
		return !s->there && (errno == ENOENT || errno == ENOTDIR);
	return seen_is_of(s, &st);
}

void seen_stamp_of(const struct stat *st, struct seen_stamp *out)
{
	const int64_t of[] = {
		st ? (int64_t)st->st_dev : 0,  st ? (int64_t)st->st_ino : 0,
		st ? (int64_t)st->st_size : 0, st ? st->st_mtim.tv_sec : 0,
		st ? st->st_mtim.tv_nsec : 0,  st ? st->st_ctim.tv_sec : 0,
		st ? st->st_ctim.tv_nsec : 0,
	};
	size_t i;

	out->b[0] = st ? 2 : 1;
	for (i = 0; i < ARRAY_SIZE(of); i++)
		put_le64(out->b + 1 + 8 * i, (uint64_t)of[i]);
}
