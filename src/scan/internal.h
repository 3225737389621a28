/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of the scan share.
 *
 *     source.c        the sources as a tree of names: cleaned, overlaps joined
 *     dir_list.c      one directory: opened, its names read and sorted
 *     walk*.c         the reading thread: walks, fills batches with names
 *     queue.c         batches on their way; who examines their entries
 *     scan.c          the calls: empties batches in the same order
 *     xattr.c         an entry's extended attributes
 *     extra.c         what is known of it beyond stat(2)
 *
 * Entries cross from thread to thread in batches of a few hundred, so that
 * neither waits for the other once per directory. What costs most is fstatat
 * (two thirds of a walk in warm caches); a batch needs it before it is
 * emptied, and whoever would have to wait does it: the caller for want of a
 * batch, the reader for want of room.
 */
#ifndef SRC_SCAN_INTERNAL_H
#define SRC_SCAN_INTERNAL_H

#include "src/scan/dir_list.h"
#include "src/scan/scan.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define SCAN_NAME_MAX 255
#define SCAN_BATCHES 8
#define SCAN_BATCH_RECS 512
/* Directories held open: by each batch, and by the way down. */
#define SCAN_BATCH_DIRS 32
#define SCAN_OPEN_LEVELS 32

/* ---- sources ---- */

/* A component of a source's path. Siblings are sorted by name. */
struct source_node {
	char *name; /* owned; "" for the top */
	struct source_node *child; /* the first; owned */
	struct source_node *next;
	bool source; /* a source ends here: all below is wanted */
	bool follow; /* and if it is a symbolic link, what it leads to is */
};

struct source_set {
	struct source_node *top; /* owned */
	char **paths; /* owned, cleaned, sorted, each once */
	size_t npaths;
};

/* Return 0 or a negative errno, said in words. Release after failure too. */
MUST_CHECK int source_set_init(struct source_set *set, const char *const *paths,
			       size_t npaths);
void source_set_release(struct source_set *set);

/* ---- one directory ---- */

/* Open a directory for reading, without a trace in its access time where that
 * is allowed. Return it, or -1 with errno. */
MUST_CHECK int dir_open_quiet(int at, const char *name, int flags);

/* ---- batches ---- */

/* An open directory; lives while a level of the walk or an entry of a batch
 * needs it. */
struct scan_dir {
	atomic_int refs;
	int fd; /* owned; -1 where only the names below matter */
	size_t key_len, path_len;
	uint8_t *key; /* in the same block */
	char *path; /* in the same block; "" for the top */
};

/* With one reference, taking over @fd. NULL: no memory; @fd stays open. */
MUST_CHECK struct scan_dir *scan_dir_new(int fd, const void *key,
					 size_t key_len, const void *path,
					 size_t path_len);
void scan_dir_put(struct scan_dir *d);

struct scan_rec {
	struct scan_dir *dir; /* borrowed from the batch; NULL for "/" */
	uint32_t name_off;
	uint32_t name_len;
	bool followed, unreachable; /* as in struct scan_item */
	bool pending; /* not a directory by its type; still to be examined */
	int error;
	struct stat st;
};

struct scan_batch {
	size_t nrecs, ndirs;
	struct scan_dir *dirs[SCAN_BATCH_DIRS]; /* referenced */
	struct buf names;
	struct scan_rec recs[SCAN_BATCH_RECS];
};

/*
 * A ring of batches, told apart by how many went by before:
 *
 *     released <= claimed <= filled <= released + SCAN_BATCHES
 *
 * [released, claimed) are examined or being so, [claimed, filled) wait for
 * somebody to do it, the one of number @filled is the reader's.
 */
struct scan_queue {
	struct scan_batch *ring[SCAN_BATCHES]; /* owned */
	pthread_mutex_t lock; /* protects all below */
	pthread_cond_t changed;
	uint64_t filled, claimed, released;
	bool ready[SCAN_BATCHES]; /* examined */
	bool ended; /* the reader is done, with: */
	int error;
	bool stop; /* the caller is */
};

struct scan_walk;

struct scan {
	struct source_set sources;
	struct buf path; /* of the item handed out */
	struct scan_dir *path_dir; /* whose path it begins with; borrowed */
	size_t path_dir_len;
	struct scan_batch *batch; /* being emptied; borrowed from the queue */
	size_t next;
	bool ended;
	int error;
	struct scan_queue queue;
	struct scan_walk *walk; /* the reader's own */
	pthread_t reader, helper;
	bool has_reader, has_helper;
};

/* Return 0, -EMFILE or another negative errno; said in words. */
MUST_CHECK int scan_walk_new(struct scan *s, const struct scan_options *o,
			     struct scan_walk **out);
void scan_walk_free(struct scan_walk *w);
/* Return what scan_left_out() says. Once the thread has ended the queue. */
const char *const *scan_walk_left_out(const struct scan_walk *w, size_t *n_out);
/* The thread. @arg is the struct scan_walk. */
void *scan_walk_run(void *arg);

/* ---- the queue ---- */

MUST_CHECK int queue_init(struct scan_queue *q);
void queue_release(struct scan_queue *q);
/* The reader's: an empty batch (NULL: the caller stopped); hand it on; end. */
struct scan_batch *queue_begin(struct scan_queue *q);
void queue_put(struct scan_queue *q);
void queue_end(struct scan_queue *q, int error);
/* The caller's: the next examined batch (NULL at the end, with the reader's
 * error); give it back; stop the threads. */
struct scan_batch *queue_take(struct scan_queue *q, int *error);
void queue_give_back(struct scan_queue *q);
void queue_stop(struct scan_queue *q);
/* A thread that does nothing but examine. @arg is the queue. */
void *queue_help(void *arg);

#endif
