/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ISO 9660 with Rock Ridge; with Joliet where there is no Rock Ridge.
 *
 * A reader of our own: the libraries of the distribution read from a path or
 * as a stream, or lose symbolic links.
 *
 * A node is the position of a directory record, which is even, divided by two:
 * of a file the record in the directory that it is in (the first one, where it
 * has several), of a directory its own "." record, by whatever way it was
 * reached: a deep directory that the writer has moved away is shown where it
 * was meant to be, and not where it lies. Names that were linked in the source
 * are nodes of their own with the number of links that Rock Ridge tells: no
 * table of inodes says which they are; Linux shows them so too.
 *
 * Without Rock Ridge everything is 0555 and 0:0, as Linux shows it; names of
 * Joliet and plain ones are as written, less ";1" (and, of plain ones, a dot at
 * the end); lookups are exact.
 *
 * Read are sessions' first volume descriptors, blocks of 512, 1024 and 2048
 * bytes. Files that are interleaved, sparse (SF) or compressed (zisofs) are
 * shown, and an error to read.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/guest/iso/internal.h"
#include "fs/guest/iso/volume.h"
#include "fs/guest/readers.h"
#include "store/base/log.h"

static void iso_close(struct guest *g)
{
	struct iso *iso = g->state;

	if (!iso)
		return;
	blocks_put(iso->meta);
	free(iso);
	g->state = NULL;
}

static int iso_open(struct guest *g, struct buf *why)
{
	struct iso *iso = calloc(1, sizeof(*iso));
	int r;

	if (!iso)
		return -ENOMEM;
	g->state = iso;
	iso->data = g->blocks;
	r = blocks_cached(g->blocks, g->memory, &iso->meta);
	if (r < 0)
		return r;
	r = iso_volume_open(iso, &g->info, why);
	if (r < 0)
		return r;
	g->root = iso->root;
	snprintf(g->info.type, sizeof(g->info.type), "iso9660");
	return 0;
}

/* ---- attributes ---- */

static void plain_attr(const struct iso_record *rec, struct guest_attr *out)
{
	out->mode =
		rec->flags & ISO_DIRECTORY ? S_IFDIR | 0555 : S_IFREG | 0555;
	out->nlink = 1;
	out->mtime = iso_time_short(rec->time);
	out->atime = out->mtime;
	out->ctime = out->mtime;
}

static int rock_attr(const struct iso_record *rec, const struct rock *rock,
		     struct guest_attr *out)
{
	if (rock->attrs) {
		/* Only what is a directory to ISO 9660 can be one. */
		if (!!S_ISDIR(rock->mode) != !!(rec->flags & ISO_DIRECTORY))
			return fail(-EBADMSG,
				    "ISO 9660: the record at byte "
				    "%" PRIu64 " is of two types",
				    rec->pos);
		out->mode = rock->mode & (S_IFMT | 07777);
		out->nlink = MAX(rock->nlink, 1);
		out->owned = true;
		out->uid = rock->uid;
		out->gid = rock->gid;
	}
	if (rock->times) {
		out->mtime = rock->mtime;
		out->atime = rock->atime;
		out->ctime = rock->ctime;
	}
	if (rock->device && (S_ISCHR(out->mode) || S_ISBLK(out->mode))) {
		out->rdev_major = rock->dev_major;
		out->rdev_minor = rock->dev_minor;
	}
	return 0;
}

static int iso_getattr(struct guest *g, uint64_t node, struct guest_attr *out)
{
	const struct iso *iso = g->state;
	struct iso_record rec;
	struct rock rock;
	int r;

	r = rock_read_node(iso, node, NULL, &rec, &rock);
	if (r < 0)
		return r;
	memset(out, 0, sizeof(*out));
	out->node = node;
	plain_attr(&rec, out);
	r = rock_attr(&rec, &rock, out);
	if (r < 0)
		return r;
	if (S_ISDIR(out->mode))
		out->size = rec.size;
	else if (S_ISREG(out->mode))
		r = iso_file_size(iso, &rec, &out->size);
	else if (S_ISLNK(out->mode))
		out->size = rock.target_len;
	if (!S_ISLNK(out->mode))
		out->allocated =
			(out->size + iso->block - 1) / iso->block * iso->block;
	return r;
}

static int iso_readlink(struct guest *g, uint64_t node, struct buf *out)
{
	const struct iso *iso = g->state;
	struct iso_record rec;
	struct rock rock;
	int r;

	r = rock_read_node(iso, node, out, &rec, &rock);
	if (r < 0)
		return r;
	if (!rock.attrs || !S_ISLNK(rock.mode))
		return -EINVAL;
	if (rock.target_bad)
		return fail(-EBADMSG,
			    "ISO 9660: link %" PRIu64 ": its target "
			    "is malformed",
			    node);
	return 0;
}

const struct guest_ops guest_iso = {
	.name = "ISO 9660",
	.open = iso_open,
	.close = iso_close,
	.getattr = iso_getattr,
	.readdir = iso_readdir,
	.readlink = iso_readlink,
	.file = iso_file,
};
