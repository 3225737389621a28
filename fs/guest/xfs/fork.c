/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the blocks of a fork are: a list of extents in the inode, or a B+tree
 * whose root is there. In a tree each step down is one level lower and each leaf goes
 * on where the last one ended: no loop is possible.
 */
#include "config.h"

#include <errno.h>

#include "fs/guest/xfs/internal.h"
#include "store/base/array.h"
#include "store/base/log.h"

enum {
	BMAP_MAGIC = 0x424d4150, /* BMAP */
	BMAP3_MAGIC = 0x424d4133, /* BMA3 */
	BMAP_HEADER = 24,
	BMAP3_HEADER = 72,
	DEPTH_MAX = 9,
	/* Of one directory or attribute fork, held in memory. */
	EXTENTS_MAX = 1 << 20,
};

void xfs_extent_decode(const uint8_t *p, struct xfs_extent *out)
{
	uint64_t a = be64(p), b = be64(p + 8);

	out->unwritten = a >> 63;
	out->off = (a & ~(UINT64_C(1) << 63)) >> 9;
	out->block = (a & 0x1ff) << 43 | b >> 21;
	out->len = b & 0x1fffff;
}

/* A walk over the extents of a fork. */
struct walk {
	struct xfs *x;
	const struct xfs_inode *inode;
	const struct xfs_fork *fork;
	uint64_t from; /* what ends before it may be passed over */
	bool passed_over; /* something was */
	xfs_extent_fn *fn;
	void *arg;
	uint64_t next; /* the first block of the file that may come */
	uint64_t n; /* extents so far */
};

static int walk_bad(const struct walk *w, const char *what)
{
	return fail(-EBADMSG, "xfs: inode %" PRIu64 ": %s", w->inode->ino,
		    what);
}

static int walk_records(struct walk *w, const uint8_t *p, size_t n)
{
	struct xfs_extent e;
	int r;

	for (; n; n--, p += 16) {
		xfs_extent_decode(p, &e);
		if (!e.len || e.off < w->next ||
		    !xfs_block_ok(&w->x->sb, e.block, e.len))
			return walk_bad(w, "an extent is not possible");
		w->next = e.off + e.len;
		/* Extents may share blocks, so that all of them together may be
		 * longer than the filesystem. */
		if (++w->n > w->fork->nextents)
			return walk_bad(w, "it has too many extents");
		r = w->fn(w->arg, &e);
		if (r)
			return r;
	}
	return 0;
}

/* One block of the tree on the way down. */
struct step {
	uint8_t *block; /* owned */
	const uint8_t *keys; /* where what is below begins; 8 bytes each */
	const uint8_t *pointers;
	size_t n, i;
};

/* Go to the next block below @s, over those that end too early. */
static uint64_t step_next(struct walk *w, struct step *s)
{
	while (s->i + 1 < s->n && be64(s->keys + (s->i + 1) * 8) <= w->from) {
		w->passed_over = true;
		s->i++;
	}
	return be64(s->pointers + s->i++ * 8);
}

/* Read the block that is to be of @level into @s; a leaf is walked over. */
static int walk_block(struct walk *w, uint64_t block, unsigned int level,
		      struct step *s)
{
	struct xfs *x = w->x;
	size_t size = x->sb.block_size;
	size_t header = x->sb.v5 ? BMAP3_HEADER : BMAP_HEADER;
	size_t most = (size - header) / 16;
	uint64_t at;
	int r;

	if (!xfs_block_ok(&x->sb, block, 1))
		return walk_bad(w, "a block of its extents' tree is outside"
				   " the filesystem");
	at = xfs_block_at(&x->sb, block);
	r = xfs_read(x, at, s->block, size, "extents' tree", w->inode->ino);
	if (r < 0)
		return r;
	if (be32(s->block) != (x->sb.v5 ? BMAP3_MAGIC : BMAP_MAGIC))
		return walk_bad(w, "a block of its extents' tree is none");
	r = xfs_check(x, &xfs_header_bmap, s->block, size, at, w->inode->ino);
	if (r < 0)
		return r;
	s->n = be16(s->block + 6);
	s->i = 0;
	if (be16(s->block + 4) != level || !s->n || s->n > most)
		return walk_bad(w, "a block of its extents' tree is damaged");
	if (!level)
		return walk_records(w, s->block + header, s->n);
	s->keys = s->block + header;
	s->pointers = s->keys + most * 8;
	return 0;
}

