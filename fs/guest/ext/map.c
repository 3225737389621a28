/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the blocks of a file are: the extents of ext4, or the block map that
 * ext2 had (twelve blocks, then one, two and three levels of blocks of
 * numbers).
 *
 * Both are trees that a hostile image can make a maze of. Extents must come
 * in ascending order, which no block that is met twice can keep; the depth
 * falls by one on each level. A block map has no such order: there no more
 * blocks of numbers are read than the filesystem has blocks.
 */
#include "config.h"

#include "fs/guest/ext/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "store/base/bytes.h"
#include "store/base/log.h"

#define EXTENT_MAGIC 0xf30a
#define EXTENT_DEPTH_MAX 5
#define EXTENT_LEN 12 /* of the header, an index and an extent alike */
#define EXTENT_INIT_MAX 32768 /* a longer one is unwritten */
#define NDIRECT 12
#define LBLK_END (UINT64_C(1) << 32)

struct map_walk {
	const struct ext *e;
	const struct ext_inode *i;
	ext_range_fn *fn;
	void *arg;
	uint8_t *bufs; /* owned; one block a level */
	uint64_t from; /* what ends before it may be passed over */
	uint64_t next; /* the first logical block that may come */
	/* block maps */
	uint64_t end; /* logical blocks that the size has */
	uint64_t budget; /* blocks of numbers that may still be read */
	uint64_t run_lblk, run_pblk, run_n; /* gathered, not yet handed on */
};

static int bad(const struct map_walk *w, const char *what)
{
	return fail(-EBADMSG, "ext: inode %" PRIu32 ": %s", w->i->ino, what);
}

/* ---- extents ---- */

static int extent_leaf(struct map_walk *w, const uint8_t *node, unsigned int n,
		       uint64_t limit)
{
	unsigned int k;
	int r;

	for (k = 0; k < n; k++) {
		const uint8_t *x = node + EXTENT_LEN * (1 + k);
		uint64_t lblk = get_le32(x);
		uint64_t len = get_le16(x + 4);
		uint64_t pblk = get_le32(x + 8) | (uint64_t)get_le16(x + 6)
							  << 32;
		bool unwritten = len > EXTENT_INIT_MAX;

		if (unwritten)
			len -= EXTENT_INIT_MAX;
		if (len == 0 || lblk < w->next || lblk + len > limit)
			return bad(w, "its extents are out of order");
		if (!ext_blocks_ok(w->e, pblk, len))
			return bad(w, "an extent is outside of the filesystem");
		w->next = lblk + len;
		r = w->fn(w->arg, lblk, pblk, len, unwritten);
		if (r)
			return r;
	}
	return 0;
}

/* Is the header that of a node of @depth that fits in @room bytes? */
static bool header_ok(const uint8_t *node, size_t room, unsigned int depth)
{
	unsigned int max = get_le16(node + 4);

	return get_le16(node) == EXTENT_MAGIC && get_le16(node + 6) == depth &&
	       max >= 1 && max <= room / EXTENT_LEN - 1 &&
	       get_le16(node + 2) <= max;
}

static int extent_block(const struct map_walk *w, uint64_t pblk,
			unsigned int depth, uint8_t *buf)
{
	size_t size = w->e->super.block_size, tail;
	int r;

	if (!ext_blocks_ok(w->e, pblk, 1))
		return bad(w, "a node of its extents is outside of the "
			      "filesystem");
	r = ext_block_read(w->e, pblk, buf);
	if (r < 0)
		return r;
	if (!header_ok(buf, size, depth) || get_le16(buf + 2) == 0)
		return bad(w, "a node of its extents is damaged");
	tail = EXTENT_LEN * (1u + get_le16(buf + 4));
	if (w->e->super.checksums &&
	    (tail + 4 > size ||
	     get_le32(buf + tail) != ext_crc32c(w->i->csum_seed, buf, tail)))
		return bad(w, "the checksum of a node of its extents does not "
			      "match");
	return 0;
}

/* @node: checked, of @depth; all below it lies before @limit. */
static int extent_node(struct map_walk *w, const uint8_t *node,
		       unsigned int depth, uint64_t limit)
{
	unsigned int n = get_le16(node + 2), k;
	uint8_t *child;
	int r;

	if (depth == 0)
		return extent_leaf(w, node, n, limit);
	child = w->bufs + (size_t)(depth - 1) * w->e->super.block_size;
	for (k = 0; k < n; k++) {
		const uint8_t *x = node + EXTENT_LEN * (1 + k);
		uint64_t first = get_le32(x), end = limit;

		if (k + 1 < n)
			end = get_le32(x + EXTENT_LEN);
		/* The first key of all may be less than what is there. */
		if (first < w->next || end <= first || end > limit)
			return bad(w, "the index of its extents is out of "
				      "order");
		if (end <= w->from)
			continue;
		r = extent_block(
			w, get_le32(x + 4) | (uint64_t)get_le16(x + 8) << 32,
			depth - 1, child);
		if (r < 0)
			return r;
		w->next = first;
		r = extent_node(w, child, depth - 1, end);
		if (r)
			return r;
	}
	return 0;
}

