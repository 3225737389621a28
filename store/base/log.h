/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One sink for what programs say, chosen by main; the only global state.
 *
 * Whoever first knows that something failed says it in words and returns the
 * error: return fail(-EBADMSG, "pack %s: frame %u: ...", ...). Callers pass the
 * number up in silence, or add a line where they know more.
 */
#ifndef STORE_BASE_LOG_H
#define STORE_BASE_LOG_H

#include "store/base/attrs.h"

#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/* @text has no newline. Called from any thread, one call at a time. */
typedef void log_sink_fn(void *arg, enum log_level level, const char *text);

/* Send lines up to @level to @sink; NULL is standard error. Not thread-safe:
 * call it first. */
void log_set(enum log_level level, log_sink_fn *sink, void *arg);
PRINTF(2, 3) void log_line(enum log_level level, const char *fmt, ...);
/* Say the sentence at level ERROR and return @err. */
PRINTF(2, 3) int fail(int err, const char *fmt, ...);

/* Let nothing be said by this thread, or let it be said again. Return how it was.
 * For what was said before: an object that is looked at again is damaged still. */
bool log_hush(bool hush);

#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
