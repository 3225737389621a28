/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Is a vault whole? Goes on after damage and reports all of it, each with what
 * it means: the chunks, and the points and paths that use them.
 *
 * The structure: every object of a kind that is sealed opens; every point
 * decodes and is the one committed; every pack that an index names is there
 * with its size; every tree node that a point reaches decodes, and every chunk
 * that it names is in such a pack with its length. The data, when asked for:
 * every pack's bytes against its name, its directory against the index, every
 * frame against its seal, every chunk against its name. Packs in quarantine are
 * read in any case: there are few, and they say what is lost, or is no more.
 *
 * Which packs were read and found whole, and when, is noted in the ledger, objects of
 * the vault that all checks share. What it says is believed no longer than the store
 * itself says that the object stands there, and no check that is to read all asks it:
 * whoever has the vault's key could have put it.
 *
 * It is right beside backups and collections that are at work. Time grows with
 * what there is, and so does memory, slowly: about 160 bytes a pack, 50 a small
 * object, 46 a node of trees and extent maps, 400 a damaged object and 140 a
 * lost chunk whose pack is there, besides the vault's own caches and one index
 * object.
 *
 * A pack that is proven to be damaged, by its bytes or because the store does
 * not have it as the index says, is put into quarantine, an object of the vault
 * that keeps writers from referring to it, and one there whose bytes were all
 * read and found right is let out. One there of which points need nothing that no
 * other pack has is no damage: what it had was stored anew.
 */
#ifndef STORE_CHECK_CHECK_H
#define STORE_CHECK_CHECK_H

#include "store/base/attrs.h"
#include "store/base/id.h"
#include "store/base/name.h"

#include <stdbool.h>
#include <stdint.h>

struct backend;
struct point_list;
struct seam;
struct task;
struct vault;

#define CHECK_PLACES                                                           \
	20 /* kept of each finding, unless it is asked for others */
#define CHECK_PLACES_MAX 200 /* that can be asked for; all are counted */
#define CHECK_RANGES_MAX 8
#define CHECK_CHUNKS_MAX 8
#define CHECK_STRAYS_MAX 1000 /* of what is no object, so many are named */

/* Where damage shows. */
struct check_place {
	size_t point; /* index into check_result.points_list */
	char *path; /* as the mount shows it, "files/etc/passwd",
		     * "disks/vda.raw"; "": of the tree itself, the paths are
		     * not known; owned */
};

/* Bytes of a pack that do not match their seals. */
struct check_bytes {
	uint64_t off, len;
};

struct check_finding {
	bool damage; /* else only worth knowing */
	char *object; /* its name; owned */
	char *text; /* what is wrong; owned */
	/* the first that are lost with it, at most CHECK_CHUNKS_MAX; owned */
	struct id *chunks;
	uint64_t nchunks; /* how many; those with another copy not counted */
	uint64_t ncopies; /* chunks that another pack holds, too */
	/* the first that are damaged, at most CHECK_RANGES_MAX; owned */
	struct check_bytes *ranges;
	uint64_t nranges;
	struct check_place *places; /* owned */
	size_t nkept; /* of them; at most as many as were asked for */
	uint64_t nplaces; /* may be more than are kept */
	uint64_t npoints; /* in which they are */
	size_t last_point;
	/* What the check itself goes by. */
	bool is_proven; /* of a pack: by its bytes, or the store's own word */
	bool is_gone; /* of a pack: the store does not have it */
	bool is_whole_pack; /* nothing that the pack holds can be had */
	bool is_only_if_used; /* no damage unless a point needs it */
	bool is_void; /* none after all */
	bool is_known; /* no damage any more */
	bool is_mended; /* it was damaged, and is whole again */
	bool is_mendable; /* of a pack: its parity mends all of it */
	/* Of an index object: what it says of a pack is not so. */
	bool is_untrue;
};

enum check_subset {
	CHECK_ALL,
	CHECK_PART, /* packs whose hash falls in part @n of @of */
	CHECK_PERCENT, /* random packs, that many of a hundred */
	CHECK_SIZE, /* random packs, that many bytes */
};

