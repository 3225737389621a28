/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Patterns over paths.
 *
 * A pattern is cut into components once; so is a path, when it is matched.
 * Both the components ("**" stands for any number) and the bytes inside one
 * ("*") are matched by the same rule: remember the last star and, where the
 * rest does not fit, let that one take one more. It needs no recursion and no
 * more than length times length steps. Matching is on bytes, but "?" and a
 * bracket take a whole UTF-8 character where there is one.
 */
#include "config.h"

#include "src/scan/exclude.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/buf.h"
#include "store/base/log.h"

struct pattern {
	char *given; /* owned; as the user wrote it */
	char *text; /* owned; components, each with its NUL */
	const char **parts; /* owned; into text, NULL for "**" */
	size_t nparts;
	bool negate; /* "!": takes back in */
	bool rooted; /* matched against the whole path, else any tail */
	bool dirs_only; /* ended in '/' */
	bool fold_case;
};

struct exclude {
	struct pattern *patterns; /* owned, in the order given */
	size_t n, cap;
};

/* ---- one component ---- */

/* The character at *p (not NUL), which is passed. Bytes that are not UTF-8
 * are characters of their own, apart from all others. */
static uint32_t char_next(const char **p)
{
	const unsigned char *s = (const unsigned char *)*p;
	uint32_t c = s[0];
	size_t n = c >= 0xf0 && c < 0xf8   ? 4
		   : c >= 0xe0 && c < 0xf0 ? 3
		   : c >= 0xc2 && c < 0xe0 ? 2
					   : 1;
	size_t i;

	if (c < 0x80) {
		*p += 1;
		return c;
	}
	c &= n == 1 ? 0xff : 0x7fu >> n;
	for (i = 1; i < n && (s[i] & 0xc0) == 0x80; i++)
		c = c << 6 | (s[i] & 0x3f);
	if (n == 1 || i < n) {
		*p += 1;
		return 0x80000000u | s[0];
	}
	*p += n;
	return c;
}

static uint32_t char_fold(uint32_t c, bool fold)
{
	return fold && c < 0x80 ? (uint32_t)tolower((int)c) : c;
}

/* The literal at *p, an escape taken off. */
static uint32_t literal_next(const char **p, bool fold)
{
	if (**p == '\\' && (*p)[1] != '\0')
		*p += 1;
	return char_fold(char_next(p), fold);
}

/* Is @c in the bracket whose first byte behind '[' is *p? Passes the ']'. */
static bool bracket_match(const char **p, uint32_t c, bool fold)
{
	bool negate = **p == '!' || **p == '^', found = false, first = true;
	uint32_t from, to;

	*p += negate;
	while (first || **p != ']') {
		first = false;
		from = to = literal_next(p, fold);
		if (**p == '-' && (*p)[1] != ']') {
			*p += 1;
			to = literal_next(p, fold);
		}
		found = found || (c >= from && c <= to);
	}
	*p += 1;
	return found != negate;
}

/* The end of a bracket, or NULL where it has none. */
static const char *bracket_end(const char *p)
{
	bool first = true;

	p += *p == '!' || *p == '^';
	for (; *p && (first || *p != ']'); p++) {
		first = false;
		if (*p == '\\' && p[1] != '\0')
			p++;
	}
	return *p ? p : NULL;
}

/* Match one character of @name by what stands at *pat; both are passed. */
static bool char_match(const char **pat, const char **name, bool fold)
{
	uint32_t c = char_fold(char_next(name), fold);

	switch (**pat) {
	case '\0':
		return false;
	case '?':
		*pat += 1;
		return true;
	case '[':
		*pat += 1;
		return bracket_match(pat, c, fold);
	default:
		return literal_next(pat, fold) == c;
	}
}

static bool part_match(const char *pat, const char *name, bool fold)
{
	const char *star = NULL, *again = NULL;

	while (*name) {
		if (*pat == '*') {
			star = ++pat;
			again = name;
			continue;
		}
		if (char_match(&pat, &name, fold))
			continue;
		if (!star)
			return false;
		char_next(&again);
		name = again;
		pat = star;
	}
	while (*pat == '*')
		pat++;
	return *pat == '\0';
}

