/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Finding a name in a large directory by its hash tree, as the kernel does
 * (Documentation/filesystems/ext4/directory.rst). The blocks of the index look
 * like empty blocks of entries to what does not know them:
 *
 *   root:  "." and ".." (24 bytes) | zero, version, length 8, levels, flags |
 *          limit, count, block | hash, block | hash, block | ...
 *   node:  an entry of no inode that is as long as the block (8 bytes) |
 *          limit, count, block | hash, block | ...
 *
 * What stands below an entry has hashes from the entry's own on. Names of one
 * hash that did not fit into one block go on in the next one, whose hash has
 * its lowest bit set.
 *
 * An index that is damaged or of an unknown kind is no reason to miss a name:
 * then the caller reads the whole directory instead.
 */
#include "config.h"

#include "fs/guest/ext/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/bytes.h"

#define ROOT_INFO 24 /* bytes before it */
#define ROOT_ENTRIES 32
#define NODE_ENTRIES 8
#define ENTRY_LEN 8
#define TAIL_LEN 8 /* a checksum behind the entries that a block has room for */
#define LEVELS_MAX 4 /* of index blocks; the root is one */

/* An index block on the way down. */
struct level {
	uint8_t *block; /* borrowed from the search */
	const uint8_t *entries;
	unsigned int n, at; /* entries, and the one that is taken */
};

struct search {
	const struct ext *e;
	const struct ext_inode *i;
	const char *name;
	size_t len;
	uint32_t hash;
	uint8_t *buf; /* owned; a block a level, and one for entries */
	uint8_t *leaf; /* in buf */
	struct level levels[LEVELS_MAX];
	unsigned int nlevels;
	uint64_t node; /* found; 0: not yet */
};

static int take_range(void *arg, uint64_t lblk, uint64_t pblk, uint64_t n,
		      bool unwritten)
{
	uint64_t *at =
		arg; /* the logical block that is sought, then its place */

	if (lblk + n <= *at)
		return 0;
	if (lblk > *at || unwritten)
		return -ENOENT;
	*at = pblk + (*at - lblk);
	return 1;
}

/* Find where block @lblk of the directory lies. Return 0, -EAGAIN (nowhere), or
 * an error. */
static int place_of(const struct search *s, uint64_t lblk, uint64_t *out)
{
	uint64_t at = lblk;
	int r;

	if (lblk >= s->i->size / s->e->super.block_size)
		return -EAGAIN;
	r = ext_map_walk(s->e, s->i, lblk, take_range, &at);
	if (r == 0 || r == -ENOENT)
		return -EAGAIN;
	if (r > 0)
		*out = at;
	return r > 0 ? 0 : r;
}

static bool sum_ok(const struct search *s, const uint8_t *block, size_t first,
		   unsigned int limit, unsigned int count)
{
	const uint8_t *tail = block + first + (size_t)limit * ENTRY_LEN;
	static const uint8_t zero[4];
	uint32_t sum;

	if (!s->e->super.checksums)
		return true;
	sum = ext_crc32c(s->i->csum_seed, block,
			 first + (size_t)count * ENTRY_LEN);
	sum = ext_crc32c(sum, tail, 4);
	sum = ext_crc32c(sum, zero, sizeof(zero));
	return sum == get_le32(tail + 4);
}

/* Check the entries that begin at byte @first of @block, and choose the one for
 * the hash. Return 0 or -EAGAIN. */
static int level_take(struct search *s, uint8_t *block, size_t first)
{
	size_t room = s->e->super.block_size - first;
	struct level *l = &s->levels[s->nlevels];
	unsigned int limit = get_le16(block + first);
	unsigned int low = 1, high, mid;

	if (s->e->super.checksums)
		room -= TAIL_LEN;
	l->block = block;
	l->entries = block + first;
	l->n = get_le16(block + first + 2);
	if (limit > room / ENTRY_LEN || l->n == 0 || l->n > limit ||
	    !sum_ok(s, block, first, limit, l->n))
		return -EAGAIN;
	/* The first entry has no hash: it is for all below the second one's. */
	for (high = l->n; low < high;) {
		mid = low + (high - low) / 2;
		if (get_le32(l->entries + mid * ENTRY_LEN) <= s->hash)
			low = mid + 1;
		else
			high = mid;
	}
	l->at = low - 1;
	s->nlevels++;
	return 0;
}

