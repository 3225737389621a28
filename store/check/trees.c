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

#include "store/backend/backend.h"
#include "store/base/hex.h"
#include "store/catalog/catalog.h"
#include "store/content.h"
#include "store/entry.h"
#include "store/point.h"
#include "store/tree.h"
#include "store/vault.h"

/* No index object names a chunk that a point uses, unless that was purged
 * meanwhile. */
static int unknown(struct check *c, const struct id *id)
{
	char hex[2 * ID_LEN + 1];
	int n;

	hex_encode(id->b, ID_LEN, hex);
	n = check_found(c, true, "index/",
			"no index names chunks that points use, the first: %s",
			hex);
	if (n >= 0)
		c->out->findings[n]->is_only_if_used = true;
	return check_lost(c, n, id);
}

static int accuse(struct check *c, const char *object, const struct id *id,
		  const char *what)
{
	char hex[2 * ID_LEN + 1];

	hex_encode(id->b, ID_LEN, hex);
	return check_lost(c,
			  check_found(c, true, object,
				      "%s, the first: chunk %s", what, hex),
			  id);
}

/* A chunk that was there could not be read: ask for the packs that hold it, and
 * blame the first that is there. Those that are not have findings then. */
static int blame(struct check *c, const struct id *id, const char *what)
{
	char object[OBJECT_NAME_MAX];
	struct chunk_loc loc = { .pack = 0 };
	bool known = false;
	int r;

	for (;;) {
		r = catalog_find_chunk(vault_catalog(c->vault), id, loc.pack,
				       &loc);
		if (r == -ENOENT)
			return known ? 0 : unknown(c, id);
		known = true;
		if (r == 0)
			r = check_pack_asked(c, loc.pack, object);
		if (r < 0)
			return r;
		if (r == 1)
			return accuse(c, object, id, what);
	}
}

/*
 * A chunk that a tree names. @len 0: not known. Is it in a pack that is there,
 * with that type and length?
 */
static int want_chunk(struct check *c, uint8_t type, const struct id *id,
		      uint64_t len)
{
	static const char other[] =
		"holds chunks of another type or length than trees say";
	struct chunk_loc loc = { .pack = 0 };
	bool known = false, differs = false;
	int r;

	c->out->chunks++;
	for (;;) {
		r = catalog_find_chunk(vault_catalog(c->vault), id, loc.pack,
				       &loc);
		if (r == -ENOENT)
			break;
		if (r == 0)
			r = check_pack_stands(c, loc.pack);
		if (r < 0)
			return r;
		if (r == 1 && loc.type == type && (len == 0 || loc.len == len))
			return 0;
		differs |= r == 1;
		known = true;
	}
	/* What is in packs that are gone is known by these. */
	return differs ? blame(c, id, other) : known ? 0 : unknown(c, id);
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
		if (memo_get(&f->check->seen, id))
			return 1;
		r = memo_set(&f->check->seen, id, 1);
		if (r < 0)
			return r;
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
	if (backend_error_is_of_object(r) && f.has_map)
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

	if (memo_get(&c->seen, id))
		return 1;
	r = memo_set(&c->seen, id, 1);
	if (r == 0)
		r = check_tick(c);
	if (r < 0)
		return r;
	c->out->nodes++;
	/* What concerns all nodes says nothing about this one. */
	if (error < 0 && !backend_error_is_of_object(error))
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
