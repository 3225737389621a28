/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A hint that lies would leave a hole in a backup that nobody notices until it is
 * needed. So each claim of a bitmap or a map counts towards a sample: once a
 * stride of bytes the claimed range is read after all, and compared. The first
 * sample comes at a random place, so that a guest cannot know what is looked at.
 */
#include "config.h"

#include "src/backup/disk_hints.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/backup/disk_grid.h"
#include "src/backup/disk_map.h"
#include "src/backup/internal.h"
#include "store/base/bytes.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/content.h"
#include "store/format.h"
#include "store/point.h"
#include "store/vault.h"

/* A cell of 32, and of a large disk some 1024 cells. */
#define STRIDE_MIN (32 * (uint64_t)GRID_CELL)
#define SAMPLES_MAX 1024

/* An NBD socket may have another name each time. A point keeps the beginning
 * of long names. */
static bool other_source(const struct point_disk *old, const char *source)
{
	return old->source && strncmp(source, "nbd", 3) != 0 &&
	       strncmp(old->source, source, POINT_SOURCE_MAX) != 0;
}

/* Why what is said to be unchanged since @machine is read all the same; NULL:
 * nothing speaks against it. */
static const char *doubt(const struct point *machine,
			 const struct point_disk *old,
			 const struct backup_disk *disk)
{
	if (!old)
		return "no parent point has it";
	if (machine->incomplete)
		return "the parent point is not complete";
	if (other_source(old, disk->source))
		return "in the parent point it was read from another source";
	return NULL;
}

static bool bitmap_begins_there(const struct disk_hints *h,
				const struct backup_disk *disk)
{
	const char *name = h->backup->options->bitmap;

	if (h->parent->bitmap && strcmp(h->parent->bitmap, name) == 0)
		return true;
	log_warn("disk %s: the parent point does not say that the bitmap \"%s\""
		 " began with it (--next-bitmap): all of it is read",
		 disk->name, name);
	return false;
}

static int init_samples(struct disk_hints *h)
{
	struct seam *seam = vault_seam(h->backup->vault);
	uint8_t random[8];
	int r = seam->ops->random(seam, random, sizeof(random));

	h->stride = MAX(STRIDE_MIN, h->source->size / SAMPLES_MAX);
	h->claimed = r < 0 ? 0 : get_le64(random) % h->stride;
	return r == -ENOMEM ? r : 0;
}

int disk_hints_init(struct disk_hints *out, struct backup *b,
		    const struct backup_disk *disk, struct disk_source *s,
		    const struct point *machine)
{
	const struct point_disk *old =
		machine ? point_find_disk(machine, disk->name) : NULL;
	const char *why;
	int r = 0;

	memset(out, 0, sizeof(*out));
	out->backup = b;
	out->source = s;
	if ((!disk->map && !s->has_bitmap) || b->options->force)
		return 0;
	why = doubt(machine, old, disk);
	if (why) {
		log_warn("disk %s: %s: what is said to be unchanged is read "
			 "all the same",
			 disk->name, why);
		return 0;
	}
	if (old->size != s->size)
		log_warn("disk %s: it had %llu bytes in the parent point and "
			 "has %llu now: what is new is read",
			 disk->name, (unsigned long long)old->size,
			 (unsigned long long)s->size);
	out->parent = old;
	if (disk->map)
		r = disk_map_read(disk->map, disk->name, s->size, b->task->stop,
				  &out->map);
	else
		out->bitmap = bitmap_begins_there(out, disk);
	if (r == -ENOMEM || r == -EINTR)
		return r;
	/* Two hints: a map that is no good casts doubt on the bitmap too. */
	if (!out->map && !out->bitmap)
		out->parent = NULL;
	return init_samples(out);
}

void disk_hints_release(struct disk_hints *h)
{
	disk_map_free(h->map);
	free(h->data);
	memset(h, 0, sizeof(*h));
}

/* The first claim of all, then one a stride. */
static bool is_turn(struct disk_hints *h, uint64_t len)
{
	h->claimed += len;
	if (h->sampled && h->claimed < h->stride)
		return false;
	if (h->sampled)
		h->claimed = 0;
	h->sampled = true;
	return true;
}

static int have_buffer(struct disk_hints *h)
{
	if (!h->data)
		h->data = malloc(2 * (size_t)GRID_CELL);
	return h->data ? 0 : -ENOMEM;
}

static int differs(const struct disk_hints *h, uint64_t off)
{
	log_warn("disk %s: at byte %llu it is not what the bitmap or map says: "
		 "all of it is read",
		 h->source->name, (unsigned long long)off);
	return 1;
}

int disk_hints_try_same(struct disk_hints *h, uint64_t off, uint64_t len)
{
	struct content_ref content = point_disk_content(h->parent);
	int r;

	if (!is_turn(h, len))
		return 0;
	r = have_buffer(h);
	if (r == 0)
		r = disk_source_read(h->source, off, h->data, len);
	if (r == 0)
		r = content_read(h->backup->vault, &content, off,
				 h->data + GRID_CELL, len);
	if (r < 0)
		return r;
	return memcmp(h->data, h->data + GRID_CELL, len) ? differs(h, off) : 0;
}

/* Read at most a cell of the range, in the units that the source is read in:
 * is it zeros? */
static int try_zeros(struct disk_hints *h, uint64_t off, uint64_t end)
{
	uint64_t unit = MAX(GRID_BLOCK, h->source->granule), len;
	int r = have_buffer(h);

	off += (unit - off % unit) % unit;
	if (off >= end || r < 0)
		return r;
	len = MIN(end - off, (uint64_t)GRID_CELL);
	if (end < h->source->size)
		len -= len % unit;
	if (len == 0)
		return 0;
	r = disk_source_read(h->source, off, h->data, len);
	if (r < 0)
		return r;
	return bytes_are_zero(h->data, len) ? 0 : differs(h, off);
}

int disk_hints_try_zero(struct disk_hints *h, uint64_t off, uint64_t len)
{
	uint64_t end = off + len, step;
	int r = 0;

	h->followed = true;
	for (; off < end && r == 0; off += step) {
		step = MIN(end - off, h->stride);
		if (is_turn(h, step))
			r = try_zeros(h, off, end);
	}
	return r;
}
