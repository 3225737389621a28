/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Directories of XFS, read in their order. A short one is in the inode; any other
 * is a run of blocks of entries, each 8-byte aligned, from byte 0 of the data
 * fork on. From 32 GiB on come blocks that only help to find names. In a
 * directory of one block that index is at the block's end.
 *
 * The cookie of an entry is its byte in the directory, divided by 8; that of an
 * entry in an inode its number, counted from 1.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>

#include "fs/guest/xfs/internal.h"
#include "store/base/log.h"

enum {
	DATA_MAGIC = 0x58443244, /* XD2D */
	BLOCK_MAGIC = 0x58443242, /* XD2B */
	DATA3_MAGIC = 0x58444433, /* XDD3 */
	BLOCK3_MAGIC = 0x58444233, /* XDB3 */
	DATA_HEADER = 16,
	DATA3_HEADER = 64,
	UNUSED = 0xffff,
};

static int dir_bad(const struct xfs_inode *dir, const char *what)
{
	return fail(-EBADMSG, "xfs: directory %" PRIu64 ": %s", dir->ino, what);
}

static unsigned int type_decode(const struct xfs_super *sb, uint8_t ftype)
{
	static const uint8_t types[] = { DT_UNKNOWN, DT_REG,  DT_DIR,  DT_CHR,
					 DT_BLK,     DT_FIFO, DT_SOCK, DT_LNK };

	return sb->ftype && ftype < sizeof(types) ? types[ftype] : DT_UNKNOWN;
}

/* A number that cannot be an inode's is answered when it is asked for. */
static uint64_t node_of(uint64_t ino)
{
	return ino && ino < GUEST_NODE_MAX ? ino : GUEST_NODE_MAX - 1;
}

static int short_walk(struct xfs *x, const struct xfs_inode *dir,
		      uint64_t cookie, guest_dir_fn *fn, void *arg)
{
	const uint8_t *p = dir->fork.data, *end, *ino;
	size_t wide, n, i, need;
	uint8_t type = 0;
	int r;

	if (dir->attr.size > dir->fork.len || dir->attr.size < 6)
		return dir_bad(dir, "it does not fit into its inode");
	end = p + dir->attr.size;
	n = p[0];
	wide = p[1] ? 8 : 4;
	p += 2 + wide;
	for (i = 0; i < n; i++, p += need) {
		need = 3 + (end > p ? p[0] : 0u) + x->sb.ftype + wide;
		if (end <= p || need > (size_t)(end - p))
			return dir_bad(dir, "it ends within an entry");
		ino = p + 3 + p[0];
		if (x->sb.ftype)
			type = *ino++;
		if (i < cookie)
			continue;
		r = fn(arg, (const char *)p + 3, p[0],
		       node_of(wide == 8 ? be64(ino) : be32(ino)),
		       type_decode(&x->sb, type), i + 1);
		if (r)
			return r;
	}
	return 0;
}

int xfs_dirent_decode(const struct xfs_super *sb, const uint8_t *p, size_t off,
		      size_t end, struct xfs_dirent *out)
{
	size_t left = end - off;

	p += off;
	if (left < 8)
		return -EBADMSG;
	if (be16(p) == UNUSED) {
		out->ino = 0;
		out->size = be16(p + 2);
		return !out->size || out->size & 7 || out->size > left
			       ? -EBADMSG
			       : 0;
	}
	if (left < 16 || !p[8])
		return -EBADMSG;
	out->name_len = p[8];
	out->size = (8u + 1 + p[8] + sb->ftype + 2 + 7) & ~(size_t)7;
	if (out->size > left)
		return -EBADMSG;
	out->ino = node_of(be64(p));
	out->name = (const char *)p + 9;
	out->ftype = sb->ftype ? p[9 + p[8]] : 0;
	return 0;
}

