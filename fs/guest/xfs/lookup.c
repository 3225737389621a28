/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One name in a directory. A large one has an index: a B+tree (a leaf alone,
 * where that is enough) of names' hashes and the entries' places. Where it is
 * damaged, and in small directories, the entries themselves are gone through.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>

#include "fs/guest/xfs/internal.h"
#include "store/base/log.h"

enum { DA_HEADER = 16, DA3_HEADER = 64, LEAVES_MAX = 4096 };

uint32_t xfs_hash(const void *name, size_t len)
{
	const uint8_t *p = name;
	uint32_t h = 0;

	for (; len; len--, p++)
		h = (h << 7 | h >> 25) ^ *p;
	return h;
}

int xfs_da_decode(struct xfs *x, const uint8_t *p, size_t len, uint64_t at,
		  uint64_t ino, struct xfs_da *out)
{
	static const uint16_t newer[][2] = {
		{ XFS_DA3_NODE, XFS_DA_NODE },
		{ XFS_DIR3_LEAF1, XFS_DIR_LEAF1 },
		{ XFS_DIR3_LEAFN, XFS_DIR_LEAFN },
		{ XFS_ATTR3_LEAF, XFS_ATTR_LEAF },
	};
	size_t header = x->sb.v5 ? DA3_HEADER : DA_HEADER, i;
	uint16_t magic = be16(p + 8);

	out->next = be32(p);
	out->magic = 0;
	for (i = 0; i < ARRAY_SIZE(newer); i++)
		if (magic == newer[i][x->sb.v5 ? 0 : 1])
			out->magic = newer[i][1];
	if (!out->magic)
		return fail(-EBADMSG,
			    "xfs: inode %" PRIu64 ": the block at"
			    " byte %" PRIu64 " is none of an index",
			    ino, at);
	out->count = be16(p + header - (x->sb.v5 ? 8 : 4));
	out->level = be16(p + header - (x->sb.v5 ? 6 : 2));
	if (out->magic == XFS_ATTR_LEAF)
		header += 16;
	out->entries = p + header;
	if (out->count > (len - header) / 8)
		return fail(-EBADMSG,
			    "xfs: inode %" PRIu64 ": its index block"
			    " at byte %" PRIu64 " is damaged",
			    ino, at);
	return xfs_check(x, &xfs_header_da, p, len, at, ino);
}

