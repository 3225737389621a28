/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Trees. A node is checked as a whole when it is read: checksum, who it says
 * it is, and that its keys rise and its items lie inside of it; so what walks
 * it later need not ask. Between nodes, a child begins with the key that its
 * parent gives for it, lies one level below, and keys rise from leaf to leaf:
 * no walk visits a node twice, whatever the image says.
 *
 *   node:  header (101 bytes) | key, address, generation (33 bytes) ...
 *   leaf:  header | key, offset, length (25 bytes) ... free ... data
 */
#include "config.h"

#include "fs/guest/btrfs/internal.h"

#include <errno.h>
#include <inttypes.h>

#include "store/base/log.h"

enum header_offsets {
	HEADER_FSID = 0x20,
	HEADER_BYTENR = 0x30,
	HEADER_GENERATION = 0x50,
	HEADER_NRITEMS = 0x60,
	HEADER_LEVEL = 0x64,
	HEADER_LEN = 0x65,
};
#define POINTER_LEN 33
#define ITEM_LEN 25

static uint32_t count_of(const struct btrfs_block *x)
{
	return get_le32(x->data + HEADER_NRITEMS);
}

static unsigned int level_of(const struct btrfs_block *x)
{
	return x->data[HEADER_LEVEL];
}

static const uint8_t *entry_of(const struct btrfs_block *x, uint32_t slot)
{
	return x->data + HEADER_LEN +
	       (size_t)slot * (level_of(x) ? POINTER_LEN : ITEM_LEN);
}

static void key_of(const struct btrfs_block *x, uint32_t slot,
		   struct btrfs_key *out)
{
	btrfs_key_get(entry_of(x, slot), out);
}

/* What is wrong inside of a node; NULL: nothing. */
static const char *check_entries(const struct btrfs_block *x)
{
	size_t room = x->len - HEADER_LEN;
	size_t entry = level_of(x) ? POINTER_LEN : ITEM_LEN;
	uint32_t n = count_of(x), i;
	uint64_t off, len;
	struct btrfs_key key, last;
	const uint8_t *p;

	if (n > room / entry)
		return "has too many items";
	if (n == 0 && level_of(x))
		return "has no items";
	for (i = 0; i < n; i++) {
		key_of(x, i, &key);
		if (i > 0 && btrfs_key_cmp(&last, &key) >= 0)
			return "has keys out of order";
		last = key;
		if (level_of(x))
			continue;
		p = entry_of(x, i) + BTRFS_KEY_LEN;
		off = get_le32(p);
		len = get_le32(p + 4);
		if (off < n * entry || off + len > room)
			return "has an item outside of it";
	}
	return NULL;
}

static const char *check_node(const struct btrfs *fs,
			      const struct btrfs_block *x, unsigned int level)
{
	const uint8_t *p = x->data;

	if (!btrfs_sum_ok(fs->sum_type, p + BTRFS_CSUM_MAX,
			  x->len - BTRFS_CSUM_MAX, p))
		return "does not match its checksum";
	if (get_le64(p + HEADER_BYTENR) != x->a ||
	    memcmp(p + HEADER_FSID, fs->fsid, BTRFS_UUID_LEN) != 0)
		return "is not what belongs there";
	if (get_le64(p + HEADER_GENERATION) != x->b)
		return "is of another time than its parent says";
	if (p[HEADER_LEVEL] != level)
		return "is of another level than its parent says";
	return check_entries(x);
}

/* Read a node, from the first copy that is whole. */
static int node_load(struct btrfs *fs, uint64_t bytenr, uint64_t generation,
		     unsigned int level, struct btrfs_block **out)
{
	const char *wrong = NULL, *w;
	struct btrfs_block *x;
	int r = 0, i, n;

	n = btrfs_copies(fs, bytenr, fs->node_size);
	if (n < 0)
		return n;
	x = btrfs_block_new(bytenr, generation, fs->node_size);
	if (!x)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		r = btrfs_read_copy(fs, bytenr, (unsigned int)i, x->data,
				    x->len);
		if (r == -ENOMEM)
			break;
		if (r < 0)
			continue;
		w = check_node(fs, x, level);
		if (!w) {
			if (wrong && btrfs_say_repair(fs))
				log_warn("btrfs: tree block %" PRIu64 " %s; "
					 "its other copy is whole",
					 bytenr, wrong);
			*out = x;
			return 0;
		}
		wrong = w;
	}
	btrfs_block_put(x);
	if (wrong)
		return fail(-EBADMSG, "btrfs: tree block %" PRIu64 " %s",
			    bytenr, wrong);
	if (r == -ENOMEM)
		return r;
	return fail(r == -ERANGE ? -EBADMSG : r,
		    "btrfs: tree block %" PRIu64 " cannot be read", bytenr);
}

/* A reference to a node that is @level above the leaves. @first: the key that
 * it must begin with, or NULL. */
