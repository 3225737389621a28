/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which paths a backup leaves out. Patterns as restic's: shell globs over path
 * components ("*" and "?" do not match '/', "**" matches any number of
 * components); one that begins with '/' is matched against the absolute path,
 * any other against every tail of it; a match of a directory leaves out what is
 * below; "!pattern" takes back in. In a file: one a line, blank lines and lines
 * that begin with '#' are skipped.
 */
#ifndef SRC_SCAN_EXCLUDE_H
#define SRC_SCAN_EXCLUDE_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>

/* Bytes of a file of patterns. */
#define EXCLUDE_FILE_MAX (16u << 20)

struct exclude;

MUST_CHECK struct exclude *exclude_new(void);
void exclude_free(struct exclude *x);
MUST_CHECK int exclude_add(struct exclude *x, const char *pattern,
			   bool fold_case);
/* Add the lines of @file. Return 0 or a negative errno said in words with @file:
 * -EFBIG for one that is larger than EXCLUDE_FILE_MAX. A pipe is waited for. */
MUST_CHECK int exclude_add_file(struct exclude *x, const char *file,
				bool fold_case);
bool exclude_empty(const struct exclude *x);
/* Return pattern number @i as it was given, or NULL past the last one. It is
 * borrowed from @x. */
const char *exclude_pattern(const struct exclude *x, size_t i,
			    bool *fold_case_out);
/* @path is absolute, without a final '/'. */
bool exclude_match(const struct exclude *x, const char *path, bool is_dir);

#endif
