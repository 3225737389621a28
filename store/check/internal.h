/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inside of a check; private to store/check. */
#ifndef STORE_CHECK_INTERNAL_H
#define STORE_CHECK_INTERNAL_H

#include "store/check/check.h"

#include <pthread.h>

#include "store/base/buf.h"
#include "store/base/idset.h"
#include "store/base/task.h"
#include "store/catalog/catalog.h"
#include "store/check/memo.h"
#include "store/format.h"
#include "store/record/quarantine.h"

/* A pack that was listed. */
struct check_pack {
	char name[PACK_NAME_MAX];
	uint64_t size; /* as listed */
	bool indexed;
	bool bad; /* of another size than the index says */
	bool whole; /* all of it was read and found right */
};

/* A pack that an index object names and that was not listed so. */
struct check_suspect {
	char name[PACK_NAME_MAX];
	uint64_t size; /* as the index has it */
	size_t index; /* where the object's name begins in check.names */
	bool condemned;
};

/* A chunk that cannot be had though its pack is there, and why. */
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

	struct buf names; /* of objects to open, each with its NUL */
	bool index_gone; /* an index object went before it was read */
	struct check_pack *packs; /* by name; owned */
	size_t npacks, packs_cap;
	size_t nsorted; /* of them; those behind are to be sorted in */
	struct check_suspect *suspects; /* owned */
	size_t nsuspects, suspects_cap;
	struct quarantine_list quarantine; /* as listed; sorted */
	struct idset committed; /* points that a commit names */
	uint8_t *good; /* a bit for each number of a pack that is there with
			* its size; owned */
	size_t good_len; /* bytes */
	struct memo seen; /* nodes of trees and of extent maps */

	pthread_mutex_t lock; /* protects what follows, and out->findings */
	size_t findings_cap; /* of out->findings */
	size_t *slots; /* findings by object: index + 1, 0 is free; owned */
	size_t nslots; /* a power of two, or 0 */
	uint8_t hash_key[16];
	bool any_gone; /* some pack that an index object names is not there */
	struct idset bad; /* ids of bad_chunks */
	struct bad_chunk *bad_chunks; /* owned; sorted by id by check_users() */
	size_t nbad, bad_cap;
	uint64_t packs_read, bytes_read;
	int error; /* of a reading thread */
};

/* ---- findings (report.c) ---- */

/* Return the number of the finding about @object, which is made with that text
 * where there is none yet; or -ENOMEM. It takes the lock. */
PRINTF(4, 5)
int check_found(struct check *c, bool damage, const char *object,
		const char *fmt, ...);
/* Return the finding of damage about @object, or NULL. It takes the lock. */
struct check_finding *check_find(struct check *c, const char *object);
/* Note that a chunk is lost with finding @n; a negative @n is an error, and
 * returned. Return 0 or -ENOMEM. */
MUST_CHECK int check_lost(struct check *c, int n, const struct id *id);
void check_finding_free(struct check_finding *f);
/* Take out the findings that turned out to be none. */
void check_drop_findings(struct check *c);
/* Tell how far the check is, if it is time. Return 0, or -EINTR where it is to
 * stop. */
MUST_CHECK int check_tick(struct check *c);

/* ---- packs that are there (standing.c) ---- */

/* Note a pack that was listed. Return 0 or -ENOMEM. */
MUST_CHECK int check_add_pack(struct check *c, const char *object,
			      uint64_t size);
void check_sort_packs(struct check *c);
/* Return the pack of that name, or NULL. */
struct check_pack *check_find_pack(struct check *c, const char *name);
/* Note that an index object names a pack that was not listed with that size.
 * Return 0 or -ENOMEM. */
MUST_CHECK int check_add_suspect(struct check *c, const char *name,
				 uint64_t size, size_t index);
/* Ask for each suspect itself, and report those that are not there. */
MUST_CHECK int check_suspects(struct check *c);
/* Fill check.good, once all packs are known. */
MUST_CHECK int check_mark_good(struct check *c);
/* Is the pack of that number in the database there, with its size? */
bool check_pack_good(const struct check *c, int64_t no);
/* The same, but one that was not listed is asked for itself, and reported where
 * it is not there. Return 1, 0 or a negative errno. */
MUST_CHECK int check_pack_stands(struct check *c, int64_t no);
/* Ask for a pack of which something could not be read. As
 * check_pack_stands(); @object_out: the name of its object. */
MUST_CHECK int check_pack_asked(struct check *c, int64_t no,
				char object_out[OBJECT_NAME_MAX]);
/* Nothing that this pack holds can be read. It takes the lock. Return 0 or a
 * negative errno. */
MUST_CHECK int check_pack_gone(struct check *c, const char *name);
/* Of packs that are gone, tell those that a collection condemned: that is no
 * damage but where a point uses them. */
MUST_CHECK int check_condemned(struct check *c);

/* ---- index objects (indexes.c) ---- */

/* Read the index object whose name begins at @at in check.names, and compare what
 * it says of packs with what was listed. As index_read(). */
MUST_CHECK int check_read_index(struct check *c, size_t at);
/* Does another index object say that nobody needs the one called @name? */
bool check_index_superseded(struct check *c, const char *name);
/* List index/ and add the names that are not in check.names. Return 0 or a negative
 * errno. */
MUST_CHECK int check_list_new_indexes(struct check *c);
/*
 * An index object that is gone is missed by nobody but the points that stand on
 * it. Packs are asked for what it said, as readers do, and the next backup names
 * them again, under another name.
 */
MUST_CHECK int check_make_up_for_indexes(struct check *c);
/*
 * Count the packs that no index object names, and report those of sessions that
 * made a point. There can be very many of sessions that died or are at work. What a
 * session has that made a point was named before the point was made.
 */
MUST_CHECK int check_unindexed(struct check *c);

/* ---- parts of a check ---- */

/* Note an object to be opened. Return 0 or -ENOMEM. */
MUST_CHECK int check_add_name(struct check *c, const char *name);
/* Return a point's or session's id as a key of a set. */
struct id check_key_of(const char *hex);

/* List and open objects; fill packs, good and points. */
MUST_CHECK int check_objects(struct check *c);
/* Open an object that is a box into @out. Return 0, -ENOENT, -EBADMSG or another
 * negative errno; all but -ENOENT said in words. */
MUST_CHECK int check_open(struct check *c, uint8_t type, const char *name,
			  struct buf *out);
/* Look whether the plaintext of an object of that type means something, where
 * this version knows of it. Return 0, -EBADMSG (said in words) or -ENOMEM. */
MUST_CHECK int check_record(uint8_t type, const void *data, size_t len,
			    const char *name);
/* What it means that an object of that type is damaged, from "; " on, or "". */
const char *check_what_is_lost(uint8_t type);
/* Report the folders that are missing. Return 0 or -ENOMEM. */
MUST_CHECK int check_folders(struct check *c);
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
/* Put packs that are proven to be damaged into quarantine, and let out those
 * that were read and found whole. */
MUST_CHECK int check_quarantine(struct check *c);
/* Is the pack of that name in quarantine, by what was listed? */
bool check_in_quarantine(struct check *c, const char *pack);
/* Of damaged packs, tell those that were known to be, and of which nothing is needed.
 * Return 0 or -ENOMEM. */
MUST_CHECK int check_excuse_known(struct check *c);

#endif
