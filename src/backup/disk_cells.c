/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Batches of neighbouring cells, on the pool's threads: what the source calls data
 * is read in as few requests as can be, and what turns out to be zeros is not
 * stored. The first error of any thread ends the run.
 */
#include "config.h"

#include "src/backup/disk_internal.h"

#include <string.h>

#include "src/backup/internal.h"
#include "src/disk/source.h"
#include "store/base/bytes.h"
#include "store/writer/writer.h"

/* Reads that touch each other are made as one, also from cell to cell. */
static int read_cells(struct cells *c)
{
	uint64_t off = 0, len = 0;
	size_t i, k;
	int r = 0;

	for (i = 0; i < c->n; i++) {
		const struct grid_part *g = &c->cell[i].part;

		for (k = 0; k < g->nruns && r == 0; k++) {
			const struct grid_run *run = &g->runs[k];
			uint64_t at = g->off + run->off;

			if (run->state != DISK_DATA) {
				memset(c->data + (at - c->off), 0, run->len);
				continue;
			}
			if (len > 0 && off + len == at) {
				len += run->len;
				continue;
			}
			if (len > 0)
				r = disk_source_read(c->run->source, off,
						     c->data + (off - c->off),
						     len);
			off = at;
			len = run->len;
		}
	}
	if (r == 0 && len > 0)
		r = disk_source_read(c->run->source, off,
				     c->data + (off - c->off), len);
	return r;
}

static int store_cell(struct cells *c, struct cell *cell)
{
	struct grid_part *g = &cell->part;
	unsigned int i;
	int r = 0;

	cell->all_zeros = true;
	for (i = 0; i < g->nruns && r == 0; i++) {
		struct grid_run *run = &g->runs[i];
		const uint8_t *p = c->data + (g->off - c->off) + run->off;

		if (run->state != DISK_DATA)
			continue;
		if (bytes_are_zero(p, run->len)) {
			run->state = DISK_ZERO;
			continue;
		}
		cell->all_zeros = false;
		r = writer_chunk(c->run->b->writer, CHUNK_DISK, p, run->len,
				 &cell->ids[i]);
	}
	return r;
}

void disk_cells_run(void *arg)
{
	struct cells *c = arg;
	struct disk_run *d = c->run;
	size_t i;
	int r;

	pthread_mutex_lock(&d->lock);
	r = d->err;
	pthread_mutex_unlock(&d->lock);
	if (r == 0)
		r = read_cells(c);
	for (i = 0; i < c->n && r == 0; i++)
		r = store_cell(c, &c->cell[i]);
	pthread_mutex_lock(&d->lock);
	if (d->err == 0)
		d->err = r;
	c->done = true;
	pthread_cond_signal(&d->ready);
	pthread_mutex_unlock(&d->lock);
}
