/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Subvolumes and snapshots: trees of files of their own, each with objectids
 * from 256 on. They stand in directories of one another; an entry holds where
 * the root tree has a reference from the one to the other at that place. A
 * snapshot copies the entries of subvolumes, not their references: there an
 * empty directory is shown.
 */
#include "config.h"

#include "fs/guest/btrfs/internal.h"

#include <errno.h>
#include <inttypes.h>

#include "store/base/array.h"
#include "store/base/log.h"

enum root_offsets {
	ROOT_GENERATION = 160,
	ROOT_DIRID = 168,
	ROOT_BYTENR = 176,
	ROOT_REFS = 216,
	ROOT_LEVEL = 238,
	ROOT_LEN_MIN = 239,
};
/* Of a ROOT_REF and a ROOT_BACKREF. */
#define REF_NAME 18
#define OBJECTID_MASK ((UINT64_C(1) << BTRFS_SERIAL_SHIFT) - 1)

static int root_item_get(const struct btrfs_cursor *c, struct btrfs_subvol *out)
{
	if (c->len < ROOT_LEN_MIN)
		return fail(-EBADMSG,
			    "btrfs: the root item of tree %" PRIu64
			    " is cut off",
			    c->key.objectid);
	out->tree = (struct btrfs_tree){
		.id = c->key.objectid,
		.bytenr = get_le64(c->item + ROOT_BYTENR),
		.generation = get_le64(c->item + ROOT_GENERATION),
		.level = c->item[ROOT_LEVEL],
	};
	out->root_dir = get_le64(c->item + ROOT_DIRID);
	return 0;
}

static int add_subvol(struct btrfs *fs, const struct btrfs_subvol *s)
{
	/* Of several items for one tree the last one counts. */
	if (fs->nsubvols > 0 &&
	    fs->subvols[fs->nsubvols - 1].tree.id == s->tree.id) {
		fs->subvols[fs->nsubvols - 1] = *s;
		return 0;
	}
	if (fs->nsubvols == BTRFS_SERIALS) {
		fs->subvols_left_out = true;
		return 0;
	}
	if (array_reserve(&fs->subvols, &fs->subvols_cap, fs->nsubvols + 1) < 0)
		return -ENOMEM;
	fs->subvols[fs->nsubvols++] = *s;
	return 0;
}

static int take_root(struct btrfs *fs, const struct btrfs_cursor *c)
{
	struct btrfs_subvol s;
	uint64_t id = c->key.objectid;
	int r;

	if (c->key.type != BTRFS_ROOT_ITEM ||
	    (id != BTRFS_CSUM_TREE && id != BTRFS_FS_TREE &&
	     (id < BTRFS_FIRST_ID || id > BTRFS_LAST_ID)))
		return 0;
	r = root_item_get(c, &s);
	/* A damaged one is missed where an entry leads to it. */
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	if (id == BTRFS_CSUM_TREE) {
		fs->csums = s.tree;
		return 0;
	}
	/* Without references: deleted, and on its way out. */
	if (get_le32(c->item + ROOT_REFS) == 0)
		return 0;
	return add_subvol(fs, &s);
}

