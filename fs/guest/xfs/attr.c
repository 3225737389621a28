/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Extended attributes of XFS, as the kernel lists them: in the inode, in one
 * leaf block, or in the leaves of a B+tree; large values in blocks of their own.
 */
#include "config.h"

#include <errno.h>

#include "fs/guest/xfs/internal.h"
#include "store/base/log.h"

enum {
	FLAG_LOCAL = 1, /* the value stands behind the name */
	FLAG_ROOT = 2,
	FLAG_SECURE = 4,
	FLAG_PARENT = 8, /* not an attribute: where the file's names are */
	FLAG_INCOMPLETE = 0x80,
	REMOTE_MAGIC = 0x5841524d, /* XARM */
	REMOTE_HEADER = 56,
	PREFIX_MAX = 16,
};

struct attrs {
	struct xfs *x;
	const struct xfs_inode *inode;
	struct xfs_extents extents;
	guest_xattr_fn *fn;
	void *arg;
	uint8_t *value; /* owned; GUEST_XATTR_MAX, once one is remote */
};

static int attrs_bad(const struct attrs *a, const char *what)
{
	return fail(-EBADMSG, "xfs: inode %" PRIu64 ": extended attributes: %s",
		    a->inode->ino, what);
}

static bool same(const char *want, const uint8_t *name, size_t len)
{
	return strlen(want) == len && memcmp(want, name, len) == 0;
}

static int attrs_acl(struct attrs *a, const char *as, const uint8_t *value,
		     size_t value_len)
{
	struct buf b AUTO_BUF = BUF_INIT;
	int r;

	r = xfs_acl_decode(value, value_len, &b);
	if (r == -EBADMSG)
		return attrs_bad(a, "an ACL is damaged");
	return r ? r : a->fn(a->arg, as, b.data, b.len);
}

/* One attribute; what is not the user's to see is left out. */
static int attrs_tell(struct attrs *a, uint8_t flags, const uint8_t *name,
		      size_t len, const uint8_t *value, size_t value_len)
{
	char full[PREFIX_MAX + UINT8_MAX + 1];
	const char *prefix = "user.";
	int r = 0;

	if (!len || memchr(name, '\0', len))
		return attrs_bad(a, "a name is not possible");
	if (flags & FLAG_ROOT) {
		prefix = "trusted.";
		if (same("SGI_ACL_FILE", name, len))
			r = attrs_acl(a, "system.posix_acl_access", value,
				      value_len);
		else if (same("SGI_ACL_DEFAULT", name, len))
			r = attrs_acl(a, "system.posix_acl_default", value,
				      value_len);
		if (r)
			return r;
	} else if (flags & FLAG_SECURE) {
		prefix = "security.";
	}
	snprintf(full, sizeof(full), "%s%.*s", prefix, (int)len,
		 (const char *)name);
	return a->fn(a->arg, full, value, value_len);
}

static bool hidden(uint8_t flags)
{
	return flags & (FLAG_PARENT | FLAG_INCOMPLETE) ||
	       (flags & (FLAG_ROOT | FLAG_SECURE)) == (FLAG_ROOT | FLAG_SECURE);
}

static int attrs_short(struct attrs *a, const struct xfs_fork *f)
{
	const uint8_t *p = f->data;
	size_t len, off = 4, need;
	unsigned int n;
	int r;

	if (f->len < 4)
		return attrs_bad(a, "they do not fit into the inode");
	len = be16(p);
	if (len > f->len || len < 4)
		return attrs_bad(a, "they do not fit into the inode");
	for (n = p[2]; n; n--, off += need) {
		if (len - off < 3)
			return attrs_bad(a, "they end within one");
		need = 3u + p[off] + p[off + 1];
		if (len - off < need)
			return attrs_bad(a, "they end within one");
		if (hidden(p[off + 2]))
			continue;
		r = attrs_tell(a, p[off + 2], p + off + 3, p[off],
			       p + off + 3 + p[off], p[off + 1]);
		if (r)
			return r;
	}
	return 0;
}

