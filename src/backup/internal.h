/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One run of a backup, as its parts see it.
 *
 *     backup.c    the run: what it owns, its order, and the point it commits
 *     take.c      what is to be done with an entry that the scan hands out
 *     parent.c    the parent point, walked side by side with the scan
 *     slots.c     entries wait in a ring until all before them are known
 *     read.c      the pool's threads read files into slots, read_content.c what
 *                 they hold
 *     entries.c   the oldest slot becomes an entry of the tree
 *     links.c     files with several names are read once
 *     owners.c    the names of those whose files were met
 *     machine.c   disks and config files; disk*.c one disk
 *     left_out.c  what was not looked at is noted in the point
 *
 * One thread, the main thread, does all of this but reading. It owns each slot
 * while its state is not SLOT_PENDING; a reader owns it while it is.
 */
#ifndef SRC_BACKUP_INTERNAL_H
#define SRC_BACKUP_INTERNAL_H

#include "src/backup/backup.h"

#include <pthread.h>
#include <stdatomic.h>

#include "src/backup/entries.h"
#include "src/backup/parent.h"
#include "src/backup/slots.h"
#include "store/base/name.h"
#include "store/base/task.h"

struct point_list;
struct pool;
struct reading;
struct scan;
struct scan_xattr_loss;
struct writer;

struct backup {
	/* Set before anything is read; any thread may look at them. */
	const struct backup_options *options; /* borrowed */
	struct vault *vault; /* borrowed */
	struct task *task; /* borrowed; others ask task_stopped() alone */
	struct pool *pool; /* owned; readers and compression; NULL: dry run */
	struct writer *writer; /* owned; NULL: dry run */

	/* Shared by all threads. */
	pthread_mutex_t lock; /* protects idle; ready is signalled under it */
	pthread_cond_t ready; /* a batch has been read */
	struct reading *idle; /* owned; what readers work with */
	atomic_uint_fast64_t bytes_read, errors;
	/* bytes read of files that are not yet in the tree */
	atomic_uint_fast64_t bytes_ahead;
	atomic_int failed; /* a negative errno that ends the run */

	/* The main thread's. */
	struct backup_progress progress;
	int64_t start_ns; /* monotonic */
	struct scan *scan; /* owned; NULL: disks alone */
	struct point_list *points; /* held */
	char machine[NAME_HEX + 1]; /* the id of what is backed up */
	struct parent parent; /* its points are in the list above */
	struct slots slots;
	struct entries entries;
};

/* Tell the caller how far the run is, if that is due. The main thread's. */
void backup_tick(struct backup *b);

/*
 * Say that an entry could not be taken, or not wholly; the point will be
 * marked. @err (may be 0) is a negative errno. Any thread.
 */
void backup_complain(struct backup *b, const struct slot *s, const char *what,
		     int err);

/* Say which of an entry's extended attributes are missing, if any is; the entry
 * and the point will be marked. Any thread. */
void backup_complain_xattrs(struct backup *b, struct slot *s,
			    const struct scan_xattr_loss *loss);

/* Read the files of a struct batch, which is freed; a job for the pool. */
void backup_read_batch(void *batch);
/* Store what the readers still hold, and free what they worked with. No batch
 * may be underway. Return 0 or a negative errno, said in words. */
MUST_CHECK int backup_end_readers(struct backup *b);

#endif
