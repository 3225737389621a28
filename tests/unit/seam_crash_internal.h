/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared by the recorder (seam_crash.c) and the model (seam_crash_state.c). */
#ifndef TESTS_UNIT_SEAM_CRASH_INTERNAL_H
#define TESTS_UNIT_SEAM_CRASH_INTERNAL_H

#include "tests/unit/seam_crash.h"

#include <pthread.h>
#include <sys/types.h>

#include "store/base/seam.h"

enum event_type {
	EVENT_CREATE, /* inode */
	EVENT_WRITE, /* inode, off, data, len */
	EVENT_TRUNCATE, /* inode, off: the new length */
	EVENT_SYNC, /* inode: a file or a directory */
	EVENT_ADD, /* name in dir becomes inode */
	EVENT_REMOVE, /* name in dir goes; it was inode */
	EVENT_MARK, /* inode: the mark */
};

struct event {
	enum event_type type;
	int inode;
	int dir; /* an inode */
	/* The rename that this is one half of: the other half's event is next
	 * (1) or before (-1). Within one directory they happen together. */
	int pair;
	char *name; /* owned */
	uint32_t hash; /* crash_hash() of it */
	uint64_t off;
	uint8_t *data; /* owned */
	size_t len;
	size_t next; /* event of the same file's content, + 1; 0: the last */
};

struct entry {
	char *name; /* owned, or an event's */
	uint32_t hash; /* crash_hash() of it: most compares end here */
	int inode;
};

struct inode {
	bool is_dir;
	dev_t dev;
	ino_t ino;
	/* What lasts from before the recording: a file's bytes, a directory's
	 * entries; owned. */
	uint8_t *data;
	size_t len;
	struct entry *entries;
	size_t nentries;
	size_t first, last; /* events of a file's content, + 1; 0: none */
};

struct seam_crash {
	struct seam seam;
	struct seam *next; /* borrowed */
	pthread_mutex_t lock; /* of recording; protects all below */
	struct inode *inodes; /* owned; the root is 0 */
	size_t ninodes;
	struct event *events; /* owned */
	size_t nevents;
	unsigned int ignored;
	size_t ignored_sync;
	char text[512]; /* of seam_crash_describe() */
};

static inline uint32_t crash_hash(const char *name)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h;
}

/* realloc for one more of an array that doubles; ends the test on no memory. */
void *crash_grow(void *array, size_t n, size_t size);

#endif
