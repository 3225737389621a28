/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What guest.c keeps beside each open filesystem, and its parts. */
#ifndef FS_GUEST_GUEST_INTERNAL_H
#define FS_GUEST_GUEST_INTERNAL_H

#include "fs/guest/guest.h"
#include "fs/guest/lru.h"
#include "fs/guest/node_set.h"

#include <pthread.h>

/* Which reader takes which type; the last has no type. In readers.c. */
struct guest_reader {
	const char *type;
	const struct guest_ops *ops;
};
extern const struct guest_reader guest_readers[];

/* A directory of more is not remembered, but read at each lookup. */
#define GUEST_DIR_ENTRIES (256u << 10)
#define GUEST_DIR_NAMES ((size_t)6 << 20) /* bytes */

/* Where more are spoiled, all are taken for it. */
#define GUEST_SPOILED_MAX (64u << 10)
struct guest_common {
	struct lru_part files; /* struct guest_file by node */
	struct lru_part dirs; /* struct guest_dir by node */
	struct lru_part windows; /* map.c's, by node and number */
	uint8_t sipkey[16]; /* of the hashes of names */
	pthread_mutex_t lock; /* protects spoiled */
	struct node_set spoiled; /* directories; see guest_dir_spoil() */
	atomic_bool any_spoiled, all_spoiled;
};

extern const struct lru_ops guest_file_lru;
extern const struct lru_ops guest_dir_lru;

/* The entries of a directory by their names, counted. */
struct guest_dir;

#endif
