/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ext2, ext3 and ext4. A node is an inode's number.
 *
 * A filesystem that was not unmounted is opened twice: as it is on the disk,
 * to find its journal, and then with the journal laid over it.
 */
#include "config.h"

#include "fs/guest/ext/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fs/guest/map.h"
#include "fs/guest/readers.h"
#include "store/base/bytes.h"
#include "store/base/log.h"

static void release(struct ext *e)
{
	blocks_put(e->meta);
	blocks_put(e->data);
	free(e->tables);
	e->meta = e->data = NULL;
	e->tables = NULL;
}

/* The filesystem as it is on @b. */
static int load_super(struct guest *g, struct blocks *b, struct buf *why)
{
	struct ext *e = g->state;
	int r;

	release(e);
	e->data = blocks_get(b);
	r = blocks_cached(b, g->memory, &e->meta);
	if (r == 0)
		r = ext_super_read(e->meta, &e->super, &g->info, why);
	if (r == 0)
		r = ext_lib_tables(e->meta, &e->super, &e->tables, &e->suspects,
				   why);
	return r;
}

/*
 * Tell that the checksums of group descriptors do not match. The kernel mounts
 * such a filesystem for reading, and so do we. What the journal left to be told
 * keeps its word, and this is added to its note.
 */
static void tell_suspects(const struct ext *e, struct guest_info *info)
{
	size_t len = strlen(info->note);

	if (e->suspects == 0)
		return;
	if (!info->state[0])
		snprintf(info->state, sizeof(info->state), "checksum-mismatch");
	snprintf(info->note + len, sizeof(info->note) - len,
		 "%sThe checksums of %" PRIu32 " of %" PRIu32 " descriptors of "
		 "block groups do not match: files are shown where these "
		 "descriptors say that they are.",
		 len ? " " : "", e->suspects, e->super.ngroups);
}

static int ext_open(struct guest *g, struct buf *why)
{
	struct blocks *replayed = NULL;
	struct ext *e;
	int r;

	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	g->state = e;
	g->root = EXT_ROOT_INO;
	r = load_super(g, g->blocks, why);
	if (r == 0 && e->super.dirty) {
		r = ext_log_replay(e, &g->info, &replayed, &g->held);
		if (r == 0 && replayed)
			r = load_super(g, replayed, why);
		else if (r < 0)
			buf_printf(why, "ext: the journal cannot be read");
		blocks_put(replayed);
	}
	if (r < 0)
		return r;
	g->held += e->super.ngroups * sizeof(*e->tables);
	tell_suspects(e, &g->info);
	return 0;
}

static void ext_close(struct guest *g)
{
	if (!g->state)
		return;
	release(g->state);
	free(g->state);
	g->state = NULL;
}

static void set_rdev(const struct ext_inode *i, struct guest_attr *out)
{
	uint32_t old = get_le32(i->block), dev = get_le32(i->block + 4);

	if (old) {
		out->rdev_major = old >> 8 & 0xff;
		out->rdev_minor = old & 0xff;
	} else {
		out->rdev_major = dev >> 8 & 0xfff;
		out->rdev_minor = (dev & 0xff) | (dev >> 12 & 0xfff00);
	}
}

static int ext_getattr(struct guest *g, uint64_t node, struct guest_attr *out)
{
	struct ext_inode i;
	int r = ext_inode_read(g->state, node, &i);

	if (r < 0)
		return r;
	*out = (struct guest_attr){
		.node = node,
		.mode = i.mode,
		.owned = true,
		.bare = ext_xattr_none(&i),
		.uid = i.uid,
		.gid = i.gid,
		.nlink = i.nlink,
		.size = i.size,
		.allocated = i.allocated,
		.atime = i.atime,
		.mtime = i.mtime,
		.ctime = i.ctime,
	};
	if (S_ISCHR(i.mode) || S_ISBLK(i.mode))
		set_rdev(&i, out);
	return 0;
}

static int ext_readdir(struct guest *g, uint64_t dir, uint64_t cookie,
		       guest_dir_fn *fn, void *arg)
{
	struct ext_inode i;
	int r = ext_inode_read(g->state, dir, &i);

	if (r < 0)
		return r;
	if (!S_ISDIR(i.mode))
		return -ENOTDIR;
	return ext_dir_read(g, &i, cookie, fn, arg);
}

static int ext_lookup(struct guest *g, uint64_t dir, const char *name,
		      size_t len, uint64_t *node_out)
{
	struct ext_inode i;
	int r = ext_inode_read(g->state, dir, &i);

	if (r < 0)
		return r;
	if (!S_ISDIR(i.mode))
		return -ENOTDIR;
	return ext_htree_lookup(g->state, &i, name, len, node_out);
}

