/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is remembered, for the files of this room that share it. */
#ifndef STORE_HISTORY_HISTORY_INTERNAL_H
#define STORE_HISTORY_HISTORY_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "store/history/seen.h"

struct history {
	struct seen_file file; /* path NULL: nothing is remembered */
	char *url; /* owned; for people */
	char *place; /* owned; as it is noted, NULL: it cannot be */
	struct seen seen;
	bool was_read; /* @seen is what the file said */
	/* What the file was when it was looked at, and when it said what is known to
	 * be there and nothing else, and ended with lines that were seen here. */
	struct stat looked, settled;
	bool has_looked, is_settled;
	bool unusable; /* that was said */
	bool damaged; /* that was said */
	char **lost; /* names; sorted; owned, and so is each */
	size_t nlost, lost_cap;
	char **flaws; /* "removed <session>" and so on; owned, and so is each */
	size_t nflaws, flaws_cap;
	atomic_uint_fast64_t lost_count; /* of both */
};

#endif