static int walk_tree(struct walk *w)
{
	size_t size = w->x->sb.block_size;
	struct step steps[DEPTH_MAX + 1] = { 0 };
	const uint8_t *root = w->fork->data;
	size_t most = w->fork->len < 4 ? 0 : (w->fork->len - 4) / 16;
	unsigned int height, level;
	uint8_t *memory;
	struct step *s;
	int r = 0;

	height = most ? be16(root) : 0;
	if (!height || height > DEPTH_MAX || be16(root + 2) > most)
		return walk_bad(w, "the root of its extents' tree is damaged");
	memory = alloc_array(height, size);
	if (!memory)
		return -ENOMEM;
	for (level = 0; level < height; level++)
		steps[level].block = memory + level * size;
	steps[height].keys = root + 4;
	steps[height].pointers = root + 4 + most * 8;
	steps[height].n = be16(root + 2);
	level = height;
	while (level <= height && !r) {
		s = &steps[level];
		if (s->i == s->n) {
			level++;
			continue;
		}
		r = walk_block(w, step_next(w, s), level - 1,
			       &steps[level - 1]);
		if (level > 1)
			level--;
	}
	free(memory);
	return r;
}

int xfs_fork_walk(struct xfs *x, const struct xfs_inode *i,
		  const struct xfs_fork *f, uint64_t from, xfs_extent_fn *fn,
		  void *arg)
{
	struct walk w = { .x = x,
			  .inode = i,
			  .fork = f,
			  .from = from,
			  .fn = fn,
			  .arg = arg };
	int r;

	if (f->format == XFS_FORMAT_BTREE) {
		r = walk_tree(&w);
	} else if (f->format == XFS_FORMAT_EXTENTS) {
		if (f->nextents > f->len / 16)
			return walk_bad(&w, "it has too many extents");
		r = walk_records(&w, f->data, f->nextents);
	} else {
		return walk_bad(&w, "its blocks are listed in no known way");
	}
	if (!r && !w.passed_over && w.n != f->nextents)
		r = walk_bad(&w, "extents are missing");
	return r;
}

static int extents_push(void *arg, const struct xfs_extent *e)
{
	struct xfs_extents *list = arg;

	if (list->n >= EXTENTS_MAX)
		return fail(-EFBIG,
			    "xfs: a directory or attributes of over %u extents",
			    EXTENTS_MAX);
	if (array_reserve(&list->list, &list->cap, list->n + 1) < 0)
		return -ENOMEM;
	list->list[list->n++] = *e;
	return 0;
}

int xfs_fork_load(struct xfs *x, const struct xfs_inode *i,
		  const struct xfs_fork *f, struct xfs_extents *out)
{
	memset(out, 0, sizeof(*out));
	return xfs_fork_walk(x, i, f, 0, extents_push, out);
}

void xfs_extents_release(struct xfs_extents *e)
{
	free(e->list);
	memset(e, 0, sizeof(*e));
}

const struct xfs_extent *xfs_extents_find(const struct xfs_extents *e,
					  uint64_t off)
{
	size_t low = 0, high = e->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (e->list[mid].off + e->list[mid].len <= off)
			low = mid + 1;
		else
			high = mid;
	}
	return low < e->n && e->list[low].off <= off ? &e->list[low] : NULL;
}

int xfs_fork_read(struct xfs *x, const struct xfs_inode *i,
		  const struct xfs_extents *e, uint64_t off, size_t n,
		  uint8_t *out, uint64_t *at_out)
{
	const struct xfs_extent *p;
	size_t here, done = 0;
	uint64_t at;
	int r;

	while (done < n) {
		p = xfs_extents_find(e, off + done);
		if (!p)
			return -ENOENT;
		at = xfs_block_at(&x->sb, p->block + (off + done - p->off));
		here = MIN(n - done, p->len - (off + done - p->off));
		if (!done)
			*at_out = at;
		r = xfs_read(x, at, out + (done << x->sb.block_log),
			     here << x->sb.block_log, "block", i->ino);
		if (r < 0)
			return r;
		done += here;
	}
	return 0;
}
