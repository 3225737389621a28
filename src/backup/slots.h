/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Entries on their way into the tree.
 *
 * A tree is built in the order of its keys, but files become known in whatever
 * order the readers are done. So each entry has a slot in a ring, in the order
 * of the scan; the oldest goes into the tree as soon as it is known.
 */
#ifndef SRC_BACKUP_SLOTS_H
#define SRC_BACKUP_SLOTS_H

#include "store/base/attrs.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "store/base/buf.h"
#include "store/entry.h"

struct backup;
struct link;
struct links;
struct scan_item;

/* How many entries may wait. */
#define SLOTS_MAX 16384
/* A batch goes to a reader when it has so many files, or so many bytes. */
#define BATCH_FILES 64
#define BATCH_BYTES (1u << 20)

/* A directory that slots stand in; counted, by the main thread alone. */
struct slot_dir {
	struct buf key; /* the tree key */
	struct buf path; /* for messages; NUL-terminated */
	/* A duplicate of the scan's descriptor, made when the first file in it
	 * has to be read: readers open files when the scan has long left their
	 * directory. -1 before. */
	int fd;
	size_t *nopen; /* counts such duplicates; borrowed */
	int refs;
};

enum slot_state {
	SLOT_PENDING, /* a reader's */
	SLOT_READY,
	SLOT_DROPPED, /* it could not be had, which was said */
};

/* One entry. */
struct slot {
	struct slot_dir *dir; /* held */
	struct buf name;
	struct stat st; /* as scanned; a reader brings it up to date */
	struct entry entry; /* its pointers are set when it is added */
	struct buf xattrs, extra, target, content;
	uint64_t ahead; /* bytes in backup.bytes_ahead that are its own */
	bool has_acl;
	bool partial; /* it changed, or some attributes were not had; said */
	bool unchanged; /* all but st is the parent's */
	/* As in the parent, by all that stat says, but looked at again: what it
	 * holds there, a file's content or a link's target. */
	bool again;
	struct buf was, was_xattrs, was_extra;
	struct timespec was_ctime;
	struct link *link; /* of a file with several names; NULL: none */
	bool link_follows; /* not the first name: takes what the first found */
	_Atomic int state; /* enum slot_state */
};

/* Files for one reader, which frees it. */
struct batch {
	struct backup *backup; /* borrowed */
	struct slot *slots[BATCH_FILES]; /* borrowed from the ring */
	size_t n;
	uint64_t bytes;
};

struct slots {
	struct backup *backup; /* borrowed */
	struct slot *ring; /* owned; SLOTS_MAX of them */
	size_t head, count; /* the oldest, and how many there are */
	size_t nused; /* of the ring: none behind them was ever taken */
	struct batch *filling; /* owned until it is submitted; NULL: none */
	struct slot_dir *dir; /* of the last item; held */
	size_t dirs_open, dirs_max; /* descriptors of directories */
	struct links *links; /* owned */
};

/* Return 0 or -ENOMEM. Release it after failure too, and zeroed. */
MUST_CHECK int slots_init(struct slots *s, struct backup *b);
/* No batch may be underway. */
void slots_release(struct slots *s);

/*
 * Put @it behind the others, as a slot that is ready. Where the ring is full,
 * wait for the oldest. *@out is good until the next call.
 * Return 0 or a negative errno that ends the run.
 */
MUST_CHECK int slots_push(struct slots *s, const struct scan_item *it,
			  struct slot **out);
/* Let a reader read the file of the slot that was pushed last, @it. Return 0
 * or a negative errno that ends the run. */
MUST_CHECK int slots_read(struct slots *s, struct slot *slot,
			  const struct scan_item *it);
/* The same where the file has several names: only the first is read. */
MUST_CHECK int slots_read_linked(struct slots *s, struct slot *slot,
				 const struct scan_item *it);
/* Hand the batch that is being filled to a reader. */
void slots_submit(struct slots *s);
/*
 * Add the slots that are ready to the tree, oldest first, and wait for the
 * oldest while more than @keep are left.
 * Return 0, -EINTR (asked to stop) or another negative errno that ends the run.
 */
MUST_CHECK int slots_drain(struct slots *s, size_t keep);

#endif
