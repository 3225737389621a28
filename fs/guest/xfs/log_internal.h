/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files that read the log of XFS share.
 *
 * The log is a ring of basic blocks of 512 bytes. Records follow each other in it, each
 * a header and operations; operations carry the pieces of transactions; a
 * transaction is a list of items; an item says what of one buffer or inode changed. Each
 * time round, the cycle is one more: a sequence number (lsn) is cycle << 32 | block.
 */
#ifndef FS_GUEST_XFS_LOG_INTERNAL_H
#define FS_GUEST_XFS_LOG_INTERNAL_H

#include "fs/guest/xfs/internal.h"

#define LOG_BLOCK 512u /* bytes of a basic block */
#define LOG_RECORD_MAX (256u << 10) /* bytes of operations in a record */
#define LOG_BYTES_MAX (UINT64_C(2) << 30)

struct xfs_log {
	struct blocks *b; /* borrowed */
	const struct xfs_super *sb; /* borrowed */
	uint64_t at; /* the byte that it begins at */
	uint32_t size; /* basic blocks */
};

/* ---- record.c ---- */

struct xfs_record {
	uint32_t blk; /* where its header is */
	uint32_t total; /* basic blocks, headers included */
	uint32_t nops;
	uint64_t lsn, tail_lsn;
	uint8_t uuid[XFS_UUID_LEN];
	const uint8_t *ops; /* in @space */
	size_t len; /* of the operations, bytes */
	uint8_t *space; /* owned; LOG_SPACE bytes, made by the first read */
};
#define LOG_SPACE (LOG_RECORD_MAX + 16 * LOG_BLOCK)

void xfs_record_release(struct xfs_record *r);
/* Read @n blocks from @blk on, past the end of the ring too. */
MUST_CHECK int xfs_log_read(const struct xfs_log *l, uint32_t blk, uint32_t n,
			    void *out);
/* The cycle that a block of the log is of. */
uint32_t xfs_log_cycle(const uint8_t *block);
bool xfs_log_is_header(const uint8_t *block);
/*
 * Read the record at @blk and check it. Return 0; -EBADMSG (there is none, or
 * not all of it; silent), or what a read returned.
 */
MUST_CHECK int xfs_record_read(const struct xfs_log *l, uint32_t blk,
			       struct xfs_record *r);
/* Does it say that the volume was unmounted? */
bool xfs_record_unmount(const struct xfs_record *r);

/* ---- trans.c ---- */

struct xfs_region {
	uint8_t *data; /* owned */
	size_t len;
};

struct xfs_item {
	struct xfs_region *regions; /* owned */
	unsigned int total; /* that belong to it */
	unsigned int n; /* that are there */
};

struct xfs_trans {
	uint32_t tid;
	uint64_t lsn; /* of the record that it began in */
	size_t header_len; /* bytes that came of its header */
	struct xfs_item *items; /* owned */
	size_t n, cap;
	size_t bytes; /* of memory, about */
	struct xfs_trans *next;
};

/* Called for each transaction that is whole, in the order of their ends. */
typedef int xfs_trans_fn(void *arg, struct xfs_trans *t);

/* What is put together from the records. */
struct xfs_gather {
	struct xfs_trans *open; /* owned */
	size_t nopen;
	size_t bytes; /* taken by them, about */
	xfs_trans_fn *fn;
	void *arg;
};
/* Take the operations of one record. 0, -EBADMSG (silent), -EFBIG (too much
 * at a time; silent) or what @fn returned. */
MUST_CHECK int xfs_gather_record(struct xfs_gather *g,
				 const struct xfs_record *r);
void xfs_gather_release(struct xfs_gather *g);

/* ---- replay.c ---- */

struct xfs_cancel;

struct xfs_replay {
	const struct xfs_super *sb; /* borrowed */
	struct xfs_overlay *overlay; /* borrowed */
	struct xfs_cancel **cancels; /* owned; a hash table */
	size_t ncancels;
	uint64_t *intents; /* owned; begun and not done */
	size_t nintents;
};
void xfs_replay_release(struct xfs_replay *p);
/* The first time round: what buffers were given up. @arg: a struct xfs_replay. */
int xfs_replay_cancels(void *arg, struct xfs_trans *t);
/* The second: change the overlay. */
int xfs_replay_apply(void *arg, struct xfs_trans *t);
/* Was the buffer given up later in the log? @done: one of the times is over. */
bool xfs_replay_cancelled(struct xfs_replay *p, uint64_t blkno, uint32_t len,
			  bool done);
/* Of one inode, in replay_inode.c. -EBADMSG is silent. */
MUST_CHECK int xfs_replay_inode(struct xfs_replay *p, const struct xfs_trans *t,
				const struct xfs_item *item);
MUST_CHECK int xfs_replay_icreate(struct xfs_replay *p,
				  const struct xfs_item *item);

#endif
