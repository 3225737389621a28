/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Compressed files. They are cut into units (16 clusters); of each unit
 * the runlist has all clusters (stored as it is), none (zeros), or some at its
 * start, which hold it as LZNT1; the rest of them is a hole.
 *
 * LZNT1: chunks of 4096 bytes each: le16 head (0: the end; bits 0-11 length - 1
 * of what follows, 12-14 are 3, 15: compressed), then groups of a byte of
 * flags and eight items, a byte or a le16 reference: its lower bits are length
 * - 3, its upper ones distance - 1, where of the 16 bits as many belong to the
 * distance as reaching back to the chunk's start takes, but at least 4.
 */
#include "config.h"

#include "fs/guest/ntfs/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/bytes.h"
#include "store/base/log.h"

#define CHUNK 4096u

struct compressed {
	struct guest_file f;
	struct blocks *b; /* held */
	struct ntfs_run *runs; /* owned; no holes among them */
	size_t nruns;
	uint64_t initialized;
	uint64_t record;
	uint32_t unit;
};

static int chunk_inflate(const uint8_t *in, size_t in_len, uint8_t *out,
			 size_t cap)
{
	const uint8_t *end = in + in_len;
	size_t at = 0, len, distance;
	unsigned int flags, bit, shift, ref;

	while (in < end) {
		flags = *in++;
		for (bit = 0; bit < 8 && in < end; bit++) {
			if (!(flags & (1u << bit))) {
				if (at >= cap)
					return -EBADMSG;
				out[at++] = *in++;
				continue;
			}
			if (end - in < 2 || !at)
				return -EBADMSG;
			ref = get_le16(in);
			in += 2;
			for (shift = 12; shift > 4 &&
					 at - 1 >= UINT32_C(1) << (16 - shift);)
				shift--;
			len = (ref & ((1u << shift) - 1)) + 3;
			distance = (ref >> shift) + 1;
			if (distance > at || len > cap - at)
				return -EBADMSG;
			for (; len; len--, at++)
				out[at] = out[at - distance];
		}
	}
	memset(out + at, 0, cap - at);
	return 0;
}

int ntfs_decompress_unit(const uint8_t *in, size_t in_len, uint8_t *out,
			 size_t out_len)
{
	const uint8_t *end = in + in_len;
	size_t cap, len;
	unsigned int head;

	for (; out_len; out += cap, out_len -= cap, in += len) {
		cap = out_len < CHUNK ? out_len : CHUNK;
		head = end - in >= 2 ? get_le16(in) : 0;
		if (!head)
			break;
		in += 2;
		len = (head & 0xfff) + 1;
		if (len > (size_t)(end - in) || (head & 0x7000) != 0x3000)
			return -EBADMSG;
		if (head & 0x8000) {
			if (chunk_inflate(in, len, out, cap) < 0)
				return -EBADMSG;
			continue;
		}
		if (len > cap)
			return -EBADMSG;
		memcpy(out, in, len);
		memset(out + len, 0, cap - len);
	}
	memset(out, 0, out_len);
	return 0;
}