static int node_get(struct btrfs *fs, uint64_t bytenr, uint64_t generation,
		    unsigned int level, const struct btrfs_key *first,
		    struct btrfs_block **out)
{
	struct btrfs_block *x;
	struct btrfs_key key;
	int r;

	x = btrfs_cache_get(&fs->nodes, bytenr, generation);
	if (!x) {
		r = node_load(fs, bytenr, generation, level, &x);
		if (r < 0)
			return r;
		btrfs_cache_add(&fs->nodes, x);
	}
	if (level_of(x) != level)
		goto bad;
	if (first) {
		if (count_of(x) == 0)
			goto bad;
		key_of(x, 0, &key);
		if (btrfs_key_cmp(&key, first) != 0)
			goto bad;
	}
	*out = x;
	return 0;
bad:
	btrfs_block_put(x);
	return fail(-EBADMSG,
		    "btrfs: tree block %" PRIu64 " is not the one "
		    "that its parent says",
		    bytenr);
}

/* ---- the cursor ---- */

void btrfs_cursor_release(struct btrfs_cursor *c)
{
	unsigned int i;

	for (i = 0; i < BTRFS_LEVELS; i++) {
		btrfs_block_put(c->path[i]);
		c->path[i] = NULL;
	}
}

/* The number of keys of @x that are at or below @key. */
static uint32_t slot_above(const struct btrfs_block *x,
			   const struct btrfs_key *key)
{
	uint32_t low = 0, high = count_of(x), mid;
	struct btrfs_key k;

	while (low < high) {
		mid = low + (high - low) / 2;
		key_of(x, mid, &k);
		if (btrfs_key_cmp(&k, key) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Replace the nodes below @level by those that its slot leads to, down to the
 * first leaf or, where there is a @key, to the one where it belongs. */
static int descend(struct btrfs_cursor *c, unsigned int level,
		   const struct btrfs_key *key)
{
	struct btrfs_block *x;
	struct btrfs_key first;
	const uint8_t *p;
	uint32_t n;
	int r;

	for (; level > 0; level--) {
		p = entry_of(c->path[level], c->slots[level]);
		btrfs_key_get(p, &first);
		r = node_get(c->fs, get_le64(p + BTRFS_KEY_LEN),
			     get_le64(p + BTRFS_KEY_LEN + 8), level - 1, &first,
			     &x);
		if (r < 0)
			return r;
		btrfs_block_put(c->path[level - 1]);
		c->path[level - 1] = x;
		n = key ? slot_above(x, key) : 0;
		c->slots[level - 1] = n > 0 ? n - 1 : 0;
	}
	return 0;
}

/* Take the item of the leaf's slot. */
static void take_item(struct btrfs_cursor *c)
{
	const uint8_t *p = entry_of(c->path[0], c->slots[0]);

	btrfs_key_get(p, &c->key);
	c->item = c->path[0]->data + HEADER_LEN + get_le32(p + BTRFS_KEY_LEN);
	c->len = get_le32(p + BTRFS_KEY_LEN + 4);
}

int btrfs_next(struct btrfs_cursor *c)
{
	struct btrfs_key last = c->key;
	unsigned int level = 0;
	int r;

	while (c->slots[level] + 1 >= count_of(c->path[level]))
		if (++level == c->levels)
			return 0;
	c->slots[level]++;
	r = descend(c, level, NULL);
	if (r < 0)
		return r;
	take_item(c);
	if (btrfs_key_cmp(&last, &c->key) >= 0)
		return fail(-EBADMSG,
			    "btrfs: tree block %" PRIu64 " begins "
			    "below the end of the one before",
			    c->path[0]->a);
	return 1;
}

int btrfs_seek(struct btrfs *fs, const struct btrfs_tree *t,
	       const struct btrfs_key *key, bool below, struct btrfs_cursor *c)
{
	uint32_t n;
	int r;

	btrfs_cursor_release(c);
	c->fs = fs;
	if (t->level >= BTRFS_LEVELS)
		return fail(-EBADMSG,
			    "btrfs: tree %" PRIu64 " is said to be "
			    "%u levels high",
			    t->id, t->level + 1u);
	c->levels = t->level + 1u;
	r = node_get(fs, t->bytenr, t->generation, t->level, NULL,
		     &c->path[t->level]);
	if (r < 0)
		return r;
	n = slot_above(c->path[t->level], key);
	c->slots[t->level] = n > 0 ? n - 1 : 0;
	r = descend(c, t->level, key);
	if (r < 0)
		return r;
	if (count_of(c->path[0]) == 0)
		return 0;
	take_item(c);
	r = btrfs_key_cmp(&c->key, key);
	if (below)
		return r <= 0;
	return r < 0 ? btrfs_next(c) : 1;
}

int btrfs_find(struct btrfs *fs, const struct btrfs_tree *t,
	       const struct btrfs_key *key, struct btrfs_cursor *c)
{
	int r = btrfs_seek(fs, t, key, true, c);

	return r > 0 ? btrfs_key_cmp(&c->key, key) == 0 : r;
}
