/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who uses what is lost. The trees are walked once more, only where something
 * is lost. A node below which nothing was found is noted as clean and never
 * looked at again, whichever point has it; one that uses something is walked for
 * as many points as a finding has room for, since each is to be named, and no
 * more. So the walk takes time in proportion to the nodes that there are.
 *
 * A chunk is lost with a pack that is gone where no other pack has it, which the
 * database says; only the chunks that are lost in packs that are there have to
 * be remembered one by one.
 */
#include "config.h"

#include "store/check/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/backend/backend.h"
#include "store/base/hex.h"
#include "store/content.h"
#include "store/entry.h"
#include "store/node.h"
#include "store/point.h"
#include "store/tree.h"
#include "store/vault.h"

/* What is noted of a node: how often it was walked in vain to name places, or
 * that there is nothing to name. */
#define CLEAN 255

struct users {
	struct check *check;
	size_t point;
	struct memo nodes;
	uint64_t hits; /* uses of what is lost, so far */
	/* Of the file at hand: */
	const char *path;
	struct check_finding *last; /* that its path was added to */
};

/* ---- what is lost ---- */

static int by_id(const void *a, const void *b)
{
	return memcmp(((const struct bad_chunk *)a)->id.b,
		      ((const struct bad_chunk *)b)->id.b, ID_LEN);
}

/* The finding about a pack, by its number. */
static int finding_of(struct check *c, int64_t no, struct check_finding **out)
{
	char object[OBJECT_NAME_MAX];
	struct pack_row row;
	int r = catalog_get_pack(vault_catalog(c->vault), no, &row, NULL);

	if (r == 0)
		r = format_pack_object_name(row.name, object);
	*out = r == 0 ? check_find(c, object) : NULL;
	return r;
}

/* The finding of a pack that is gone with the chunk, or NULL in @out. */
static int gone_with(struct check *c, const struct id *id,
		     struct check_finding **out)
{
	struct chunk_loc loc = { .pack = 0 };
	struct check_finding *first = NULL;
	int r;

	*out = NULL;
	for (;;) {
		r = catalog_find_chunk(vault_catalog(c->vault), id, loc.pack,
				       &loc);
		if (r == -ENOENT)
			break;
		if (r < 0 || check_pack_good(c, loc.pack))
			return r;
		r = first ? 0 : finding_of(c, loc.pack, &first);
		if (r < 0)
			return r;
	}
	*out = first;
	return 0;
}

/* The finding with which a chunk is lost, or NULL in @out. */
static int lost_with(struct check *c, const struct id *id,
		     struct check_finding **out)
{
	struct bad_chunk key = { .id = *id }, *b = NULL;

	*out = NULL;
	if (idset_has(&c->bad, id))
		b = bsearch(&key, c->bad_chunks, c->nbad, sizeof(key), by_id);
	if (b)
		*out = c->out->findings[b->finding];
	return b || !c->any_gone ? 0 : gone_with(c, id, out);
}

/* Is there a copy in a pack about which nothing was found? */
static int has_copy(struct check *c, const struct id *id)
{
	struct chunk_loc loc = { .pack = 0 };
	struct check_finding *f;
	int r;

	for (;;) {
		r = catalog_find_chunk(vault_catalog(c->vault), id, loc.pack,
				       &loc);
		if (r == -ENOENT)
			return 0;
		if (r < 0)
			return r;
		if (!check_pack_good(c, loc.pack))
			continue;
		r = finding_of(c, loc.pack, &f);
		if (r < 0 || !f)
			return r < 0 ? r : 1;
	}
}

/* Count a chunk with its finding. Return 1 where it has a copy, 0 where it is
 * lost, or a negative errno. */
static int count_lost(struct check *c, struct check_finding *f,
		      const struct id *id)
{
	int r = has_copy(c, id);

	if (r != 0) {
		f->ncopies += r > 0;
		return r;
	}
	if (!f->chunks)
		f->chunks = calloc(CHECK_CHUNKS_MAX, sizeof(*f->chunks));
	if (!f->chunks)
		return -ENOMEM;
	if (f->nchunks < CHECK_CHUNKS_MAX)
		f->chunks[f->nchunks] = *id;
	f->nchunks++;
	return 0;
}

/* Of a pack of which nothing can be had, the index says what was in it. */
static int settle_pack(struct check *c, struct check_finding *f)
{
	struct catalog *catalog = vault_catalog(c->vault);
	AUTO_BUF struct buf plain = BUF_INIT;
	struct pack_dir dir = { .frames = NULL };
	struct pack_row row;
	int64_t no;
	size_t i;
	int r = catalog_pack_no(catalog, strrchr(f->object, '/') + 1, &no);

	if (r == 0)
		r = catalog_get_pack(catalog, no, &row, &plain);
	if (r == 0)
		r = format_get_dir(plain.data, plain.len, f->object, false,
				   &dir);
	for (i = 0; i < dir.nchunks && r >= 0; i++)
		r = count_lost(c, f, &dir.chunks[i].id);
	format_release_dir(&dir);
	return r == -ENOENT || r == -EBADMSG ? 0 : MIN(r, 0);
}

