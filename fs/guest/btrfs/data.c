/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bytes of extents. Each sector has a checksum in a tree by logical
 * address, in items of as many sectors as follow one another. What does not
 * match is looked for in the other copy; where none matches it is an error,
 * never data.
 */
#include "config.h"

#include "fs/guest/btrfs/internal.h"

#include <errno.h>
#include <inttypes.h>

#include "fs/guest/inflate.h"
#include "store/base/log.h"

/* Sectors that are read and verified at a time. */
#define STEP 256u
#define STEP_LEN (1u << 20) /* bytes */

enum compressions { COMPRESS_NONE, COMPRESS_ZLIB, COMPRESS_LZO, COMPRESS_ZSTD };

/* The checksums of @n sectors from @logical on. */
static int sums_get(struct btrfs *fs, uint64_t logical, uint32_t n,
		    uint8_t *out)
{
	struct btrfs_key key = { BTRFS_EXTENT_CSUM_ID, BTRFS_EXTENT_CSUM, 0 };
	struct btrfs_cursor c AUTO_CURSOR = BTRFS_CURSOR_INIT;
	uint32_t have, skip, take;
	int r;

	key.offset = logical;
	if (!fs->csums.bytenr)
		return fail(-EBADMSG, "btrfs: there is no tree of checksums");
	for (r = btrfs_seek(fs, &fs->csums, &key, true, &c); r > 0;
	     r = btrfs_next(&c)) {
		if (c.key.objectid != BTRFS_EXTENT_CSUM_ID ||
		    c.key.type != BTRFS_EXTENT_CSUM || c.key.offset > logical)
			break;
		have = c.len / (uint32_t)fs->sum_len;
		if ((logical - c.key.offset) / fs->sector >= have)
			break;
		skip = (uint32_t)((logical - c.key.offset) / fs->sector);
		take = MIN(have - skip, n);
		memcpy(out, c.item + skip * fs->sum_len, take * fs->sum_len);
		out += take * fs->sum_len;
		logical += (uint64_t)take * fs->sector;
		n -= take;
		if (n == 0)
			return 0;
	}
	return r < 0 ? r
		     : fail(-EBADMSG,
			    "btrfs: the data at the logical "
			    "address %" PRIu64 " have no checksum",
			    logical);
}

/* Read a whole range from the first copy that can be. Return which. */
static int read_any(struct btrfs *fs, uint64_t logical, int ncopies,
		    uint8_t *out, size_t len)
{
	int i, r = 0;

	for (i = 0; i < ncopies; i++) {
		r = btrfs_read_copy(fs, logical, (unsigned int)i, out, len);
		if (r == 0)
			return i;
		if (r == -ENOMEM)
			return r;
	}
	return fail(r == -ERANGE ? -EBADMSG : r,
		    "btrfs: the data at the "
		    "logical address %" PRIu64 " cannot be read",
		    logical);
}

/* One sector does not match: try the copies other than @used. */
static int repair(struct btrfs *fs, uint64_t logical, int ncopies, int used,
		  const uint8_t *sum, uint8_t *out)
{
	int i;

	for (i = 0; i < ncopies; i++) {
		if (i == used || btrfs_read_copy(fs, logical, (unsigned int)i,
						 out, fs->sector) < 0)
			continue;
		if (!btrfs_sum_ok(fs->sum_type, out, fs->sector, sum))
			continue;
		if (btrfs_say_repair(fs))
			log_warn(
				"btrfs: the data at the logical address %" PRIu64
				" do not match their checksum; the other copy does",
				logical);
		return 0;
	}
	return fail(-EBADMSG,
		    "btrfs: the data at the logical address %" PRIu64
		    " do not match their checksum",
		    logical);
}

/* Whole sectors, at most STEP. */
static int read_step(struct btrfs *fs, uint64_t logical, bool summed,
		     uint8_t *out, size_t len)
{
	uint8_t sums[STEP * BTRFS_CSUM_MAX];
	uint32_t n = (uint32_t)(len / fs->sector), i;
	int r, used, ncopies;

	ncopies = btrfs_copies(fs, logical, len);
	if (ncopies < 0)
		return ncopies;
	used = read_any(fs, logical, ncopies, out, len);
	if (used < 0)
		return used;
	if (!summed || btrfs_sum_ignored)
		return 0;
	r = sums_get(fs, logical, n, sums);
	for (i = 0; i < n && r == 0; i++, out += fs->sector)
		if (!btrfs_sum_ok(fs->sum_type, out, fs->sector,
				  sums + i * fs->sum_len))
			r = repair(fs, logical + (uint64_t)i * fs->sector,
				   ncopies, used, sums + i * fs->sum_len, out);
	return r;
}

