/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The end of the time to take a wish back is kept within its bounds when it is
 * read, and not only when it is written: a wish that says that its point may go
 * at once, or never, is as good as any other.
 */
#include "config.h"

#include "store/record/forget.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/json.h"
#include "store/base/log.h"
#include "store/base/text.h"

int64_t forget_window_of(const char *name)
{
	unsigned long days =
		strtoul(name + strlen(FORGET_WINDOW_PREFIX), NULL, 10);
	const unsigned long max = FORGET_WINDOW_MAX_NS / FORGET_DAY_NS;

	return MAX((int64_t)MIN(days, max) * FORGET_DAY_NS,
		   FORGET_WINDOW_MIN_NS);
}

void forget_release(struct forget *f)
{
	free(f->by);
	free(f->reason);
	memset(f, 0, sizeof(*f));
}

bool forget_text_ok(const char *text)
{
	size_t len = strnlen(text, FORGET_TEXT_MAX + 1);

	return len <= FORGET_TEXT_MAX && text_is_plain(text, len);
}

/* @time_ns + @by_ns, or the last moment that there is. */
static int64_t later(int64_t time_ns, int64_t by_ns)
{
	int64_t r;

	return __builtin_add_overflow(time_ns, by_ns, &r) ? INT64_MAX : r;
}

int forget_encode(const struct forget *f, struct buf *out)
{
	const char *by = f->by && forget_text_ok(f->by) ? f->by : NULL;
	char *json;
	json_t *j;

	if (f->until_ns < later(f->time_ns, FORGET_WINDOW_MIN_NS) ||
	    f->until_ns > later(f->time_ns, FORGET_WINDOW_MAX_NS) ||
	    (f->reason && !forget_text_ok(f->reason)))
		return -EINVAL;
	j = json_pack("{s:I, s:I, s:s*, s:s*}", "time_ns",
		      (json_int_t)f->time_ns, "until_ns",
		      (json_int_t)f->until_ns, "by", by, "reason", f->reason);
	json = j ? json_dumps(j, JSON_COMPACT) : NULL;
	json_decref(j);
	if (!json)
		return -ENOMEM;
	buf_put(out, json, strlen(json));
	free(json);
	return buf_error(out);
}

/* A member that is a text, or not there. */
static int get_text(const json_t *doc, const char *key, char **out)
{
	const json_t *j = json_object_get(doc, key);
	const char *text = json_string_value(j);

	if (!j)
		return 0;
	if (!text || json_string_length(j) != strlen(text) ||
	    !forget_text_ok(text))
		return -EBADMSG;
	*out = strdup(text);
	return *out ? 0 : -ENOMEM;
}

static int get_members(const json_t *doc, struct forget *f)
{
	const json_t *time = json_object_get(doc, "time_ns");
	const json_t *until = json_object_get(doc, "until_ns");
	int r = get_text(doc, "by", &f->by);

	if (r == 0)
		r = get_text(doc, "reason", &f->reason);
	if (r < 0)
		return r;
	if (!json_is_integer(time) || (until && !json_is_integer(until)))
		return -EBADMSG;
	f->time_ns = json_integer_value(time);
	f->until_ns = until ? json_integer_value(until) : 0;
	f->until_ns = MAX(f->until_ns, later(f->time_ns, FORGET_WINDOW_MIN_NS));
	f->until_ns = MIN(f->until_ns, later(f->time_ns, FORGET_WINDOW_MAX_NS));
	return 0;
}

int forget_decode(const void *data, size_t len, const char *name,
		  struct forget *out)
{
	struct forget f = { .by = NULL };
	json_t *doc;
	int r = json_text_read(data, len, 0, NULL, &doc);

	if (r == 0)
		r = get_members(doc, &f);

	json_decref(doc);
	if (r < 0)
		forget_release(&f);
	*out = f;
	if (r == -EBADMSG)
		(void)fail(r, "%s: authentic, but malformed", name);
	return r;
}
