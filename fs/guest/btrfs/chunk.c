/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Chunks: what maps the logical addresses, by which all of the filesystem
 * names its blocks, to places on devices. One device is at hand here, so a
 * chunk can be read when it has a whole copy on that: SINGLE, DUP, the
 * mirrored profiles, and the striped ones where they have but one stripe.
 */
#include "config.h"

#include "fs/guest/btrfs/internal.h"

#include <errno.h>
#include <inttypes.h>

#include "store/base/array.h"
#include "store/base/log.h"

/* 256 GiB of the largest chunks each; bounds the memory: 56 bytes each. */
#define CHUNKS_MAX (256u << 10)

enum chunk_offsets {
	CHUNK_LEN = 0,
	CHUNK_TYPE = 24,
	CHUNK_NUM_STRIPES = 44,
	CHUNK_SUB_STRIPES = 46,
	CHUNK_STRIPES = 48,
};
#define STRIPE_LEN 32

#define TYPE_RAID0 (1u << 3)
#define TYPE_RAID10 (1u << 6)
/* RAID1, DUP, RAID1C3, RAID1C4: each stripe is the whole. */
#define TYPE_MIRRORS (1u << 4 | 1u << 5 | 1u << 9 | 1u << 10)
#define TYPE_RAID (0x7f8u)

void btrfs_chunks_release(struct btrfs_chunks *c)
{
	free(c->list);
	memset(c, 0, sizeof(*c));
}

/* Is each stripe of such a chunk the whole of it? */
static bool is_mirrored(uint64_t type, unsigned int nstripes, unsigned int nsub)
{
	uint64_t raid = type & TYPE_RAID;

	if (raid == 0 || raid == TYPE_RAID0)
		return nstripes == 1;
	if (raid == TYPE_RAID10)
		return nstripes == nsub;
	return (raid & ~(uint64_t)TYPE_MIRRORS) == 0;
}

static void take_stripes(const struct btrfs *fs, struct btrfs_chunks *c,
			 struct btrfs_chunk *x, const uint8_t *item)
{
	unsigned int n = get_le16(item + CHUNK_NUM_STRIPES), i;
	uint64_t type = get_le64(item + CHUNK_TYPE);
	const uint8_t *s;

	if (!is_mirrored(type, n, get_le16(item + CHUNK_SUB_STRIPES))) {
		c->unknown |= type & TYPE_RAID;
		c->elsewhere += x->len;
		return;
	}
	for (i = 0; i < n && x->ncopies < BTRFS_COPIES_MAX; i++) {
		s = item + CHUNK_STRIPES + STRIPE_LEN * (size_t)i;
		if (get_le64(s) == fs->devid)
			x->copies[x->ncopies++] = get_le64(s + 8);
	}
	if (x->ncopies == 0)
		c->elsewhere += x->len;
}

