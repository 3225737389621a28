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

/* A sweep that cannot be read says nothing, and its packs stay named. */
static int read_sweeps(struct vault *v, struct pack_list *out)
{
	struct kept_wish names = { .n = 0 };
	size_t i;
	int r = kept_list(v, &sweeps, &names);

	for (i = 0; i < names.n && r == 0; i++) {
		AUTO_BUF struct buf plain = BUF_INIT;
		const char *name = names.items[i].name;
		size_t before = out->n;
		bool aborted;

		r = kept_read_once(v, &sweeps, name, &plain);
		if (r == 0)
			r = sweep_decode(plain.data, plain.len, name, &aborted,
					 out);
		if (backend_error_is_of_object(r) || r == -ENOENT ||
		    r == -EOPNOTSUPP) {
			out->n = before;
			r = 0;
		}
	}
	pack_list_sort(out);
	kept_release_wish(&names);
	return r;
}

struct standing {
	const struct pack_list *swept;
	struct pack_list found;
};

static int on_pack(void *arg, const char *object,
		   const struct backend_info *info)
{
	struct standing *s = arg;
	const char *name = strrchr(object, '/') + 1;

	(void)info;
	return pack_list_has(s->swept, name) ? pack_list_add(&s->found, name)
					     : 0;
}

/* Whether a pack that is not among @swept has the chunk, too. Return 1, 0 or a negative
 * errno. */
static int is_elsewhere(struct catalog *db, const struct id *id,
			const struct pack_list *swept)
{
	struct chunk_loc loc = { .pack = 0 };
	struct pack_row row;
	int r;

	do {
		r = catalog_find_chunk(db, id, loc.pack, &loc);
		if (r == 0)
			r = catalog_get_pack(db, loc.pack, &row, NULL);
	} while (r == 0 && pack_list_has(swept, row.name));
	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

/* Whether nothing is lost with a pack: 1, 0 (also where that cannot be told) or a
 * negative errno. */
static int is_dispensable(struct cycle *c, const char *name,
			  const struct pack_list *swept)
{
	struct catalog *db = vault_catalog(c->vault);
	AUTO_BUF struct buf plain = BUF_INIT;
	struct pack_dir dir = { .nchunks = 0 };
	struct pack_row row;
	int64_t no;
	size_t i;
	int r = catalog_pack_no(db, name, &no), is = 1;

	/* No index object that is in use names it. */
	if (r == -ENOENT)
		return 1;
	if (r == 0)
		r = repack_get_dir(c->vault, name, &row, &plain);
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

int gone_list(struct cycle *c, const struct pack_list *own,
	      struct pack_list *out)
{
	struct pack_list swept = { .n = 0 };
	struct standing s = { .swept = &swept };
	size_t i;
	int r = read_sweeps(c->vault, &swept);

	/* A pack that is not listed after its sweep was read has been deleted. */
	if (r == 0)
		r = vault_list_plain(c->vault, "pack/", on_pack, &s);
	pack_list_sort(&s.found);
	for (i = 0; i < swept.n && r >= 0; i++) {
		const char *name = swept.names[i];

		if (own && pack_list_has(own, name))
			r = 1;
		else
			r = pack_list_has(&s.found, name)
				    ? 0
				    : is_dispensable(c, name, &swept);
		if (r == 1)
			r = pack_list_add(out, name);
	}
	pack_list_release(&s.found);
	pack_list_release(&swept);
	return MIN(r, 0);
}
