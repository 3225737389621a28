/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * volumes/ of a point: for each volume its bytes (<name>.raw), and its files
 * (<name>/) or why they cannot be shown (<name>.unreadable). Which of the two
 * it is shows only when the volume is opened, so looking opens it.
 *
 * Cookies: two for each volume, in the order they were found.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "fs/attr.h"
#include "fs/guest/blocks.h"
#include "fs/view_internal.h"
#include "fs/volumes.h"
#include "store/point.h"

#define COOKIE_FIRST 3 /* 1 and 2 are "." and ".." */
#define RAW ".raw"
#define WHY ".unreadable"

int volume_name(struct view *w, uint64_t node, uint32_t *point_out,
		struct buf *out)
{
	const char *name;
	int r = volumes_volume(w->volumes, (uint32_t)node_b(node), point_out,
			       &name);

	if (r < 0)
		return r;
	buf_printf(out, "%s%s", name,
		   node_kind(node) == MADE_VOLUME_RAW ? RAW : WHY);
	return buf_error(out);
}

/* ---- <name>.raw ---- */

static void release_blocks(struct blocks **b)
{
	blocks_put(*b);
}

#define AUTO_BLOCKS CLEANUP(release_blocks)

/* What the point's disks use, all together. */
static int used_of(struct view *w, uint32_t volume, uint64_t *out)
{
	const struct point *p;
	struct point_list *l;
	const char *name;
	uint32_t point;
	size_t i;
	int r = volumes_volume(w->volumes, volume, &point, &name);

	if (r == 0)
		r = roster_hold(w->roster, point, &l, &p);
	if (r < 0)
		return r;
	*out = 0;
	for (i = 0; i < p->ndisks; i++)
		*out += p->disks[i].used;
	point_list_put(l);
	return 0;
}

int volume_raw_size(struct view *w, uint64_t node, struct stat *st)
{
	AUTO_BLOCKS struct blocks *b = NULL;
	uint64_t used = 0;
	int r = volumes_blocks(w->volumes, (uint32_t)node_b(node), &b);

	if (r == 0)
		r = used_of(w, (uint32_t)node_b(node), &used);
	if (r < 0)
		return r;
	st->st_size = (off_t)b->size;
	/* At most: what of it is holes only a walk over it would tell. */
	st->st_blocks = (blkcnt_t)attr_sectors(MIN(b->size, used));
	st->st_blksize = ATTR_FILE_BLOCK;
	return 0;
}

int volume_raw_read(struct view *w, uint64_t node, uint64_t off, void *out,
		    size_t len, size_t *out_len)
{
	AUTO_BLOCKS struct blocks *b = NULL;
	int r = volumes_blocks(w->volumes, (uint32_t)node_b(node), &b);

	if (r < 0)
		return r;
	if (off >= b->size)
		len = 0;
	else
		len = (size_t)MIN((uint64_t)len, b->size - off);
	if (len > 0)
		r = blocks_read(b, off, out, len);
	if (r == 0)
		*out_len = len;
	return r == 0 || r == -ENOMEM || r == -ECANCELED ? r : -EIO;
}

int volume_raw_seek(struct view *w, uint64_t node, uint64_t off, bool hole,
		    uint64_t *out)
{
	AUTO_BLOCKS struct blocks *b = NULL;
	int r = volumes_blocks(w->volumes, (uint32_t)node_b(node), &b);

	if (r == 0)
		r = blocks_seek(b, off, hole, out);
	return r == 0 || r == -ENXIO || r == -ENOMEM || r == -ECANCELED ? r
									: -EIO;
}

/* ---- <name>.unreadable ---- */

int volume_why(struct view *w, uint64_t node, struct buf *out)
{
	int r = volumes_why(w->volumes, (uint32_t)node_b(node), out);

	/* It is open, but not even its top could be shown. */
	if (r == -ENOENT)
		buf_printf(out, "its top directory cannot be read; "
				"see the log");
	else if (r < 0)
		return r;
	buf_put_u8(out, '\n');
	return buf_error(out);
}

/* The attributes of <name>.unreadable. */
static int why_attr(struct view *w, uint32_t volume, bool final,
		    struct view_attr *out)
{
	int r = made_attr(w, node_made(MADE_VOLUME_WHY, 0, volume), out);

	if (!final)
		out->immutable = false;
	return r;
}

/* ---- the directory ---- */