/* ---- paths ---- */

static bool pattern_match(const struct pattern *p, const char *const *names,
			  size_t n)
{
	size_t i = 0, j = 0, star = SIZE_MAX, again = 0;

	if (!p->rooted && p->nparts == 1 && p->parts[0])
		return n > 0 &&
		       part_match(p->parts[0], names[n - 1], p->fold_case);
	if (!p->rooted)
		star = 0;
	while (j < n) {
		if (i < p->nparts && !p->parts[i]) {
			star = ++i;
			again = j;
			continue;
		}
		if (i < p->nparts &&
		    part_match(p->parts[i], names[j], p->fold_case)) {
			i++;
			j++;
			continue;
		}
		if (star == SIZE_MAX)
			return false;
		j = ++again;
		i = star;
	}
	while (i < p->nparts && !p->parts[i])
		i++;
	return i == p->nparts;
}

/* Cut @path (which is changed) into at most @max names. */
static size_t path_split(char *path, const char **names, size_t max)
{
	size_t n = 0;

	while (n < max) {
		while (*path == '/')
			*path++ = '\0';
		if (*path == '\0')
			break;
		names[n++] = path;
		path = strchrnul(path, '/');
	}
	return n;
}

bool exclude_match(const struct exclude *x, const char *path, bool is_dir)
{
	char small[1024];
	const char *few[128], **names = few;
	AUTO_FREE char *big = NULL;
	AUTO_FREE char *many = NULL;
	size_t len = strlen(path), n, i, max = ARRAY_SIZE(few);
	char *text = small;

	if (x->n == 0)
		return false;
	if (len >= sizeof(small) || len / 2 >= max) {
		max = len / 2 + 1;
		big = malloc(len + 1);
		many = alloc_array(max, sizeof(*names));
		/* Out of memory: better kept than lost. */
		if (!big || !many)
			return false;
		text = big;
		names = (const char **)(void *)many;
	}
	memcpy(text, path, len + 1);
	n = path_split(text, names, max);
	/* The last one that matches decides. */
	for (i = x->n; i > 0; i--) {
		const struct pattern *p = &x->patterns[i - 1];

		if (p->dirs_only && !is_dir)
			continue;
		if (pattern_match(p, names, n))
			return !p->negate;
	}
	return false;
}

/* ---- patterns ---- */

struct exclude *exclude_new(void)
{
	return calloc(1, sizeof(struct exclude));
}

static void pattern_release(struct pattern *p)
{
	free(p->given);
	free(p->text);
	free(p->parts);
}

void exclude_free(struct exclude *x)
{
	size_t i;

	if (!x)
		return;
	for (i = 0; i < x->n; i++)
		pattern_release(&x->patterns[i]);
	free(x->patterns);
	free(x);
}

bool exclude_empty(const struct exclude *x)
{
	return x->n == 0;
}

const char *exclude_pattern(const struct exclude *x, size_t i,
			    bool *fold_case_out)
{
	if (i >= x->n)
		return NULL;
	*fold_case_out = x->patterns[i].fold_case;
	return x->patterns[i].given;
}

static int part_check(const char *part, const char *pattern)
{
	const char *p;

	if (strcmp(part, "..") == 0)
		return fail(-EINVAL,
			    "pattern %s: \"..\" matches nothing; "
			    "write the path without it",
			    pattern);
	for (p = part; *p; p++) {
		if (*p == '[') {
			p = bracket_end(p + 1);
			if (!p)
				return fail(-EINVAL,
					    "pattern %s: a '[' "
					    "without its ']'; write \\[ for "
					    "the character",
					    pattern);
		} else if (*p == '\\' && p[1] != '\0') {
			p++;
		} else if (*p == '\\') {
			return fail(-EINVAL,
				    "pattern %s: ends in a single "
				    "'\\'; write \\\\ for the character",
				    pattern);
		}
	}
	return 0;
}

