/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "fs/guest/ext/overlay.h"

#include <errno.h>
#include <stdlib.h>

struct overlay {
	struct blocks b;
	struct blocks *base; /* held */
	uint32_t block_size;
	struct journal_patch *patches; /* owned; by block */
	size_t n;
};

/* The first patch of a block at or behind @block; n where there is none. */
static size_t patch_at(const struct overlay *o, uint64_t block)
{
	size_t low = 0, high = o->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (o->patches[mid].block < block)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* @len bytes from @skip on of one patch. */
static int patch_read(const struct overlay *o, const struct journal_patch *p,
		      uint64_t skip, uint8_t *out, size_t len)
{
	/* The journal has zeros where data look like its own blocks. */
	static const uint8_t magic[4] = { 0xc0, 0x3b, 0x39, 0x98 };
	size_t i;
	int r = blocks_read(o->base, p->at + skip, out, len);

	for (i = 0; p->escaped && r == 0 && skip + i < 4 && i < len; i++)
		out[i] = magic[skip + i];
	return r;
}

static int overlay_read(struct blocks *b, uint64_t off, void *out, size_t len)
{
	struct overlay *o = container_of(b, struct overlay, b);
	size_t i = patch_at(o, off / o->block_size);
	uint8_t *to = out;
	uint64_t n, at;
	int r = 0;

	while (r == 0 && len > 0) {
		const struct journal_patch *p =
			i < o->n ? &o->patches[i] : NULL;

		at = p ? p->block * o->block_size : UINT64_MAX;
		if (at > off) {
			n = MIN(at - off, (uint64_t)len);
			r = blocks_read(o->base, off, to, (size_t)n);
		} else {
			n = MIN(at + o->block_size - off, (uint64_t)len);
			r = patch_read(o, p, off - at, to, (size_t)n);
			i++;
		}
		to += n;
		off += n;
		len -= (size_t)n;
	}
	return r;
}

static void overlay_free(struct blocks *b)
{
	struct overlay *o = container_of(b, struct overlay, b);

	blocks_put(o->base);
	free(o->patches);
	free(o);
}

static const struct blocks_ops overlay_ops = {
	.read = overlay_read,
	.free = overlay_free,
};

int overlay_new(struct blocks *b, uint32_t block_size, struct journal_log *log,
		struct blocks **out)
{
	struct overlay *o = calloc(1, sizeof(*o));

	*out = NULL;
	if (!o)
		return -ENOMEM;
	blocks_init(&o->b, &overlay_ops, b->size);
	o->base = blocks_get(b);
	o->block_size = block_size;
	o->patches = log->patches;
	o->n = log->n;
	log->patches = NULL;
	log->n = 0;
	*out = &o->b;
	return 0;
}
