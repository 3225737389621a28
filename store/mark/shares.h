/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who holds what: of the bytes that packs store, those that would go with a group of
 * points alone, and those that it shares. For one thread at a time.
 *
 * Groups are up to 64, and a point may be of several or of none; or they are many,
 * and each point is of one. Beside the print of each chunk (store/mark/prints.h)
 * stands a number for who holds it: 15 to 20 bytes a chunk in all. A node is read
 * again when a group comes to it that has not been there: of many groups only the
 * second one, for then it is known to be shared.
 */
#ifndef STORE_MARK_SHARES_H
#define STORE_MARK_SHARES_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>

#define SHARES_GROUPS_MAX 64

struct point;
struct shares;
struct task;
struct vault;

/* Begin; @many: how many groups there are, or 0 where points are told by masks. @v
 * stays borrowed. Return 0, -ENOMEM or another negative errno. */
MUST_CHECK int shares_new(struct vault *v, uint32_t many, struct shares **out);
/* NULL is fine. */
void shares_free(struct shares *s);
/* As mark_set_task(). */
void shares_set_task(struct shares *s, struct task *task);

/*
 * Add a point of the groups that @groups has a bit for; or, where they are many, of
 * group number @groups. Return as mark_point(). After an error each call that may
 * fail returns it.
 */
MUST_CHECK int shares_point(struct shares *s, const struct point *p,
			    uint64_t groups);

/* Chunks that are held alike. */
struct shares_sum {
	/* Groups of which every point is that holds them, and groups of which some
	 * point is. Where groups are many these are masks of one: bit 0 of @each
	 * says that all are of @group. */
	uint64_t each, all;
	uint32_t group;
	uint64_t chunks; /* copies of one chunk counted each */
	uint64_t bytes; /* as stored: their parts of the frames of packs */
};
/* A pack, by its live chunks. */
struct shares_pack {
	uint64_t size;
	uint64_t live_chunks, dead_bytes;
	/* Of all its live chunks together: as above. */
	uint64_t each, all;
	uint32_t group;
};

/*
 * Count what packs hold that are listed and readable; call @fn, which may be NULL,
 * for each of them. @unread_out: how many bytes the others have that are listed.
 * Return 0, what @fn returned that was not 0, or a negative errno.
 */
MUST_CHECK int shares_packs(struct shares *s,
			    int (*fn)(void *arg, const struct shares_pack *p),
			    void *arg, uint64_t *unread_out);
/* Call @fn for each way in which chunks are held, after shares_packs(); the dead
 * ones have no group. */
void shares_each(const struct shares *s,
		 void (*fn)(void *arg, const struct shares_sum *sum),
		 void *arg);

#endif
