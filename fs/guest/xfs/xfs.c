/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * XFS, versions 4 and 5: a reader of our own, for no library reads it rightly. An
 * inode's number tells where it is, so each operation reads the inode and goes from
 * there; nothing is kept but what the superblock says.
 */
#include "config.h"

#include <errno.h>
#include <sys/stat.h>

#include "fs/guest/map.h"
#include "fs/guest/readers.h"
#include "fs/guest/xfs/internal.h"
#include "store/base/log.h"

enum {
	TARGET_MAX = 1024, /* of a symbolic link in XFS */
	LINK_MAGIC = 0x58534c4d, /* XSLM */
	LINK_HEADER = 56,
	LINK_BLOCKS_MAX = 4, /* of an extent */
};

/* ---- opening ---- */

static int super_read(struct blocks *b, bool crc, struct xfs_super *out,
		      struct buf *why)
{
	uint8_t *p AUTO_FREE = NULL;
	size_t len = MIN(b->size, 32u << 10);
	int r;

	p = malloc(len ? len : 1);
	if (!p)
		return -ENOMEM;
	r = blocks_read(b, 0, p, len);
	if (r < 0)
		return r;
	return xfs_super_decode(p, len, crc, out, why);
}

static void info_set(struct guest *g, const struct xfs_super *s)
{
	struct guest_info *info = &g->info;
	const uint8_t *u = s->uuid;

	snprintf(info->type, sizeof(info->type), "xfs");
	snprintf(info->label, sizeof(info->label), "%s", s->label);
	snprintf(info->uuid, sizeof(info->uuid),
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		 "%02x%02x%02x%02x%02x%02x",
		 u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9],
		 u[10], u[11], u[12], u[13], u[14], u[15]);
	info->block_size = s->block_size;
}

static void state_set(struct guest *g, const char *state, const char *note)
{
	snprintf(g->info.state, sizeof(g->info.state), "%s", state);
	snprintf(g->info.note, sizeof(g->info.note), "%s", note);
}

/* Replay the log; what of it could not be is told. */
static int replay(struct guest *g, struct xfs *x)
{
	struct xfs_log_report report = { 0 };
	struct xfs_overlay *o = NULL;
	struct buf why AUTO_BUF = BUF_INIT;
	struct xfs_super sb;
	int r;

	r = xfs_log_open(g->blocks, &x->sb, &report, &o);
	if (r < 0)
		return r;
	if (o) {
		x->data = xfs_overlay_blocks(o);
		x->overlay = o;
		g->held = xfs_overlay_pages(o) << 12;
		r = super_read(x->data, false, &sb, &why);
		if (r == -ENOMEM)
			return r;
		if (r < 0 || sb.block_size != x->sb.block_size) {
			blocks_put(x->data);
			x->overlay = NULL;
			g->held = 0;
			report.replayed = false;
			snprintf(report.note, sizeof(report.note),
				 "its log holds a damaged superblock");
		} else {
			x->sb = sb;
		}
	}
	if (!x->overlay)
		x->data = blocks_get(g->blocks);
	if (report.dirty && !report.replayed)
		state_set(g, "log-not-replayed", report.note);
	else if (report.dirty && report.note[0])
		state_set(g, "log-partly-replayed", report.note);
	return 0;
}

static int root_check(struct xfs *x, struct buf *why)
{
	struct xfs_inode root;
	int r;

	r = xfs_inode_read(x, x->sb.root, &root);
	if (r == -ENOENT || (!r && !S_ISDIR(root.attr.mode)))
		r = -EBADMSG;
	if (r == -EBADMSG)
		buf_printf(why, "its root directory is damaged");
	return r;
}

