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
 * frame against its seal, every chunk against its name.
 */
#ifndef STORE_CHECK_CHECK_H
#define STORE_CHECK_CHECK_H

#include "store/base/attrs.h"
#include "store/base/id.h"

#include <stdbool.h>
#include <stdint.h>

struct backend;
struct point_list;
struct seam;
struct task;
struct vault;

#define CHECK_PLACES_MAX 20 /* kept of each finding; all are counted */
#define CHECK_CHUNKS_MAX 8

/* Where damage shows. */
struct check_place {
	size_t point; /* index into check_result.points_list */
	char *path; /* as the mount shows it, "files/etc/passwd",
		     * "disks/vda.raw"; "": of the tree itself, the paths are
		     * not known; owned */
};

struct check_finding {
	bool damage; /* else only worth knowing */
	char *object; /* its name; owned */
	char *text; /* what is wrong; owned */
	/* the first that are lost with it */
	struct id chunks[CHECK_CHUNKS_MAX];
	uint64_t nchunks; /* how many; those with another copy not counted */
	uint64_t ncopies; /* chunks that another pack holds, too */
	struct check_place places[CHECK_PLACES_MAX];
	uint64_t nplaces; /* may be more than are kept */
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
};

struct check_result {
	uint64_t objects, points, indexes, packs, nodes, files, chunks;
	uint64_t packs_read, bytes_read;
	uint64_t unreferenced, unreferenced_bytes; /* packs no index names */
	uint64_t uncommitted; /* points that no commit names */
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
