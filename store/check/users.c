/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who uses what is lost. The trees are walked once more, only where something
 * is lost: by every point, for each is to be named, but leaves in which nothing
 * was found are not taken apart again.
 */
#include "config.h"

#include "store/check/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/catalog/catalog.h"
#include "store/content.h"
#include "store/entry.h"
#include "store/point.h"
#include "store/tree.h"
#include "store/vault.h"

struct users {
	struct check *check;
	size_t point;
	struct idset clean; /* leaves that use nothing that is lost */
	bool hit; /* the file at hand uses something */
};

static int by_id(const void *a, const void *b)
{
	return memcmp(((const struct bad_chunk *)a)->id.b,
		      ((const struct bad_chunk *)b)->id.b, ID_LEN);
}

static struct check_finding *lost_with(const struct check *c,
				       const struct id *id)
{
	struct bad_chunk key = { .id = *id }, *b;

	if (!idset_has(&c->bad, id))
		return NULL;
	b = bsearch(&key, c->bad_chunks, c->nbad, sizeof(key), by_id);
	return b ? c->out->findings[b->finding] : NULL;
}

int check_add_place(struct check_finding *f, size_t point, const char *path)
{
	struct check_place *p;

	/* The same place once, where a file uses several chunks of a pack. */
	if (f->nplaces > 0 && f->nplaces <= CHECK_PLACES_MAX) {
		p = &f->places[f->nplaces - 1];
		if (p->point == point && !strcmp(p->path, path))
			return 0;
	}
	if (f->nplaces < CHECK_PLACES_MAX) {
		p = &f->places[f->nplaces];
		p->point = point;
		p->path = strdup(path);
		if (!p->path)
			return -ENOMEM;
	}
	f->nplaces++;
	return 0;
}

struct file_users {
	struct users *users;
	struct check_finding *finding; /* the last that was added to */
	const struct buf *path;
};

static int on_chunk(void *arg, uint8_t type, const struct id *id, uint64_t len)
{
	struct file_users *u = arg;
	struct check_finding *f = lost_with(u->users->check, id);

	(void)len;
	if (!f)
		return 0;
	u->users->hit = true;
	if (f != u->finding) {
		int r = check_add_place(f, u->users->point,
					(const char *)u->path->data);

		if (r < 0)
			return r;
		u->finding = f;
	}
	/* What is below a node that is lost cannot be asked. */
	return type == CHUNK_EXTENTS ? 1 : 0;
}

static int find_in_entry(struct users *u, const struct leaf *leaf, size_t slot)
{
	AUTO_BUF struct buf path = BUF_INIT;
	struct file_users fu = { .users = u, .path = &path };
	struct content_ref content;
	const uint8_t *key;
	struct entry e;
	size_t len;
	int r = 0;

	leaf_entry(leaf, slot, &e);
	if (!S_ISREG(e.mode) && !(e.flags & ENTRY_XATTRS_CHUNK))
		return 0;
	key = leaf_dirkey(leaf, slot, &len);
	buf_printf(&path, "files");
	tree_key_path(&path, key, len);
	if (len > 0)
		buf_put_u8(&path, '/');
	buf_put(&path, e.name, e.name_len);
	buf_put_u8(&path, 0);
	if (buf_error(&path) < 0)
		return -ENOMEM;
	if (e.flags & ENTRY_XATTRS_CHUNK)
		r = on_chunk(&fu, CHUNK_XATTRS, &e.xattrs_id, e.xattrs_len);
	content = entry_content(&e);
	if (r >= 0 && S_ISREG(e.mode))
		r = content_chunks(u->check->vault, &content, on_chunk, &fu);
	return r == -EBADMSG || r == -EIO || r > 0 ? 0 : r;
}