static int refuse_encrypted(const struct ext_inode *i)
{
	if (i->flags & EXT_FL_ENCRYPT)
		return fail(-EOPNOTSUPP,
			    "ext: inode %" PRIu32 ": encrypted by the guest "
			    "(fscrypt): its content needs the guest's key",
			    i->ino);
	return 0;
}

/* The target is in the block map itself where it fits. */
static int read_target(const struct ext *e, const struct ext_inode *i,
		       struct buf *out)
{
	int r;

	if (i->flags & EXT_FL_INLINE_DATA)
		return ext_xattr_inline(e, i, out);
	if (i->size < EXT_NBLOCKS_LEN && !(i->flags & EXT_FL_EXTENTS)) {
		buf_put(out, i->block, (size_t)i->size);
		return buf_error(out);
	}
	r = buf_reserve(out, (size_t)i->size);
	if (r == 0)
		r = ext_map_read(e, i, out->data + out->len, (size_t)i->size);
	if (r == 0)
		out->len += (size_t)i->size;
	return r;
}

static int ext_readlink(struct guest *g, uint64_t node, struct buf *out)
{
	struct ext_inode i;
	size_t before = out->len, len;
	int r = ext_inode_read(g->state, node, &i);

	if (r < 0)
		return r;
	if (!S_ISLNK(i.mode))
		return -EINVAL;
	r = refuse_encrypted(&i);
	if (r < 0)
		return r;
	if (i.size > 0 && i.size <= GUEST_TARGET_MAX)
		r = read_target(g->state, &i, out);
	if (r < 0)
		return r;
	len = out->len > before
		      ? strnlen((char *)out->data + before, out->len - before)
		      : 0;
	out->len = before + len;
	if (len == 0)
		return fail(-EBADMSG,
			    "ext: inode %" PRIu32 ": a symbolic link without a "
			    "target",
			    i.ino);
	return 0;
}

struct mapping {
	struct map *m;
	uint32_t block_size;
};

static int add_range(void *arg, uint64_t lblk, uint64_t pblk, uint64_t n,
		     bool unwritten)
{
	struct mapping *x = arg;

	return map_add(x->m, lblk * x->block_size, n * x->block_size,
		       pblk * x->block_size, unwritten);
}

static int walk_blocks(const struct ext *e, const struct ext_inode *i,
		       struct map *m)
{
	struct mapping x = { m, e->super.block_size };

	return ext_map_walk(e, i, map_from(m) / x.block_size, add_range, &x);
}

/* A map_walk_fn. */
static int walk_node(struct guest *g, uint64_t node, struct map *m)
{
	struct ext_inode i;
	int r = ext_inode_read(g->state, node, &i);

	return r < 0 ? r : walk_blocks(g->state, &i, m);
}

static int map_blocks(struct guest *g, const struct ext_inode *i,
		      struct guest_file **out)
{
	const struct ext *e = g->state;
	struct map *m = map_new(e->data, i->size);
	int r;

	if (!m)
		return -ENOMEM;
	r = walk_blocks(e, i, m);
	if (r >= 0)
		r = map_file(m, g, i->ino, e->super.block_size, walk_node, out);
	if (r < 0)
		map_free(m);
	return r;
}

static int ext_file(struct guest *g, uint64_t node, struct guest_file **out)
{
	struct buf data AUTO_BUF = BUF_INIT;
	struct ext_inode i;
	int r = ext_inode_read(g->state, node, &i);

	if (r < 0)
		return r;
	if (!S_ISREG(i.mode))
		return -EINVAL;
	r = refuse_encrypted(&i);
	if (r < 0)
		return r;
	if (i.flags & EXT_FL_COMPRBLK)
		return fail(-EOPNOTSUPP,
			    "ext: inode %" PRIu32 ": compressed in a way that "
			    "no present kernel reads",
			    i.ino);
	if (!(i.flags & EXT_FL_INLINE_DATA))
		return map_blocks(g, &i, out);
	r = ext_xattr_inline(g->state, &i, &data);
	if (r < 0)
		return r;
	return map_memory_file(data.data, data.len, i.size, out);
}

static int ext_xattrs(struct guest *g, uint64_t node, guest_xattr_fn *fn,
		      void *arg)
{
	struct ext_inode i;
	int r = ext_inode_read(g->state, node, &i);

	return r < 0 ? r : ext_xattr_walk(g->state, &i, fn, arg);
}

const struct guest_ops guest_ext = {
	.name = "ext",
	.open = ext_open,
	.close = ext_close,
	.getattr = ext_getattr,
	.lookup = ext_lookup,
	.readdir = ext_readdir,
	.readlink = ext_readlink,
	.file = ext_file,
	.xattrs = ext_xattrs,
};
