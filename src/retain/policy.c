/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/retain/policy.h"

#include <errno.h>
#include <string.h>

#define SECOND INT64_C(1000000000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)
#define COUNT_MAX 1000000000

/* Take digits off *@text. Return false where there are none, or too many. */
static bool take_number(const char **text, int64_t *out)
{
	const char *p = *text;
	int64_t v = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		v = 10 * v + (*p - '0');
		if (v > COUNT_MAX)
			return false;
	}
	if (p == *text)
		return false;
	*text = p;
	*out = v;
	return true;
}

int keep_parse_count(const char *text, uint32_t *out)
{
	int64_t v;

	if (strcmp(text, "unlimited") == 0 || strcmp(text, "-1") == 0) {
		*out = KEEP_UNLIMITED;
		return 0;
	}
	if (!take_number(&text, &v) || *text)
		return -EINVAL;
	*out = (uint32_t)v;
	return 0;
}

static bool take_unit(const char **text, int64_t *out)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {
		{ "h", HOUR },	    { "d", DAY },	{ "w", 7 * DAY },
		{ "mo", 31 * DAY }, { "y", 366 * DAY },
	};
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(units); i++) {
		len = strlen(units[i].name);
		if (strncmp(*text, units[i].name, len) != 0)
			continue;
		*text += len;
		*out = units[i].ns;
		return true;
	}
	return false;
}

int keep_parse_duration(const char *text, int64_t *out)
{
	int64_t total = 0, v, unit;

	if (!*text)
		return -EINVAL;
	while (*text)
		if (!take_number(&text, &v) || !take_unit(&text, &unit) ||
		    __builtin_mul_overflow(v, unit, &v) ||
		    __builtin_add_overflow(total, v, &total))
			return -EINVAL;
	*out = total;
	return 0;
}

int keep_parse_groups(const char *text, unsigned int *out)
{
	static const struct {
		const char *name;
		unsigned int group;
	} groups[] = {
		{ "machine", KEEP_BY_MACHINE }, { "vm", KEEP_BY_MACHINE },
		{ "host", KEEP_BY_HOST },	{ "tags", KEEP_BY_TAGS },
		{ "paths", KEEP_BY_PATHS },
	};
	unsigned int found = 0;
	size_t i, len;

	for (; *text; text += len + (text[len] != '\0')) {
		len = strcspn(text, ",");
		for (i = 0; i < ARRAY_SIZE(groups); i++)
			if (strlen(groups[i].name) == len &&
			    memcmp(groups[i].name, text, len) == 0)
				break;
		if (i == ARRAY_SIZE(groups))
			return -EINVAL;
		found |= groups[i].group;
	}
	*out = found;
	return 0;
}

/* By the number of their bits. */
static const char *const reasons[] = {
	"last",
	"hourly",
	"daily",
	"weekly",
	"monthly",
	"yearly",
	"within",
	"hourly within",
	"daily within",
	"weekly within",
	"monthly within",
	"yearly within",
	"last of an hour",
	"tag",
	"kept until its time",
	"protected",
	"last good one of its machine",
	"last verified one of its machine",
};
/* What is the oldest by a rule that counts. */
static const char *const oldest_reasons[] = {
	NULL,
	"oldest hourly",
	"oldest daily",
	"oldest weekly",
	"oldest monthly",
	"oldest yearly",
	NULL,
	"oldest hourly within",
	"oldest daily within",
	"oldest weekly within",
	"oldest monthly within",
	"oldest yearly within",
};

static const char *name_reason(const struct keep_verdict *v, size_t i)
{
	if (1u << i == KEEP_FOR_LAST_GOOD && v->doubts)
		return "least doubtful one of its machine";
	if (i < ARRAY_SIZE(oldest_reasons) && v->oldest >> i & 1 &&
	    oldest_reasons[i])
		return oldest_reasons[i];
	return reasons[i];
}

void keep_each_reason(const struct keep_verdict *v,
		      void (*fn)(void *arg, const char *reason), void *arg)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(reasons); i++) {
		/* Of the last point it goes without saying. */
		if (!(v->reasons >> i & 1) ||
		    (1u << i == KEEP_FOR_BURST && v->reasons & 1 << KEEP_LAST))
			continue;
		fn(arg, name_reason(v, i));
	}
}

static void put_word(void *arg, const char *word)
{
	struct buf *out = arg;

	buf_printf(out, "%s%s", out->len ? ", " : "", word);
}

void keep_put_reasons(const struct keep_verdict *v, struct buf *out)
{
	keep_each_reason(v, put_word, out);
}

void keep_put_doubts(const struct keep_verdict *v, struct buf *out)
{
	static const char *const doubts[] = { "incomplete", "suspicious",
					      "dated in the future" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(doubts); i++)
		if (v->doubts >> i & 1)
			put_word(out, doubts[i]);
}
