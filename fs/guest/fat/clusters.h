/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What FAT and exFAT are made of: clusters, numbered from 2, a table that says
 * which one comes behind which, and directories of slots of 32 bytes.
 *
 * Whatever the table says, a walk ends: a chain that meets itself is found by
 * comparing with a cluster remembered at every power of two steps.
 */
#ifndef FS_GUEST_FAT_CLUSTERS_H
#define FS_GUEST_FAT_CLUSTERS_H

#include "fs/guest/guest.h"
#include "fs/guest/map.h"

#define CLUSTERS_TABLES_MAX 4
#define SLOT_LEN 32

/* Filled in by the reader when it opens; then immutable. */
struct clusters {
	const char *format; /* for messages */
	struct blocks *data; /* borrowed */
	struct blocks *meta; /* the same through a cache; owned */
	/* Where the copies of the table begin; the next one is asked where
	 * one cannot be read. */
	uint64_t tables[CLUSTERS_TABLES_MAX];
	unsigned int ntables;
	uint64_t table_len; /* bytes of each; holds 2 + count entries */
	unsigned int bits; /* of an entry: 12, 16, 28 or 32 */
	uint32_t count; /* 2 + count does not overflow */
	uint32_t size; /* bytes of one; a multiple of 512 */
	uint64_t heap; /* where cluster 2 begins */
};

bool clusters_valid(const struct clusters *c, uint32_t cluster);
/* Return the byte where a cluster, which must be a valid one, begins. */
uint64_t clusters_position(const struct clusters *c, uint32_t cluster);

/* A walk over a chain. */
struct chain {
	const struct clusters *c;
	uint32_t cluster; /* where it is */
	bool contiguous; /* the table is not asked; the caller knows the end */
	uint32_t mark;
	uint64_t steps, marked_at;
	uint64_t window_off; /* in the table */
	size_t window_len;
	uint8_t window[4096];
};
/* Stand on @first. Return 0 or -EBADMSG (there is no such cluster; silent). */
MUST_CHECK int chain_begin(struct chain *ch, const struct clusters *c,
			   uint32_t first, bool contiguous);
/* Step to the next cluster. Return 1, 0 at the end, -EBADMSG (said) or what
 * reading returned. */
MUST_CHECK int chain_next(struct chain *ch);
/*
 * How many bytes a directory takes whose chain begins at @first, up to its end
 * or to its first fault, but no more than @max. The walk ends at @max too:
 * every directory of an image may lead into one chain of all its clusters.
 * Return 0, or -ECANCELED (the request was asked to end).
 */
MUST_CHECK int chain_bytes(const struct clusters *c, uint32_t first,
			   uint64_t max, uint64_t *out);

/* A file: what its entry says. */
struct clusters_file {
	uint32_t first; /* cluster */
	bool contiguous;
	uint64_t size;
	uint64_t valid; /* what is behind it reads as zeros */
};
/*
 * Add its ranges to a map. @node is for messages. Return what is not negative,
 * -EBADMSG (its chain is shorter than its size, or broken; said) or another
 * negative errno.
 */
MUST_CHECK int clusters_walk(const struct clusters *c, uint64_t node,
			     const struct clusters_file *file, struct map *m);
/* Open it as file @node of @g; @walk is to do clusters_walk(). Errors as
 * above. */
MUST_CHECK int clusters_open(const struct clusters *c, struct guest *g,
			     uint64_t node, const struct clusters_file *file,
			     map_walk_fn *walk, struct guest_file **out);

/* The slots of a directory, one after the other. */
struct slots {
	struct chain chain;
	bool fixed; /* not a chain: the root of FAT12 and FAT16 */
	bool sized; /* ends where left is 0; else that is damage */
	uint64_t left; /* bytes that may still come */
	uint64_t next_pos; /* of the bytes to be read next */
	uint32_t cluster_left; /* bytes of this cluster from there */
	uint64_t index; /* number of the slot that comes next */
	uint64_t pos; /* of buf */
	size_t len, at;
	uint8_t buf[4096];
};
/*
 * A directory that begins at cluster @first, @off bytes behind its beginning.
 * It is at most @max bytes long: exactly that (@sized), or that is the bound.
 * Return 0 or -EBADMSG (said).
 */
MUST_CHECK int slots_open(struct slots *s, const struct clusters *c,
			  uint32_t first, bool contiguous, uint64_t max,
			  bool sized);
/* Begin in the middle of a directory, at position @pos inside the heap. */
MUST_CHECK int slots_open_at(struct slots *s, const struct clusters *c,
			     uint64_t pos, bool contiguous, uint64_t max);
/* Take @len bytes at @pos, wherever that is, for a directory. */
void slots_open_fixed(struct slots *s, const struct clusters *c, uint64_t pos,
		      uint64_t len);
/* Pass over the first @n; only at the start. Return 1, 0 when there are not
 * that many, or a negative errno. */
MUST_CHECK int slots_skip(struct slots *s, uint64_t n);
/* Get the next one, which is good until the next call; *pos_out: where it lies.
 * Return 1, 0 at the end, or a negative errno. */
MUST_CHECK int slots_next(struct slots *s, const uint8_t **out,
			  uint64_t *pos_out);
/* The slot that came last comes again. */
void slots_unget(struct slots *s);

#endif