static int on_node(void *arg, const struct id *id, struct leaf *leaf, int error)
{
	struct users *u = arg;
	struct check_finding *f = lost_with(u->check, id);
	size_t i;
	int r;

	r = check_tick(u->check);
	if (r == 0 && f)
		r = check_add_place(f, u->point, "");
	if (r < 0 || error < 0 || !leaf || idset_has(&u->clean, id))
		return r;
	u->hit = false;
	for (i = 0; i < leaf_count(leaf) && r == 0; i++)
		r = find_in_entry(u, leaf, i);
	if (r == 0 && !u->hit) {
		r = idset_add(&u->clean, id);
		r = r < 0 ? r : 0;
	}
	return r;
}

/* Is there a copy in a pack about which nothing was found? */
static int has_copy(struct check *c, const struct id *id)
{
	struct chunk_loc loc = { .pack = 0 };
	struct pack_row row;
	char object[OBJECT_NAME_MAX];
	size_t i;
	int r;

	for (;;) {
		r = catalog_find_chunk(vault_catalog(c->vault), id, loc.pack,
				       &loc);
		if (r == -ENOENT)
			return 0;
		if (r == 0)
			r = catalog_get_pack(vault_catalog(c->vault), loc.pack,
					     &row, NULL);
		if (r == 0)
			r = format_pack_object_name(row.name, object);
		if (r < 0)
			return r;
		if (!check_pack_good(c, loc.pack))
			continue;
		for (i = 0; i < c->out->nfindings; i++)
			if (c->out->findings[i]->damage &&
			    !strcmp(c->out->findings[i]->object, object))
				break;
		if (i == c->out->nfindings)
			return 1;
	}
}

/* Count what is lost with each finding; leave out what has a copy. */
static int settle(struct check *c)
{
	size_t i, n = 0;

	for (i = 0; i < c->nbad; i++) {
		struct bad_chunk *b = &c->bad_chunks[i];
		struct check_finding *f = c->out->findings[b->finding];
		int r = has_copy(c, &b->id);

		if (r < 0)
			return r;
		if (r == 1) {
			f->ncopies++;
			idset_remove(&c->bad, &b->id);
			continue;
		}
		if (f->nchunks < CHECK_CHUNKS_MAX)
			f->chunks[f->nchunks] = b->id;
		f->nchunks++;
		c->bad_chunks[n++] = *b;
	}
	c->nbad = n;
	if (n)
		qsort(c->bad_chunks, n, sizeof(*c->bad_chunks), by_id);
	return 0;
}

/* A disk or a config file. */
static int find_in_member(struct users *u, const char *dir, const char *name,
			  const char *suffix, struct content_ref content)
{
	AUTO_BUF struct buf path = BUF_INIT;
	struct file_users fu = { .users = u, .path = &path };
	int r;

	buf_printf(&path, "%s/%s%s", dir, name, suffix);
	buf_put_u8(&path, 0);
	if (buf_error(&path) < 0)
		return -ENOMEM;
	r = content_chunks(u->check->vault, &content, on_chunk, &fu);
	return r == -EBADMSG || r == -EIO || r > 0 ? 0 : r;
}

static int find_in_machine(struct users *u, const struct point *p)
{
	size_t i;
	int r = 0;

	for (i = 0; i < p->ndisks && r == 0; i++)
		r = find_in_member(u, "disks", p->disks[i].name, ".raw",
				   point_disk_content(&p->disks[i]));
	for (i = 0; i < p->nconfigs && r == 0; i++)
		r = find_in_member(u, "config", p->configs[i].name, "",
				   point_config_content(&p->configs[i]));
	return r;
}

int check_users(struct check *c)
{
	struct point_list *l = c->out->points_list;
	struct users u = { .check = c };
	int r;

	r = settle(c);
	if (r < 0 || c->nbad == 0)
		return r;
	c->progress = (struct check_progress){ .phase = "trees",
					       .items_total = l->n };
	for (u.point = 0; u.point < l->n && r == 0; u.point++) {
		if (l->points[u.point]->has_tree)
			r = tree_nodes(c->vault, &l->points[u.point]->root,
				       on_node, &u);
		if (r == 0)
			r = find_in_machine(&u, l->points[u.point]);
		c->progress.items_done++;
	}
	idset_release(&u.clean);
	return r;
}
