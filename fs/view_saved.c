/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a point holds beside its tree: disks, each whole, and config files. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "fs/attr.h"
#include "fs/view_internal.h"
#include "store/content.h"
#include "store/format.h"
#include "store/point.h"

#define COOKIE_FIRST 3 /* 1 and 2 are "." and ".." */
#define RAW ".raw"

/* A disk or a config file: what is the same of both. */
struct saved {
	struct point_list *list; /* held */
	const char *name;
	struct content_ref content;
	uint64_t used;
};

static void saved_release(struct saved *s)
{
	point_list_put(s->list);
	s->list = NULL;
}

#define AUTO_SAVED CLEANUP(saved_release)

static void take_disk(struct saved *s, const struct point_disk *d)
{
	s->name = d->name;
	s->content = point_disk_content(d);
	s->used = d->used;
}

static void take_config(struct saved *s, const struct point_config *c)
{
	s->name = c->name;
	s->content = point_config_content(c);
	s->used = content_allocated(&s->content);
}

static int saved_load(struct view *w, uint64_t node, struct saved *out)
{
	const struct point *p;
	uint32_t i = node_a(node);
	int r;

	memset(out, 0, sizeof(*out));
	r = roster_hold(w->roster, (uint32_t)node_b(node), &out->list, &p);
	if (r < 0)
		return r;
	if (node_kind(node) == MADE_DISK && i < p->ndisks)
		take_disk(out, &p->disks[i]);
	else if (node_kind(node) == MADE_CONFIG && i < p->nconfigs)
		take_config(out, &p->configs[i]);
	else
		return -ESTALE;
	return 0;
}

int saved_name(struct view *w, uint64_t node, struct buf *out)
{
	AUTO_SAVED struct saved s = { .name = NULL };
	int r = saved_load(w, node, &s);

	if (r < 0)
		return r;
	buf_printf(out, "%s%s", s.name,
		   s.content.type == CHUNK_DISK ? RAW : "");
	return buf_error(out);
}

int saved_size(struct view *w, uint64_t node, struct stat *st)
{
	AUTO_SAVED struct saved s = { .name = NULL };
	int r = saved_load(w, node, &s);

	if (r < 0)
		return r;
	st->st_size = (off_t)s.content.size;
	st->st_blocks = (blkcnt_t)attr_sectors(s.used);
	st->st_blksize = ATTR_FILE_BLOCK;
	return 0;
}

int saved_read(struct view *w, uint64_t node, uint64_t off, void *out,
	       size_t len, size_t *out_len)
{
	AUTO_SAVED struct saved s = { .name = NULL };
	int r = saved_load(w, node, &s);

	if (r < 0)
		return r;
	if (off >= s.content.size)
		len = 0;
	else
		len = (size_t)MIN((uint64_t)len, s.content.size - off);
	if (len > 0)
		r = content_read(w->vault, &s.content, off, out, len);
	if (r == 0)
		*out_len = len;
	return r;
}

int saved_content(struct view *w, uint64_t node, struct buf *out)
{
	AUTO_SAVED struct saved s = { .name = NULL };
	int r = saved_load(w, node, &s);

	if (r < 0)
		return r;
	buf_put(out, s.content.data, s.content.len);
	return buf_error(out);
}

int saved_seek(struct view *w, uint64_t node, uint64_t off, bool hole,
	       uint64_t *out)
{
	AUTO_SAVED struct saved s = { .name = NULL };
	int r = saved_load(w, node, &s);

	if (r < 0)
		return r;
	if (off >= s.content.size)
		return -ENXIO;
	return content_seek(w->vault, &s.content, off, hole, out);
}

/* ---- names ---- */

static int disk_index(const struct point *p, const char *name, uint32_t *out)
{
	size_t i, len = strlen(name), cut = strlen(RAW);

	if (len <= cut || strcmp(name + len - cut, RAW) != 0)
		return -ENOENT;
	for (i = 0; i < p->ndisks; i++)
		if (strlen(p->disks[i].name) == len - cut &&
		    memcmp(p->disks[i].name, name, len - cut) == 0) {
			*out = (uint32_t)i;
			return 0;
		}
	return -ENOENT;
}

static int config_index(const struct point *p, const char *name, uint32_t *out)
{
	size_t i;

	for (i = 0; i < p->nconfigs; i++)
		if (strcmp(p->configs[i].name, name) == 0) {
			*out = (uint32_t)i;
			return 0;
		}
	return -ENOENT;
}

int saved_find(struct view *w, uint64_t dir, const char *name, uint64_t *out)
{
	bool disks = node_kind(dir) == MADE_DISKS;
	struct point_list *l;
	const struct point *p;
	uint32_t i = 0;
	int r = roster_hold(w->roster, (uint32_t)node_b(dir), &l, &p);

	if (r < 0)
		return r;
	r = disks ? disk_index(p, name, &i) : config_index(p, name, &i);
	*out = node_made(disks ? MADE_DISK : MADE_CONFIG, i, node_b(dir));
	point_list_put(l);
	return r;
}

int saved_next(struct view *w, uint64_t dir, uint64_t *cookie, uint64_t *out)
{
	bool disks = node_kind(dir) == MADE_DISKS;
	uint64_t i = *cookie < COOKIE_FIRST ? 0 : *cookie - COOKIE_FIRST + 1;
	struct roster_point p;
	int r = roster_get_point(w->roster, (uint32_t)node_b(dir), &p);

	if (r < 0)
		return r;
	if (!p.live || i >= (disks ? p.ndisks : p.nconfigs))
		return -ENOENT;
	*out = node_made(disks ? MADE_DISK : MADE_CONFIG, (uint32_t)i,
			 node_b(dir));
	*cookie = i + COOKIE_FIRST;
	return 0;
}
