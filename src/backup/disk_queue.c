/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The queue between the walk and the point: its pieces stand in the disk's order
 * while threads finish cells in any, and leave it in that order for the extents
 * and the digest. Stretches without data, and cells taken over from the parent
 * point, wait in it between the cells that are read.
 */
#include "config.h"

#include "src/backup/disk_internal.h"

#include <errno.h>
#include <time.h>

#include "src/backup/internal.h"
#include "src/disk/source.h"
#include "store/base/bytes.h"
#include "store/content.h"
#include "store/crypt/crypt.h"
#include "store/point.h"
#include "store/writer/content_build.h"

#define WAIT_NS 200000000

static int add_extent(struct disk_run *d, enum extent_type type, uint64_t len,
		      const struct id *id)
{
	struct extent e = { .len = len, .type = type };

	if (id) {
		e.id = *id;
		d->result.used += len;
	}
	return d->builder ? content_builder_add(d->builder, &e) : 0;
}

/* A cell that is not all zeros: its offset, length and bytes. */
static int digest_cell(struct disk_run *d, const struct cells *c,
		       const struct cell *cell)
{
	uint8_t head[12];
	int r;

	if (cell->all_zeros || !d->digest)
		return 0;
	put_le64(head, cell->part.off);
	put_le32(head + 8, (uint32_t)cell->part.len);
	r = sha256_update(d->digest, head, sizeof(head));
	if (r == 0)
		r = sha256_update(d->digest,
				  c->data + (cell->part.off - c->off),
				  cell->part.len);
	return r;
}

enum extent_type disk_extent_type(enum disk_state state)
{
	return state == DISK_DATA   ? EXTENT_DATA
	       : state == DISK_HOLE ? EXTENT_HOLE
				    : EXTENT_ZERO;
}

static int add_cells(struct disk_run *d, const struct cells *c)
{
	unsigned int k;
	size_t i;
	int r = 0;

	for (i = 0; i < c->n && r == 0; i++) {
		const struct cell *cell = &c->cell[i];

		for (k = 0; k < cell->part.nruns && r == 0; k++) {
			const struct grid_run *run = &cell->part.runs[k];

			r = add_extent(
				d, disk_extent_type(run->state), run->len,
				run->state == DISK_DATA ? &cell->ids[k] : NULL);
		}
		if (r == 0)
			r = digest_cell(d, c, cell);
	}
	return r;
}

int disk_parent_walk(struct disk_run *d, uint64_t off, uint64_t len,
		     parent_fn *fn)
{
	struct content_ref content = point_disk_content(d->hints.parent);
	uint64_t end = off + len;
	int r = 0;

	while (off < end && r == 0) {
		struct extent e;

		r = content_find(d->b->vault, &content, off, &e);
		if (r < 0)
			return r;
		if (e.type == EXTENT_DATA &&
		    (e.off != off || e.off + e.len > end))
			return 1;
		e.len = MIN(e.off + e.len, end) - off;
		e.off = off;
		r = fn(d, &e);
		off += e.len;
	}
	return r;
}

static int add_parent_extent(struct disk_run *d, const struct extent *e)
{
	return add_extent(d, e->type, e->len,
			  e->type == EXTENT_DATA ? &e->id : NULL);
}

static int add_piece(struct disk_run *d, const struct piece *p)
{
	struct backup_progress *progress = &d->b->progress;
	uint64_t used = d->result.used;
	int r = 0;

	switch (p->kind) {
	case PIECE_CELLS:
		r = add_cells(d, p->cells);
		break;
	case PIECE_GAP:
		r = add_extent(d, p->type, p->len, NULL);
		break;
	case PIECE_REUSED:
		r = disk_parent_walk(d, p->off, p->len, add_parent_extent);
		d->result.reused += p->len;
		break;
	}
	progress->disk_bytes += p->len;
	progress->bytes_done += p->len;
	progress->disk_used += d->result.used - used;
	return r < 0 ? r : r > 0 ? -EIO : 0;
}

bool disk_run_stopped(const struct disk_run *d)
{
	return task_stopped(d->b->task);
}

/* Whether the oldest piece is ready; waits for it a moment where @wait. */
static bool head_ready(struct disk_run *d, bool wait, int *err)
{
	struct piece *p = &d->queue[d->head];
	struct timespec until;
	bool done = true;

	pthread_mutex_lock(&d->lock);
	if (p->kind == PIECE_CELLS && !p->cells->done && wait) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += WAIT_NS;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&d->ready, &d->lock, &until);
	}
	if (p->kind == PIECE_CELLS)
		done = p->cells->done;
	*err = d->err;
	pthread_mutex_unlock(&d->lock);
	return done && *err == 0;
}

int disk_queue_drain(struct disk_run *d, size_t keep, bool need_free)
{
	int r = 0;

	while (d->count > 0) {
		struct piece *p = &d->queue[d->head];
		bool wait = d->count > keep || (need_free && !d->free);

		/* Cells that are still being gathered come last. */
		if (p->kind == PIECE_CELLS && p->cells == d->filling)
			break;
		if (disk_run_stopped(d))
			return -EINTR;
		if (!head_ready(d, wait, &r)) {
			if (r < 0 || !wait)
				break;
			backup_tick(d->b);
			continue;
		}
		r = add_piece(d, p);
		if (p->kind == PIECE_CELLS) {
			p->cells->next = d->free;
			d->free = p->cells;
		}
		d->head = (d->head + 1) % PIECES;
		d->count--;
		if (r < 0)
			break;
		backup_tick(d->b);
	}
	return r;
}

int disk_queue_push(struct disk_run *d, const struct piece *p)
{
	struct piece *last;
	int r = 0;

	if (d->count > 0) {
		last = &d->queue[(d->head + d->count - 1) % PIECES];
		if (last->kind == p->kind && p->kind != PIECE_CELLS &&
		    last->type == p->type) {
			last->len += p->len;
			return 0;
		}
	}
	if (d->count == PIECES)
		r = disk_queue_drain(d, PIECES - 1, false);
	if (r < 0)
		return r;
	d->queue[(d->head + d->count) % PIECES] = *p;
	d->count++;
	return 0;
}