static int op_open(struct guest *g, struct buf *why)
{
	struct xfs *x;
	int r;

	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	g->state = x;
	r = super_read(g->blocks, true, &x->sb, why);
	if (r < 0)
		return r;
	info_set(g, &x->sb);
	r = replay(g, x);
	if (r < 0)
		return r;
	r = blocks_cached(x->data, g->memory, &x->meta);
	if (r < 0)
		return r;
	if (!g->info.state[0] && (x->sb.incompat & XFS_INCOMPAT_NEEDS_REPAIR))
		state_set(g, "needs-repair",
			  "The filesystem is marked as one"
			  " that xfs_repair has to mend before it is used.");
	if (!g->info.state[0] &&
	    x->sb.blocks > g->blocks->size >> x->sb.block_log)
		state_set(g, "truncated",
			  "The volume is shorter than its"
			  " filesystem: what lies behind its end is not"
			  " there.");
	g->root = x->sb.root;
	return root_check(x, why);
}

static void op_close(struct guest *g)
{
	struct xfs *x = g->state;

	if (!x)
		return;
	blocks_put(x->meta);
	blocks_put(x->data);
	free(x);
	g->state = NULL;
}

/* ---- inodes ---- */

static int op_getattr(struct guest *g, uint64_t node, struct guest_attr *out)
{
	struct xfs_inode i;
	int r;

	r = xfs_inode_read(g->state, node, &i);
	if (!r)
		*out = i.attr;
	return r;
}

static int dir_read(struct guest *g, uint64_t node, struct xfs_inode *out)
{
	int r = xfs_inode_read(g->state, node, out);

	return !r && !S_ISDIR(out->attr.mode) ? -ENOTDIR : r;
}

static int op_lookup(struct guest *g, uint64_t dir, const char *name,
		     size_t len, uint64_t *node_out)
{
	struct xfs_inode i;
	int r;

	r = dir_read(g, dir, &i);
	return r ? r : xfs_dir_lookup(g->state, &i, name, len, node_out);
}

static int op_readdir(struct guest *g, uint64_t dir, uint64_t cookie,
		      guest_dir_fn *fn, void *arg)
{
	struct xfs_inode i;
	int r;

	r = dir_read(g, dir, &i);
	return r ? r : xfs_dir_walk(g->state, &i, cookie, fn, arg);
}

static int op_xattrs(struct guest *g, uint64_t node, guest_xattr_fn *fn,
		     void *arg)
{
	struct xfs_inode i;
	int r;

	r = xfs_inode_read(g->state, node, &i);
	return r ? r : xfs_attr_walk(g->state, &i, fn, arg);
}

/* ---- symbolic links ---- */

static int link_bad(const struct xfs_inode *i, const char *what)
{
	return fail(-EBADMSG, "xfs: symbolic link %" PRIu64 ": %s", i->ino,
		    what);
}

/* The piece of the target in extent @e, behind @done bytes of it. */
static int link_piece(struct xfs *x, const struct xfs_inode *i,
		      const struct xfs_extent *e, size_t done, struct buf *out)
{
	size_t len = e->len << x->sb.block_log, left = i->attr.size - done;
	size_t header = x->sb.v5 ? LINK_HEADER : 0, here;
	uint64_t at = xfs_block_at(&x->sb, e->block);
	uint8_t *p AUTO_FREE = NULL;
	int r;

	if (e->len > LINK_BLOCKS_MAX)
		return link_bad(i, "it has too many blocks");
	here = MIN(left, len - header);
	p = malloc(len);
	if (!p)
		return -ENOMEM;
	r = xfs_read(x, at, p, len, "target", i->ino);
	if (r < 0)
		return r;
	if (header) {
		if (be32(p) != LINK_MAGIC || be32(p + 4) != done ||
		    be32(p + 8) != here)
			return link_bad(i, "a block of it is none");
		r = xfs_check(x, &xfs_header_remote, p, len, at, i->ino);
		if (r < 0)
			return r;
	}
	buf_put(out, p + header, here);
	return buf_error(out);
}