/* Count what is lost with each finding; leave out what has a copy. */
static int settle(struct check *c)
{
	size_t i, n = 0;
	int r = 0;

	for (i = 0; i < c->nbad; i++) {
		struct bad_chunk *b = &c->bad_chunks[i];

		r = count_lost(c, c->out->findings[b->finding], &b->id);
		if (r < 0)
			return r;
		if (r == 1)
			idset_remove(&c->bad, &b->id);
		else
			c->bad_chunks[n++] = *b;
	}
	c->nbad = n;
	if (n)
		qsort(c->bad_chunks, n, sizeof(*c->bad_chunks), by_id);
	for (i = 0; i < c->out->nfindings && r >= 0; i++)
		if (c->out->findings[i]->is_whole_pack)
			r = settle_pack(c, c->out->findings[i]);
	return MIN(r, 0);
}

/* ---- places ---- */

static unsigned int places_of(const struct check *c)
{
	return c->o->places ? c->o->places : CHECK_PLACES;
}

int check_add_place(struct check *c, struct check_finding *f, size_t point,
		    const char *path)
{
	struct check_place *p;

	if (!f->places)
		f->places = calloc(places_of(c), sizeof(*f->places));
	if (!f->places)
		return -ENOMEM;
	/* The same place once, where a file uses several chunks of a pack. */
	if (f->nkept > 0 && f->nplaces == f->nkept) {
		p = &f->places[f->nkept - 1];
		if (p->point == point && !strcmp(p->path, path))
			return 0;
	}
	if (f->nkept < places_of(c)) {
		p = &f->places[f->nkept];
		p->point = point;
		p->path = strdup(path);
		if (!p->path)
			return -ENOMEM;
		f->nkept++;
	}
	/* One point is looked at after the other. */
	f->npoints += f->nplaces == 0 || f->last_point != point;
	f->last_point = point;
	f->nplaces++;
	return 0;
}

/* The point uses what is lost. */
static void hit(struct users *u)
{
	u->hits++;
	u->check->hurt[u->point] = 1;
}

static int add_place(struct users *u, struct check_finding *f, const char *path)
{
	/* What could not be read here, and for no other reason counts as lost,
	 * the next check will not ask for. */
	if (f->is_whole_pack && !f->is_proven)
		u->hits++;
	else
		hit(u);
	return check_add_place(u->check, f, u->point, path);
}

/* ---- nodes ---- */

/* Whether a node has to be walked. */
static bool to_walk(struct users *u, const struct id *id)
{
	uint8_t walked = memo_get(&u->nodes, id);

	if (walked == CLEAN)
		return false;
	if (walked < places_of(u->check))
		return true;
	hit(u);
	u->check->out->places_cut = true;
	return false;
}

/* A node was walked, before which there were so many @hits. */
static int walked(struct users *u, const struct id *id, uint64_t hits)
{
	uint8_t n = u->hits == hits ? CLEAN
				    : (uint8_t)(memo_get(&u->nodes, id) + 1);

	return memo_set(&u->nodes, id, n);
}

/* A chunk of the file at hand. */
static int on_data(struct users *u, const struct id *id)
{
	struct check_finding *f;
	int r = lost_with(u->check, id, &f);

	if (r < 0 || !f)
		return r;
	if (f == u->last) {
		u->hits++;
		return 0;
	}
	u->last = f;
	return add_place(u, f, u->path);
}

/* A node that cannot be read is of damage, and what is below it cannot be
 * asked; anything else ends the check. */
static int past_damage(struct users *u, int r)
{
	if (!backend_error_is_of_object(r))
		return r;
	hit(u);
	return 0;
}

/* A node of an extent map. Its decoder bounds the level, and levels shrink. */
static int walk_map(struct users *u, const struct id *id, int level)
{
	uint64_t hits = u->hits;
	struct node *n;
	size_t i;
	int r = to_walk(u, id) ? on_data(u, id) : 1;

	if (r != 0)
		return MIN(r, 0);
	r = node_load(u->check->vault, CHUNK_EXTENTS, id, &n);
	if (r < 0)
		return past_damage(u, r);
	if (level >= 0 && n->level != (unsigned int)level) {
		node_put(n);
		return past_damage(u, -EBADMSG);
	}
	for (i = 0; i < n->n && r == 0; i++) {
		if (n->level > 0)
			r = walk_map(u, &n->children[i].id, (int)n->level - 1);
		else if (n->extents[i].type == EXTENT_DATA)
			r = on_data(u, &n->extents[i].id);
	}
	node_put(n);
	return r < 0 ? r : walked(u, id, hits);
}

