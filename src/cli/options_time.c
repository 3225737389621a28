/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Durations and moments on the command line. */
#include "config.h"

#include "src/cli/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/point.h"

#define NS INT64_C(1000000000)

static int64_t unit_seconds(char unit)
{
	switch (unit) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 3600;
	case 'd':
		return 86400;
	case 'w':
		return 7 * 86400;
	case 'y':
		return 365 * 86400;
	}
	return 0;
}

int options_duration(const char *text, int64_t *out)
{
	int64_t total = 0;

	if (!*text)
		return -EINVAL;
	while (*text) {
		int64_t seconds, v = 0;
		const char *start = text;

		for (; *text >= '0' && *text <= '9'; text++) {
			v = 10 * v + (*text - '0');
			if (v > 1000000000)
				return -EINVAL;
		}
		seconds = unit_seconds(*text);
		if (text == start || !seconds ||
		    __builtin_mul_overflow(v, seconds, &v) ||
		    __builtin_add_overflow(total, v, &total))
			return -EINVAL;
		text++;
	}
	return __builtin_mul_overflow(total, NS, out) ? -EINVAL : 0;
}

/* "2026-11-22" with or without " 10:15[:00]", UTC. */
static int parse_date(const char *text, int64_t *out)
{
	static const char *const formats[] = { "%Y-%m-%d", "%Y-%m-%d %H:%M",
					       "%Y-%m-%d %H:%M:%S",
					       "%Y-%m-%dT%H:%M:%SZ" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		struct tm tm = { .tm_mday = 1 };
		const char *end = strptime(text, formats[i], &tm);
		int mday = tm.tm_mday;
		time_t t;

		if (!end || *end)
			continue;
		t = timegm(&tm);
		/* timegm() takes a 30th of February for a March day. */
		if (tm.tm_mday != mday)
			return -EINVAL;
		return __builtin_mul_overflow((int64_t)t, NS, out) ? -EINVAL
								   : 0;
	}
	return -EINVAL;
}

int options_time(const char *text, int64_t now_ns, int64_t *out)
{
	int64_t ago;

	if (*text == '@') {
		char *end;
		long long v;

		errno = 0;
		v = strtoll(text + 1, &end, 10);
		if (errno || end == text + 1 || *end)
			return -EINVAL;
		return __builtin_mul_overflow((int64_t)v, NS, out) ? -EINVAL
								   : 0;
	}
	if (point_parse_time(text, out) == 0 || parse_date(text, out) == 0)
		return 0;
	if (options_duration(text, &ago) == 0)
		return __builtin_sub_overflow(now_ns, ago, out) ? -EINVAL : 0;
	return -EINVAL;
}

int options_percent(const char *text, unsigned int max, unsigned int *out)
{
	unsigned long n;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	n = strtoul(text, &end, 10);
	if (*end == '%')
		end++;
	if (*end || n > max)
		return -EINVAL;
	*out = (unsigned int)n;
	return 0;
}
