/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * FAT12, FAT16 and FAT32, with long names.
 *
 * A reader of our own: no library of the distribution reads FAT through a
 * callback under a licence that goes with this project.
 *
 * A node is the position of a file's short entry, divided by the 32 bytes that
 * it has; the root, which has no entry, is 1 (a place in the boot sector).
 *
 * What FAT does not keep is shown as Linux shows it where nothing is said:
 * directories and files 0755 (umask 022, 0555 where a file is read-only),
 * owner 0:0. A directory's number of links is 1: not known. Times have steps of
 * two seconds and are in a local time that the volume does not tell: they are
 * taken for UTC, as any other guess would be wrong too. The time of the last
 * change of the inode is that of its data; the one of its creation is not
 * shown; of the last access there is the day alone.
 *
 * Names: the long one; the short one (code page 437) where there is none or it
 * is broken: a piece missing, or a checksum that is of another short name; then
 * the listing ends with an error, as the file may have had another name. They
 * are found exactly as written: a guest would take other cases of letters too.
 *
 * An allocation that goes on behind a file's size is left alone: guests
 * allocate ahead. One that ends before it is an error of that file.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/guest/calendar.h"
#include "fs/guest/fat/fat_internal.h"
#include "fs/guest/readers.h"
#include "store/base/bytes.h"
#include "store/base/log.h"

#define FAT_ROOT 1
/* 65,536 slots are allowed; some writers go on. A bound of our own. */
#define FAT_DIR_MAX (16u << 20)
#define FAT_LABEL_SLOTS 1024 /* how far a label is looked for */

static void fat_close(struct guest *g)
{
	struct fat *f = g->state;

	if (!f)
		return;
	blocks_put(f->c.meta);
	free(f);
	g->state = NULL;
}

/* The first cluster of the file of @slot; 0 where it has none. */
static uint32_t slot_cluster(const struct fat *f, const uint8_t *slot)
{
	uint32_t low = get_le16(slot + 26);

	return f->root_cluster ? (uint32_t)get_le16(slot + 20) << 16 | low
			       : low;
}

/* A slot that is a file or directory, not its "." or "..". */
static bool slot_is_file(const uint8_t *slot)
{
	if (slot[0] == 0 || slot[0] == FAT_DELETED || slot[11] & FAT_LABEL)
		return false;
	return memcmp(slot, ".          ", 11) != 0 &&
	       memcmp(slot, "..         ", 11) != 0;
}

static int root_slots(const struct fat *f, struct slots *s)
{
	if (f->root_cluster)
		return slots_open(s, &f->c, f->root_cluster, false, FAT_DIR_MAX,
				  false);
	slots_open_fixed(s, &f->c, f->root_pos, f->root_len);
	return 0;
}

/* The label in the root goes before the one in the boot sector. A root that
 * cannot be read is for those who read it to complain about. */
static int fat_find_label(struct fat *f, struct guest_info *info)
{
	struct slots *s = malloc(sizeof(*s));
	const uint8_t *slot;
	uint64_t pos;

	if (!s)
		return -ENOMEM;
	if (root_slots(f, s) < 0)
		goto out;
	while (s->index < FAT_LABEL_SLOTS && slots_next(s, &slot, &pos) > 0 &&
	       slot[0] != 0) {
		if (slot[0] == FAT_DELETED || !(slot[11] & FAT_LABEL) ||
		    (slot[11] & FAT_LONG_MASK) == FAT_LONG)
			continue;
		fat_label(slot, info->label, sizeof(info->label));
		break;
	}
out:
	free(s);
	return 0;
}

static int fat_open(struct guest *g, struct buf *why)
{
	uint8_t boot[512];
	struct fat *f;
	int r;

	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	g->state = f;
	f->c.format = "FAT";
	f->c.data = g->blocks;
	r = blocks_cached(g->blocks, g->memory, &f->c.meta);
	if (r < 0)
		return r;
	r = blocks_read(f->c.meta, 0, boot, sizeof(boot));
	if (r < 0) {
		buf_printf(why, "its boot sector cannot be read");
		return r == -ERANGE ? -EBADMSG : r;
	}
	r = fat_boot(f, boot, g->blocks->size, &g->info, why);
	if (r < 0)
		return r;
	g->root = FAT_ROOT;
	snprintf(g->info.type, sizeof(g->info.type), "vfat");
	return fat_find_label(f, &g->info);
}

