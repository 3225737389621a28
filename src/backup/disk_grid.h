/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The grid that disks are cut by: cells of 256 KiB, in a cell runs of data, holes
 * and zeros as the source tells them, in blocks of 4 KiB. Stretches without data
 * are passed over whole. One thread.
 */
#ifndef SRC_BACKUP_DISK_GRID_H
#define SRC_BACKUP_DISK_GRID_H

#include "src/disk/source.h"
#include "store/base/attrs.h"

struct disk_hints;

#define GRID_CELL (256u << 10)
#define GRID_BLOCK 4096u
#define GRID_BLOCKS (GRID_CELL / GRID_BLOCK)
#define GRID_DATA_RUNS                                                         \
	16 /* in a cell; beyond, the smallest gaps are read too */

struct grid_run {
	uint32_t off, len; /* in the cell */
	enum disk_state state;
};

/* A cell with data, or a stretch of cells without. */
struct grid_part {
	uint64_t off, len;
	enum disk_state state; /* DISK_DATA: a cell */
	bool same; /* all of the cell, says a hint */
	unsigned int nruns;
	struct grid_run runs[GRID_BLOCKS];
};

struct grid {
	struct disk_source *source; /* borrowed */
	struct disk_hints *hints; /* borrowed; NULL: none */
	uint64_t off;
	struct disk_extent now; /* what the source said last */
};

/* Begin at the beginning of the disk. @hints may be NULL. */
void grid_begin(struct grid *g, struct disk_source *s,
		struct disk_hints *hints);
/* Return 1, 0 at the disk's end, or a negative errno: -ESTALE where a hint
 * turned out to be wrong. */
MUST_CHECK int grid_next(struct grid *g, struct grid_part *out);

#endif
