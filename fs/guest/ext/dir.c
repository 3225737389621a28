/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Directories, read block by block in the order of the file: the blocks of a
 * hash tree's index look like empty ones. A cookie is the place behind the
 * entry, in bytes, so that a later call goes on at its block.
 *
 * What is damaged costs the rest of its block; the others are still listed,
 * and the error comes at the end. A directory of ext has a block for each part
 * of its size, and no other: where it has not, something of it is lost.
 */
#include "config.h"

#include "fs/guest/ext/internal.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "store/base/bytes.h"
#include "store/base/log.h"

#define ENTRY_LEN 8 /* without the name */
#define TAIL_LEN 12 /* a checksum, dressed up as an entry */
#define TAIL_TYPE 0xde
/* Of a directory; the largest that a kernel makes is far below. */
#define DIR_BYTES_MAX (UINT64_C(4) << 30)
#define INLINE_PARENT 4 /* bytes before the entries of an inline one */

struct listing {
	struct guest *g; /* NULL: of one block only */
	const struct ext *e;
	const struct ext_inode *i;
	uint64_t cookie;
	guest_dir_fn *fn;
	void *arg;
	uint8_t *buf; /* owned; a block */
	uint64_t mapped; /* bytes met so far */
	int error; /* of what was passed over in one block */
};

static void spoiled(struct listing *l, uint64_t off, const char *what)
{
	if (l->g)
		guest_dir_spoil(l->g, l->i->ino, "%s at byte %" PRIu64, what,
				off);
	else
		l->error = fail(-EBADMSG,
				"ext: directory inode %" PRIu32
				": %s at byte %" PRIu64,
				l->i->ino, what, off);
}

static unsigned int type_of(const struct ext *e, uint8_t type)
{
	static const unsigned char types[] = { DT_UNKNOWN, DT_REG, DT_DIR,
					       DT_CHR,	   DT_BLK, DT_FIFO,
					       DT_SOCK,	   DT_LNK };

	return e->super.filetype && type < ARRAY_SIZE(types) ? types[type]
							     : DT_UNKNOWN;
}

static bool is_dots(const uint8_t *name, size_t len)
{
	return len <= 2 && name[0] == '.' && (len == 1 || name[1] == '.');
}

/* 65536 does not fit in the two bytes of a length. */
static uint32_t rec_len_at(const uint8_t *p, uint32_t size)
{
	uint32_t n = get_le16(p + 4);

	if (size < EXT_BLOCK_MAX)
		return n;
	if (n == 0 || n == 65535)
		return size;
	return (n & 65532) | (n & 3) << 16;
}

/* Entries in @len bytes, which are at @base of the directory. */
static int list_block(struct listing *l, const uint8_t *data, uint32_t len,
		      uint64_t base)
{
	const struct ext_super *s = &l->e->super;
	uint32_t off, n, name_len, ino;
	int r;

	for (off = 0; off + ENTRY_LEN <= len; off += n) {
		const uint8_t *p = data + off;

		n = rec_len_at(p, s->block_size);
		name_len = p[6];
		if (n < ENTRY_LEN || n % 4 || n > len - off ||
		    name_len > n - ENTRY_LEN) {
			spoiled(l, base + off, "a damaged entry");
			return 0;
		}
		ino = get_le32(p);
		if (ino == 0 || base + off + n <= l->cookie)
			continue;
		if (name_len == 0 || ino > s->inodes_count ||
		    (ino != EXT_ROOT_INO && ino < s->first_ino)) {
			spoiled(l, base + off, "an entry of no inode or name");
			continue;
		}
		if (is_dots(p + ENTRY_LEN, name_len))
			continue;
		r = l->fn(l->arg, (const char *)p + ENTRY_LEN, name_len, ino,
			  type_of(l->e, p[7]), base + off + n);
		if (r)
			return r;
	}
	return 0;
}

/*
 * The blocks of a hash tree's index have their checksum elsewhere, and what
 * looks like one may be left from before. Nothing of them is used but the
 * first two entries of the first.
 */
static bool block_ok(const struct listing *l, const uint8_t *p, uint64_t lblk)
{
	uint32_t at = l->e->super.block_size - TAIL_LEN;

	if ((l->i->flags & EXT_FL_INDEX) &&
	    (lblk == 0 ||
	     (get_le32(p) == 0 &&
	      rec_len_at(p, l->e->super.block_size) == l->e->super.block_size)))
		return true;
	if (!l->e->super.checksums || get_le32(p + at) != 0 ||
	    get_le16(p + at + 4) != TAIL_LEN || p[at + 6] != 0 ||
	    p[at + 7] != TAIL_TYPE)
		return true;
	return get_le32(p + at + 8) == ext_crc32c(l->i->csum_seed, p, at);
}