/* The slot of @node. Return 0, -ENOENT or what reading returned. */
static int fat_slot(const struct fat *f, uint64_t node, uint8_t *slot)
{
	uint64_t pos = node * SLOT_LEN;
	bool in_root = !f->root_cluster && pos >= f->root_pos &&
		       pos - f->root_pos < f->root_len;
	bool in_heap =
		pos >= f->c.heap && (pos - f->c.heap) / f->c.size < f->c.count;
	int r;

	if (!in_root && !in_heap)
		return -ENOENT;
	r = blocks_read(f->c.meta, pos, slot, SLOT_LEN);
	if (r < 0)
		return r == -ERANGE ? -ENOENT : r;
	return slot_is_file(slot) ? 0 : -ENOENT;
}

static struct timestamp slot_time(uint16_t date, uint16_t time)
{
	struct timestamp t = { 0, 0 };

	t.sec = calendar_seconds(1980u + (date >> 9), date >> 5 & 15,
				 MAX(date & 31u, 1u), time >> 11,
				 time >> 5 & 63, (time & 31u) * 2);
	return t;
}

static int fat_dir_size(const struct fat *f, uint32_t first,
			struct guest_attr *out)
{
	int r = chain_bytes(&f->c, first, FAT_DIR_MAX, &out->size);

	out->allocated = out->size;
	return r;
}

static int fat_getattr(struct guest *g, uint64_t node, struct guest_attr *out)
{
	const struct fat *f = g->state;
	uint8_t slot[SLOT_LEN];
	int r;

	memset(out, 0, sizeof(*out));
	out->node = node;
	out->nlink = 1;
	out->mode = S_IFDIR | 0755;
	if (node == FAT_ROOT) {
		if (f->root_cluster)
			return fat_dir_size(f, f->root_cluster, out);
		out->size = out->allocated = f->root_len;
		return 0;
	}
	r = fat_slot(f, node, slot);
	if (r < 0)
		return r;
	out->mtime = slot_time(get_le16(slot + 24), get_le16(slot + 22));
	out->ctime = out->mtime;
	out->atime = slot_time(get_le16(slot + 18), 0);
	if (slot[11] & FAT_DIRECTORY)
		return fat_dir_size(f, slot_cluster(f, slot), out);
	out->mode = S_IFREG | (slot[11] & FAT_READ_ONLY ? 0555 : 0755);
	out->size = get_le32(slot + 28);
	out->allocated = (out->size + f->c.size - 1) / f->c.size * f->c.size;
	return 0;
}

/* The slots of the directory @node. */
static int fat_slots(const struct fat *f, uint64_t node, struct slots *s)
{
	uint8_t slot[SLOT_LEN];
	int r;

	if (node == FAT_ROOT)
		return root_slots(f, s);
	r = fat_slot(f, node, slot);
	if (r < 0)
		return r;
	if (!(slot[11] & FAT_DIRECTORY))
		return -ENOTDIR;
	return slots_open(s, &f->c, slot_cluster(f, slot), false, FAT_DIR_MAX,
			  false);
}

/* The end of a directory was met. Linux looks behind it, other systems do not:
 * what stands there may be files. */
static int fat_walk_end(struct guest *g, uint64_t dir, struct slots *s)
{
	const uint8_t *slot;
	uint64_t pos;
	int r;

	while ((r = slots_next(s, &slot, &pos)) > 0)
		if (slot_is_file(slot))
			guest_dir_spoil(g, dir,
					"an entry behind its end at byte "
					"%" PRIu64,
					pos);
	return r;
}

/* The short name is a name of the file, but not the one that it is known by. */
static void spoil_name(struct guest *g, uint64_t dir, uint64_t pos)
{
	guest_dir_spoil(g, dir,
			"the long name of the file at byte %" PRIu64
			" is broken, and it is shown by its short one",
			pos);
}