static uint32_t level_block(const struct level *l)
{
	/* The upper four bits are reserved. */
	return get_le32(l->entries + (size_t)l->at * ENTRY_LEN + 4) &
	       0x0fffffff;
}

/* Go down from the last level to index block @lblk, a node. */
static int take_node(struct search *s, uint32_t lblk)
{
	uint32_t size = s->e->super.block_size;
	uint8_t *block = s->buf + (size_t)s->nlevels * size;
	uint64_t at;
	int r;

	r = place_of(s, lblk, &at);
	if (r == 0)
		r = ext_block_read(s->e, at, block);
	if (r < 0)
		return r;
	if (get_le32(block) != 0)
		return -EAGAIN;
	return level_take(s, block, NODE_ENTRIES);
}

/* Read the root, and the levels below it. *levels_out: how many index blocks
 * lie one above the other. */
static int take_root(struct search *s, unsigned int *levels_out)
{
	const uint8_t *info = s->buf + ROOT_INFO;
	uint64_t at;
	int r;

	r = place_of(s, 0, &at);
	if (r == 0)
		r = ext_block_read(s->e, at, s->buf);
	if (r < 0)
		return r;
	if (get_le32(info) != 0 || info[5] != 8 || (info[7] & 1) ||
	    info[6] >= LEVELS_MAX)
		return -EAGAIN;
	r = ext_lib_hash(&s->e->super, info[4], s->name, s->len, &s->hash);
	if (r < 0)
		return r;
	*levels_out = info[6] + 1u;
	return level_take(s, s->buf, ROOT_ENTRIES);
}

static int take_entry(void *arg, const char *name, size_t len, uint64_t node,
		      unsigned int type, uint64_t cookie)
{
	struct search *s = arg;

	(void)type;
	(void)cookie;
	if (len != s->len || memcmp(name, s->name, len) != 0)
		return 0;
	s->node = node;
	return 1;
}

/*
 * Go on to the next block of entries, if names of the same hash go on there.
 * Return 1, 0 (no), or an error.
 */
static int next_leaf(struct search *s, unsigned int levels)
{
	unsigned int n = levels;
	uint32_t hash;
	int r;

	while (n > 0 && s->levels[n - 1].at + 1 >= s->levels[n - 1].n)
		n--;
	if (n == 0)
		return 0;
	s->levels[n - 1].at++;
	hash = get_le32(s->levels[n - 1].entries +
			(size_t)s->levels[n - 1].at * ENTRY_LEN);
	if ((hash & ~1u) != s->hash)
		return 0;
	for (s->nlevels = n; s->nlevels < levels;) {
		r = take_node(s, level_block(&s->levels[s->nlevels - 1]));
		if (r < 0)
			return r;
		s->levels[s->nlevels - 1].at = 0;
	}
	return 1;
}

static int search_names(struct search *s)
{
	uint64_t left = s->i->size / s->e->super.block_size, at;
	unsigned int levels = 0;
	int r;

	r = take_root(s, &levels);
	while (r == 0 && s->nlevels < levels)
		r = take_node(s, level_block(&s->levels[s->nlevels - 1]));
	if (r < 0)
		return r;
	/* No block comes twice in an index that is as it should be. */
	do {
		uint32_t lblk = level_block(&s->levels[levels - 1]);

		r = left-- == 0 ? -EAGAIN : place_of(s, lblk, &at);
		if (r == 0)
			r = ext_dir_block(s->e, s->i, lblk, at, s->leaf,
					  take_entry, s);
		if (r)
			break;
		r = next_leaf(s, levels);
	} while (r > 0);
	if (s->node)
		return 0;
	return r < 0 ? r : -ENOENT;
}

int ext_htree_lookup(const struct ext *e, const struct ext_inode *i,
		     const char *name, size_t len, uint64_t *node_out)
{
	struct search s = { .e = e, .i = i, .name = name, .len = len };
	size_t size = e->super.block_size;
	int r;

	if (!(i->flags & EXT_FL_INDEX) ||
	    (i->flags &
	     (EXT_FL_INLINE_DATA | EXT_FL_CASEFOLD | EXT_FL_ENCRYPT)) ||
	    i->size / size < EXT_HTREE_BLOCKS_MIN)
		return -EAGAIN;
	s.buf = alloc_array(LEVELS_MAX + 1, size);
	if (!s.buf)
		return -ENOMEM;
	s.leaf = s.buf + LEVELS_MAX * size;
	r = search_names(&s);
	free(s.buf);
	if (r == 0)
		*node_out = s.node;
	return r;
}