int xfs_dir_block(struct xfs *x, const struct xfs_inode *dir,
		  const struct xfs_extents *e, uint64_t n, uint8_t *out)
{
	size_t blocks = (size_t)1 << x->sb.dirblk_log;
	uint64_t at = 0;
	uint32_t magic;
	int r;

	r = xfs_fork_read(x, dir, e, n << x->sb.dirblk_log, blocks, out, &at);
	if (r == -ENOENT)
		return dir_bad(dir, "one of its blocks is missing");
	if (r < 0)
		return r;
	magic = be32(out);
	if (magic != (x->sb.v5 ? DATA3_MAGIC : DATA_MAGIC) &&
	    magic != (x->sb.v5 ? BLOCK3_MAGIC : BLOCK_MAGIC))
		return dir_bad(dir, "one of its blocks is none");
	return xfs_check(x, &xfs_header_dir, out, blocks << x->sb.block_log, at,
			 dir->ino);
}

/* Where the entries of the block end; 0: nowhere possible. */
static size_t block_end(const struct xfs *x, const uint8_t *p, size_t size)
{
	uint32_t magic = be32(p), n;

	if (magic != BLOCK_MAGIC && magic != BLOCK3_MAGIC)
		return size;
	n = be32(p + size - 8);
	if (n > (size - 8 - (x->sb.v5 ? DATA3_HEADER : DATA_HEADER)) / 8)
		return 0;
	return size - 8 - (size_t)n * 8;
}

static bool is_dots(const struct xfs_dirent *d)
{
	return d->name[0] == '.' &&
	       (d->name_len == 1 || (d->name_len == 2 && d->name[1] == '.'));
}

/* The entries of block @n, in memory at @p. */
static int block_walk(struct xfs *x, const struct xfs_inode *dir,
		      const uint8_t *p, uint64_t n, uint64_t cookie,
		      guest_dir_fn *fn, void *arg)
{
	size_t size = (size_t)x->sb.block_size << x->sb.dirblk_log;
	size_t off = x->sb.v5 ? DATA3_HEADER : DATA_HEADER;
	size_t end = block_end(x, p, size);
	struct xfs_dirent d;
	uint64_t here;
	int r;

	if (!end)
		return dir_bad(dir, "the index in its block is damaged");
	for (; off < end; off += d.size) {
		if (xfs_dirent_decode(&x->sb, p, off, end, &d) < 0)
			return dir_bad(dir, "one of its entries is damaged");
		here = (n * size + off) >> 3;
		if (!d.ino || here <= cookie || is_dots(&d))
			continue;
		r = fn(arg, d.name, d.name_len, d.ino,
		       type_decode(&x->sb, d.ftype), here);
		if (r)
			return r;
	}
	return 0;
}

static int blocks_walk(struct xfs *x, const struct xfs_inode *dir,
		       const struct xfs_extents *e, uint64_t cookie,
		       guest_dir_fn *fn, void *arg)
{
	size_t size = (size_t)x->sb.block_size << x->sb.dirblk_log;
	uint64_t last = XFS_DIR_LEAF / size; /* blocks of entries: below it */
	uint64_t next, n, end;
	uint8_t *block;
	size_t i;
	int r = 0;

	if (cookie >= XFS_DIR_LEAF >> 3)
		return 0;
	next = (cookie << 3) / size;
	block = malloc(size);
	if (!block)
		return -ENOMEM;
	for (i = 0; i < e->n && !r; i++) {
		n = MAX(next, e->list[i].off >> x->sb.dirblk_log);
		end = (e->list[i].off + e->list[i].len +
		       ((UINT64_C(1) << x->sb.dirblk_log) - 1)) >>
		      x->sb.dirblk_log;
		for (; n < MIN(end, last) && !r; n++) {
			r = xfs_dir_block(x, dir, e, n, block);
			if (!r)
				r = block_walk(x, dir, block, n, cookie, fn,
					       arg);
			next = n + 1;
		}
	}
	free(block);
	return r;
}

int xfs_dir_walk(struct xfs *x, const struct xfs_inode *dir, uint64_t cookie,
		 guest_dir_fn *fn, void *arg)
{
	struct xfs_extents e;
	int r;

	if (dir->fork.format == XFS_FORMAT_LOCAL)
		return short_walk(x, dir, cookie, fn, arg);
	r = xfs_fork_load(x, dir, &dir->fork, &e);
	if (!r)
		r = blocks_walk(x, dir, &e, cookie, fn, arg);
	xfs_extents_release(&e);
	return r;
}