static int walk_extents(struct map_walk *w)
{
	const uint8_t *root = w->i->block;
	unsigned int depth = get_le16(root + 6);

	if (depth > EXTENT_DEPTH_MAX ||
	    !header_ok(root, EXT_NBLOCKS_LEN, depth))
		return bad(w, "the root of its extents is damaged");
	if (depth > 0) {
		w->bufs = alloc_array(depth, w->e->super.block_size);
		if (!w->bufs)
			return -ENOMEM;
	}
	return extent_node(w, root, depth, LBLK_END);
}

/* ---- block maps ---- */

static int run_flush(struct map_walk *w)
{
	uint64_t n = w->run_n;

	w->run_n = 0;
	return n ? w->fn(w->arg, w->run_lblk, w->run_pblk, n, false) : 0;
}

static int run_add(struct map_walk *w, uint64_t lblk, uint32_t pblk)
{
	int r;

	if (pblk == 0)
		return 0;
	if (!ext_blocks_ok(w->e, pblk, 1))
		return bad(w, "a block of it is outside of the filesystem");
	if (w->run_n && w->run_lblk + w->run_n == lblk &&
	    w->run_pblk + w->run_n == pblk) {
		w->run_n++;
		return 0;
	}
	r = run_flush(w);
	if (r)
		return r;
	w->run_lblk = lblk;
	w->run_pblk = pblk;
	w->run_n = 1;
	return 0;
}

/* The tree below block @pblk; it maps blocks from @lblk on. @level 1: its
 * numbers are of data. */
static int map_node(struct map_walk *w, uint32_t pblk, uint64_t lblk,
		    unsigned int level)
{
	uint32_t per = w->e->super.block_size / 4, k;
	uint8_t *buf = w->bufs + (size_t)(level - 1) * w->e->super.block_size;
	uint64_t below = 1;
	unsigned int l;
	int r;

	if (pblk == 0 || lblk >= w->end)
		return 0;
	if (!ext_blocks_ok(w->e, pblk, 1) || w->budget-- == 0) {
		w->budget = 0;
		return bad(w, "its block map is damaged");
	}
	for (l = 1; l < level; l++)
		below *= per;
	if (lblk + below * per <= w->from)
		return 0;
	r = ext_block_read(w->e, pblk, buf);
	for (k = 0; r == 0 && k < per && lblk < w->end; k++, lblk += below) {
		if (level == 1)
			r = run_add(w, lblk, get_le32(buf + 4 * k));
		else
			r = map_node(w, get_le32(buf + 4 * k), lblk, level - 1);
	}
	return r;
}

static int walk_map(struct map_walk *w)
{
	uint64_t per = w->e->super.block_size / 4, lblk = NDIRECT, n = per;
	const uint8_t *b = w->i->block;
	unsigned int k;
	int r = 0;

	w->end = w->i->size / w->e->super.block_size +
		 (w->i->size % w->e->super.block_size != 0);
	w->budget = w->e->super.blocks_count;
	w->bufs = alloc_array(3, w->e->super.block_size);
	if (!w->bufs)
		return -ENOMEM;
	for (k = 0; r == 0 && k < NDIRECT && k < w->end; k++)
		r = run_add(w, k, get_le32(b + 4 * k));
	for (k = 1; r == 0 && k <= 3; k++) {
		r = map_node(w, get_le32(b + 4 * (NDIRECT + k - 1)), lblk, k);
		lblk += n;
		n *= per;
	}
	return r ? r : run_flush(w);
}

int ext_map_walk(const struct ext *e, const struct ext_inode *i, uint64_t from,
		 ext_range_fn *fn, void *arg)
{
	struct map_walk w = {
		.e = e, .i = i, .from = from, .fn = fn, .arg = arg
	};
	int r;

	r = i->flags & EXT_FL_EXTENTS ? walk_extents(&w) : walk_map(&w);
	free(w.bufs);
	return r;
}

/* ---- short files ---- */

struct copy {
	const struct ext *e;
	uint8_t *out;
	uint64_t len;
};

static int copy_range(void *arg, uint64_t lblk, uint64_t pblk, uint64_t n,
		      bool unwritten)
{
	struct copy *c = arg;
	uint64_t size = c->e->super.block_size, off = lblk * size;

	if (off >= c->len)
		return 1; /* all is there */
	if (unwritten)
		return 0;
	return blocks_read(c->e->meta, pblk * size, c->out + off,
			   (size_t)MIN(n * size, c->len - off));
}

int ext_map_read(const struct ext *e, const struct ext_inode *i, void *out,
		 size_t len)
{
	struct copy c = { e, out, len };
	int r;

	memset(out, 0, len);
	r = ext_map_walk(e, i, 0, copy_range, &c);
	return r == 1 ? 0 : r;
}
