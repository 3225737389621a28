/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which packs are gone for ever. A sweep alone does not tell: whoever may put objects
 * can put one that names packs which points need, and the index would be without these
 * then, though they stand. So a pack counts only when it is not listed any more, too, and
 * when each chunk of it that is needed is in another pack, as it is with what a
 * collection deletes. What is left named by mistake costs a few bytes.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/buf.h"
#include "store/catalog/catalog.h"
#include "store/collect/internal.h"
#include "store/format.h"
#include "store/kept.h"
#include "store/mark/mark.h"
#include "store/vault.h"

static const struct kept_kind sweeps = { .prefix = "sweep/",
					 .type = OBJECT_SWEEP,
					 .max = FORMAT_BOX_OBJECT_MAX };

/* Of what sweeps delete the database knows little: names of that are kept, and of the
 * rest, which only grows, prints. */
static int sort_out(struct cycle *c, const struct pack_list *l,
		    struct gone_packs *out)
{
	struct pack_list others = { .n = 0 };
	int64_t no;
	size_t i;
	int r = 0;

	for (i = 0; i < l->n && r == 0; i++) {
		r = catalog_pack_no(vault_catalog(c->vault), l->names[i], &no);
		if (r == 0)
			r = pack_list_add(&out->known, l->names[i]);
		else if (r == -ENOENT)
			r = pack_list_add(&others, l->names[i]);
	}
	if (r == 0)
		r = pack_prints_add(&out->others, &others);
	pack_list_release(&others);
	return r;
}

/* A sweep that cannot be read says nothing, and its packs stay named. */
static int read_sweep(struct cycle *c, const char *name, struct gone_packs *out)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	struct pack_list l = { .n = 0 };
	bool aborted;
	int r = kept_read_once(c->vault, &sweeps, name, &plain);

	if (r == 0)
		r = sweep_decode(plain.data, plain.len, name, &aborted, &l);
	if (r == 0)
		r = sort_out(c, &l, out);
	else if (backend_error_is_of_object(r) || r == -ENOENT ||
		 r == -EOPNOTSUPP)
		r = 0;
	pack_list_release(&l);
	return r;
}

static int read_sweeps(struct cycle *c, struct gone_packs *out)
{
	struct kept_wish names = { .n = 0 };
	size_t i;
	int r = kept_list(c->vault, &sweeps, &names);

	for (i = 0; i < names.n && r == 0; i++)
		r = read_sweep(c, names.items[i].name, out);
	pack_list_sort(&out->known);
	pack_prints_sort(&out->others);
	kept_release_wish(&names);
	return r;
}

static int on_pack(void *arg, const char *object,
		   const struct backend_info *info)
{
	struct gone_packs *g = arg;
	const char *name = strrchr(object, '/') + 1;

	(void)info;
	return gone_packs_has(g, name) || pack_prints_has(&g->others, name)
		       ? pack_list_add(&g->standing, name)
		       : 0;
}

/* Whether a pack that is not among @swept has the chunk, too. Return 1, 0 or a negative
 * errno. */
static int is_elsewhere(struct catalog *db, const struct id *id,
			const struct gone_packs *swept)
{
	struct chunk_loc loc = { .pack = 0 };
	struct pack_row row;
	int r;

	do {
		r = catalog_find_chunk(db, id, loc.pack, &loc);
		if (r == 0)
			r = catalog_get_pack(db, loc.pack, &row, NULL);
	} while (r == 0 && gone_packs_has(swept, row.name));
	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

/* Whether nothing is lost with a pack: 1, 0 (also where that cannot be told) or a
 * negative errno. */
static int is_dispensable(struct cycle *c, const char *name,
			  const struct gone_packs *swept)
{
	struct catalog *db = vault_catalog(c->vault);
	AUTO_BUF struct buf plain = BUF_INIT;
	struct pack_dir dir = { .nchunks = 0 };
	struct pack_row row;
	size_t i;
	int r = repack_get_dir(c->vault, name, &row, &plain), is = 1;

	if (r == 0)
		r = format_get_dir(plain.data, plain.len, name, false, &dir);
	for (i = 0; i < dir.nchunks && r == 0 && is == 1; i++)
		if (mark_has(c->mark, dir.chunks[i].type, &dir.chunks[i].id))
			is = is_elsewhere(db, &dir.chunks[i].id, swept);
	format_release_dir(&dir);
	if (r < 0)
		return r == -ESTALE || r == -EBADMSG ? 0 : r;
	return is;
}

/* Of those that are known keep what is gone. A pack that is not listed after its sweep
 * was read has been deleted. */
static int judge(struct cycle *c, const struct pack_list *own,
		 struct gone_packs *g)
{
	struct pack_list gone = { .n = 0 };
	size_t i;
	int r = 0;

	for (i = 0; i < g->known.n && r >= 0; i++) {
		const char *name = g->known.names[i];

		if (own && pack_list_has(own, name))
			r = 1;
		else
			r = pack_list_has(&g->standing, name)
				    ? 0
				    : is_dispensable(c, name, g);
		if (r == 1)
			r = pack_list_add(&gone, name);
	}
	pack_list_release(&g->known);
	g->known = gone;
	return MIN(r, 0);
}

int gone_packs_find(struct cycle *c, const struct pack_list *own,
		    struct gone_packs *out)
{
	int r = read_sweeps(c, out);

	if (r == 0)
		r = vault_list_plain(c->vault, "pack/", on_pack, out);
	pack_list_sort(&out->standing);
	if (r == 0)
		r = judge(c, own, out);
	return r;
}

bool gone_packs_has(const struct gone_packs *g, const char *name)
{
	return pack_list_has(&g->known, name);
}

bool gone_packs_has_old(const struct gone_packs *g, const char *name)
{
	return pack_list_has(&g->known, name) ||
	       (pack_prints_has(&g->others, name) &&
		!pack_list_has(&g->standing, name));
}

void gone_packs_release(struct gone_packs *g)
{
	pack_list_release(&g->known);
	pack_prints_release(&g->others);
	pack_list_release(&g->standing);
}
