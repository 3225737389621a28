/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A cell that has data in it is cut into runs of blocks by the state of each
 * block: what is in several states is in the worst, data before zeros before
 * holes. A source with large blocks is read in whole ones, and where a cell would
 * have too many runs, its smallest gaps are read too.
 */
#include "config.h"

#include "src/backup/disk_grid.h"

#include <errno.h>
#include <string.h>

#include "src/backup/disk_hints.h"
#include "src/backup/disk_map.h"

void grid_begin(struct grid *g, struct disk_source *s, struct disk_hints *hints)
{
	memset(g, 0, sizeof(*g));
	g->source = s;
	g->hints = hints;
}

/* Find out what is at @off, by the source and by the hints. */
static int look(struct grid *g, uint64_t off, struct disk_extent *out)
{
	struct disk_hints *h = g->hints;
	uint64_t end;
	int r = 0;

	if (off - g->now.off >= g->now.len)
		r = disk_source_extent(g->source, off, &g->now);
	if (r < 0)
		return r;
	*out = g->now;
	out->len -= off - out->off;
	out->off = off;
	out->same = out->same && h && h->bitmap;
	if (!h || !h->map)
		return 0;
	switch (disk_map_at(h->map, off, &end)) {
	case DISK_MAP_SAME:
		out->same = true;
		break;
	case DISK_MAP_ZERO:
		if (out->state != DISK_DATA)
			break;
		out->state = DISK_ZERO;
		r = disk_hints_try_zero(h, off, MIN(out->len, end - off));
		break;
	default:
		break;
	}
	out->len = MIN(out->len, end - off);
	return r > 0 ? -ESTALE : r;
}

/* Blocks that a gap of the fewest blocks between data joins. */
static void join_smallest(uint8_t state[GRID_BLOCKS], unsigned int n)
{
	unsigned int i, gap = 0, best = n + 1, at = 0;
	bool before = false;

	for (i = 0; i < n; i++) {
		if (state[i] != DISK_DATA) {
			gap++;
			continue;
		}
		if (before && gap > 0 && gap < best) {
			best = gap;
			at = i - gap;
		}
		before = true;
		gap = 0;
	}
	if (best <= n)
		memset(state + at, DISK_DATA, best);
}

static unsigned int data_runs(const uint8_t state[GRID_BLOCKS], unsigned int n)
{
	unsigned int i, runs = 0;

	for (i = 0; i < n; i++)
		runs += state[i] == DISK_DATA &&
			(i == 0 || state[i - 1] != DISK_DATA);
	return runs;
}

/* A source that is read in larger blocks has data in larger blocks. */
static void widen(uint8_t state[GRID_BLOCKS], unsigned int n, uint32_t granule)
{
	unsigned int step = granule / GRID_BLOCK, i, k;

	if (step < 2)
		return;
	for (i = 0; i < n; i += step) {
		unsigned int end = MIN(i + step, n);

		for (k = i; k < end && state[k] != DISK_DATA; k++)
			;
		if (k < end)
			memset(state + i, DISK_DATA, end - i);
	}
}

static void cut_runs(const uint8_t *state, unsigned int n,
		     struct grid_part *out)
{
	unsigned int i;

	out->nruns = 0;
	for (i = 0; i < n; i++) {
		uint32_t off = i * GRID_BLOCK;
		uint32_t len =
			(uint32_t)MIN((uint64_t)GRID_BLOCK, out->len - off);

		if (out->nruns > 0 &&
		    out->runs[out->nruns - 1].state == state[i])
			out->runs[out->nruns - 1].len += len;
		else
			out->runs[out->nruns++] =
				(struct grid_run){ off, len, state[i] };
	}
}

/* The cell at g->off. */
static int take_cell(struct grid *g, struct grid_part *out)
{
	uint8_t state[GRID_BLOCKS];
	uint64_t at = out->off, end = out->off + out->len;
	unsigned int n =
		(unsigned int)((out->len + GRID_BLOCK - 1) / GRID_BLOCK);
	struct disk_extent e;

	/* Data outweigh zeros, and those holes, where a block has several. */
	memset(state, DISK_HOLE, sizeof(state));
	out->same = true;
	while (at < end) {
		unsigned int i, last;
		int r = look(g, at, &e);

		if (r < 0)
			return r;
		e.len = MIN(e.len, end - at);
		out->same &= e.same;
		last = (unsigned int)((at + e.len - 1 - out->off) / GRID_BLOCK);
		for (i = (unsigned int)((at - out->off) / GRID_BLOCK);
		     i <= last && e.state != DISK_HOLE; i++)
			if (state[i] != DISK_DATA)
				state[i] = (uint8_t)e.state;
		at += e.len;
	}
	widen(state, n, g->source->granule);
	while (data_runs(state, n) > GRID_DATA_RUNS)
		join_smallest(state, n);
	cut_runs(state, n, out);
	return 1;
}

int grid_next(struct grid *g, struct grid_part *out)
{
	uint64_t size = g->source->size, end;
	struct disk_extent e;
	int r;

	if (g->off >= size)
		return 0;
	r = look(g, g->off, &e);
	if (r < 0)
		return r;
	out->off = g->off;
	out->state = e.state;
	out->nruns = 0;
	out->same = false;
	end = e.off + e.len;
	if (end < size)
		end -= end % GRID_CELL;
	if (e.state != DISK_DATA && end > g->off) {
		out->len = end - g->off;
		r = 1;
	} else {
		out->state = DISK_DATA;
		out->len = MIN((uint64_t)GRID_CELL, size - g->off);
		r = take_cell(g, out);
	}
	g->off += out->len;
	return r;
}
