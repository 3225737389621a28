/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The ranges of a map lie in an array, by their ends, neighbours of one state
 * joined; they are found by where the last question was, or by bisection.
 */
#include "config.h"

#include "src/backup/disk_map.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "src/disk/option_file.h"
#include "store/base/array.h"
#include "store/base/log.h"

#define LINE_MAX_LEN 4096

struct range {
	uint64_t end; /* it begins where the one before ends */
	uint8_t state;
};

struct disk_map {
	struct range *ranges; /* owned */
	size_t n, cap;
	size_t last; /* where the last question was answered */
};

static int bad(const char *path, const char *name, uint64_t line,
	       const char *why)
{
	log_warn("disk %s: map %s, line %" PRIu64 ": %s: the map is not used, "
		 "all of the disk is read",
		 name, path, line, why);
	return -EILSEQ;
}

/* Digits, or 0x and hexadecimal ones; passes them and the blanks behind. */
static bool get_number(char **p, uint64_t *out)
{
	char *end;

	if (!isdigit((unsigned char)**p))
		return false;
	errno = 0;
	*out = strtoull(*p, &end, (*p)[0] == '0' && (*p)[1] == 'x' ? 16 : 10);
	if (errno || !isblank((unsigned char)*end))
		return false;
	*p = end + strspn(end, " \t");
	return true;
}

static int get_state(const char *word)
{
	static const char *const words[] = { "data", "zero", "same" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(word, words[i]) == 0)
			return (int)i;
	return -1;
}

static int add_range(struct disk_map *m, uint64_t end, int state)
{
	if (m->n > 0 && m->ranges[m->n - 1].state == state) {
		m->ranges[m->n - 1].end = end;
		return 0;
	}
	if (array_reserve(&m->ranges, &m->cap, m->n + 1) < 0)
		return -ENOMEM;
	m->ranges[m->n++] = (struct range){ end, (uint8_t)state };
	return 0;
}

/* Take in one line. Return NULL, or what is wrong with it. */
static const char *take_line(struct disk_map *m, char *line, uint64_t size,
			     int *err)
{
	uint64_t start, len, at = m->n ? m->ranges[m->n - 1].end : 0;
	int state;
	char *p = line + strspn(line, " \t"), *end;

	p[strcspn(p, "\r\n")] = '\0';
	if (*p == '\0' || *p == '#')
		return NULL;
	if (!get_number(&p, &start) || !get_number(&p, &len))
		return "not START LENGTH STATE";
	for (end = p + strlen(p); end > p && isblank((unsigned char)end[-1]);)
		*--end = '\0';
	state = get_state(p);
	if (state < 0)
		return "the state is none of data, zero, same";
	if (start < at)
		return "it overlaps a line before, or is out of order";
	if (start > at)
		return "there is a gap in front of it";
	if (len == 0 || len > size - start)
		return "it goes past the end of the disk";
	if (m->n >= DISK_MAP_RANGES_MAX)
		return "there are too many ranges";
	*err = add_range(m, start + len, state);
	return NULL;
}

static int read_lines(struct disk_map *m, FILE *f, const char *path,
		      const char *name, uint64_t size)
{
	char line[LINE_MAX_LEN];
	uint64_t number = 0;
	const char *why;
	int r = 0;

	while (r == 0 && fgets(line, sizeof(line), f)) {
		number++;
		why = strlen(line) + 1 == sizeof(line) &&
				      line[sizeof(line) - 2] != '\n'
			      ? "it is too long"
			      : take_line(m, line, size, &r);
		if (why)
			return bad(path, name, number, why);
	}
	if (r == 0 && ferror(f) && errno == EINTR)
		return -EINTR;
	if (r == 0 && ferror(f))
		return bad(path, name, number + 1, "it cannot be read");
	if (r == 0 && (m->n == 0 || m->ranges[m->n - 1].end != size))
		return bad(path, name, number, "the map ends before the disk");
	return r;
}

int disk_map_read(const char *path, const char *name, uint64_t size,
		  const volatile bool *stop, struct disk_map **out)
{
	struct disk_map *m = calloc(1, sizeof(*m));
	FILE *f = NULL;
	int r = m ? 0 : -ENOMEM;

	*out = NULL;
	if (r == 0) {
		r = option_file_stream(path, stop, &f);
		if (r < 0 && r != -EINTR)
			log_warn("disk %s: map %s: %s: all of the disk is read",
				 name, path, strerror(-r));
	}
	if (r == 0)
		r = read_lines(m, f, path, name, size);
	if (f)
		fclose(f);
	if (r < 0) {
		disk_map_free(m);
		return r;
	}
	*out = m;
	return 0;
}

void disk_map_free(struct disk_map *m)
{
	if (!m)
		return;
	free(m->ranges);
	free(m);
}

enum disk_map_state disk_map_at(struct disk_map *m, uint64_t off,
				uint64_t *end_out)
{
	size_t lo = 0, hi = m->n;

	/* Nearly always it is in the range of the last question, or the next. */
	if (off < m->ranges[m->last].end &&
	    (m->last == 0 || off >= m->ranges[m->last - 1].end)) {
		lo = m->last;
	} else if (m->last + 1 < m->n && off >= m->ranges[m->last].end &&
		   off < m->ranges[m->last + 1].end) {
		lo = m->last + 1;
	} else {
		while (lo < hi) {
			size_t mid = lo + (hi - lo) / 2;

			if (m->ranges[mid].end <= off)
				lo = mid + 1;
			else
				hi = mid;
		}
	}
	m->last = lo;
	*end_out = m->ranges[lo].end;
	return m->ranges[lo].state;
}