/* The name of @len bytes before @suffix. */
static bool ends_in(const char *name, const char *suffix, size_t *len)
{
	size_t n = strlen(name), cut = strlen(suffix);

	*len = n - cut;
	return n > cut && strcmp(name + n - cut, suffix) == 0;
}

/* The volume whose name is the first @len bytes. */
static int find_prefix(const struct point_volumes *x, const char *name,
		       size_t len, uint32_t *volume)
{
	char text[ENTRY_NAME_MAX + 1];

	if (len > ENTRY_NAME_MAX)
		return -ENOENT;
	memcpy(text, name, len);
	text[len] = '\0';
	return point_volumes_find(x, text, volume);
}

/* <name>.unreadable, where it is that. */
static int find_why(struct view *w, uint32_t volume, struct view_attr *out)
{
	int r = inside_top(w, volume, out);

	if (r == 0)
		return -ENOENT;
	if (r == -ECANCELED)
		return r;
	if (r == -ENODATA)
		return why_attr(w, volume, true, out);
	/* Reading failed: it says so, for now. */
	return why_attr(w, volume, false, out);
}

int volume_find(struct view *w, uint64_t dir, const char *name,
		struct view_attr *out)
{
	AUTO_POINT_VOLUMES struct point_volumes *x = NULL;
	uint32_t volume;
	size_t len;
	int r = volumes_get(w->volumes, (uint32_t)node_b(dir), &x), missing;

	if (r < 0)
		return r;
	missing = point_volumes_find(x, name, &volume);
	if (missing == 0) {
		r = inside_top(w, volume, out);
		return r == -ENODATA ? -ENOENT : r;
	}
	if (ends_in(name, RAW, &len) && find_prefix(x, name, len, &volume) == 0)
		return made_attr(w, node_made(MADE_VOLUME_RAW, 0, volume), out);
	if (ends_in(name, WHY, &len) && find_prefix(x, name, len, &volume) == 0)
		return find_why(w, volume, out);
	return missing;
}

/* One row of a listing. A volume that has this very name goes first. */
static int put_row(const struct point_volumes *x, const char *name,
		   const char *suffix, const struct view_attr *a,
		   uint64_t cookie, view_dir_fn *fn, void *arg)
{
	AUTO_BUF struct buf full = BUF_INIT;
	uint32_t other;

	buf_printf(&full, "%s%s", name, suffix);
	buf_put_u8(&full, 0);
	if (buf_error(&full) < 0)
		return -ENOMEM;
	if (suffix[0] && point_volumes_find(x, (char *)full.data, &other) == 0)
		return 0;
	return fn(arg, (char *)full.data, full.len - 1, a, cookie);
}

static int put_raw(struct view *w, const struct point_volumes *x,
		   const char *name, uint32_t volume, uint64_t cookie,
		   view_dir_fn *fn, void *arg)
{
	struct view_attr a;
	int r = made_attr(w, node_made(MADE_VOLUME_RAW, 0, volume), &a);

	return r < 0 ? r : put_row(x, name, RAW, &a, cookie, fn, arg);
}

static int put_inside(struct view *w, const struct point_volumes *x,
		      const char *name, uint32_t volume, uint64_t cookie,
		      view_dir_fn *fn, void *arg)
{
	struct view_attr a;
	int r = inside_top(w, volume, &a);
	const char *suffix = r == 0 ? "" : WHY;

	if (r == -ENOMEM || r == -ECANCELED)
		return r;
	if (r < 0)
		r = why_attr(w, volume, r == -ENODATA, &a);
	return r < 0 ? r : put_row(x, name, suffix, &a, cookie, fn, arg);
}

int volume_list(struct view *w, uint64_t dir, uint64_t cookie, view_dir_fn *fn,
		void *arg)
{
	AUTO_POINT_VOLUMES struct point_volumes *x = NULL;
	uint64_t at = cookie < COOKIE_FIRST ? 0 : cookie - COOKIE_FIRST + 1;
	int r = volumes_get(w->volumes, (uint32_t)node_b(dir), &x);

	for (; r == 0 && at / 2 < point_volumes_count(x); at++) {
		uint64_t next = at + COOKIE_FIRST;
		const char *name;
		uint32_t volume;

		name = point_volumes_name(x, (size_t)(at / 2), &volume);
		if (volume == 0)
			continue;
		if (at % 2 == 0)
			r = put_inside(w, x, name, volume, next, fn, arg);
		else
			r = put_raw(w, x, name, volume, next, fn, arg);
	}
	if (r == 0 && !point_volumes_whole(x))
		return -EIO;
	return r > 0 ? 0 : r;
}