/* The first chunk that ends behind @logical; n: none. */
static size_t chunk_behind(const struct btrfs_chunks *c, uint64_t logical)
{
	size_t low = 0, high = c->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (c->list[mid].start + c->list[mid].len > logical)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

int btrfs_chunks_add(const struct btrfs *fs, struct btrfs_chunks *c,
		     uint64_t start, const uint8_t *item, size_t len)
{
	struct btrfs_chunk x = { .start = start };
	size_t at;

	if (len >= CHUNK_STRIPES)
		x.len = get_le64(item + CHUNK_LEN);
	if (x.len == 0 || start + x.len < start ||
	    get_le16(item + CHUNK_NUM_STRIPES) >
		    (len - CHUNK_STRIPES) / STRIPE_LEN)
		return fail(-EBADMSG,
			    "btrfs: the chunk at %" PRIu64 " is malformed",
			    start);
	if (c->n >= CHUNKS_MAX)
		return fail(-EBADMSG, "btrfs: there are more than %u chunks",
			    CHUNKS_MAX);
	if (array_reserve(&c->list, &c->cap, c->n + 1) < 0)
		return -ENOMEM;
	/* The array in the superblock has no order. */
	at = chunk_behind(c, start);
	if (at < c->n && c->list[at].start < start + x.len)
		return fail(-EBADMSG,
			    "btrfs: the chunks at %" PRIu64 " and %" PRIu64
			    " overlap",
			    c->list[at].start, start);
	take_stripes(fs, c, &x, item);
	memmove(c->list + at + 1, c->list + at, (c->n - at) * sizeof(*c->list));
	c->list[at] = x;
	c->n++;
	return 0;
}

/* Name the profile of which a chunk cannot be read. */
static const char *profile_name(uint64_t type)
{
	static const char *const names[] = { "RAID0",  "",	"",
					     "RAID10", "RAID5", "RAID6" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (type >> (3 + i) & 1 && names[i][0])
			return names[i];
	return "an unknown profile";
}

static int refuse(const struct btrfs *fs, const struct btrfs_chunks *c,
		  struct buf *why)
{
	if (c->unknown)
		buf_printf(why,
			   "it is striped (%s) over %" PRIu64 " devices, "
			   "which cannot be read: attach the raw disks of all "
			   "of them to a machine that mounts it",
			   profile_name(c->unknown), fs->ndevices);
	else
		buf_printf(why,
			   "it spans %" PRIu64 " devices, and %" PRIu64
			   " MiB of it are not on this one: attach the raw "
			   "disks of all of them to a machine that mounts it",
			   fs->ndevices, c->elsewhere >> 20);
	return -EOPNOTSUPP;
}

int btrfs_chunks_read(struct btrfs *fs, struct buf *why)
{
	const struct btrfs_key first = { BTRFS_CHUNK_ID, BTRFS_CHUNK_ITEM, 0 };
	struct btrfs_chunks all = { .list = NULL };
	struct btrfs_cursor c AUTO_CURSOR = BTRFS_CURSOR_INIT;
	int r;

	if (fs->chunks.elsewhere)
		return refuse(fs, &fs->chunks, why);
	for (r = btrfs_seek(fs, &fs->chunk_root, &first, false, &c); r > 0;
	     r = btrfs_next(&c)) {
		if (c.key.objectid != BTRFS_CHUNK_ID ||
		    c.key.type != BTRFS_CHUNK_ITEM)
			break;
		r = btrfs_chunks_add(fs, &all, c.key.offset, c.item, c.len);
		if (r < 0)
			break;
	}
	if (r >= 0 && all.elsewhere)
		r = refuse(fs, &all, why);
	if (r < 0) {
		btrfs_chunks_release(&all);
		return r;
	}
	btrfs_chunks_release(&fs->chunks);
	fs->chunks = all;
	return 0;
}

static const struct btrfs_chunk *chunk_of(const struct btrfs *fs,
					  uint64_t logical, uint64_t len)
{
	size_t i = chunk_behind(&fs->chunks, logical);
	const struct btrfs_chunk *x;

	if (i == fs->chunks.n)
		return NULL;
	x = &fs->chunks.list[i];
	if (x->start > logical || len > x->start + x->len - logical)
		return NULL;
	return x;
}

int btrfs_copies(const struct btrfs *fs, uint64_t logical, uint64_t len)
{
	const struct btrfs_chunk *x = chunk_of(fs, logical, len);

	if (!x)
		return fail(-EBADMSG,
			    "btrfs: %" PRIu64 " bytes at the logical "
			    "address %" PRIu64 " lie in no chunk",
			    len, logical);
	if (x->ncopies == 0)
		return fail(-EIO,
			    "btrfs: the chunk at %" PRIu64 " lies on "
			    "another device",
			    x->start);
	return x->ncopies;
}

int btrfs_read_copy(const struct btrfs *fs, uint64_t logical, unsigned int copy,
		    void *out, size_t len)
{
	const struct btrfs_chunk *x = chunk_of(fs, logical, len);

	if (!x || copy >= x->ncopies)
		return -EINVAL;
	if (x->copies[copy] > fs->blocks->size)
		return -ERANGE;
	return blocks_read(fs->blocks, x->copies[copy] + (logical - x->start),
			   out, len);
}
