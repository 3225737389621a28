/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * exFAT.
 *
 * A reader of our own: no library of the distribution reads exFAT through a
 * callback under a licence that goes with this project.
 *
 * A node is the position of the first slot of a file's set, divided by the 32
 * bytes that it has; and as its lowest bit, whether the directory that the set
 * is in is contiguous: then the table of clusters says nothing of it, and a set
 * that crosses into the next cluster can be followed only by knowing that. The
 * root, which has no set, is 2 (a place in the boot region).
 *
 * What exFAT does not keep is shown as Linux shows it where nothing is said:
 * 0755 (umask 022, 0555 where a file is read-only), owner 0:0. A directory's
 * number of links is 1: not known. Times have steps of 10 ms (the one of the last
 * access: 2 s) and a zone; where they have none they are taken for UTC. The time
 * of the last change of the inode is that of its data; the one of its creation is
 * not shown.
 *
 * Names are found exactly as written: the table of capital letters is not used.
 * Nor is the bitmap of clusters: nothing is ever allocated here. What is behind a
 * file's valid length reads as zeros, whatever its clusters hold. A set whose
 * checksum is wrong is listed, and an error for whoever asks further. One that
 * is not whole, and what is left of one, is missed at the end of the listing.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/guest/fat/exfat_internal.h"
#include "fs/guest/readers.h"
#include "fs/guest/utf16.h"
#include "store/base/bytes.h"
#include "store/base/log.h"

#define EXFAT_ROOT 2
#define EXFAT_DIR_MAX (256u << 20) /* the format's */
#define EXFAT_LABEL_SLOTS 1024 /* how far the label is looked for */
#define EXFAT_LABEL_UNITS 11
#define EXFAT_SET_MAX 19 /* slots */

static void exfat_close(struct guest *g)
{
	struct exfat *e = g->state;

	if (!e)
		return;
	blocks_put(e->c.meta);
	free(e);
	g->state = NULL;
}

static int root_slots(const struct exfat *e, struct slots *s)
{
	return slots_open(s, &e->c, e->root_cluster, false, EXFAT_DIR_MAX,
			  false);
}

static void exfat_label(const uint8_t *slot, struct guest_info *info)
{
	uint16_t units[EXFAT_LABEL_UNITS];
	size_t n = MIN(slot[1], EXFAT_LABEL_UNITS), i, len, used;

	for (i = 0; i < n; i++)
		units[i] = get_le16(slot + 2 + 2 * i);
	len = utf16_put(units, n, info->label, sizeof(info->label) - 1, &used);
	info->label[len] = '\0';
}

/* A root that cannot be read is for those who read it to complain about. */
static int exfat_find_label(struct exfat *e, struct guest_info *info)
{
	struct slots *s = malloc(sizeof(*s));
	const uint8_t *slot;
	uint64_t pos;

	if (!s)
		return -ENOMEM;
	if (root_slots(e, s) < 0)
		goto out;
	while (s->index < EXFAT_LABEL_SLOTS && slots_next(s, &slot, &pos) > 0 &&
	       slot[0] != EXFAT_END) {
		if (slot[0] != EXFAT_LABEL)
			continue;
		exfat_label(slot, info);
		break;
	}
out:
	free(s);
	return 0;
}

static int exfat_open(struct guest *g, struct buf *why)
{
	struct exfat *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	g->state = e;
	e->c.format = "exFAT";
	e->c.data = g->blocks;
	r = blocks_cached(g->blocks, g->memory, &e->c.meta);
	if (r < 0)
		return r;
	r = exfat_boot(e, g->blocks->size, &g->info, why);
	if (r < 0)
		return r;
	g->root = EXFAT_ROOT;
	snprintf(g->info.type, sizeof(g->info.type), "exfat");
	return exfat_find_label(e, &g->info);
}

/* Read the set at @node. Return 0, -ENOENT (silent), -EBADMSG or what reading
 * returned. */
static int exfat_find_set(const struct exfat *e, uint64_t node,
			  struct exfat_set *out)
{
	uint8_t file[SLOT_LEN];
	const uint8_t *slot;
	struct slots *s;
	uint64_t pos;
	int r;

