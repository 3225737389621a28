/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One disk into a point.
 *
 * The main thread walks the grid and hands out batches of neighbouring cells;
 * the pool's threads read, look for zeros, name and store (disk_cells.c); the
 * main thread takes the batches back in the disk's order (disk_queue.c). What a
 * hint calls unchanged is taken over from the parent point without being read,
 * unless a sample shows that the hint is wrong: then the disk is read once more,
 * and no hint is followed.
 */
#include "config.h"

#include "src/backup/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/backup/disk_internal.h"
#include "src/disk/source.h"
#include "store/base/log.h"
#include "store/base/pool.h"
#include "store/catalog/catalog.h"
#include "store/content.h"
#include "store/crypt/crypt.h"
#include "store/point.h"
#include "store/vault.h"
#include "store/writer/content_build.h"
#include "store/writer/writer.h"

static void submit(struct disk_run *d)
{
	struct cells *c = d->filling;

	if (!c)
		return;
	d->filling = NULL;
	disk_source_prefetch(d->source, c->off, c->len);
	pool_run(d->b->pool, disk_cells_run, c);
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
		r = disk_queue_drain(d, PIECES, true);
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
	r = disk_queue_push(d, &p);
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

	if (e->type != EXTENT_DATA || d->b->parent.trust_machine)
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
	r = disk_parent_walk(d, part->off, part->len, chunk_there);
	if (r > 0)
		return 0;
	if (r == 0)
		r = disk_hints_try_same(&d->hints, part->off, part->len);
	if (r == 0)
		return 1;
	if (r > 0)
		return -ESTALE;
	if (disk_run_stopped(d))
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
		p.type = disk_extent_type(part->state);
	}
	return disk_queue_push(d, &p);
}

static int walk_disk(struct disk_run *d)
{
	struct grid_part part;
	int r;

	while ((r = grid_next(&d->grid, &part)) > 0) {
		r = take_part(d, &part);
		if (r == 0)
			r = disk_queue_drain(d, PIECES, false);
		if (r == 0 && disk_run_stopped(d))
			r = -EINTR;
		if (r < 0)
			return r;
		backup_tick(d->b);
	}
	if (r == 0) {
		submit(d);
		r = disk_queue_drain(d, 0, false);
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
		r = walk_disk(d);
	if (r == 0 && b->writer) {
		changed = disk_source_finish(s);
		if (changed > 0)
			atomic_fetch_add(&b->errors, 1);
		r = changed < 0 ? changed : 0;
	}
	if (r < 0 && disk_run_stopped(d))
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
