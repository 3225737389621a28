/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * btrfs: a reader of its own, from the format on the disk (internal.h
 * says what is where).
 *
 * The root is that of the top-level tree (subvolume 5), whatever subvolume the
 * guest mounts by default: all others stand below it in their places, so
 * nothing is out of reach; the note tells which one is the default.
 */
#include "config.h"

#include "fs/guest/btrfs/internal.h"

#include <errno.h>
#include <inttypes.h>

#include "fs/guest/readers.h"
#include "store/base/log.h"

static void tell_default(struct btrfs *fs, struct guest_info *info)
{
	struct buf name AUTO_BUF = BUF_INIT;
	uint64_t id = btrfs_subvol_default(fs, &name);

	if (id == 0)
		return;
	buf_put_u8(&name, 0);
	snprintf(info->note, sizeof(info->note),
		 "the guest mounts its "
		 "subvolume %" PRIu64 " (%.80s) by default; this is the top "
		 "of all subvolumes",
		 id, name.failed ? "" : (const char *)name.data);
}

/* This adds to the note, which may name the default subvolume already. */
static void tell_log(struct guest_info *info)
{
	size_t len = strlen(info->note);

	snprintf(info->state, sizeof(info->state), "log-not-replayed");
	snprintf(info->note + len, sizeof(info->note) - len,
		 "%sthe disk was in use: shown as of the last commit; what was "
		 "written and synced (fsync) in the seconds after it is not",
		 len ? "; " : "");
}

static int open_trees(struct btrfs *fs, struct guest_info *info,
		      struct buf *why)
{
	uint8_t super[BTRFS_SUPER_LEN];
	int r;

	r = btrfs_super_read(fs, info, super, why);
	if (r == 0)
		r = btrfs_super_chunks(fs, super);
	if (r == 0)
		r = btrfs_chunks_read(fs, why);
	if (r == 0)
		r = btrfs_subvols_read(fs, why);
	return r;
}

static int btrfs_open(struct guest *g, struct buf *why)
{
	struct btrfs *fs = calloc(1, sizeof(*fs));
	uint64_t root;
	int r;

	if (!fs)
		return -ENOMEM;
	g->state = fs;
	fs->blocks = g->blocks;
	btrfs_cache_init(&fs->nodes, g->memory);
	btrfs_cache_init(&fs->extents, g->memory);
	r = open_trees(fs, &g->info, why);
	if (r < 0) {
		if (why->len == 0 && r == -EBADMSG)
			buf_printf(why, "its trees are damaged");
		return r;
	}
	root = fs->subvols[0].root_dir;
	if (root < BTRFS_FIRST_ID || root >= BTRFS_EMPTY_FIRST) {
		buf_printf(why, "it has no root directory");
		return -EBADMSG;
	}
	g->root = root; /* of serial 0 */
	g->held = fs->chunks.cap * sizeof(*fs->chunks.list);
	tell_default(fs, &g->info);
	if (fs->log_root)
		tell_log(&g->info);
	return 0;
}

static void btrfs_close(struct guest *g)
{
	struct btrfs *fs = g->state;

	if (!fs)
		return;
	lru_part_release(&fs->nodes);
	lru_part_release(&fs->extents);
	btrfs_chunks_release(&fs->chunks);
	free(fs->subvols);
	free(fs);
	g->state = NULL;
}

const struct guest_ops guest_btrfs = {
	.name = "btrfs",
	.open = btrfs_open,
	.close = btrfs_close,
	.getattr = btrfs_getattr,
	.lookup = btrfs_lookup,
	.readdir = btrfs_readdir,
	.readlink = btrfs_readlink,
	.file = btrfs_file,
	.xattrs = btrfs_xattrs,
};
