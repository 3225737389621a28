/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "store/base/lock.h"
#include "store/base/stop.h"

static struct {
	pthread_mutex_t lock; /* one line at a time */
	enum log_level level;
	log_sink_fn *sink;
	void *arg;
} out = { PTHREAD_MUTEX_INITIALIZER, LOG_LEVEL_WARN, NULL, NULL };

static _Thread_local bool is_hushed;

bool log_hush(bool hush)
{
	bool before = is_hushed;

	is_hushed = hush;
	return before;
}

void log_set(enum log_level level, log_sink_fn *sink, void *arg)
{
	out.level = level;
	out.sink = sink;
	out.arg = arg;
}

PRINTF(2, 0)
static void say(enum log_level level, const char *fmt, va_list ap)
{
	char text[2048];

	if (is_hushed)
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	SCOPED_LOCK(&out.lock);
	if (out.sink)
		out.sink(out.arg, level, text);
	else
		fprintf(stderr, "%s\n", text);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (level > out.level)
		return;
	va_start(ap, fmt);
	say(level, fmt, ap);
	va_end(ap);
}

int fail(int err, const char *fmt, ...)
{
	va_list ap;

	/* Nobody waits for it any more. Whoever was not asked to end means
	 * something else by it: a writer, that it was fenced off. */
	if (err == -ECANCELED && stop_asked())
		return err;
	va_start(ap, fmt);
	say(LOG_LEVEL_ERROR, fmt, ap);
	va_end(ap);
	return err;
}