	s = malloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	r = slots_open_at(s, &e->c, (node >> 1) * SLOT_LEN, node & 1,
			  EXFAT_SET_MAX * SLOT_LEN);
	if (r == 0)
		r = slots_next(s, &slot, &pos);
	if (r <= 0 || slot[0] != EXFAT_FILE) {
		r = r < 0 && r != -EBADMSG ? r : -ENOENT;
		goto out;
	}
	memcpy(file, slot, sizeof(file));
	r = exfat_set_read(s, file, out);
	if (r == 0 && !out->sum_ok)
		r = fail(-EBADMSG,
			 "exFAT: file %" PRIu64 ": the checksum of "
			 "its directory entry is wrong",
			 node);
	else if (r == 0 && (out->size > (uint64_t)e->c.count * e->c.size ||
			    out->valid > out->size))
		r = fail(-EBADMSG,
			 "exFAT: file %" PRIu64 ": no file can be "
			 "%" PRIu64 " bytes long (%" PRIu64 " valid)",
			 node, out->size, out->valid);
	else if (r == -EBADMSG)
		(void)fail(r,
			   "exFAT: file %" PRIu64 ": its directory entry is "
			   "not whole",
			   node);
out:
	free(s);
	return r;
}

static int exfat_getattr(struct guest *g, uint64_t node, struct guest_attr *out)
{
	const struct exfat *e = g->state;
	struct exfat_set set;
	int r;

	memset(out, 0, sizeof(*out));
	out->node = node;
	out->nlink = 1;
	out->mode = S_IFDIR | 0755;
	if (node == EXFAT_ROOT) {
		r = chain_bytes(&e->c, e->root_cluster, EXFAT_DIR_MAX,
				&out->size);
		out->allocated = out->size;
		return r;
	}
	r = exfat_find_set(e, node, &set);
	if (r < 0)
		return r;
	if (!(set.attrs & EXFAT_DIRECTORY))
		out->mode =
			S_IFREG | (set.attrs & EXFAT_READ_ONLY ? 0555 : 0755);
	out->size = set.size;
	out->allocated = (set.size + e->c.size - 1) / e->c.size * e->c.size;
	out->mtime = exfat_mtime(&set);
	out->ctime = out->mtime;
	out->atime = exfat_atime(&set);
	return 0;
}

/* The slots of the directory @node. Return 1, 0 (it has none), or a negative
 * errno. */
static int exfat_slots(const struct exfat *e, uint64_t node, struct slots *s)
{
	struct exfat_set set;
	int r;

	if (node == EXFAT_ROOT) {
		r = root_slots(e, s);
		return r < 0 ? r : 1;
	}
	r = exfat_find_set(e, node, &set);
	if (r < 0)
		return r;
	if (!(set.attrs & EXFAT_DIRECTORY))
		return -ENOTDIR;
	if (!set.size)
		return 0;
	if (set.size > EXFAT_DIR_MAX)
		return fail(-EBADMSG,
			    "exFAT: directory %" PRIu64
			    " is longer than any may be",
			    node);
	r = slots_open(s, &e->c, set.first, set.contiguous, set.size, true);
	return r < 0 ? r : 1;
}

/* Whether a slot that no set has taken is a part of a file, or may be one: it
 * is in use, must be known by who reads it, and does not stand alone. */
static bool is_stray(uint8_t type)
{
	return (type & EXFAT_IN_USE) && !(type & EXFAT_BENIGN) &&
	       type != EXFAT_BITMAP && type != EXFAT_UPCASE &&
	       type != EXFAT_LABEL && type != EXFAT_FILE;
}

struct exfat_walk {
	struct guest *g;
	uint64_t dir;
	struct slots *s; /* borrowed */
	guest_dir_fn *fn;
	void *arg;
	bool over; /* the end was met */
	/* A cookie that anybody made up may point into a set. */
	bool aligned;
};

static void spoil(const struct exfat_walk *w, const char *what, uint64_t pos)
{
	guest_dir_spoil(w->g, w->dir, "%s at byte %" PRIu64, what, pos);
}

/* The walk is to end behind a set; the one that goes on there cannot tell what
 * does not belong to that set. */
