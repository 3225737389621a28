/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One disk on its way into a point; for disk.c, disk_cells.c and disk_queue.c.
 *
 * disk.c walks the grid and decides for each part of it what is to be done,
 * disk_cells.c does it on the pool's threads, and disk_queue.c takes what comes
 * back in the disk's order.
 */
#ifndef SRC_BACKUP_DISK_INTERNAL_H
#define SRC_BACKUP_DISK_INTERNAL_H

#include "src/backup/backup.h"
#include "src/backup/disk_grid.h"
#include "src/backup/disk_hints.h"
#include "store/base/attrs.h"
#include "store/base/id.h"
#include "store/content.h"
#include "store/format.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backup;
struct content_builder;
struct disk_source;
struct sha256;

#define BATCH_CELLS 4
#define PIECES 256 /* in the queue */

/* What is stored of one cell of the grid. */
struct cell {
	struct grid_part part;
	struct id ids[GRID_BLOCKS]; /* of its data runs */
	bool all_zeros;
};

/* Neighbouring cells that are read together. */
struct cells {
	struct cells *next; /* in the list of free ones */
	struct disk_run *run; /* borrowed */
	size_t n;
	uint64_t off, len;
	bool done; /* protected by the run's lock */
	uint8_t *data; /* owned */
	struct cell cell[BATCH_CELLS];
};

enum piece_kind { PIECE_CELLS, PIECE_GAP, PIECE_REUSED };

/* What the queue holds, in the disk's order. */
struct piece {
	enum piece_kind kind;
	uint64_t off, len;
	enum extent_type type; /* of a gap */
	struct cells *cells; /* borrowed */
};

/* The queue is a ring. Cells are in it, are free, or are being filled: the last
 * piece of the queue then. */
struct disk_run {
	struct backup *b; /* borrowed, as what follows */
	struct disk_source *source;
	struct grid grid;
	struct disk_hints hints;
	struct content_builder *builder; /* owned; NULL: dry run */
	struct sha256 *digest; /* owned; NULL once a hint was followed */
	struct piece queue[PIECES];
	size_t head, count;
	struct cells *all[2 * 64 + 8]; /* owned */
	size_t nall, max;
	struct cells *free, *filling;
	pthread_mutex_t lock; /* protects cells.done, err */
	pthread_cond_t ready;
	int err; /* the first error of any thread */
	struct backup_disk_result result;
};

/* ---- disk_cells.c ---- */

/* Read the cells of @arg, a struct cells, look for zeros, name and store what
 * is left. For the pool: on any thread. Sets done, and the run's err. */
void disk_cells_run(void *arg);

/* ---- disk_queue.c; for the main thread alone ---- */

/* What becomes of a source's range in a point. */
enum extent_type disk_extent_type(enum disk_state state);
/* Put a piece at the end of the queue, or join it to the last one. */
MUST_CHECK int disk_queue_push(struct disk_run *d, const struct piece *p);
/*
 * Take what is ready from the front of the queue into the point. Wait until at
 * most @keep pieces are left and, where @need_free, cells are free. Return 0,
 * -EINTR or a negative errno.
 */
MUST_CHECK int disk_queue_drain(struct disk_run *d, size_t keep,
				bool need_free);

typedef int parent_fn(struct disk_run *d, const struct extent *e);
/*
 * Call @fn for the parent's extents of [@off, @off + @len), cut to it where they
 * are no data. Return 0, what @fn returned, a negative errno, or 1 where data
 * cross the border.
 */
MUST_CHECK int disk_parent_walk(struct disk_run *d, uint64_t off, uint64_t len,
				parent_fn *fn);
/* Whether the backup has been asked to stop. */
bool disk_run_stopped(const struct disk_run *d);

#endif
