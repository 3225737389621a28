/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The journal of ext3 and ext4 (jbd2), read and never written: which blocks of
 * the filesystem have their true content in the log.
 *
 * The log is a ring of transactions: descriptor blocks with a tag for each
 * data block that follows, revoke blocks (what is in earlier transactions of
 * these blocks is void), and a commit block that makes all of it count.
 */
#ifndef FS_GUEST_EXT_JOURNAL_H
#define FS_GUEST_EXT_JOURNAL_H

#include "fs/guest/blocks.h"
#include "store/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Blocks of a journal, as many as mke2fs allows. A longer one is -EFBIG. */
#define JOURNAL_BLOCKS_MAX 10240000u
/* Blocks that a log may hold, and blocks that it may revoke: they stand in
 * memory, 32 and 16 bytes each. More of them are -EFBIG. */
#define JOURNAL_TAGS_MAX (4u << 20)
#define JOURNAL_REVOKES_MAX (4u << 20)

/* Blocks [@log, @log + @n) of the journal are at byte @at. */
struct journal_run {
	uint64_t log, n, at;
};

struct journal_place {
	struct blocks *b; /* borrowed */
	const struct journal_run *runs; /* borrowed; by log, no overlap */
	size_t nruns;
	uint32_t block_size;
	uint64_t fs_blocks;
};

/* Block @block of the filesystem reads as the one at byte @at; @escaped: its
 * first four bytes are the journal's magic. */
struct journal_patch {
	uint64_t block;
	uint64_t at;
	bool escaped;
};

struct journal_log {
	struct journal_patch *patches; /* owned; by block, each once */
	size_t n;
	uint32_t ntransactions; /* that count */
	/* NULL, or why the log was not read to where it may have ended. */
	const char *damage;
	bool fast_commits; /* there are some behind the log; not read */
};

/*
 * Return 0, also where @out->damage tells of a later part; -EBADMSG or
 * -EOPNOTSUPP (nothing is to be used, @out->damage tells why), -EFBIG (too
 * large), -ENOMEM or a read error. journal_release() after each.
 */
MUST_CHECK int journal_read(const struct journal_place *p,
			    struct journal_log *out);
void journal_release(struct journal_log *l);

#endif