static bool slot_is_long(const uint8_t *slot)
{
	return slot[0] != FAT_DELETED && (slot[11] & FAT_LONG_MASK) == FAT_LONG;
}

/* Stand behind slot @cookie - 1. Return 1, 0 (there is no such slot) or a
 * negative errno. A cookie that anybody made up may point between the pieces of
 * a name, which are then no broken ones: *aligned_out is false. */
static int go_to(struct slots *s, uint64_t cookie, bool *aligned_out)
{
	const uint8_t *slot;
	uint64_t pos;
	int r;

	*aligned_out = true;
	if (cookie == 0)
		return 1;
	r = slots_skip(s, cookie - 1);
	if (r > 0)
		r = slots_next(s, &slot, &pos);
	if (r > 0)
		*aligned_out = !slot_is_long(slot);
	return r;
}

static int fat_walk(struct guest *g, uint64_t dir, struct slots *s,
		    bool aligned, guest_dir_fn *fn, void *arg)
{
	char name[GUEST_NAME_MAX + 1];
	struct fat_long pieces;
	const uint8_t *slot;
	uint64_t pos;
	size_t len;
	int r;

	fat_long_clear(&pieces);
	while ((r = slots_next(s, &slot, &pos)) > 0) {
		if (slot[0] == 0)
			return fat_walk_end(g, dir, s);
		if (slot_is_long(slot)) {
			fat_long_add(&pieces, slot);
			continue;
		}
		if (slot_is_file(slot)) {
			if (aligned && fat_long_is_broken(&pieces, slot))
				spoil_name(g, dir, pos);
			len = fat_name(&pieces, slot, name);
			r = fn(arg, name, len, pos / SLOT_LEN,
			       slot[11] & FAT_DIRECTORY ? DT_DIR : DT_REG,
			       s->index);
			if (r != 0)
				return r;
		}
		fat_long_clear(&pieces);
		aligned = true;
	}
	return r;
}

static int fat_readdir(struct guest *g, uint64_t dir, uint64_t cookie,
		       guest_dir_fn *fn, void *arg)
{
	const struct fat *f = g->state;
	struct slots *s = malloc(sizeof(*s));
	bool aligned = true;
	int r;

	if (!s)
		return -ENOMEM;
	r = fat_slots(f, dir, s);
	if (r == 0)
		r = go_to(s, cookie, &aligned);
	if (r > 0)
		r = fat_walk(g, dir, s, aligned, fn, arg);
	free(s);
	return r;
}

static int fat_readlink(struct guest *g, uint64_t node, struct buf *out)
{
	(void)g;
	(void)node;
	(void)out;
	return -EINVAL;
}

/* What is said of a regular file. */
static int file_find(const struct fat *f, uint64_t node,
		     struct clusters_file *out)
{
	uint8_t slot[SLOT_LEN];
	int r;

	if (node == FAT_ROOT)
		return -EINVAL;
	r = fat_slot(f, node, slot);
	if (r < 0)
		return r;
	if (slot[11] & FAT_DIRECTORY)
		return -EINVAL;
	out->first = slot_cluster(f, slot);
	out->contiguous = false;
	out->size = out->valid = get_le32(slot + 28);
	return 0;
}

/* A map_walk_fn. */
static int file_walk(struct guest *g, uint64_t node, struct map *m)
{
	const struct fat *f = g->state;
	struct clusters_file file;
	int r = file_find(f, node, &file);

	return r < 0 ? r : clusters_walk(&f->c, node, &file, m);
}

static int fat_file(struct guest *g, uint64_t node, struct guest_file **out)
{
	const struct fat *f = g->state;
	struct clusters_file file;
	int r = file_find(f, node, &file);

	*out = NULL;
	return r < 0 ? r : clusters_open(&f->c, g, node, &file, file_walk, out);
}

const struct guest_ops guest_fat = {
	.name = "FAT",
	.open = fat_open,
	.close = fat_close,
	.getattr = fat_getattr,
	.readdir = fat_readdir,
	.readlink = fat_readlink,
	.file = fat_file,
};