/* Keep what a component means; "." means nothing. */
static int pattern_cut(struct pattern *p, const char *pattern)
{
	const char *part;
	size_t i, n, kept = 0;
	int r;

	p->parts = alloc_array(strlen(p->text) / 2 + 1, sizeof(*p->parts));
	if (!p->parts)
		return -ENOMEM;
	n = path_split(p->text, p->parts, strlen(p->text) / 2 + 1);
	for (i = 0; i < n; i++) {
		part = p->parts[i];
		r = part_check(part, pattern);
		if (r < 0)
			return r;
		if (strcmp(part, ".") == 0)
			continue;
		p->parts[kept++] = strcmp(part, "**") == 0 ? NULL : part;
	}
	p->nparts = kept;
	return 0;
}

int exclude_add(struct exclude *x, const char *pattern, bool fold_case)
{
	struct pattern p = { .fold_case = fold_case };
	const char *text = pattern;
	size_t len;
	int r;

	if (*text == '!') {
		p.negate = true;
		text++;
	}
	len = strlen(text);
	if (len == 0)
		return fail(-EINVAL, "an exclude pattern is empty");
	p.rooted = text[0] == '/';
	p.dirs_only = len > 1 && text[len - 1] == '/';
	p.given = strdup(pattern);
	p.text = strdup(text);
	r = p.given && p.text ? pattern_cut(&p, pattern) : -ENOMEM;
	if (r == 0 && p.nparts == 0 && !p.rooted)
		r = fail(-EINVAL, "pattern %s: names nothing", pattern);
	if (r < 0)
		goto err;
	r = array_reserve(&x->patterns, &x->cap, x->n + 1);
	if (r < 0)
		goto err;
	x->patterns[x->n++] = p;
	return 0;
err:
	pattern_release(&p);
	return r;
}

/* The whole of it, or -EFBIG: it may be a pipe, or have no end. */
static int read_bounded(const char *file, struct buf *out)
{
	FILE *f = fopen(file, "re");
	char part[4096];
	size_t n = 1;
	int r = 0;

	if (!f)
		return fail(-errno, "exclude file %s: %s", file,
			    strerror(errno));
	errno = 0;
	while (r == 0 && n > 0) {
		n = fread(part, 1, sizeof(part), f);
		buf_put(out, part, n);
		r = buf_error(out);
		if (r == 0 && out->len > EXCLUDE_FILE_MAX)
			r = fail(-EFBIG,
				 "exclude file %s: it has more than %u MiB",
				 file, EXCLUDE_FILE_MAX >> 20);
	}
	if (r == 0 && ferror(f))
		r = fail(errno ? -errno : -EIO, "exclude file %s: %s", file,
			 strerror(errno ? errno : EIO));
	fclose(f);
	return r;
}

/* A line without its end; it is changed. */
static int add_line(struct exclude *x, char *line, size_t n, bool is_first,
		    bool fold_case)
{
	char *p = line;

	while (n > 0 && isspace((unsigned char)line[n - 1]))
		n--;
	line[n] = '\0';
	/* Some editors begin a file of UTF-8 with a mark. */
	if (is_first && strncmp(p, "\xef\xbb\xbf", 3) == 0)
		p += 3;
	p += strspn(p, " \t");
	if (*p == '\0' && p == line + n)
		return 0;
	if (*p == '#')
		return 0;
	if (strlen(p) != (size_t)(line + n - p))
		return fail(-EINVAL, "it holds a NUL byte");
	return exclude_add(x, p, fold_case);
}

int exclude_add_file(struct exclude *x, const char *file, bool fold_case)
{
	AUTO_BUF struct buf all = BUF_INIT;
	unsigned int number = 0;
	char *line, *end;
	int r = read_bounded(file, &all);

	if (r < 0)
		return r;
	buf_put_u8(&all, '\n');
	r = buf_error(&all);
	for (line = (char *)all.data;
	     r == 0 && line < (char *)all.data + all.len; line = end + 1) {
		end = memchr(line, '\n',
			     (size_t)((char *)all.data + all.len - line));
		r = add_line(x, line, (size_t)(end - line), number++ == 0,
			     fold_case);
		if (r < 0)
			log_line(LOG_LEVEL_ERROR, "exclude file %s, line %u",
				 file, number);
	}
	return r;
}