/* What a check tells its task. */
struct check_progress {
	const char *phase; /* "objects", "trees", "packs" */
	uint64_t items_done, items_total;
	uint64_t bytes_done, bytes_total;
	uint64_t damages;
};

struct check_options {
	bool read_data;
	enum check_subset subset;
	uint64_t n, of; /* CHECK_PART: 1..of; CHECK_SIZE: n bytes */
	double percent;
	unsigned int threads; /* that read packs; 0: 2 */
	const char *by; /* who checks, "root@web1", for quarantine; may be
			 * NULL; borrowed */
	unsigned int places; /* to keep of each finding; 0: CHECK_PLACES */
	bool look_only; /* put nothing into the vault */
	/* Of what would be read, read only what no check has found whole for so
	 * long, in seconds; 0: all. */
	int64_t max_age_s;
	/* Read first what was verified longest ago, and end in time, which counts
	 * from the beginning of the check, or before so many bytes were read, but
	 * not without having read a pack; 0: without an end. */
	int64_t budget_ns;
	uint64_t budget_bytes;
};

/* How much of the packs some check has read and found whole. */
struct check_coverage {
	int64_t age_s; /* how long ago still counts; 30 days if nothing was said */
	uint64_t bytes, bytes_verified; /* in all, and within that time */
	uint64_t never, never_bytes; /* packs that nobody ever did so with */
	int64_t oldest_s; /* of the others: since 1970; 0: there are none */
	char oldest[PACK_NAME_MAX]; /* the name of that pack */
	char *oldest_by; /* who verified it; owned; "": not known */
};

struct check_result {
	uint64_t objects, points, indexes, packs, nodes, files, chunks;
	uint64_t packs_read, bytes_read;
	uint64_t unreferenced, unreferenced_bytes; /* packs no index names */
	uint64_t uncommitted; /* points that no commit names */
	uint64_t strays; /* what is no object of a vault */
	/* Nodes that many points share were not walked for each of them, so
	 * there may be more places than were counted. */
	bool places_cut;
	uint64_t in_quarantine; /* packs that are so after the check */
	uint64_t quarantined, released; /* by it */
	/* Packs that have parity, and the bytes that all parity takes; parity
	 * objects of no pack that is there, and, of those that were read, how many
	 * are damaged; findings that are is_mendable. */
	uint64_t parity_packs, parity_bytes, parity_alone, parity_damaged;
	uint64_t mendable;
	/* why quarantine could not be written, a negative errno, or 0 */
	int quarantine_error;
	struct check_coverage coverage; /* not of a scrub */
	uint64_t left; /* packs that the budget left unread */
	/* Points of which something was lost at the last check that said so, and
	 * nothing is now: indexes into points_list; owned. */
	size_t *mended, nmended;
	int ledger_error; /* why the ledger could not be put, or 0 */
	/* Packs whose keys are of before a rotation. */
	uint64_t old_packs, old_bytes;
	uint64_t damages; /* findings that are damage */
	struct check_finding **findings; /* owned */
	size_t nfindings;
	struct point_list *points_list; /* held; may be NULL */
};

/*
 * Check @v, best opened without a cache directory, so that nothing is believed
 * but the vault. @task is told struct check_progress, on this thread. Return 0
 * (whatever was found: look at damages), -EINTR, or the negative errno that
 * made checking impossible, said in words. @out is valid in each case; release
 * it.
 */
MUST_CHECK int check_run(struct vault *v, const struct check_options *o,
			 struct task *task, struct check_result *out);
/* Compare the bytes of every pack with its name, which needs no key. The rest
 * is as with check_run(). */
MUST_CHECK int check_scrub(struct backend *b, struct seam *seam,
			   const struct check_options *o, struct task *task,
			   struct check_result *out);
/* Release what @out holds, and zero it. */
void check_release(struct check_result *out);

#endif
