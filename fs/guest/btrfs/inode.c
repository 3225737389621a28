/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inodes: attributes, targets of links, extended attributes. */
#include "config.h"

#include "fs/guest/btrfs/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "store/base/log.h"

enum inode_offsets {
	INODE_SIZE = 16,
	INODE_NBYTES = 24,
	INODE_NLINK = 40,
	INODE_UID = 44,
	INODE_GID = 48,
	INODE_MODE = 52,
	INODE_RDEV = 56,
	INODE_FLAGS = 64,
	INODE_ATIME = 112,
	INODE_CTIME = 124,
	INODE_MTIME = 136,
};
#define INLINE_DATA 21 /* of an EXTENT_DATA item: where inline bytes begin */

static struct timestamp time_get(const uint8_t *p)
{
	struct timestamp t = {
		.sec = (int64_t)get_le64(p),
		.nsec = get_le32(p + 8),
	};

	return t;
}

int btrfs_inode_read(struct btrfs *fs, const struct btrfs_subvol *s,
		     uint64_t objectid, struct btrfs_inode *out)
{
	const struct btrfs_key key = { objectid, BTRFS_INODE_ITEM, 0 };
	struct btrfs_cursor c AUTO_CURSOR = BTRFS_CURSOR_INIT;
	int r;

	r = btrfs_find(fs, &s->tree, &key, &c);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	if (c.len < BTRFS_INODE_LEN)
		goto bad;
	*out = (struct btrfs_inode){
		.size = get_le64(c.item + INODE_SIZE),
		.bytes = get_le64(c.item + INODE_NBYTES),
		.flags = get_le64(c.item + INODE_FLAGS),
		.rdev = get_le64(c.item + INODE_RDEV),
		.nlink = get_le32(c.item + INODE_NLINK),
		.uid = get_le32(c.item + INODE_UID),
		.gid = get_le32(c.item + INODE_GID),
		.mode = get_le32(c.item + INODE_MODE),
		.atime = time_get(c.item + INODE_ATIME),
		.mtime = time_get(c.item + INODE_MTIME),
		.ctime = time_get(c.item + INODE_CTIME),
	};
	if (out->size > GUEST_SIZE_MAX || out->bytes > GUEST_SIZE_MAX ||
	    out->atime.nsec > 999999999 || out->mtime.nsec > 999999999 ||
	    out->ctime.nsec > 999999999)
		goto bad;
	return 0;
bad:
	return fail(-EBADMSG,
		    "btrfs: inode %" PRIu64 " of subvolume %" PRIu64
		    " is damaged",
		    objectid, s->tree.id);
}

int btrfs_inode_read_node(struct btrfs *fs, uint64_t node,
			  const struct btrfs_subvol **subvol,
			  uint64_t *objectid, struct btrfs_inode *out)
{
	bool empty;
	int r = btrfs_node_split(fs, node, subvol, objectid, &empty);

	if (r == 0 && empty)
		r = -EINVAL;
	return r < 0 ? r : btrfs_inode_read(fs, *subvol, *objectid, out);
}

int btrfs_getattr(struct guest *g, uint64_t node, struct guest_attr *out)
{
	struct btrfs *fs = g->state;
	const struct btrfs_subvol *s;
	struct btrfs_inode i;
	uint64_t id;
	bool empty;
	int r;

	r = btrfs_node_split(fs, node, &s, &id, &empty);
	if (r < 0)
		return r;
	/* The kernel has no times of its own for those either. */
	r = btrfs_inode_read(fs, s, empty ? s->root_dir : id, &i);
	if (r < 0)
		return r;
	if (empty) {
		i.mode = S_IFDIR | 0755;
		i.size = i.bytes = i.rdev = 0;
		i.nlink = 1;
	}
	*out = (struct guest_attr){
		.node = node,
		.mode = i.mode,
		.owned = true,
		.uid = i.uid,
		.gid = i.gid,
		.nlink = i.nlink,
		.size = i.size,
		.allocated = (i.bytes + fs->sector - 1) & -(uint64_t)fs->sector,
		.atime = i.atime,
		.mtime = i.mtime,
		.ctime = i.ctime,
	};
	/* As the kernel numbers devices inside: 20 bits of minor. */
	if (S_ISCHR(i.mode) || S_ISBLK(i.mode)) {
		out->rdev_major = (uint32_t)(i.rdev >> 20);
		out->rdev_minor = (uint32_t)(i.rdev & 0xfffff);
	}
	return 0;
}