/* The target of a link that is not in the inode; each extent has a header. */
static int link_remote(struct xfs *x, const struct xfs_inode *i,
		       const struct xfs_extents *e, struct buf *out)
{
	size_t start = out->len, n;
	int r;

	for (n = 0; n < e->n && out->len - start < i->attr.size; n++) {
		r = link_piece(x, i, &e->list[n], out->len - start, out);
		if (r < 0)
			return r;
	}
	if (out->len - start != i->attr.size)
		return link_bad(i, "a block of it is missing");
	return 0;
}

static int op_readlink(struct guest *g, uint64_t node, struct buf *out)
{
	struct xfs *x = g->state;
	struct xfs_extents e;
	struct xfs_inode i;
	int r;

	r = xfs_inode_read(x, node, &i);
	if (r < 0)
		return r;
	if (!S_ISLNK(i.attr.mode))
		return -EINVAL;
	if (!i.attr.size || i.attr.size > TARGET_MAX)
		return link_bad(&i, "its length is not possible");
	if (i.fork.format == XFS_FORMAT_LOCAL) {
		if (i.attr.size > i.fork.len)
			return link_bad(&i, "it does not fit into its inode");
		buf_put(out, i.fork.data, i.attr.size);
		return buf_error(out);
	}
	r = xfs_fork_load(x, &i, &i.fork, &e);
	if (!r)
		r = link_remote(x, &i, &e, out);
	xfs_extents_release(&e);
	return r;
}

/* ---- files ---- */

struct mapping {
	struct xfs *x;
	struct map *map;
	uint64_t ino;
	uint64_t size;
};

static int mapping_add(void *arg, const struct xfs_extent *e)
{
	struct mapping *m = arg;
	unsigned int shift = m->x->sb.block_log;
	int r;

	/* What was allocated ahead, behind the end, is nobody's. */
	if (e->off > m->size >> shift)
		return 0;
	r = map_add(m->map, e->off << shift, e->len << shift,
		    xfs_block_at(&m->x->sb, e->block), e->unwritten);
	if (r == -EBADMSG)
		return fail(r,
			    "xfs: file %" PRIu64 ": a part of it is behind"
			    " the end of the volume",
			    m->ino);
	return r;
}

static int walk_inode(struct xfs *x, const struct xfs_inode *i, struct map *map)
{
	struct mapping m = {
		.x = x, .map = map, .ino = i->ino, .size = i->attr.size
	};

	return xfs_fork_walk(x, i, &i->fork, map_from(map) >> x->sb.block_log,
			     mapping_add, &m);
}

/* A map_walk_fn. */
static int walk_node(struct guest *g, uint64_t node, struct map *map)
{
	struct xfs_inode i;
	int r = xfs_inode_read(g->state, node, &i);

	return r < 0 ? r : walk_inode(g->state, &i, map);
}

static int op_file(struct guest *g, uint64_t node, struct guest_file **out)
{
	struct xfs *x = g->state;
	struct xfs_inode i;
	struct map *m;
	int r;

	r = xfs_inode_read(x, node, &i);
	if (r < 0)
		return r;
	if (!S_ISREG(i.attr.mode))
		return -EINVAL;
	if (i.flags & XFS_FLAG_REALTIME)
		return fail(-EOPNOTSUPP,
			    "xfs: file %" PRIu64 ": its data are on"
			    " the realtime device, which is not read",
			    node);
	m = map_new(x->data, i.attr.size);
	if (!m)
		return -ENOMEM;
	r = walk_inode(x, &i, m);
	if (r >= 0)
		r = map_file(m, g, node, (uint64_t)1 << x->sb.block_log,
			     walk_node, out);
	if (r < 0)
		map_free(m);
	return r;
}

const struct guest_ops guest_xfs = {
	.name = "xfs",
	.open = op_open,
	.close = op_close,
	.getattr = op_getattr,
	.lookup = op_lookup,
	.readdir = op_readdir,
	.readlink = op_readlink,
	.file = op_file,
	.xattrs = op_xattrs,
};
