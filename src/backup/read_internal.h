/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a reading thread works with; shared by read.c and read_content.c. */
#ifndef SRC_BACKUP_READ_INTERNAL_H
#define SRC_BACKUP_READ_INTERNAL_H

#include "store/base/attrs.h"

#include <stdint.h>
#include <sys/stat.h>

struct backup;
struct bundle;
struct content_builder;

struct reading {
	struct reading *next; /* idle too */
	struct backup *backup; /* borrowed */
	struct bundle *bundle; /* owned, as all below */
	struct content_builder *builder;
	uint8_t *small; /* CDC_MIN + 1 */
	uint8_t *large; /* 2 * CDC_MAX; NULL until needed */
	/* of the file in hand: */
	int fd; /* borrowed */
	uint64_t ahead; /* as in struct slot */
};

/*
 * Read all that the file in hand holds, from its beginning, and give its
 * extents to the builder. @st is what was said of it; what it really held is in
 * *@len_out, more than st_size where that was wrong, less where it shrank.
 * Return 0, -EFBIG (it goes on far behind its size), -EINTR (the run was asked
 * to stop) or another negative errno (silent).
 */
MUST_CHECK int reading_content(struct reading *r, const struct stat *st,
			       uint64_t *len_out);

#endif
