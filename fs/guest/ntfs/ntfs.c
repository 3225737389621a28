/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * NTFS, through libntfs-3g.
 *
 * What is shown is what an ntfs-3g mount shows by default: all belongs to
 * root and has mode 0777, for Windows' owners and lists have no equal here;
 * names as they are, case and all, without the 8.3 ones beside them; the
 * system's own files (the first 16 records) hidden; Interix' links, devices,
 * pipes and sockets and those of WSL as what they are; junctions and symbolic
 * links as symbolic links, see link.c; alternate streams as attributes
 * "user.NAME" and as files FILE:NAME that are not listed; security descriptors
 * and the like as attributes that are not listed either, see metadata.c. The
 * number of links does not count 8.3 names; a directory has 1.
 *
 * Other than there, reparse points that stand for a file's content (compressed
 * by CompactOS, deduplicated, in a cloud) are files of their true size whose
 * reading fails in words; and $LogFile is never written to or replayed: where
 * it should be, info.state says so.
 */
#include "config.h"

#include "fs/guest/readers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/guest/ntfs/internal.h"
#include "store/base/lock.h"

static int ntfs_open(struct guest *g, struct buf *why)
{
	struct ntfs *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return -ENOMEM;
	n->g = g;
	pthread_mutex_init(&n->lock, NULL);
	g->state = n;
	memcpy(g->info.type, "ntfs", sizeof("ntfs"));
	r = ntfs_device_start(n, why);
	if (r < 0)
		return r;
	g->root = FILE_root;
	g->info.block_size = n->vol->cluster_size;
	SCOPED_LOCK(&n->lock);
	r = ntfs_state_read(n);
	if (r < 0)
		buf_printf(why, "a system file of NTFS is damaged");
	return r;
}

static void ntfs_close(struct guest *g)
{
	struct ntfs *n = g->state;

	if (!n)
		return;
	ntfs_device_stop(n);
	pthread_mutex_destroy(&n->lock);
	free(n);
	g->state = NULL;
}

const struct guest_ops guest_ntfs = {
	.name = "NTFS",
	.open = ntfs_open,
	.close = ntfs_close,
	.getattr = ntfs_getattr,
	.lookup = ntfs_lookup,
	.readdir = ntfs_dir_read,
	.readlink = ntfs_readlink,
	.file = ntfs_file,
	.xattrs = ntfs_xattrs,
	.xattr = ntfs_xattr,
};