static int on_chunk(void *arg, uint8_t type, const struct id *id, uint64_t len)
{
	int r;

	(void)len;
	r = type == CHUNK_EXTENTS ? walk_map(arg, id, -1) : on_data(arg, id);
	/* The map was walked already. */
	return r == 0 && type == CHUNK_EXTENTS ? 1 : r;
}

static int find_in_content(struct users *u, const char *path,
			   struct content_ref content)
{
	int r;

	u->path = path;
	u->last = NULL;
	r = content_chunks(u->check->vault, &content, on_chunk, u);
	return r < 0 ? past_damage(u, r) : 0;
}

static int find_in_entry(struct users *u, const struct leaf *leaf, size_t slot)
{
	AUTO_BUF struct buf path = BUF_INIT;
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
	u->path = (const char *)path.data;
	u->last = NULL;
	if (e.flags & ENTRY_XATTRS_CHUNK)
		r = on_data(u, &e.xattrs_id);
	if (r == 0 && S_ISREG(e.mode))
		r = find_in_content(u, u->path, entry_content(&e));
	return r;
}

static int walk_tree(struct users *u, const struct id *id, int level)
{
	uint64_t hits = u->hits;
	struct check_finding *f;
	struct node *n;
	size_t i;
	int r = check_tick(u->check);

	if (r < 0 || !to_walk(u, id))
		return r;
	r = lost_with(u->check, id, &f);
	if (r == 0 && f)
		r = add_place(u, f, "");
	if (r < 0)
		return r;
	r = node_load(u->check->vault, CHUNK_NODE, id, &n);
	if (r < 0)
		return past_damage(u, r);
	if (level >= 0 && n->level != (unsigned int)level) {
		node_put(n);
		return past_damage(u, -EBADMSG);
	}
	for (i = 0; n->kind == NODE_INNER && i < n->n && r == 0; i++)
		r = walk_tree(u, &n->children[i].id, (int)n->level - 1);
	for (i = 0;
	     n->kind == NODE_LEAF && i < leaf_count((struct leaf *)n) && r == 0;
	     i++)
		r = find_in_entry(u, (struct leaf *)n, i);
	node_put(n);
	return r < 0 ? r : walked(u, id, hits);
}

/* ---- points ---- */

/* A disk or a config file. */
static int find_in_member(struct users *u, const char *dir, const char *name,
			  const char *suffix, struct content_ref content)
{
	AUTO_BUF struct buf path = BUF_INIT;

	buf_printf(&path, "%s/%s%s", dir, name, suffix);
	buf_put_u8(&path, 0);
	if (buf_error(&path) < 0)
		return -ENOMEM;
	return find_in_content(u, (const char *)path.data, content);
}

static int find_in_point(struct users *u, const struct point *p)
{
	size_t i;
	int r = p->has_tree ? walk_tree(u, &p->root, -1) : 0;

	for (i = 0; i < p->ndisks && r == 0; i++)
		r = find_in_member(u, "disks", p->disks[i].name, ".raw",
				   point_disk_content(&p->disks[i]));
	for (i = 0; i < p->nconfigs && r == 0; i++)
		r = find_in_member(u, "config", p->configs[i].name, "",
				   point_config_content(&p->configs[i]));
	return r;
}

static struct id key_of(const struct point *p)
{
	struct id key = { .b = { 0 } };

	(void)!hex_decode(p->id, NAME_HEX / 2, key.b);
	return key;
}

/* Points that are there now: what was purged since the check began needs
 * nothing any more. */
static int list_again(struct check *c, struct memo *out)
{
	struct point_list *l;
	struct id key;
	size_t i;
	int r = vault_points(c->vault, &l);

	for (i = 0; r == 0 && i < l->n; i++) {
		key = key_of(l->points[i]);
		r = memo_set(out, &key, 1);
	}
	point_list_put(l);
	return r;
}

static int walk_points(struct check *c)
{
	struct point_list *l = c->out->points_list;
	struct users u = { .check = c };
	struct memo there = { .n = 0 };
	int r = list_again(c, &there);

	c->progress = (struct check_progress){ .phase = "trees",
					       .items_total = l->n };
	for (u.point = 0; u.point < l->n && r == 0; u.point++) {
		struct id key = key_of(l->points[u.point]);

		if (memo_get(&there, &key))
			r = find_in_point(&u, l->points[u.point]);
		c->progress.items_done++;
	}
	memo_release(&there);
	memo_release(&u.nodes);
	return r;
}

int check_users(struct check *c)
{
	size_t i;
	int r = settle(c);

	c->hurt = calloc(c->out->points_list->n + 1, 1);
	if (!c->hurt)
		return -ENOMEM;
	if (r == 0 && (c->nbad || c->any_gone))
		r = walk_points(c);
	for (i = 0; i < c->out->nfindings && r == 0; i++) {
		struct check_finding *f = c->out->findings[i];

		f->is_void = f->is_only_if_used && f->nplaces == 0;
	}
	return r;
}