/* The first run that ends behind @off. */
static size_t run_find(const struct compressed *c, uint64_t off)
{
	size_t low = 0, high = c->nruns, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (c->runs[mid].off + c->runs[mid].len <= off)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* What is allocated of the unit at @off, read to @out. *len_out is how much.
 * There is nothing behind a hole in a unit. */
static int unit_read(struct compressed *c, uint64_t off, uint8_t *out,
		     size_t *len_out)
{
	size_t i = run_find(c, off), len, have = 0;
	const struct ntfs_run *run;
	uint64_t skip;
	int r;

	for (; i < c->nruns && c->runs[i].off < off + c->unit; i++) {
		run = &c->runs[i];
		skip = run->off < off ? off - run->off : 0;
		if (run->off + skip != off + have)
			return -EBADMSG;
		len = run->len - skip < c->unit - have
			      ? (size_t)(run->len - skip)
			      : c->unit - have;
		r = blocks_read(c->b, run->at + skip, out + have, len);
		if (r < 0)
			return r == -ERANGE ? -EBADMSG : r;
		have += len;
	}
	*len_out = have;
	return 0;
}

/* The unit at @off, as it was before it was compressed, to @out, which is
 * as long as it. */
static int unit_load(struct compressed *c, uint64_t off, uint8_t *out,
		     uint8_t *scratch)
{
	size_t len;
	int r;

	r = unit_read(c, off, scratch, &len);
	if (!r && len == c->unit)
		memcpy(out, scratch, len);
	else if (!r)
		r = ntfs_decompress_unit(scratch, len, out, c->unit);
	if (r == -EBADMSG)
		return fail(-EBADMSG,
			    "NTFS: record %llu: what is compressed "
			    "at %llu is damaged",
			    (unsigned long long)c->record,
			    (unsigned long long)off);
	if (!r && off + c->unit > c->initialized) {
		len = c->initialized > off ? (size_t)(c->initialized - off) : 0;
		memset(out + len, 0, c->unit - len);
	}
	return r;
}

static int compressed_read(struct guest_file *f, uint64_t off, void *out,
			   size_t len)
{
	struct compressed *c = (struct compressed *)f;
	uint8_t *scratch, *unit, *to = out;
	size_t skip, part;
	int r = 0;

	scratch = malloc((size_t)c->unit * 2);
	if (!scratch)
		return -ENOMEM;
	unit = scratch + c->unit;
	while (len && !r) {
		skip = (size_t)(off & (c->unit - 1));
		part = c->unit - skip < len ? c->unit - skip : len;
		if (off - skip >= c->initialized) {
			memset(to, 0, part);
		} else if (part == c->unit) {
			r = unit_load(c, off, to, scratch);
		} else {
			r = unit_load(c, off - skip, unit, scratch);
			if (!r)
				memcpy(to, unit + skip, part);
		}
		to += part;
		off += part;
		len -= part;
	}
	free(scratch);
	return r;
}

/* In whole units: one with anything allocated is data. */
static int compressed_seek(struct guest_file *f, uint64_t off, bool hole,
			   uint64_t *out)
{
	struct compressed *c = (struct compressed *)f;
	uint64_t mask = c->unit - 1, start, end;
	size_t i = run_find(c, off & ~mask);

	if (!hole) {
		if (i == c->nruns)
			return -ENXIO;
		start = c->runs[i].off & ~mask;
		*out = start > off ? start : off;
		return *out < f->size ? 0 : -ENXIO;
	}
	for (; i < c->nruns && (c->runs[i].off & ~mask) <= off; i++) {
		end = (c->runs[i].off + c->runs[i].len + mask) & ~mask;
		if (end > off)
			off = end;
	}
	*out = off < f->size ? off : f->size;
	return 0;
}

static void compressed_free(struct guest_file *f)
{
	struct compressed *c = (struct compressed *)f;

	blocks_put(c->b);
	free(c->runs);
	free(c);
}

static const struct guest_file_ops compressed_ops = {
	.read = compressed_read,
	.seek = compressed_seek,
	.free = compressed_free,
};

int ntfs_compressed_file(struct blocks *b, struct ntfs_run *runs, size_t n,
			 uint32_t unit, uint64_t size, uint64_t initialized,
			 uint64_t record, struct guest_file **out)
{
	struct compressed *c = calloc(1, sizeof(*c));

	*out = NULL;
	if (!c) {
		free(runs);
		return -ENOMEM;
	}
	c->b = blocks_get(b);
	c->runs = runs;
	c->nruns = n;
	c->unit = unit;
	c->initialized = initialized;
	c->record = record;
	guest_file_init(&c->f, &compressed_ops, size,
			sizeof(*c) + n * sizeof(*runs));
	*out = &c->f;
	return 0;
}