/* The first entry whose hash is not below. */
static size_t first_from(const struct xfs_da *d, uint32_t hash)
{
	size_t low = 0, high = d->count, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (be32(d->entries + mid * 8) < hash)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool xfs_da_down(const struct xfs_da *d, uint32_t hash, uint32_t *out)
{
	size_t i = first_from(d, hash);

	if (i == d->count)
		return false;
	*out = be32(d->entries + i * 8 + 4);
	return true;
}

struct search {
	struct xfs *x;
	const struct xfs_inode *dir;
	struct xfs_extents extents;
	const char *name;
	size_t len;
	uint32_t hash;
	uint8_t *index, *block; /* owned; of one directory block each */
	uint64_t have; /* what @block holds; UINT64_MAX: nothing */
	uint64_t node; /* found */
};

static bool name_is(const struct search *s, const char *name, size_t len)
{
	size_t i;

	if (len != s->len)
		return false;
	if (!s->x->sb.ascii_ci)
		return memcmp(name, s->name, len) == 0;
	for (i = 0; i < len; i++)
		if (tolower((unsigned char)name[i]) !=
		    tolower((unsigned char)s->name[i]))
			return false;
	return true;
}

/* Read the index block at block @off of the directory. */
static int search_index(struct search *s, uint64_t off, struct xfs_da *out)
{
	size_t n = (size_t)1 << s->x->sb.dirblk_log;
	uint64_t at = 0;
	int r;

	if (off < XFS_DIR_LEAF >> s->x->sb.block_log)
		return -EBADMSG;
	r = xfs_fork_read(s->x, s->dir, &s->extents, off, n, s->index, &at);
	if (r == -ENOENT)
		return -EBADMSG;
	if (r < 0)
		return r;
	return xfs_da_decode(s->x, s->index, n << s->x->sb.block_log, at,
			     s->dir->ino, out);
}

/* Is the entry at @place, in units of 8 bytes, the one? 0, -ENOENT (another),
 * or what is wrong. */
static int search_entry(struct search *s, uint32_t place)
{
	size_t size = (size_t)s->x->sb.block_size << s->x->sb.dirblk_log;
	uint64_t off = (uint64_t)place << 3;
	struct xfs_dirent d;
	int r;

	if (s->have != off / size) {
		s->have = UINT64_MAX;
		r = xfs_dir_block(s->x, s->dir, &s->extents, off / size,
				  s->block);
		if (r < 0)
			return r;
		s->have = off / size;
	}
	if (xfs_dirent_decode(&s->x->sb, s->block, off % size, size, &d) < 0 ||
	    !d.ino)
		return -EBADMSG;
	if (!name_is(s, d.name, d.name_len))
		return -ENOENT;
	s->node = d.ino;
	return 0;
}

/* Go down to the leaf where the hash would begin. */
static int search_down(struct search *s, struct xfs_da *leaf)
{
	uint64_t off = XFS_DIR_LEAF >> s->x->sb.block_log;
	unsigned int level = XFS_DA_DEPTH_MAX + 1;
	uint32_t below;
	int r;

	for (;;) {
		r = search_index(s, off, leaf);
		if (r < 0)
			return r;
		if (leaf->magic != XFS_DA_NODE)
			break;
		if (!leaf->level || leaf->level >= level)
			return -EBADMSG;
		level = leaf->level;
		if (!xfs_da_down(leaf, s->hash, &below))
			return -ENOENT;
		off = below;
	}
	return leaf->magic == XFS_ATTR_LEAF ? -EBADMSG : 0;
}

static int search_hashed(struct search *s)
{
	struct xfs_da leaf = { 0 };
	unsigned int leaves = 0;
	size_t i;
	uint32_t place;
	int r;

	r = search_down(s, &leaf);
	if (r < 0)
		return r;
	for (i = first_from(&leaf, s->hash);; i++) {
		while (i == leaf.count) {
			if (!leaf.next || leaf.magic == XFS_DIR_LEAF1)
				return -ENOENT;
			if (++leaves > LEAVES_MAX)
				return -EBADMSG;
			r = search_index(s, leaf.next, &leaf);
			if (r < 0)
				return r;
			if (leaf.magic != XFS_DIR_LEAFN)
				return -EBADMSG;
			i = 0;
		}
		if (be32(leaf.entries + i * 8) != s->hash)
			return -ENOENT;
		place = be32(leaf.entries + i * 8 + 4);
		if (!place) /* of a removed one */
			continue;
		r = search_entry(s, place);
		if (r != -ENOENT)
			return r;
	}
}

static int search_match(void *arg, const char *name, size_t len, uint64_t node,
			unsigned int type, uint64_t cookie)
{
	struct search *s = arg;

	(void)type;
	(void)cookie;
	if (!name_is(s, name, len))
		return 0;
	s->node = node;
	return 1;
}

/* Is there an index, in blocks of its own? */
static int search_begin(struct search *s, bool *indexed)
{
	size_t size = (size_t)s->x->sb.block_size << s->x->sb.dirblk_log;
	int r;

	*indexed = false;
	if (s->dir->fork.format == XFS_FORMAT_LOCAL || s->x->sb.ascii_ci)
		return 0;
	r = xfs_fork_load(s->x, s->dir, &s->dir->fork, &s->extents);
	if (r < 0)
		return r;
	*indexed = xfs_extents_find(&s->extents,
				    XFS_DIR_LEAF >> s->x->sb.block_log);
	if (!*indexed)
		return 0;
	s->index = malloc(size);
	s->block = malloc(size);
	return s->index && s->block ? 0 : -ENOMEM;
}

int xfs_dir_lookup(struct xfs *x, const struct xfs_inode *dir, const char *name,
		   size_t len, uint64_t *node_out)
{
	struct search s = { .x = x,
			    .dir = dir,
			    .name = name,
			    .len = len,
			    .hash = xfs_hash(name, len),
			    .have = UINT64_MAX };
	bool indexed;
	int r;

	r = search_begin(&s, &indexed);
	if (!r && indexed)
		r = search_hashed(&s);
	if ((!r && !indexed) || r == -EBADMSG) {
		r = xfs_dir_walk(x, dir, 0, search_match, &s);
		r = r == 1 ? 0 : r ? r : -ENOENT;
	}
	if (!r)
		*node_out = s.node;
	free(s.index);
	free(s.block);
	xfs_extents_release(&s.extents);
	return r;
}