int btrfs_readlink(struct guest *g, uint64_t node, struct buf *out)
{
	struct btrfs_cursor c AUTO_CURSOR = BTRFS_CURSOR_INIT;
	struct btrfs_key key = { 0, BTRFS_EXTENT_DATA, 0 };
	struct btrfs *fs = g->state;
	const struct btrfs_subvol *s;
	struct btrfs_inode i;
	uint64_t id;
	int r;

	r = btrfs_inode_read_node(fs, node, &s, &id, &i);
	if (r < 0)
		return r;
	if (!S_ISLNK(i.mode))
		return -EINVAL;
	key.objectid = id;
	r = btrfs_find(fs, &s->tree, &key, &c);
	if (r < 0)
		return r;
	/* Inline, neither compressed nor encrypted. */
	if (r == 0 || c.len < INLINE_DATA || get_le32(c.item + 16) != 0 ||
	    c.item[20] != 0 || i.size == 0 || i.size > c.len - INLINE_DATA ||
	    i.size > GUEST_TARGET_MAX ||
	    memchr(c.item + INLINE_DATA, 0, i.size))
		return fail(-EBADMSG,
			    "btrfs: the symbolic link %" PRIu64
			    " of subvolume %" PRIu64 " has no proper target",
			    id, s->tree.id);
	buf_put(out, c.item + INLINE_DATA, i.size);
	return buf_error(out);
}

/* Give out what stands in one item: more than one where hashes collide. */
static int give_xattrs(const struct btrfs_cursor *c, size_t *total,
		       guest_xattr_fn *fn, void *arg)
{
	char name[GUEST_NAME_MAX + 1];
	struct btrfs_name n;
	struct reader rd;
	int r;

	reader_init(&rd, c->item, c->len);
	while ((r = btrfs_name_next(&rd, &n)) > 0) {
		*total += (size_t)n.name_len + n.value_len;
		if (memchr(n.name, 0, n.name_len) || *total > GUEST_XATTRS_MAX)
			return -EBADMSG;
		memcpy(name, n.name, n.name_len);
		name[n.name_len] = '\0';
		r = fn(arg, name, n.value, n.value_len);
		if (r != 0)
			return r;
	}
	return r;
}

int btrfs_xattrs(struct guest *g, uint64_t node, guest_xattr_fn *fn, void *arg)
{
	struct btrfs_cursor c AUTO_CURSOR = BTRFS_CURSOR_INIT;
	struct btrfs_key key = { 0, BTRFS_XATTR_ITEM, 0 };
	struct btrfs *fs = g->state;
	const struct btrfs_subvol *s;
	size_t total = 0;
	uint64_t id;
	bool empty;
	int r;

	r = btrfs_node_split(fs, node, &s, &id, &empty);
	if (r < 0 || empty)
		return r;
	key.objectid = id;
	for (r = btrfs_seek(fs, &s->tree, &key, false, &c); r > 0;
	     r = btrfs_next(&c)) {
		if (c.key.objectid != id || c.key.type != BTRFS_XATTR_ITEM)
			return 0;
		r = give_xattrs(&c, &total, fn, arg);
		if (r == -EBADMSG)
			return fail(r,
				    "btrfs: the extended attributes of "
				    "inode %" PRIu64 " of subvolume %" PRIu64
				    " are damaged",
				    id, s->tree.id);
		if (r != 0)
			return r;
	}
	return r;
}
