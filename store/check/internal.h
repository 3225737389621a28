/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inside of a check; shared by check.c, objects.c,
 * trees.c, users.c, packs.c and disks.c. */
#ifndef STORE_CHECK_INTERNAL_H
#define STORE_CHECK_INTERNAL_H

#include "store/check/check.h"

#include <pthread.h>

#include "store/base/idset.h"
#include "store/format.h"

struct check_pack {
	char name[PACK_NAME_MAX];
	uint64_t size; /* as listed */
	bool listed;
	bool indexed;
	bool bad; /* missing, or of another size: nothing can be read */
};

/* A chunk that cannot be had, and why. */
struct bad_chunk {
	struct id id;
	size_t finding; /* index into the result's */
};

struct check {
	struct vault *vault; /* NULL: a scrub */
	struct backend *backend;
	struct seam *seam;
	const struct check_options *o;
	struct check_result *out;
	struct check_progress progress; /* of the calling thread */
	int64_t next_tick_ns;

	struct check_pack *packs; /* by name; owned */
	size_t npacks, packs_cap;
	uint8_t *good; /* a bit for each number of a pack that is there with
			* its size; owned */
	size_t good_len; /* bits */
	struct idset seen; /* nodes of trees and of extent maps */

	pthread_mutex_t lock; /* protects what follows, and out->findings */
	struct idset bad; /* ids of bad_chunks */
	struct bad_chunk *bad_chunks; /* owned; sorted by id by check_users() */
	size_t nbad, bad_cap;
	uint64_t packs_read, bytes_read;
	int error; /* of a reading thread */
};

/* The number of the finding about @object, made with that text where there is
 * none yet; or -ENOMEM. Takes the lock. */
PRINTF(4, 5)
int check_found(struct check *c, bool damage, const char *object,
		const char *fmt, ...);
/* A chunk is lost with finding @n. Return 0 or -ENOMEM. */
MUST_CHECK int check_lost(struct check *c, int n, const struct id *id);
/* The pack of that name, or NULL. */
struct check_pack *check_find_pack(struct check *c, const char *name);
bool check_pack_good(const struct check *c, int64_t no);
/* Call tick if it is time. Return 0 or -EINTR. */
MUST_CHECK int check_tick(struct check *c);

/* List and open objects; fills packs, good, points. */
MUST_CHECK int check_objects(struct check *c);
MUST_CHECK int check_list_packs(struct check *c);
/* Walk all trees. */
MUST_CHECK int check_trees(struct check *c);
/* Which points and paths use the chunks that are lost? */
MUST_CHECK int check_users(struct check *c);
/* A point and path that a finding shows at. Return 0 or -ENOMEM. */
MUST_CHECK int check_add_place(struct check_finding *f, size_t point,
			       const char *path);
/* Read disks and compare them with their digests. */
MUST_CHECK int check_disks(struct check *c);
/* Read packs. */
MUST_CHECK int check_packs(struct check *c);

#endif
