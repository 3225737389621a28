/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inside of a check; private to store/check. */
#ifndef STORE_CHECK_INTERNAL_H
#define STORE_CHECK_INTERNAL_H

#include "store/check/check.h"

#include <pthread.h>

#include "store/base/idset.h"
#include "store/base/task.h"
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
	struct task *task; /* borrowed */
	struct check_progress progress; /* of the calling thread */

	struct check_pack *packs; /* by name; owned */
	size_t npacks, packs_cap;
	uint8_t *good; /* a bit for each number of a pack that is there with
			* its size; owned */
	size_t good_len; /* bytes */
	struct idset seen; /* nodes of trees and of extent maps */

	pthread_mutex_t lock; /* protects what follows, and out->findings */
	size_t findings_cap; /* of out->findings */
	struct idset bad; /* ids of bad_chunks */
	struct bad_chunk *bad_chunks; /* owned; sorted by id by check_users() */
	size_t nbad, bad_cap;
	uint64_t packs_read, bytes_read;
	int error; /* of a reading thread */
};

/* Return the number of the finding about @object, which is made with that text
 * where there is none yet; or -ENOMEM. It takes the lock. */
PRINTF(4, 5)
int check_found(struct check *c, bool damage, const char *object,
		const char *fmt, ...);
/* Note that a chunk is lost with finding @n; a negative @n is an error, and
 * returned. Return 0 or -ENOMEM. */
MUST_CHECK int check_lost(struct check *c, int n, const struct id *id);
void check_finding_free(struct check_finding *f);
/* Return the pack of that name, or NULL. */
struct check_pack *check_find_pack(struct check *c, const char *name);
/* Is the pack of that number in the database there, with its size? */
bool check_pack_good(const struct check *c, int64_t no);
/* Tell how far the check is, if it is time. Return 0, or -EINTR where it is to
 * stop. */
MUST_CHECK int check_tick(struct check *c);

/* List and open objects; fill packs, good and points. */
MUST_CHECK int check_objects(struct check *c);
/* Look whether the plaintext of an object of that type means something, where
 * this version knows of it. Return 0, -EBADMSG (said in words) or -ENOMEM. */
MUST_CHECK int check_record(uint8_t type, const void *data, size_t len,
			    const char *name);
/* What it means that an object of that type is damaged, from "; " on, or "". */
const char *check_what_is_lost(uint8_t type);
/* List packs alone, for a scrub. */
MUST_CHECK int check_list_packs(struct check *c);
/* Walk all trees. */
MUST_CHECK int check_trees(struct check *c);
/* Find the points and paths that use the chunks that are lost. */
MUST_CHECK int check_users(struct check *c);
/* Add a point and path that a finding shows at. Return 0 or -ENOMEM. */
MUST_CHECK int check_add_place(struct check_finding *f, size_t point,
			       const char *path);
/* Read disks and compare them with their digests. */
MUST_CHECK int check_disks(struct check *c);
/* Read packs, and compare them with their names, the index and their seals. */
MUST_CHECK int check_packs(struct check *c);

#endif
