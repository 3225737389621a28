/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "fs/guest/fat/clusters.h"

#include <errno.h>
#include <inttypes.h>

#include "store/base/bytes.h"
#include "store/base/log.h"

bool clusters_valid(const struct clusters *c, uint32_t cluster)
{
	return cluster >= 2 && cluster - 2 < c->count;
}

uint64_t clusters_position(const struct clusters *c, uint32_t cluster)
{
	return c->heap + (uint64_t)(cluster - 2) * c->size;
}

int chain_begin(struct chain *ch, const struct clusters *c, uint32_t first,
		bool contiguous)
{
	if (!clusters_valid(c, first))
		return -EBADMSG;
	ch->c = c;
	ch->cluster = first;
	ch->contiguous = contiguous;
	ch->mark = first;
	ch->steps = 0;
	ch->marked_at = 1;
	ch->window_off = 0;
	ch->window_len = 0;
	return 0;
}

/* Bytes of the table from @off on into the window: @len at the least. */
static int chain_window(struct chain *ch, uint64_t off, size_t len)
{
	const struct clusters *c = ch->c;
	uint64_t start = off & ~UINT64_C(511);
	unsigned int i;
	int r = -EIO;

	if (off >= ch->window_off &&
	    off + len <= ch->window_off + ch->window_len)
		return 0;
	ch->window_len = 0;
	for (i = 0; i < c->ntables && r < 0; i++)
		r = blocks_read(c->meta, c->tables[i] + start, ch->window,
				MIN(sizeof(ch->window), c->table_len - start));
	if (r < 0)
		return fail(r,
			    "%s: the table of clusters cannot be read at "
			    "byte %" PRIu64 " of it",
			    c->format, off);
	ch->window_off = start;
	ch->window_len = MIN(sizeof(ch->window), c->table_len - start);
	return 0;
}

/* What the table says of the cluster where the chain stands. */
static int chain_entry(struct chain *ch, uint32_t *out)
{
	uint64_t off = ch->cluster;
	unsigned int bits = ch->c->bits;
	const uint8_t *p;
	size_t len;
	int r;

	off = bits == 12 ? off + off / 2 : off * ((bits + 7) / 8);
	len = bits <= 16 ? 2 : 4;
	r = chain_window(ch, off, len);
	if (r < 0)
		return r;
	p = ch->window + (off - ch->window_off);
	if (bits == 12)
		*out = ch->cluster & 1 ? get_le16(p) >> 4 : get_le16(p) & 0xfff;
	else if (bits == 16)
		*out = get_le16(p);
	else
		*out = bits == 28 ? get_le32(p) & 0x0fffffff : get_le32(p);
	return 0;
}

int chain_next(struct chain *ch)
{
	const struct clusters *c = ch->c;
	uint32_t next;
	int r;

	if (ch->contiguous) {
		next = ch->cluster + 1;
	} else {
		r = chain_entry(ch, &next);
		if (r < 0)
			return r;
		/* The last eight values all mean the end. */
		if (next >= (uint32_t)((UINT64_C(1) << c->bits) - 8))
			return 0;
	}
	if (!clusters_valid(c, next))
		return fail(-EBADMSG,
			    "%s: cluster %" PRIu32 " is followed by %" PRIu32
			    ", which there is not",
			    c->format, ch->cluster, next);
	if (next == ch->mark)
		return fail(-EBADMSG,
			    "%s: the chain through cluster %" PRIu32
			    " runs in a circle",
			    c->format, next);
	if (++ch->steps == ch->marked_at) {
		ch->mark = next;
		ch->marked_at *= 2;
	}
	ch->cluster = next;
	return 1;
}

int chain_bytes(const struct clusters *c, uint32_t first, uint64_t max,
		uint64_t *out)
{
	struct chain ch;
	uint64_t bytes = c->size;
	int r = 1;

	*out = 0;
	if (chain_begin(&ch, c, first, false) < 0)
		return 0;
	while (bytes < max && (r = chain_next(&ch)) > 0)
		bytes += c->size;
	if (r == -ECANCELED)
		return r;
	*out = MIN(bytes, max);
	return 0;
}

/* ---- files ---- */

/* A file that is being mapped. */
struct mapping {
	const struct clusters *c;
	struct map *map;
	uint64_t size, valid;
	uint64_t off; /* how far it is mapped */
};

/* The next @n clusters of the file lie at @first and behind it. */
static int mapping_add(struct mapping *m, uint32_t first, uint64_t n)
{
	uint64_t at = clusters_position(m->c, first);
	uint64_t end = MIN(m->size, m->off + n * m->c->size);
	uint64_t mid = MIN(end, MAX(m->valid, m->off));
	int r = 0;

	if (mid > m->off)
		r = map_add(m->map, m->off, mid - m->off, at, false);
	if (r == 0 && end > mid)
		r = map_add(m->map, mid, end - mid, at + (mid - m->off), true);
	m->off = end;
	return r;
}

/* Return what map_add() did, or -ENODATA: the chain ends too early. */
static int mapping_fill(struct mapping *m, uint32_t first, bool contiguous)
{
	uint64_t need = (m->size + m->c->size - 1) / m->c->size, n, run = 1;
	uint32_t start = first;
	struct chain ch;
	int r;

	if (!clusters_valid(m->c, first) || need > m->c->count)
		return -ENODATA;
	if (contiguous) {
		if (need > m->c->count - (first - 2))
			return -ENODATA;
		return mapping_add(m, first, need);
	}
	r = chain_begin(&ch, m->c, first, false);
	for (n = 1; r == 0 && n < need; n++) {
		r = chain_next(&ch);
		if (r == 0)
			return -ENODATA;
		if (r < 0)
			return r;
		r = 0;
		if (ch.cluster == start + run) {
			run++;
			continue;
		}
		r = mapping_add(m, start, run);
		start = ch.cluster;
		run = 1;
	}
	return r ? r : mapping_add(m, start, run);
}

int clusters_walk(const struct clusters *c, uint64_t node,
		  const struct clusters_file *file, struct map *map)
{
	struct mapping m = {
		.c = c, .map = map, .size = file->size, .valid = file->valid
	};
	int r = 0;

	if (file->size)
		r = mapping_fill(&m, file->first, file->contiguous);
	if (r == -ENODATA)
		r = fail(-EBADMSG,
			 "%s: file %" PRIu64 ": its %" PRIu64
			 " bytes are more than its clusters hold",
			 c->format, node, file->size);
	else if (r == -EBADMSG)
		(void)fail(r,
			   "%s: file %" PRIu64
			   ": its chain of clusters is broken",
			   c->format, node);
	return r;
}

int clusters_open(const struct clusters *c, struct guest *g, uint64_t node,
		  const struct clusters_file *file, map_walk_fn *walk,
		  struct guest_file **out)
{
	struct map *m = map_new(c->data, file->size);
	int r;

	*out = NULL;
	if (!m)
		return -ENOMEM;
	r = clusters_walk(c, node, file, m);
	if (r >= 0)
		r = map_file(m, g, node, c->size, walk, out);
	if (r < 0)
		map_free(m);
	return r;
}
