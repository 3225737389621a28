/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is in packs: every pack that is listed or that the index names, with its
 * directory, one after the other. What the local database says is compared with
 * its seal; a pack that it does not know is asked itself.
 */
#ifndef STORE_MARK_PACKS_H
#define STORE_MARK_PACKS_H

#include "store/base/attrs.h"
#include "store/format.h"

#include <stdbool.h>

struct task;
struct vault;

/* A pack as it was found. */
struct pack_found {
	const char *name; /* borrowed for the call */
	/* As it was listed; where it was not, as the index says. */
	uint64_t size;
	uint8_t kind; /* OBJECT_DATA_PACK or OBJECT_TREE_PACK; 0: not known */
	bool listed;
	/* What is in it is known, and its size is what that says. */
	bool readable;
	uint32_t epoch; /* of its keys; of one that is readable */
	struct pack_dir dir; /* of one that is readable */
};

/*
 * Read the index, list pack/, and call @fn for each pack, by name. @fn may use the
 * vault. @task may be NULL; it is not told anything. Return 0; what @fn returned
 * that was not 0; -EINTR; or the negative errno of what could not be asked. That a
 * pack cannot be read is no error, but said.
 */
MUST_CHECK int packs_each(struct vault *v, struct task *task,
			  int (*fn)(void *arg, const struct pack_found *p),
			  void *arg);
/*
 * Return how many bytes of its pack a chunk takes: the frames that it fills, or of
 * the one that it shares with others its part. What chunks take that fill a frame
 * together adds up to that frame.
 */
uint64_t packs_chunk_bytes(const struct pack_dir *dir,
			   const struct chunk_ref *c);

#endif
