/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The last proof of a disk: its bytes, put together from its chunks, have the
 * digest of what was read from the source (vmbackup-vault(5), Disks). A disk
 * that several points share is read once.
 */
#include "config.h"

#include "store/check/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/bytes.h"
#include "store/chunk.h"
#include "store/content.h"
#include "store/crypt/crypt.h"
#include "store/point.h"
#include "store/vault.h"

#define CELL (256u << 10)

struct digest {
	struct check *check;
	struct sha256 *sha; /* owned */
	uint64_t size; /* of the disk */
	uint64_t cell; /* offset of the one in @bytes */
	bool any; /* some of it was filled */
	uint8_t *bytes; /* owned, CELL of them */
};

/* Take the cell at hand into the digest, and begin another one. */
static int end_cell(struct digest *d, uint64_t next)
{
	uint32_t len = (uint32_t)MIN(d->size - d->cell, (uint64_t)CELL);
	uint8_t head[12];
	int r = 0;

	if (d->any && !bytes_are_zero(d->bytes, len)) {
		put_le64(head, d->cell);
		put_le32(head + 8, len);
		r = sha256_update(d->sha, head, sizeof(head));
		if (r == 0)
			r = sha256_update(d->sha, d->bytes, len);
	}
	if (d->any)
		memset(d->bytes, 0, CELL);
	d->any = false;
	d->cell = next;
	return r;
}

static int on_extent(void *arg, const struct extent *e)
{
	struct digest *d = arg;
	uint64_t done, n;
	int r = check_tick(d->check);

	if (e->type != EXTENT_DATA)
		return r;
	for (done = 0; r == 0 && done < e->len; done += n) {
		uint64_t off = e->off + done, cell = off - off % CELL;

		n = MIN(e->len - done, cell + CELL - off);
		if (cell != d->cell)
			r = end_cell(d, cell);
		if (r == 0)
			r = chunk_read(d->check->vault, CHUNK_DISK, &e->id,
				       (uint32_t)e->len, (uint32_t)done,
				       (uint32_t)n, d->bytes + (off - cell));
		d->any = true;
	}
	d->check->progress.bytes_done += e->len;
	return r;
}

/* Return 1 where the digest is another one, 0 where not. */
static int differs(struct check *c, const struct point_disk *p)
{
	struct content_ref content = point_disk_content(p);
	struct digest d = { .check = c, .size = p->size };
	uint8_t got[CRYPT_SHA256_LEN];
	int r;

	d.bytes = calloc(1, CELL);
	r = d.bytes ? sha256_new(&d.sha) : -ENOMEM;
	if (r == 0)
		r = content_walk(c->vault, &content, on_extent, &d);
	if (r == 0)
		r = end_cell(&d, 0);
	if (r == 0)
		r = sha256_finish(d.sha, got);
	if (r == 0)
		r = memcmp(got, p->sha256, sizeof(got)) != 0;
	sha256_free(d.sha);
	free(d.bytes);
	return r;
}

static int check_disk(struct check *c, size_t at, const struct point_disk *d)
{
	char object[OBJECT_NAME_MAX], path[POINT_NAME_MAX + 16];
	int r = differs(c, d);

	/* Chunks that cannot be read were found with their packs. */
	if (backend_error_is_of_object(r))
		return 0;
	if (r <= 0)
		return r;
	snprintf(object, sizeof(object), "point/%s",
		 c->out->points_list->points[at]->id);
	snprintf(path, sizeof(path), "disks/%s.raw", d->name);
	r = check_found(c, true, object,
			"disk %s does not hold the bytes that were read when"
			" it was backed up",
			d->name);
	return r < 0 ? r : check_add_place(c, c->out->findings[r], at, path);
}

/* What tells one disk's bytes and digest from another's. */
static int key_of(const struct point_disk *d, struct id *out)
{
	struct sha256 *h;
	uint8_t size[8];
	int r = sha256_new(&h);

	if (r < 0)
		return r;
	put_le64(size, d->size);
	r = sha256_update(h, size, sizeof(size));
	if (r == 0)
		r = sha256_update(h, d->sha256, sizeof(d->sha256));
	if (r == 0)
		r = sha256_update(h, d->content, d->content_len);
	if (r == 0)
		r = sha256_finish(h, out->b);
	sha256_free(h);
	return r;
}

int check_disks(struct check *c)
{
	struct point_list *l = c->out->points_list;
	size_t i, j;
	int r = 0;

	c->progress = (struct check_progress){ .phase = "disks",
					       .items_total = l->n };
	for (i = 0; i < l->n; i++)
		for (j = 0; j < l->points[i]->ndisks; j++)
			c->progress.bytes_total += l->points[i]->disks[j].used;
	for (i = 0; i < l->n && r == 0; i++) {
		const struct point *p = l->points[i];

		for (j = 0; j < p->ndisks && r == 0; j++) {
			struct id key;

			if (!p->disks[j].has_sha256)
				continue;
			r = key_of(&p->disks[j], &key);
			if (r < 0 || memo_get(&c->seen, &key))
				continue;
			r = memo_set(&c->seen, &key, 1);
			if (r == 0)
				r = check_disk(c, i, &p->disks[j]);
		}
		c->progress.items_done++;
	}
	return r;
}
