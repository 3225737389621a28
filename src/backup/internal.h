/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inside of a running backup; shared by backup.c, read.c and links.c. */
#ifndef SRC_BACKUP_INTERNAL_H
#define SRC_BACKUP_INTERNAL_H

#include "src/backup/backup.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "store/base/buf.h"
#include "store/entry.h"

struct content_builder;
struct bundle;
struct links;
struct pool;
struct writer;

/* A directory that slots stand in; counted. */
struct backup_dir {
	struct buf key; /* the tree key */
	struct buf path; /* for messages; NUL-terminated */
	int fd; /* a duplicate, made when first needed; -1 before */
	size_t *nopen; /* counts such duplicates; borrowed */
	int refs; /* main thread only */
};

enum slot_state { SLOT_PENDING, SLOT_READY, SLOT_DROPPED };

/* One entry on its way into the tree, in order. */
struct slot {
	struct backup_dir *dir; /* held */
	struct buf name;
	struct stat st; /* as scanned; a reader brings it up to date */
	struct entry entry; /* its pointers are set when it is added */
	struct buf xattrs, target, content;
	uint64_t ahead; /* bytes in backup.bytes_ahead that are its own */
	bool has_acl;
	bool partial; /* not all of its attributes could be had; said */
	int partial_error; /* why */
	bool unchanged;
	/* As in the parent, by all that stat says, but looked at again: what it
	 * holds there, a file's content or a link's target. */
	bool again;
	struct buf was, was_xattrs;
	struct timespec was_ctime;
	struct link *link; /* of a file with several names; NULL: none */
	bool link_follows; /* not the first name: takes what the first found */
	_Atomic int state;
};

/* Slots in a ring; files are read in batches. */
#define BACKUP_RING 16384
#define BATCH_FILES 64
#define BATCH_BYTES (1u << 20)

struct batch {
	struct backup *backup;
	struct slot *slots[BATCH_FILES];
	size_t n;
	uint64_t bytes;
};

/* What a reading thread works with; kept for the next batch. */
struct reading {
	struct reading *next;
	struct bundle *bundle;
	struct content_builder *builder;
	uint64_t ahead; /* of the file in hand, as in struct slot */
	uint8_t *small; /* CDC_MIN + 1 */
	uint8_t *large; /* 2 * CDC_MAX; NULL until needed */
};

struct backup {
	const struct backup_options *options;
	struct vault *vault;
	struct pool *pool; /* readers and compression; NULL: dry run; owned */
	struct writer *writer; /* NULL: dry run */
	pthread_mutex_t
		lock; /* protects idle and the wake-up of the main thread */
	pthread_cond_t ready;
	struct reading *idle; /* owned */
	atomic_uint_fast64_t bytes_read, errors;
	atomic_uint_fast64_t
		bytes_ahead; /* read, of files not yet in the tree */
	atomic_int failed; /* negative errno that ends the run */
	bool trust_parent; /* all that it refers to is there */
	struct backup_progress *progress; /* of the main thread */
	void (*tick)(struct backup *b); /* call it now and then */
	const volatile bool *stop; /* may be NULL */
};

/* Read a batch's files, on any thread; frees it. */
void backup_read_batch(void *batch);
/* Flush and free the readers' state. */
MUST_CHECK int backup_end_readers(struct backup *b);

/* Say that an entry could not be (wholly) taken; the point will be marked. */
void backup_complain(struct backup *b, const struct slot *s, const char *what,
		     int err);

#endif
