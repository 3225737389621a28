/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Command-line options from a table. One row is the parser's, the usage
 * text's, the manual's (a test compares them) and the shell completion's.
 *
 *     struct args { bool all; const char *out; };
 *     static const struct option_row rows[] = {
 *         OPT_FLAG("all", 'a', struct args, all, "take all"),
 *         OPT_STRING("out", 'o', "FILE", struct args, out, "write to FILE"),
 *         OPT_END
 *     };
 */
#ifndef SRC_CLI_OPTIONS_H
#define SRC_CLI_OPTIONS_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum option_type {
	OPTION_FLAG, /* bool: set */
	OPTION_COUNT, /* unsigned int: one more each time */
	OPTION_STRING, /* const char *: the last one counts; borrowed */
	OPTION_LIST, /* struct string_list: each time one more */
	OPTION_UINT, /* unsigned int, at most 1000000 */
	OPTION_SIZE, /* uint64_t: bytes, or 10K, 1.5G, 2T (1024s) */
};

/* What OPTION_LIST collects; the strings are borrowed from argv. */
struct string_list {
	const char **items; /* owned; options_release() frees it */
	size_t n, cap;
};

/* Append @item, which stays the caller's. Return 0 or -ENOMEM. */
MUST_CHECK int string_list_add(struct string_list *list, const char *item);

struct option_row {
	const char *name; /* long, without "--"; NULL ends a table */
	char letter; /* 0: none */
	enum option_type type;
	const char *arg; /* in the usage text; also says to the shells what
			  * completes it: FILE, DIR, VAULT, POINT, VM,
			  * or "a|b|c" */
	const char *help; /* one short line, small first letter, no stop;
			   * NULL hides the row */
	size_t off; /* of the field in the struct of arguments */
};

#define OPT_ROW(name, letter, type, arg, s, field, help)                       \
	{                                                                      \
		name, letter, type, arg, help, offsetof(s, field)              \
	}
#define OPT_FLAG(name, letter, s, field, help)                                 \
	OPT_ROW(name, letter, OPTION_FLAG, NULL, s, field, help)
#define OPT_COUNT(name, letter, s, field, help)                                \
	OPT_ROW(name, letter, OPTION_COUNT, NULL, s, field, help)
#define OPT_STRING(name, letter, arg, s, field, help)                          \
	OPT_ROW(name, letter, OPTION_STRING, arg, s, field, help)
#define OPT_LIST(name, letter, arg, s, field, help)                            \
	OPT_ROW(name, letter, OPTION_LIST, arg, s, field, help)
#define OPT_UINT(name, letter, arg, s, field, help)                            \
	OPT_ROW(name, letter, OPTION_UINT, arg, s, field, help)
#define OPT_SIZE(name, letter, arg, s, field, help)                            \
	OPT_ROW(name, letter, OPTION_SIZE, arg, s, field, help)
#define OPT_END                                                                \
	{                                                                      \
		NULL, 0, OPTION_FLAG, NULL, NULL, 0                            \
	}

/* A table and the struct that its rows fill. */
struct option_set {
	const struct option_row *rows; /* NULL: none */
	void *args;
};

/*
 * Parse @argv behind argv[0] into both sets (a later set's row wins where names
 * or letters meet). @stop_at_operand: the first operand ends the options;
 * otherwise operands are moved behind them. "--" ends options always.
 * Return 0 and the index of the first operand; 1 where -h or --help stood
 * (nothing was printed); -EINVAL, said in words; -ENOMEM.
 */
MUST_CHECK int options_parse(const struct option_set *sets, size_t nsets,
			     int argc, char **argv, bool stop_at_operand,
			     int *first_out);
/* Free the lists. */
void options_release(const struct option_set *set);
/* The rows as usage text. */
void options_usage(FILE *f, const struct option_row *rows);
/* Text in lines that fit; each newline in it ends a paragraph. */
void options_wrap(FILE *f, const char *text);

/* "123", "10K", "1.5GiB", "2T" to bytes, in 1024s. Return 0 or -EINVAL. */
MUST_CHECK int options_size(const char *text, uint64_t *out);
/* A share "5%" or "5", from 0 to @max. Return 0 or -EINVAL. */
MUST_CHECK int options_percent(const char *text, unsigned int max,
			       unsigned int *out);
/* A duration "90s", "15m", "36h", "7d", "2w", "1y", or a sum "1d12h", in
 * nanoseconds ("m" is a minute, a year 365 days). Return 0 or -EINVAL. */
MUST_CHECK int options_duration(const char *text, int64_t *out);
/*
 * A moment: a point's time name, RFC 3339, "2026-11-22", "2026-11-22 10:15:00"
 * (UTC), "@seconds", or a duration back from @now_ns. Nanoseconds since 1970.
 * Return 0 or -EINVAL.
 */
MUST_CHECK int options_time(const char *text, int64_t now_ns, int64_t *out);

#endif
