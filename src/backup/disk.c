/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One disk into a point.
 *
 * The main thread walks the grid and hands out batches of neighbouring cells;
 * the pool's threads read, look for zeros, name and store; the main thread takes
 * the batches back in order, for the extents and the digest. Stretches
 * without data, and cells taken over from the parent point, wait in the
 * same queue between them.
 */
#include "config.h"

#include "src/backup/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/backup/disk_grid.h"
#include "src/backup/disk_hints.h"
#include "src/disk/source.h"
#include "store/base/bytes.h"
#include "store/base/log.h"
#include "store/base/pool.h"
#include "store/catalog/catalog.h"
#include "store/content.h"
#include "store/crypt/crypt.h"
#include "store/format.h"
#include "store/point.h"
#include "store/vault.h"
#include "store/writer/content_build.h"
#include "store/writer/writer.h"

#define BATCH_CELLS 4
#define PIECES 256 /* in the queue */
#define WAIT_NS 200000000

struct cell {
	struct grid_part part;
	struct id ids[GRID_BLOCKS]; /* of its data runs */
	bool all_zeros;
};

/* Neighbouring cells that are read together. */
struct cells {
	struct cells *next; /* of the free ones */
	struct disk_run *run;
	size_t n;
	uint64_t off, len;
	bool done; /* under the run's lock */
	uint8_t *data; /* owned */
	struct cell cell[BATCH_CELLS];
};

enum piece_kind { PIECE_CELLS, PIECE_GAP, PIECE_REUSED };

/* What the queue holds, in the disk's order. */
struct piece {
	enum piece_kind kind;
	uint64_t off, len;
	enum extent_type type; /* of a gap */
	struct cells *cells;
};

struct disk_run {
	struct backup *b;
	struct disk_source *source;
	struct grid grid;
	struct disk_hints hints;
	struct content_builder *builder; /* NULL: dry run */
	struct sha256 *digest; /* NULL once a hint was followed */
	struct piece queue[PIECES];
	size_t head, count;
	struct cells *all[2 * 64 + 8]; /* owned */
	size_t nall, max;
	struct cells *free, *filling;
	pthread_mutex_t lock; /* protects cells.done, err */
	pthread_cond_t ready;
	int err; /* the first of any thread */
	struct backup_disk_result result;
};

/* ---- reading, on any thread ---- */

/* Reads that touch each other are one, over cells too. */
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

static void run_cells(void *arg)
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

/* ---- what comes back, in order ---- */

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

static enum extent_type type_of(enum disk_state state)
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

			r = add_extent(d, type_of(run->state), run->len,
				       run->state == DISK_DATA ? &cell->ids[k]
							       : NULL);
		}
		if (r == 0)
			r = digest_cell(d, c, cell);
	}
	return r;
}

typedef int parent_fn(struct disk_run *d, const struct extent *e);

/* The parent's extents of [@off, @off + @len), cut to it where they are no data;
 * 1 where data cross the border. */
static int walk_parent(struct disk_run *d, uint64_t off, uint64_t len,
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
		r = walk_parent(d, p->off, p->len, add_parent_extent);
		d->result.reused += p->len;
		break;
	}
	progress->disk_bytes += p->len;
	progress->bytes_done += p->len;
	progress->disk_used += d->result.used - used;
	return r < 0 ? r : r > 0 ? -EIO : 0;
}

static bool stopped(const struct disk_run *d)
{
	return task_stopped(d->b->task);
}

/* True when the oldest piece is ready; waits for it a moment where @wait. */
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