/* Read the value of @len bytes that begins at block @off of the fork. */
static int attrs_remote(struct attrs *a, uint32_t off, size_t len)
{
	struct xfs *x = a->x;
	size_t header = x->sb.v5 ? REMOTE_HEADER : 0, done = 0, here;
	size_t size = x->sb.block_size;
	uint8_t *block AUTO_FREE = malloc(size);
	uint64_t at = 0;
	int r;

	if (!a->value)
		a->value = malloc(GUEST_XATTR_MAX);
	if (!block || !a->value)
		return -ENOMEM;
	for (; done < len; done += here, off++) {
		r = xfs_fork_read(x, a->inode, &a->extents, off, 1, block, &at);
		if (r == -ENOENT)
			return attrs_bad(a, "a block of a value is missing");
		if (r < 0)
			return r;
		here = MIN(len - done, size - header);
		if (header) {
			if (be32(block) != REMOTE_MAGIC ||
			    be32(block + 4) != done || be32(block + 8) != here)
				return attrs_bad(a, "a block of a value is"
						    " none");
			r = xfs_check(x, &xfs_header_remote, block, size, at,
				      a->inode->ino);
			if (r < 0)
				return r;
		}
		memcpy(a->value + done, block + header, here);
	}
	return 0;
}

/* The attribute that stands at @off of a leaf. */
static int attrs_leaf_entry(struct attrs *a, const uint8_t *p, size_t len,
			    size_t off, uint8_t flags)
{
	size_t value_len;
	int r;

	if (flags & FLAG_LOCAL) {
		if (off + 3 > len)
			return attrs_bad(a, "one is outside its block");
		value_len = be16(p + off);
		if (off + 3 + p[off + 2] + value_len > len)
			return attrs_bad(a, "one is outside its block");
		return attrs_tell(a, flags, p + off + 3, p[off + 2],
				  p + off + 3 + p[off + 2], value_len);
	}
	if (off + 9 > len || off + 9 + p[off + 8] > len)
		return attrs_bad(a, "one is outside its block");
	value_len = be32(p + off + 4);
	if (value_len > GUEST_XATTR_MAX)
		return attrs_bad(a, "a value is too long");
	r = attrs_remote(a, be32(p + off), value_len);
	if (r < 0)
		return r;
	return attrs_tell(a, flags, p + off + 9, p[off + 8], a->value,
			  value_len);
}

static int attrs_leaf(struct attrs *a, const struct xfs_da *leaf,
		      const uint8_t *p, size_t len)
{
	const uint8_t *e = leaf->entries;
	unsigned int n;
	int r;

	for (n = leaf->count; n; n--, e += 8) {
		if (hidden(e[6]))
			continue;
		r = attrs_leaf_entry(a, p, len, be16(e + 4), e[6]);
		if (r)
			return r;
	}
	return 0;
}

static int attrs_block(struct attrs *a, uint32_t off, uint8_t *block,
		       struct xfs_da *out)
{
	uint64_t at = 0;
	int r;

	r = xfs_fork_read(a->x, a->inode, &a->extents, off, 1, block, &at);
	if (r == -ENOENT)
		return attrs_bad(a, "a block is missing");
	if (r < 0)
		return r;
	return xfs_da_decode(a->x, block, a->x->sb.block_size, at,
			     a->inode->ino, out);
}

/* Down along the left to the first leaf, then to the right. */
static int attrs_tree(struct attrs *a, uint8_t *block)
{
	struct xfs_da d = { 0 };
	unsigned int level = XFS_DA_DEPTH_MAX + 1;
	uint64_t left = 0;
	uint32_t off = 0;
	size_t i;
	int r;

	for (;;) {
		r = attrs_block(a, off, block, &d);
		if (r < 0)
			return r;
		if (d.magic != XFS_DA_NODE)
			break;
		if (!d.level || d.level >= level || !d.count)
			return attrs_bad(a, "the index is damaged");
		level = d.level;
		off = be32(d.entries + 4);
	}
	for (i = 0; i < a->extents.n; i++)
		left += a->extents.list[i].len;
	for (;;) {
		if (d.magic != XFS_ATTR_LEAF || !left--)
			return attrs_bad(a, "the index is damaged");
		r = attrs_leaf(a, &d, block, a->x->sb.block_size);
		if (r || !d.next)
			return r;
		r = attrs_block(a, d.next, block, &d);
		if (r < 0)
			return r;
	}
}

int xfs_attr_walk(struct xfs *x, const struct xfs_inode *i, guest_xattr_fn *fn,
		  void *arg)
{
	struct attrs a = { .x = x, .inode = i, .fn = fn, .arg = arg };
	uint8_t *block AUTO_FREE = NULL;
	int r;

	if (!i->attr_fork.len)
		return 0;
	if (i->attr_fork.format == XFS_FORMAT_LOCAL)
		return attrs_short(&a, &i->attr_fork);
	r = xfs_fork_load(x, i, &i->attr_fork, &a.extents);
	if (!r && a.extents.n) {
		block = malloc(x->sb.block_size);
		r = block ? attrs_tree(&a, block) : -ENOMEM;
	}
	free(a.value);
	xfs_extents_release(&a.extents);
	return r;
}
