/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What points reach, and so which chunks of packs are live: the mark of a
 * collection. For one thread at a time.
 *
 * That a chunk is dead is proven, or it is not said: nodes of trees and of extent
 * maps are told apart by their whole ids, and where one cannot be read, or an index
 * or a listing cannot, the mark has an error from then on and says of nothing that
 * it is dead. A dead chunk may be taken for a live one, once in 200,000 marks of
 * 10^7 chunks (store/mark/prints.h), and is kept then.
 *
 * Each node is read once, however many points share it. Memory: 10 to 13 bytes a
 * live chunk, 64 to 130 more for one that is a node, 130 a pack and one directory
 * of a pack, besides the vault's own caches. With 10^7 chunks that is about 130
 * MB; 512 MiB are enough for more than 3 * 10^7.
 */
#ifndef STORE_MARK_MARK_H
#define STORE_MARK_MARK_H

#include "store/base/attrs.h"
#include "store/base/id.h"

#include <stdbool.h>
#include <stdint.h>

struct mark;
struct point;
struct task;
struct vault;

/* Begin a mark in which nothing is live. @v stays borrowed. Return 0, -ENOMEM or
 * another negative errno. */
MUST_CHECK int mark_new(struct vault *v, struct mark **out);
/* NULL is fine. */
void mark_free(struct mark *m);
/* Let it be stopped by @task, borrowed, and tell it struct walk_progress
 * (store/mark/walk.h) on the thread that marks. */
void mark_set_task(struct mark *m, struct task *task);

/*
 * Add all that a point reaches: its tree, files' data, maps, extended attributes,
 * disks and config files. Return 0; -EBADMSG (something is damaged or missing), or
 * what the way to it says, said in words; -EINTR (the task was stopped) or -ENOMEM.
 * After an error each call that may fail returns it, and mark_has() says true.
 */
MUST_CHECK int mark_point(struct mark *m, const struct point *p);
/* Return whether a chunk is live; @type is its enum chunk_type. */
bool mark_has(const struct mark *m, uint8_t type, const struct id *id);

struct mark_pack {
	const char *name; /* "<sid>-<n>-<sha256>", borrowed for the call */
	/* As it was listed; where it was not, as the index says. */
	uint64_t size;
	uint8_t kind; /* OBJECT_DATA_PACK or OBJECT_TREE_PACK; 0: not known */
	/* What follows is known of one that is readable. */
	uint32_t epoch; /* of its keys */
	uint64_t chunks, live_chunks;
	/* Bytes that they take as they are stored, a chunk that shares a frame its
	 * part of it. Together with the header and the directory that is the
	 * pack. */
	uint64_t live_bytes, dead_bytes;
	bool listed;
	/* What is in it is known, from the index or from itself, and its size is
	 * what that says. */
	bool readable;
};

/*
 * Read the index, list pack/, and call @fn for every pack that is listed or that
 * the index names, by name. A pack that no index names is asked itself. @fn may use
 * the vault. Return 0, what @fn returned that was not 0, or a negative errno.
 */
MUST_CHECK int mark_packs(struct mark *m,
			  int (*fn)(void *arg, const struct mark_pack *p),
			  void *arg);
/* Return how many live chunks no pack holds that was listed and readable when
 * mark_packs() was called last; before it, all. */
uint64_t mark_unheld(const struct mark *m);
/* Return how many chunks are live. */
uint64_t mark_chunks(const struct mark *m);
/* Return the bytes of memory that the mark takes. */
uint64_t mark_memory(const struct mark *m);

#endif