/* Take what is ready; wait until at most @keep pieces and a free batch are left. */
static int drain(struct disk_run *d, size_t keep, bool need_free)
{
	int r = 0;

	while (d->count > 0) {
		struct piece *p = &d->queue[d->head];
		bool wait = d->count > keep || (need_free && !d->free);

		/* Cells that are still being gathered come last. */
		if (p->kind == PIECE_CELLS && p->cells == d->filling)
			break;
		if (stopped(d))
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

static int push(struct disk_run *d, const struct piece *p)
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
		r = drain(d, PIECES - 1, false);
	if (r < 0)
		return r;
	d->queue[(d->head + d->count) % PIECES] = *p;
	d->count++;
	return 0;
}

/* ---- the walk ---- */

static void submit(struct disk_run *d)
{
	struct cells *c = d->filling;

	if (!c)
		return;
	d->filling = NULL;
	disk_source_prefetch(d->source, c->off, c->len);
	pool_run(d->b->pool, run_cells, c);
}

static struct cells *new_cells(struct disk_run *d)
{
	struct cells *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->run = d;
	c->data = malloc((size_t)BATCH_CELLS * GRID_CELL);
	if (!c->data) {
		free(c);
		return NULL;
	}
	d->all[d->nall++] = c;
	return c;
}

static int begin_cells(struct disk_run *d, uint64_t off)
{
	struct piece p = { .kind = PIECE_CELLS, .off = off };
	struct cells *c;
	int r = 0;

	if (!d->free && d->nall == d->max)
		r = drain(d, PIECES, true);
	if (r < 0)
		return r;
	c = d->free;
	if (c)
		d->free = c->next;
	else
		c = new_cells(d);
	if (!c)
		return -ENOMEM;
	c->n = 0;
	c->off = off;
	c->len = 0;
	c->done = false;
	p.cells = c;
	r = push(d, &p);
	if (r == 0)
		d->filling = c;
	else
		c->next = d->free, d->free = c;
	return r;
}

static int take_cell(struct disk_run *d, const struct grid_part *part)
{
	unsigned int k;
	struct cells *c;
	int r = 0;

	if (!d->filling)
		r = begin_cells(d, part->off);
	if (r < 0)
		return r;
	c = d->filling;
	c->cell[c->n++].part = *part;
	c->len += part->len;
	d->queue[(d->head + d->count - 1) % PIECES].len = c->len;
	for (k = 0; k < part->nruns; k++)
		if (part->runs[k].state == DISK_DATA)
			d->result.read += part->runs[k].len;
	if (c->n == BATCH_CELLS)
		submit(d);
	return 0;
}

static int chunk_there(struct disk_run *d, const struct extent *e)
{
	int found;

	if (e->type != EXTENT_DATA || d->b->trust_parent)
		return 0;
	found = writer_has_chunk(d->b->writer, CHUNK_DISK, &e->id, e->len);
	return found < 0 ? found : !found;
}

/* May the parent's extents stand for the cell? Return 1, 0, -ESTALE (a sample
 * says that no hint is true) or -EINTR. */
static int may_reuse(struct disk_run *d, const struct grid_part *part)
{
	const struct point_disk *parent = d->hints.parent;
	int r;

	if (!part->same || !parent || part->off + part->len > parent->size)
		return 0;
	/* The parent's last cell has its own length. */
	if (part->len < GRID_CELL && parent->size != d->source->size)
		return 0;
	r = walk_parent(d, part->off, part->len, chunk_there);
	if (r > 0)
		return 0;
	if (r == 0)
		r = disk_hints_try_same(&d->hints, part->off, part->len);
	if (r == 0)
		return 1;
	if (r > 0)
		return -ESTALE;
	if (stopped(d))
		return -EINTR;
	log_warn("disk %s: the parent point cannot be read: the rest of the "
		 "disk is read",
		 d->source->name);
	d->hints.parent = NULL;
	return 0;
}

static int take_part(struct disk_run *d, const struct grid_part *part)
{
	struct piece p = { .kind = PIECE_GAP,
			   .off = part->off,
			   .len = part->len };
	unsigned int k;
	int r = 0;

	if (!d->b->writer) { /* dry run */
		for (k = 0; k < part->nruns; k++)
			if (part->runs[k].state == DISK_DATA)
				d->result.used += part->runs[k].len;
		d->b->progress.disk_bytes += part->len;
		return 0;
	}
	if (part->state == DISK_DATA) {
		r = may_reuse(d, part);
		if (r <= 0)
			return r < 0 ? r : take_cell(d, part);
	}
	submit(d);
	if (part->state == DISK_DATA) {
		p.kind = PIECE_REUSED;
		sha256_free(d->digest);
		d->digest = NULL;
	} else {
		p.type = type_of(part->state);
	}
	return push(d, &p);
}

static int walk(struct disk_run *d)
{
	struct grid_part part;
	int r;

	while ((r = grid_next(&d->grid, &part)) > 0) {
		r = take_part(d, &part);
		if (r == 0)
			r = drain(d, PIECES, false);
		if (r == 0 && stopped(d))
			r = -EINTR;
		if (r < 0)
			return r;
		backup_tick(d->b);
	}
	if (r == 0) {
		submit(d);
		r = drain(d, 0, false);
	}
	return r;
}

/* ---- around it ---- */

static int begin(struct disk_run *d, const struct backup_disk *o,
		 const struct point *parent, bool follow)
{
	int r = 0;

	if (follow)
		r = disk_hints_init(&d->hints, d->b, o, d->source, parent);
	grid_begin(&d->grid, d->source, &d->hints);
	if (r < 0 || !d->b->writer)
		return r;
	d->max = MIN(ARRAY_SIZE(d->all),
		     2 * (size_t)pool_threads(d->b->pool) + 6);
	d->builder = content_builder_new(d->b->writer);
	r = d->builder ? sha256_new(&d->digest) : -ENOMEM;
	return r;
}

/* The bitmap that a later backup may follow from this point on; it keeps on
 * marking what changes where it is the one that was followed now. */
static char *next_bitmap(const struct disk_run *d)
{
	const struct backup_options *o = d->b->options;
	const char *name = o->next_bitmap	   ? o->next_bitmap
			   : d->source->has_bitmap ? o->bitmap
						   : NULL;

	return name ? strdup(name) : NULL;
}

static int finish(struct disk_run *d, const struct backup_disk *o,
		  struct point_disk *out)
{
	AUTO_BUF struct buf content = BUF_INIT;
	int r = 0;

	if (d->hints.followed) {
		sha256_free(d->digest);
		d->digest = NULL;
	}
	if (d->builder)
		r = content_builder_finish(d->builder, &content);
	if (r == 0 && d->digest) {
		r = sha256_finish(d->digest, out->sha256);
		out->has_sha256 = r == 0;
	}
	if (r < 0)
		return r;
	out->name = strdup(o->name);
	out->format = strdup(d->source->format);
	out->source = strndup(o->source, POINT_SOURCE_MAX);
	out->bitmap = next_bitmap(d);
	out->size = d->source->size;
	out->used = d->result.used;
	out->sector = d->source->sector;
	out->content = content.data;
	out->content_len = content.len;
	content = (struct buf)BUF_INIT;
	return out->name && out->format && out->source ? 0 : -ENOMEM;
}

static void release(struct disk_run *d)
{
	size_t i;

	if (d->b->writer)
		pool_wait(d->b->pool);
	for (i = 0; i < d->nall; i++) {
		free(d->all[i]->data);
		free(d->all[i]);
	}
	sha256_free(d->digest);
	content_builder_free(d->builder);
	disk_hints_release(&d->hints);
	pthread_cond_destroy(&d->ready);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

/* Once through the disk, the hints @follow-ed or not. -ESTALE: one of them
 * turned out to be wrong. */
static int read_once(struct backup *b, const struct backup_disk *o,
		     struct disk_source *s, const struct point *parent,
		     bool follow, struct point_disk *out,
		     struct backup_disk_result *result)
{
	struct disk_run *d = calloc(1, sizeof(*d));
	int r, changed;

	if (!d)
		return -ENOMEM;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->ready, NULL);
	d->b = b;
	d->source = s;
	d->result.size = s->size;
	snprintf(d->result.format, sizeof(d->result.format), "%s", s->format);
	r = begin(d, o, parent, follow);
	if (r == 0)
		r = walk(d);
	if (r == 0 && b->writer) {
		changed = disk_source_finish(s);
		if (changed > 0)
			atomic_fetch_add(&b->errors, 1);
		r = changed < 0 ? changed : 0;
	}
	if (r < 0 && stopped(d))
		r = -EINTR;
	atomic_fetch_add(&b->bytes_read, d->result.read);
	if (r == 0)
		r = finish(d, o, out);
	*result = d->result;
	release(d);
	return r;
}

int backup_disk_read(struct backup *b, const struct backup_disk *o,
		     struct disk_source *s, const struct point *parent,
		     struct point_disk *out, struct backup_disk_result *result)
{
	struct backup_progress before = b->progress;
	int r = read_once(b, o, s, parent, true, out, result);

	if (r != -ESTALE)
		return r;
	/* What was taken over before the sample that was wrong is in doubt too. */
	b->progress.disk_bytes = before.disk_bytes;
	b->progress.bytes_done = before.bytes_done;
	b->progress.disk_used = before.disk_used;
	return read_once(b, o, s, parent, false, out, result);
}
