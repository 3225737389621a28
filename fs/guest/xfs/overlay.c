/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a replayed log changed of a volume: pages of 4 KiB in a hash table, over the
 * volume's own bytes. Written by one thread, then only read, by any.
 */
#include "config.h"

#include <errno.h>

#include "fs/guest/xfs/internal.h"

#define PAGE_SIZE_LOG 12
#define PAGE_BYTES (1u << PAGE_SIZE_LOG)
#define PAGES_MAX (1u << 16) /* 256 MiB */

struct page {
	uint64_t number; /* its byte / PAGE_BYTES */
	uint8_t data[PAGE_BYTES];
};

struct xfs_overlay {
	struct blocks head;
	struct blocks *base; /* held */
	struct page **table; /* owned, as the pages; open addressing */
	size_t slots; /* a power of two, over twice n */
	size_t n;
};

static size_t slot_of(const struct xfs_overlay *o, uint64_t number)
{
	size_t i = (number * UINT64_C(0x9e3779b97f4a7c15)) >> 20;

	for (i &= o->slots - 1; o->table[i]; i = (i + 1) & (o->slots - 1))
		if (o->table[i]->number == number)
			break;
	return i;
}

static const struct page *page_find(const struct xfs_overlay *o,
				    uint64_t number)
{
	return o->n ? o->table[slot_of(o, number)] : NULL;
}

static int table_grow(struct xfs_overlay *o)
{
	struct page **old = o->table;
	size_t n = o->slots, i;

	o->table = alloc_array(n ? n * 2 : 64, sizeof(*o->table));
	if (!o->table) {
		o->table = old;
		return -ENOMEM;
	}
	o->slots = n ? n * 2 : 64;
	for (i = 0; i < n; i++)
		if (old[i])
			o->table[slot_of(o, old[i]->number)] = old[i];
	free(old);
	return 0;
}

/* The page, filled from the volume where it is new. */
static int page_make(struct xfs_overlay *o, uint64_t number, struct page **out)
{
	uint64_t off = number << PAGE_SIZE_LOG;
	struct page *p;
	size_t slot;
	int r;

	if (o->n * 2 >= o->slots) {
		r = table_grow(o);
		if (r < 0)
			return r;
	}
	slot = slot_of(o, number);
	*out = o->table[slot];
	if (*out)
		return 0;
	if (o->n >= PAGES_MAX)
		return -EFBIG;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->number = number;
	r = blocks_read(o->base, off, p->data,
			MIN(PAGE_BYTES, o->base->size - off));
	if (r < 0) {
		free(p);
		return r;
	}
	o->table[slot] = p;
	o->n++;
	*out = p;
	return 0;
}

int xfs_overlay_write(struct xfs_overlay *o, uint64_t off, const void *data,
		      size_t len)
{
	const uint8_t *from = data;
	struct page *p;
	size_t in, here;
	int r;

	if (off > o->base->size || len > o->base->size - off)
		return -ERANGE;
	for (; len; off += here, from += here, len -= here) {
		in = off & (PAGE_BYTES - 1);
		here = MIN(len, PAGE_BYTES - in);
		r = page_make(o, off >> PAGE_SIZE_LOG, &p);
		if (r < 0)
			return r;
		memcpy(p->data + in, from, here);
	}
	return 0;
}

/* Is there a page in the range? At first only of a few: one look each. */
bool xfs_overlay_has(const struct xfs_overlay *o, uint64_t off, uint64_t len)
{
	uint64_t first = off >> PAGE_SIZE_LOG;
	uint64_t last = len ? (off + len - 1) >> PAGE_SIZE_LOG : first;
	size_t i;

	if (last - first < o->slots) {
		for (; first <= last; first++)
			if (page_find(o, first))
				return true;
		return false;
	}
	for (i = 0; i < o->slots; i++)
		if (o->table[i] && o->table[i]->number >= first &&
		    o->table[i]->number <= last)
			return true;
	return false;
}

int xfs_overlay_read(struct xfs_overlay *o, uint64_t off, void *out, size_t len)
{
	const struct page *p;
	uint8_t *to = out;
	size_t in, here;
	int r;

	if (off > o->base->size || len > o->base->size - off)
		return -ERANGE;
	r = blocks_read(o->base, off, out, len);
	if (r < 0)
		return r;
	for (; len; off += here, to += here, len -= here) {
		in = off & (PAGE_BYTES - 1);
		here = MIN(len, PAGE_BYTES - in);
		p = page_find(o, off >> PAGE_SIZE_LOG);
		if (p)
			memcpy(to, p->data + in, here);
	}
	return 0;
}

static int op_read(struct blocks *b, uint64_t off, void *out, size_t len)
{
	return xfs_overlay_read(container_of(b, struct xfs_overlay, head), off,
				out, len);
}

/* The next page from byte @off on; UINT64_MAX: none. */
static uint64_t next_page(const struct xfs_overlay *o, uint64_t off)
{
	uint64_t best = UINT64_MAX, number = off >> PAGE_SIZE_LOG;
	size_t i;

	for (i = 0; i < o->slots; i++)
		if (o->table[i] && o->table[i]->number >= number)
			best = MIN(best, o->table[i]->number);
	return best == UINT64_MAX ? best : MAX(best << PAGE_SIZE_LOG, off);
}

/* A page counts as data, whatever is under it. */
static int op_seek(struct blocks *b, uint64_t off, bool hole, uint64_t *out)
{
	struct xfs_overlay *o = container_of(b, struct xfs_overlay, head);
	uint64_t page;
	int r;

	for (;;) {
		r = blocks_seek(o->base, off, hole, out);
		if (!hole) {
			page = next_page(o, off);
			if (page == UINT64_MAX || page >= b->size ||
			    (r < 0 && r != -ENXIO))
				return r;
			*out = r == 0 ? MIN(*out, page) : page;
			return 0;
		}
		if (r < 0 || *out >= b->size ||
		    !page_find(o, *out >> PAGE_SIZE_LOG))
			return r;
		off = ((*out >> PAGE_SIZE_LOG) + 1) << PAGE_SIZE_LOG;
		if (off >= b->size) {
			*out = b->size;
			return 0;
		}
	}
}

static void op_free(struct blocks *b)
{
	xfs_overlay_free(container_of(b, struct xfs_overlay, head));
}

static const struct blocks_ops overlay_ops = {
	.read = op_read,
	.seek = op_seek,
	.free = op_free,
};

int xfs_overlay_new(struct blocks *b, struct xfs_overlay **out)
{
	struct xfs_overlay *o;

	*out = NULL;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	if (table_grow(o) < 0) {
		free(o);
		return -ENOMEM;
	}
	blocks_init(&o->head, &overlay_ops, b->size);
	o->base = blocks_get(b);
	*out = o;
	return 0;
}

void xfs_overlay_free(struct xfs_overlay *o)
{
	size_t i;

	if (!o)
		return;
	for (i = 0; i < o->slots; i++)
		free(o->table[i]);
	free(o->table);
	blocks_put(o->base);
	free(o);
}

size_t xfs_overlay_pages(const struct xfs_overlay *o)
{
	return o->n;
}

struct blocks *xfs_overlay_blocks(struct xfs_overlay *o)
{
	return &o->head;
}