static int list_range(void *arg, uint64_t lblk, uint64_t pblk, uint64_t n,
		      bool unwritten)
{
	struct listing *l = arg;
	uint32_t size = l->e->super.block_size;
	uint64_t end = l->i->size / size, skip;
	int r;

	if (lblk >= end) {
		spoiled(l, lblk * size, "a block behind its end");
		return 0;
	}
	n = MIN(n, end - lblk);
	l->mapped += n * size;
	if (l->mapped >
	    MIN(DIR_BYTES_MAX, l->e->super.blocks_count * (uint64_t)size))
		return fail(-EBADMSG,
			    "ext: directory inode %" PRIu32 ": longer than one "
			    "can be",
			    l->i->ino);
	if (unwritten)
		spoiled(l, lblk * size, "a block that was never written");
	if (unwritten || (lblk + n) * size <= l->cookie)
		return 0;
	skip = l->cookie / size > lblk ? l->cookie / size - lblk : 0;
	for (; skip < n; skip++) {
		r = ext_block_read(l->e, pblk + skip, l->buf);
		if (r < 0)
			return r;
		if (!block_ok(l, l->buf, lblk + skip)) {
			spoiled(l, (lblk + skip) * size,
				"a checksum that does not match");
			continue;
		}
		r = list_block(l, l->buf, size, (lblk + skip) * size);
		if (r)
			return r;
	}
	return 0;
}

int ext_dir_block(const struct ext *e, const struct ext_inode *i, uint64_t lblk,
		  uint64_t pblk, uint8_t *buf, guest_dir_fn *fn, void *arg)
{
	struct listing l = { .e = e, .i = i, .fn = fn, .arg = arg };
	uint64_t base = lblk * e->super.block_size;
	int r = ext_block_read(e, pblk, buf);

	if (r < 0)
		return r;
	if (!block_ok(&l, buf, lblk)) {
		spoiled(&l, base, "a checksum that does not match");
		return l.error;
	}
	r = list_block(&l, buf, e->super.block_size, base);
	return r ? r : l.error;
}

/* The first part is in the inode's block map, the rest in an attribute; no
 * entry crosses from one to the other. */
static int list_inline(struct listing *l)
{
	struct buf data AUTO_BUF = BUF_INIT;
	int r;

	r = ext_xattr_inline(l->e, l->i, &data);
	if (r < 0)
		return r;
	if (data.len < EXT_NBLOCKS_LEN)
		return fail(-EBADMSG,
			    "ext: directory inode %" PRIu32 ": its inline data "
			    "are too short",
			    l->i->ino);
	r = list_block(l, data.data + INLINE_PARENT,
		       EXT_NBLOCKS_LEN - INLINE_PARENT, INLINE_PARENT);
	if (r == 0)
		r = list_block(l, data.data + EXT_NBLOCKS_LEN,
			       (uint32_t)data.len - EXT_NBLOCKS_LEN,
			       EXT_NBLOCKS_LEN);
	return r;
}

int ext_dir_read(struct guest *g, const struct ext_inode *i, uint64_t cookie,
		 guest_dir_fn *fn, void *arg)
{
	struct listing l = { .g = g,
			     .e = g->state,
			     .i = i,
			     .cookie = cookie,
			     .fn = fn,
			     .arg = arg };
	uint32_t size = l.e->super.block_size;
	int r;

	if (i->flags & EXT_FL_ENCRYPT)
		return fail(-EOPNOTSUPP,
			    "ext: directory inode %" PRIu32
			    ": encrypted by the "
			    "guest (fscrypt): its names need the guest's key",
			    i->ino);
	if (i->flags & EXT_FL_INLINE_DATA)
		return list_inline(&l);
	l.buf = malloc(size);
	if (!l.buf)
		return -ENOMEM;
	r = ext_map_walk(l.e, i, 0, list_range, &l);
	free(l.buf);
	if (r == 0 && (l.mapped == 0 || l.mapped != i->size))
		spoiled(&l, l.mapped,
			"not as many blocks as it has by its size");
	return r;
}
