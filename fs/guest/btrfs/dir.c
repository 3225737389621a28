/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Directories. Each entry stands there twice: under the hash of its name
 * (DIR_ITEM, where several may share an item) for looking up, and under a
 * number that rises with each entry ever made (DIR_INDEX) for listing: the
 * cookie.
 */
#include "config.h"

#include "fs/guest/btrfs/internal.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "store/base/log.h"

/* Why was nothing found in @id? */
static int none_or_no_dir(struct btrfs *fs, const struct btrfs_subvol *s,
			  uint64_t id)
{
	struct btrfs_inode i;
	int r = btrfs_inode_read(fs, s, id, &i);

	if (r < 0)
		return r;
	return S_ISDIR(i.mode) ? -ENOENT : -ENOTDIR;
}

static int bad_entry(const struct btrfs_subvol *s, uint64_t dir)
{
	return fail(-EBADMSG,
		    "btrfs: an entry of directory %" PRIu64
		    " of subvolume %" PRIu64 " is malformed",
		    dir, s->tree.id);
}

int btrfs_lookup(struct guest *g, uint64_t dir, const char *name, size_t len,
		 uint64_t *node_out)
{
	struct btrfs_cursor c AUTO_CURSOR = BTRFS_CURSOR_INIT;
	struct btrfs_key key = { 0, BTRFS_DIR_ITEM, 0 };
	struct btrfs *fs = g->state;
	const struct btrfs_subvol *s;
	struct btrfs_name n;
	struct reader rd;
	bool empty;
	int r;

	r = btrfs_node_split(fs, dir, &s, &key.objectid, &empty);
	if (r < 0)
		return r;
	if (empty)
		return -ENOENT;
	key.offset = btrfs_crc32c(~UINT32_C(1), name, len);
	r = btrfs_find(fs, &s->tree, &key, &c);
	if (r < 0)
		return r;
	if (r == 0)
		return none_or_no_dir(fs, s, key.objectid);
	reader_init(&rd, c.item, c.len);
	while ((r = btrfs_name_next(&rd, &n)) > 0)
		if (n.name_len == len && memcmp(n.name, name, len) == 0)
			return btrfs_node_of(fs, s, key.objectid, &n.location,
					     n.name, n.name_len, node_out);
	return r < 0 ? bad_entry(s, key.objectid) : -ENOENT;
}

static unsigned int type_of(uint8_t type)
{
	static const uint8_t types[] = { DT_UNKNOWN, DT_REG,  DT_DIR,  DT_CHR,
					 DT_BLK,     DT_FIFO, DT_SOCK, DT_LNK };

	return type < ARRAY_SIZE(types) ? types[type] : DT_UNKNOWN;
}

/* Give out one entry. A positive return is the caller's. */
static int give_entry(struct btrfs *fs, const struct btrfs_subvol *s,
		      const struct btrfs_cursor *c, guest_dir_fn *fn, void *arg,
		      bool *ended)
{
	struct btrfs_name n;
	struct reader rd;
	uint64_t node;
	int r;

	reader_init(&rd, c->item, c->len);
	r = btrfs_name_next(&rd, &n);
	if (r <= 0 || c->key.offset == 0 || c->key.offset > INT64_MAX)
		return bad_entry(s, c->key.objectid);
	r = btrfs_node_of(fs, s, c->key.objectid, &n.location, n.name,
			  n.name_len, &node);
	if (r < 0)
		return r;
	r = fn(arg, (const char *)n.name, n.name_len, node, type_of(n.type),
	       c->key.offset);
	*ended = r != 0;
	return r;
}

int btrfs_readdir(struct guest *g, uint64_t dir, uint64_t cookie,
		  guest_dir_fn *fn, void *arg)
{
	struct btrfs_cursor c AUTO_CURSOR = BTRFS_CURSOR_INIT;
	struct btrfs_key key = { 0, BTRFS_DIR_INDEX, cookie + 1 };
	struct btrfs *fs = g->state;
	const struct btrfs_subvol *s;
	bool empty, ended = false;
	int r;

	r = btrfs_node_split(fs, dir, &s, &key.objectid, &empty);
	if (r < 0 || empty || cookie >= INT64_MAX)
		return r;
	r = none_or_no_dir(fs, s, key.objectid);
	if (r != -ENOENT)
		return r;
	for (r = btrfs_seek(fs, &s->tree, &key, false, &c); r > 0;
	     r = btrfs_next(&c)) {
		if (c.key.objectid != key.objectid ||
		    c.key.type != BTRFS_DIR_INDEX)
			break;
		r = give_entry(fs, s, &c, fn, arg, &ended);
		if (ended || (r < 0 && r != -EBADMSG))
			return r;
		if (r < 0)
			guest_dir_spoil(g, dir, "a damaged entry");
	}
	return MIN(r, 0);
}
