/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "fs/disk_blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/content.h"
#include "store/format.h"
#include "store/point.h"

struct disk_blocks {
	struct blocks b;
	struct vault *vault; /* borrowed */
	atomic_uint_fast64_t failures; /* of reads */
	struct content_ref content; /* of bytes */
	uint8_t bytes[]; /* encoded content */
};

/* What a read of the vault came to, as readers see it. A pack that is missing
 * counts as damage, and may yet come back: all that fails may pass. */
static int result(struct disk_blocks *d, int r)
{
	if (r < 0 && r != -ENXIO && r != -ECANCELED)
		atomic_fetch_add_explicit(&d->failures, 1,
					  memory_order_relaxed);
	return r == -EBADMSG ? -EIO : r;
}

uint64_t disk_blocks_failures(const struct blocks *b)
{
	return container_of(b, struct disk_blocks, b)->failures;
}

static int read_disk(struct blocks *b, uint64_t off, void *out, size_t len)
{
	struct disk_blocks *d = container_of(b, struct disk_blocks, b);

	return result(d, content_read(d->vault, &d->content, off, out, len));
}

static int seek_disk(struct blocks *b, uint64_t off, bool hole, uint64_t *out)
{
	struct disk_blocks *d = container_of(b, struct disk_blocks, b);

	return result(d, content_seek(d->vault, &d->content, off, hole, out));
}

static void free_disk(struct blocks *b)
{
	free(container_of(b, struct disk_blocks, b));
}

static const struct blocks_ops disk_ops = {
	.read = read_disk,
	.seek = seek_disk,
	.free = free_disk,
};

int disk_blocks_new(struct vault *v, const struct point_disk *d,
		    struct blocks **out)
{
	struct disk_blocks *x = malloc(sizeof(*x) + d->content_len);

	*out = NULL;
	if (!x)
		return -ENOMEM;
	blocks_init(&x->b, &disk_ops, d->size);
	x->vault = v;
	atomic_init(&x->failures, 0);
	x->content = point_disk_content(d);
	x->content.data = x->bytes;
	if (d->content_len > 0)
		memcpy(x->bytes, d->content, d->content_len);
	*out = &x->b;
	return 0;
}
