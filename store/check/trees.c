/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every node that a point reaches, and every chunk that they name. A node that
 * several points share is looked at once: points of one machine share nearly
 * all of theirs, so checking a hundred costs little more than checking one.
 *
 * Chunks of data are not read here. That the database knows one, in a pack that
 * is there, with the length that the tree says, is as much as can be told at
 * the cost of a look-up; reading them all is what --read-data is for.
 */
#include "config.h"

#include "store/check/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "store/base/hex.h"
#include "store/catalog/catalog.h"
#include "store/content.h"
#include "store/entry.h"
#include "store/point.h"
#include "store/tree.h"
#include "store/vault.h"

/* A chunk that was there could not be read: blame the pack that holds it. */
static int blame(struct check *c, const struct id *id, const char *what)
{
	struct chunk_loc loc;
	struct pack_row row;
	char object[OBJECT_NAME_MAX], hex[2 * ID_LEN + 1];
	int r, n;

	hex_encode(id->b, ID_LEN, hex);
	r = catalog_find_chunk(vault_catalog(c->vault), id, 0, &loc);
	if (r == -ENOENT) {
		n = check_found(c, true, "index/",
				"no index names chunks that"
				" points use, the first: %s",
				hex);
		return check_lost(c, n, id);
	}
	if (r == 0)
		r = catalog_get_pack(vault_catalog(c->vault), loc.pack, &row,
				     NULL);
	if (r == 0)
		r = format_pack_object_name(row.name, object);
	if (r < 0)
		return r;
	n = check_found(c, true, object, "%s, the first: chunk %s", what, hex);
	return check_lost(c, n, id);
}

/*
 * A chunk that a tree names. @len 0: not known. Is it in a pack that is there,
 * with that type and length?
 */
static int want_chunk(struct check *c, uint8_t type, const struct id *id,
		      uint64_t len)
{
	struct chunk_loc loc = { .pack = 0 };
	bool elsewhere = false;
	int r;

	c->out->chunks++;
	for (;;) {
		r = catalog_find_chunk(vault_catalog(c->vault), id, loc.pack,
				       &loc);
		if (r == -ENOENT)
			break;
		if (r < 0)
			return r;
		if (loc.type == type && (len == 0 || loc.len == len) &&
		    check_pack_good(c, loc.pack))
			return 0;
		if (check_pack_good(c, loc.pack))
			elsewhere = true;
	}
	return blame(c, id,
		     elsewhere ? "holds chunks of another type or"
				 " length than trees say"
			       : "missing or of the wrong size");
}

/* A file's extent map, as it is walked. */
struct file_check {
	struct check *check;
	struct id map; /* the last node of the extent map that was entered */
	bool has_map;
};

/* Return 1 to leave out what is below a map's node. */
static int on_chunk(void *arg, uint8_t type, const struct id *id, uint64_t len)
{
	struct file_check *f = arg;
	int r;

	if (type == CHUNK_EXTENTS) {
		r = idset_add(&f->check->seen, id);
		if (r <= 0)
			return r < 0 ? r : 1;
		f->map = *id;
		f->has_map = true;
	}
	return want_chunk(f->check, type, id, len);
}

static int check_content(struct check *c, struct content_ref content)
{
	struct file_check f = { .check = c };
	int r;

	c->out->files++;
	r = content_chunks(c->vault, &content, on_chunk, &f);
	if ((r == -EBADMSG || r == -EIO) && f.has_map)
		return blame(c, &f.map,
			     "holds an extent map's node that cannot"
			     " be read");
	return r;
}

static int check_entry(struct check *c, const struct entry *e)
{
	int r = 0;

	if (e->flags & ENTRY_XATTRS_CHUNK)
		r = want_chunk(c, CHUNK_XATTRS, &e->xattrs_id, e->xattrs_len);
	if (r < 0 || !S_ISREG(e->mode))
		return r;
	return check_content(c, entry_content(e));
}

/* Disks and config files. */
static int check_machine(struct check *c, const struct point *p)
{
	size_t i;
	int r = 0;

	for (i = 0; i < p->ndisks && r == 0; i++)
		r = check_content(c, point_disk_content(&p->disks[i]));
	for (i = 0; i < p->nconfigs && r == 0; i++)
		r = check_content(c, point_config_content(&p->configs[i]));
	return r;
}

static int on_node(void *arg, const struct id *id, struct leaf *leaf, int error)
{
	struct check *c = arg;
	size_t i;
	int r;

	r = idset_add(&c->seen, id);
	if (r <= 0)
		return r < 0 ? r : 1;
	r = check_tick(c);
	if (r < 0)
		return r;
	c->out->nodes++;
	if (error == -ENOMEM)
		return error;
	if (error < 0)
		return blame(c, id, "holds a tree's nodes that cannot be read");
	for (i = 0; leaf && i < leaf_count(leaf); i++) {
		struct entry e;

		leaf_entry(leaf, i, &e);
		r = check_entry(c, &e);
		if (r < 0)
			return r;
	}
	return 0;
}

int check_trees(struct check *c)
{
	struct point_list *l = c->out->points_list;
	size_t i;
	int r = 0;

	c->progress = (struct check_progress){ .phase = "trees",
					       .items_total = l->n };
	for (i = 0; i < l->n && r == 0; i++) {
		const struct point *p = l->points[i];

		if (p->has_tree)
			r = tree_nodes(c->vault, &p->root, on_node, c);
		if (r == 0)
			r = check_machine(c, p);
		c->progress.items_done++;
	}
	return r;
}
