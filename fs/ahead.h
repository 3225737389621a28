/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Entries of directories of volumes, with their attributes, that were read
 * before anybody asked for them.
 *
 * The kernel asks for a directory in pieces, of 20 entries or some hundred, and
 * in the order of the directory, which in ext4 is that of a hash: neighbours in
 * it have inodes anywhere. Read one by one in that order, the inodes of a large
 * directory cost a decompressed frame each. So they are read for many entries
 * at once, in the order of the inodes, and what does not fit into the answer
 * waits here for the call that goes on behind it. As long as there is such a
 * call each batch is twice as large as the one before; a listing that is not
 * gone on with has cost little.
 */
#ifndef FS_AHEAD_H
#define FS_AHEAD_H

#include "fs/view.h"
#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stddef.h>
#include <stdint.h>

#define AHEAD_FIRST 32 /* entries in a batch */
#define AHEAD_MAX 8192

struct ahead_row {
	uint64_t node, cookie; /* as the guest has them */
	size_t name_off;
	uint16_t name_len;
	uint8_t type; /* DT_* */
};

/* A batch of entries of one directory. All zeros: an empty one. */
struct ahead {
	uint64_t dir; /* node number of the view */
	uint64_t cookie; /* the guest's, behind which rows[at] follows */
	size_t at; /* rows that were given out */
	struct ahead_row *rows; /* owned */
	struct view_attr *attrs; /* owned; NULL, or of each row */
	size_t n, cap;
	struct buf names; /* each with its NUL */
	int end; /* what the listing ended with behind the last row */
};

void ahead_free(struct ahead *a); /* NULL is fine. */

/* Where batches wait: few, and the oldest goes when there is one more. Safe
 * from any thread. */
struct aheads;
/* Return NULL where there is no memory. */
MUST_CHECK struct aheads *aheads_new(void);
void aheads_free(struct aheads *s); /* NULL is fine. */
/* Take out the batch that goes on behind @cookie in @dir, or NULL. It is the
 * caller's. */
MUST_CHECK struct ahead *aheads_take(struct aheads *s, uint64_t dir,
				     uint64_t cookie);
/* Put a batch in, for whoever goes on behind it. */
void aheads_keep(struct aheads *s, struct ahead *a);

#endif