/* A range that is not of whole sectors, by way of a buffer. */
static int read_around(struct btrfs *fs, uint64_t logical, bool summed,
		       void *out, size_t len)
{
	uint64_t start = logical & -(uint64_t)fs->sector;
	size_t skip = (size_t)(logical - start);
	size_t whole = (skip + len + fs->sector - 1) & -(size_t)fs->sector;
	uint8_t *buf AUTO_FREE = malloc(whole);
	int r;

	if (!buf)
		return -ENOMEM;
	r = read_step(fs, start, summed, buf, whole);
	if (r == 0)
		memcpy(out, buf + skip, len);
	return r;
}

int btrfs_data_read(struct btrfs *fs, uint64_t logical, bool summed, void *out,
		    size_t len)
{
	size_t step = MIN((size_t)STEP * fs->sector, STEP_LEN), skip, n;
	uint8_t *p = out;
	int r;

	for (; len > 0; p += n, logical += n, len -= n) {
		skip = logical & (fs->sector - 1);
		n = MIN(len, step - skip);
		/* A short rest is worth copying rather than reading apart. */
		if (skip == 0 && n >= 8 * (size_t)fs->sector)
			n -= n % fs->sector;
		if (skip == 0 && n % fs->sector == 0)
			r = read_step(fs, logical, summed, p, n);
		else
			r = read_around(fs, logical, summed, p, n);
		if (r < 0)
			return r;
	}
	return 0;
}

static ssize_t inflate_any(const struct btrfs *fs, unsigned int compression,
			   const uint8_t *in, size_t len, uint8_t *out,
			   size_t cap)
{
	switch (compression) {
	case COMPRESS_ZLIB:
		return inflate_zlib(in, len, out, cap);
	case COMPRESS_LZO:
		return inflate_lzo_pieces(in, len, fs->sector, out, cap);
	case COMPRESS_ZSTD:
		return inflate_zstd(in, len, out, cap);
	}
	return fail(-EOPNOTSUPP,
		    "btrfs: data are compressed in a way (%u) "
		    "that is not known",
		    compression);
}

int btrfs_inflate(struct btrfs *fs, unsigned int compression, const uint8_t *in,
		  size_t len, struct btrfs_block *x)
{
	ssize_t n = inflate_any(fs, compression, in, len, x->data, x->len);

	if (n == -EBADMSG)
		return fail(-EBADMSG, "btrfs: compressed data cannot be "
				      "decompressed");
	if (n < 0)
		return (int)n;
	memset(x->data + n, 0, x->len - (size_t)n);
	return 0;
}

static int load_extent(struct btrfs *fs, uint64_t logical, uint32_t disk_len,
		       unsigned int compression, bool summed, uint64_t key,
		       struct btrfs_block **out)
{
	uint8_t *in AUTO_FREE = malloc(disk_len);
	struct btrfs_block *x;
	int r;

	x = btrfs_block_new(logical, key, BTRFS_COMPRESSED_MAX);
	if (!x || !in) {
		btrfs_block_put(x);
		return -ENOMEM;
	}
	r = btrfs_data_read(fs, logical, summed, in, disk_len);
	if (r == 0)
		r = btrfs_inflate(fs, compression, in, disk_len, x);
	if (r < 0) {
		btrfs_block_put(x);
		return r;
	}
	btrfs_cache_add(&fs->extents, x);
	*out = x;
	return 0;
}

int btrfs_data_inflate(struct btrfs *fs, uint64_t logical, uint32_t disk_len,
		       unsigned int compression, bool summed, uint32_t off,
		       void *out, size_t len)
{
	/* All that says what the bytes are: damage is not to be hidden by
	 * somebody else's reading of the same place. */
	uint64_t key = (uint64_t)disk_len << 9 | compression << 1 | summed;
	struct btrfs_block *x;
	int r;

	if (off > BTRFS_COMPRESSED_MAX || len > BTRFS_COMPRESSED_MAX - off)
		return -EBADMSG;
	x = btrfs_cache_get(&fs->extents, logical, key);
	if (!x) {
		r = load_extent(fs, logical, disk_len, compression, summed, key,
				&x);
		if (r < 0)
			return r;
	}
	memcpy(out, x->data + off, len);
	btrfs_block_put(x);
	return 0;
}