static void look_behind(const struct exfat_walk *w)
{
	const uint8_t *slot;
	uint64_t pos;

	if (slots_next(w->s, &slot, &pos) <= 0)
		return;
	if (is_stray(slot[0]))
		spoil(w, "a part of a file's entry", pos);
	slots_unget(w->s);
}

/* Give the set that begins with @slot, at @pos. */
static int walk_set(const struct exfat_walk *w, const uint8_t *slot,
		    uint64_t pos)
{
	char name[GUEST_NAME_MAX + 1];
	uint8_t file[SLOT_LEN];
	struct exfat_set set;
	uint64_t node;
	size_t len;
	int r;

	memcpy(file, slot, sizeof(file));
	r = exfat_set_read(w->s, file, &set);
	if (r == -EBADMSG) {
		spoil(w, "an entry that is not whole", pos);
		return 0;
	}
	if (r < 0)
		return r;
	node = pos / SLOT_LEN << 1 | w->s->chain.contiguous;
	len = utf16_name(set.name, set.name_len, node, name);
	r = w->fn(w->arg, name, len, node,
		  set.attrs & EXFAT_DIRECTORY ? DT_DIR : DT_REG, w->s->index);
	if (r > 0)
		look_behind(w);
	return r;
}

static int walk_slots(struct exfat_walk *w)
{
	const uint8_t *slot;
	uint64_t pos;
	int r;

	while ((r = slots_next(w->s, &slot, &pos)) > 0) {
		w->over |= slot[0] == EXFAT_END;
		w->aligned |= slot[0] < EXFAT_SECONDARY;
		if (!(slot[0] & EXFAT_IN_USE) || !w->aligned)
			continue;
		if (w->over || is_stray(slot[0])) {
			spoil(w,
			      w->over ? "an entry behind its end"
				      : "a part of a file's entry",
			      pos);
			continue;
		}
		r = slot[0] == EXFAT_FILE ? walk_set(w, slot, pos) : 0;
		if (r != 0)
			return r;
	}
	return r;
}

static int exfat_readdir(struct guest *g, uint64_t dir, uint64_t cookie,
			 guest_dir_fn *fn, void *arg)
{
	const struct exfat *e = g->state;
	struct slots *s = malloc(sizeof(*s));
	struct exfat_walk w = {
		.g = g, .dir = dir, .s = s, .fn = fn, .arg = arg
	};
	int r;

	if (!s)
		return -ENOMEM;
	w.aligned = cookie == 0;
	r = exfat_slots(e, dir, s);
	if (r > 0)
		r = slots_skip(s, cookie);
	if (r > 0)
		r = walk_slots(&w);
	free(s);
	return r;
}

static int exfat_readlink(struct guest *g, uint64_t node, struct buf *out)
{
	(void)g;
	(void)node;
	(void)out;
	return -EINVAL;
}

/* What is said of a regular file. */
static int file_find(const struct exfat *e, uint64_t node,
		     struct clusters_file *out)
{
	struct exfat_set set;
	int r;

	if (node == EXFAT_ROOT)
		return -EINVAL;
	r = exfat_find_set(e, node, &set);
	if (r < 0)
		return r;
	if (set.attrs & EXFAT_DIRECTORY)
		return -EINVAL;
	*out = (struct clusters_file){ .first = set.first,
				       .contiguous = set.contiguous,
				       .size = set.size,
				       .valid = set.valid };
	return 0;
}

/* A map_walk_fn. */
static int file_walk(struct guest *g, uint64_t node, struct map *m)
{
	const struct exfat *e = g->state;
	struct clusters_file file;
	int r = file_find(e, node, &file);

	return r < 0 ? r : clusters_walk(&e->c, node, &file, m);
}

static int exfat_file(struct guest *g, uint64_t node, struct guest_file **out)
{
	const struct exfat *e = g->state;
	struct clusters_file file;
	int r = file_find(e, node, &file);

	*out = NULL;
	return r < 0 ? r : clusters_open(&e->c, g, node, &file, file_walk, out);
}

const struct guest_ops guest_exfat = {
	.name = "exFAT",
	.open = exfat_open,
	.close = exfat_close,
	.getattr = exfat_getattr,
	.readdir = exfat_readdir,
	.readlink = exfat_readlink,
	.file = exfat_file,
};