int btrfs_subvols_read(struct btrfs *fs, struct buf *why)
{
	const struct btrfs_key first = { BTRFS_FS_TREE, 0, 0 };
	struct btrfs_cursor c AUTO_CURSOR = BTRFS_CURSOR_INIT;
	int r;

	for (r = btrfs_seek(fs, &fs->root, &first, false, &c); r > 0;
	     r = btrfs_next(&c)) {
		if (c.key.objectid > BTRFS_LAST_ID)
			break;
		r = take_root(fs, &c);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	if (fs->nsubvols == 0 || fs->subvols[0].tree.id != BTRFS_FS_TREE) {
		buf_printf(why, "it has no tree of files");
		return -EBADMSG;
	}
	if (fs->subvols_left_out)
		log_warn("btrfs: there are more than %u subvolumes: the newest "
			 "are not shown",
			 BTRFS_SERIALS);
	return 0;
}

static const struct btrfs_subvol *subvol_find(const struct btrfs *fs,
					      uint64_t id)
{
	size_t low = 0, high = fs->nsubvols, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (fs->subvols[mid].tree.id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low < fs->nsubvols && fs->subvols[low].tree.id == id
		       ? &fs->subvols[low]
		       : NULL;
}

/* Append the name by which subvolume @id stands in its directory. */
static void put_name(struct btrfs *fs, uint64_t id, struct buf *out)
{
	const struct btrfs_key key = { id, BTRFS_ROOT_BACKREF, 0 };
	struct btrfs_cursor c AUTO_CURSOR = BTRFS_CURSOR_INIT;
	size_t len;

	if (btrfs_seek(fs, &fs->root, &key, false, &c) <= 0 ||
	    c.key.objectid != id || c.key.type != BTRFS_ROOT_BACKREF ||
	    c.len < REF_NAME)
		return;
	len = get_le16(c.item + REF_NAME - 2);
	if (len <= c.len - REF_NAME)
		buf_put(out, c.item + REF_NAME, len);
}

uint64_t btrfs_subvol_default(struct btrfs *fs, struct buf *name)
{
	struct btrfs_key key = { BTRFS_ROOT_DIR, BTRFS_DIR_ITEM, 0 };
	struct btrfs_cursor c AUTO_CURSOR = BTRFS_CURSOR_INIT;
	struct btrfs_name n;
	struct reader r;

	key.offset = btrfs_crc32c(~UINT32_C(1), "default", 7);
	if (btrfs_find(fs, &fs->root, &key, &c) <= 0)
		return 0;
	reader_init(&r, c.item, c.len);
	while (btrfs_name_next(&r, &n) > 0) {
		if (n.name_len != 7 || memcmp(n.name, "default", 7) != 0 ||
		    n.location.objectid == BTRFS_FS_TREE)
			continue;
		put_name(fs, n.location.objectid, name);
		return n.location.objectid;
	}
	return 0;
}

int btrfs_node_split(const struct btrfs *fs, uint64_t node,
		     const struct btrfs_subvol **subvol, uint64_t *objectid,
		     bool *empty)
{
	uint64_t serial = node >> BTRFS_SERIAL_SHIFT;

	*objectid = node & OBJECTID_MASK;
	*empty = *objectid >= BTRFS_EMPTY_FIRST;
	if (serial >= fs->nsubvols || *objectid < BTRFS_FIRST_ID)
		return -ENOENT;
	*subvol = &fs->subvols[serial];
	return 0;
}

/* Does the root tree say that @child stands under that name there? */
static int is_referred(struct btrfs *fs, const struct btrfs_subvol *s,
		       uint64_t dir, uint64_t child, const uint8_t *name,
		       size_t len)
{
	const struct btrfs_key key = { s->tree.id, BTRFS_ROOT_REF, child };
	struct btrfs_cursor c AUTO_CURSOR = BTRFS_CURSOR_INIT;
	int r;

	r = btrfs_find(fs, &fs->root, &key, &c);
	if (r <= 0)
		return r;
	return c.len >= REF_NAME && get_le64(c.item) == dir &&
	       get_le16(c.item + REF_NAME - 2) == len &&
	       c.len - REF_NAME >= len &&
	       memcmp(c.item + REF_NAME, name, len) == 0;
}

static int node_of_subvol(struct btrfs *fs, const struct btrfs_subvol *s,
			  uint64_t dir, uint64_t child, const uint8_t *name,
			  size_t len, uint64_t *out)
{
	const struct btrfs_subvol *x = subvol_find(fs, child);
	uint64_t serial = x ? (uint64_t)(x - fs->subvols) : BTRFS_SERIALS;
	int r;

	r = is_referred(fs, s, dir, child, name, len);
	if (r < 0)
		return r;
	if (r > 0 && x && x->root_dir >= BTRFS_FIRST_ID &&
	    x->root_dir < BTRFS_EMPTY_FIRST) {
		*out = serial << BTRFS_SERIAL_SHIFT | x->root_dir;
		return 0;
	}
	if (r > 0)
		return fail(-EBADMSG, "btrfs: subvolume %" PRIu64 " %s", child,
			    x || !fs->subvols_left_out
				    ? "is damaged"
				    : "is one too many: 4095 can be shown");
	serial += BTRFS_EMPTY_FIRST;
	*out = (uint64_t)(s - fs->subvols) << BTRFS_SERIAL_SHIFT | serial;
	return 0;
}

int btrfs_node_of(struct btrfs *fs, const struct btrfs_subvol *s, uint64_t dir,
		  const struct btrfs_key *location, const uint8_t *name,
		  size_t name_len, uint64_t *out)
{
	uint64_t id = location->objectid;

	if (location->type == BTRFS_ROOT_ITEM)
		return node_of_subvol(fs, s, dir, id, name, name_len, out);
	if (location->type != BTRFS_INODE_ITEM || id < BTRFS_FIRST_ID ||
	    id >= BTRFS_EMPTY_FIRST)
		return fail(-EBADMSG,
			    "btrfs: an entry of directory %" PRIu64
			    " in subvolume %" PRIu64 " leads to inode %" PRIu64
			    ", which cannot be",
			    dir, s->tree.id, id);
	*out = (uint64_t)(s - fs->subvols) << BTRFS_SERIAL_SHIFT | id;
	return 0;
}
