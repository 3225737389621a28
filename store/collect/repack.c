/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A pack that holds what is needed can go when all that is stands in another pack
 * that stays. So a session of the collection's own writes that anew, while the tombs
 * keep everybody from referring to the old packs, and once nobody is at work any more
 * who had not seen the tombs.
 *
 * A pack stands in for another only if it is known to stay, and to be whole: no tomb
 * names it, the own ones among these, and no sweep, which is asked after the own tombs
 * stand; it is listed after that, and not in quarantine; an index object names it; both
 * are durable; and all of its bytes were read now, and are the chunks that they are said
 * to be. So no
 * two collections take each other's copy for the one that stays, and no wrong copy is
 * taken for a right one.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/names.h"
#include "store/base/array.h"
#include "store/base/buf.h"
#include "store/base/log.h"
#include "store/catalog/catalog.h"
#include "store/chunk.h"
#include "store/collect/internal.h"
#include "store/collect/wait.h"
#include "store/crypt/crypt.h"
#include "store/format.h"
#include "store/mark/mark.h"
#include "store/pack_read.h"
#include "store/vault.h"
#include "store/writer/condemned.h"
#include "store/writer/writer.h"

#define LEVEL 3 /* of compression */

/* ---- which ---- */

/* Those of which the least is needed come first. */
static int by_share(const void *a, const void *b)
{
	const struct half_pack *x = a, *y = b;
	/* No pack is over 64 MiB, so that this does not overflow. */
	uint64_t p = x->dead_bytes * (y->dead_bytes + y->live_bytes);
	uint64_t q = y->dead_bytes * (x->dead_bytes + x->live_bytes);

	return p != q ? (p < q) - (p > q) : strcmp(x->name, y->name);
}

static int choose(struct cycle *c, struct half_pack *h)
{
	struct collect_plan *plan = &c->out->plan;
	int r = plan_condemn(c, h->name);

	if (r != 0)
		return MIN(r, 0);
	r = pack_list_add(&c->repacked, h->name);
	h->is_chosen = true;
	plan->waste_bytes -= h->dead_bytes;
	plan->nrepacked++;
	plan->repack_live_bytes += h->live_bytes;
	plan->repack_dead_bytes += h->dead_bytes;
	plan->nresealed += h->is_old;
	plan->resealed_bytes += h->is_old ? h->size : 0;
	return r;
}

/* Those of before that are left, a bit each time: whoever is ended goes on the next
 * time, with what is still there. */
static int choose_old(struct cycle *c)
{
	const struct collect_plan *plan = &c->out->plan;
	struct half_packs *l = &c->halves;
	size_t i;
	int r = 0;

	for (i = 0; i < l->n && r == 0 && c->o->reseal; i++)
		if (l->items[i].is_old && !l->items[i].is_chosen &&
		    (plan->nresealed == 0 ||
		     plan->resealed_bytes + l->items[i].size <= c->o->reseal))
			r = choose(c, &l->items[i]);
	return r;
}

uint64_t repack_allowed(const struct cycle *c, uint64_t bytes)
{
	return MAX(bytes / 100 * c->o->max_unused, c->o->max_unused_bytes);
}

int repack_choose(struct cycle *c)
{
	struct collect_plan *plan = &c->out->plan;
	struct half_packs *l = &c->halves;
	uint64_t rest = plan->bytes - plan->dead_bytes, used = 0;
	size_t i;
	int r = 0;

	if (l->n)
		qsort(l->items, l->n, sizeof(*l->items), by_share);
	for (i = 0; i < l->n && r == 0; i++) {
		struct half_pack *h = &l->items[i];

		/* What follows is whole, and here for its keys alone. */
		if (plan->waste_bytes <= repack_allowed(c, rest) ||
		    !h->dead_bytes)
			break;
		if (c->o->max_repack && used + h->size > c->o->max_repack)
			continue;
		used += h->size;
		rest -= MIN(rest, h->dead_bytes);
		r = choose(c, h);
	}
	if (r == 0)
		r = choose_old(c);
	pack_list_sort(&c->repacked);
	return r;
}

/* ---- what is in a pack ---- */

int repack_get_dir(struct vault *v, const char *name, struct pack_row *row_out,
		   struct buf *dir_out)
{
	struct pack_info *info;
	int64_t no = 0;
	int r = catalog_pack_no(vault_catalog(v), name, &no);

	if (r == 0)
		r = pack_get(v, no, &info);
	if (r < 0)
		return r == -ENOENT ? -ESTALE : r;
	pack_put(v, info);
	r = catalog_get_pack(vault_catalog(v), no, row_out, dir_out);
	return r == -ENOENT ? -ESTALE : r;
}

static int get_dir(struct vault *v, const char *name, struct pack_dir *out)
{
	AUTO_BUF struct buf dir = BUF_INIT;
	struct pack_row row;
	int r = repack_get_dir(v, name, &row, &dir);

	return r < 0 ? r : format_get_dir(dir.data, dir.len, name, false, out);
}

/* ---- what stands in ---- */

struct stand_in {
	char name[PACK_NAME_MAX];
	enum { NOT_READ, WHOLE, UNFIT } state;
};

struct stand_ins {
	struct condemned condemned;
	/* Before what is needed is written: the own session names those in an
	 * index object, too, that none names yet. */
	bool may_be_unnamed;
	/* All that are listed and not condemned; owned; sorted by name. */
	struct stand_in *items;
	size_t n, cap;
};

void repack_free_stand_ins(struct stand_ins *s)
{
	if (!s)
		return;
	condemned_release(&s->condemned);
	free(s->items);
	free(s);
}

static int on_listed(void *arg, const char *object,
		     const struct backend_info *info)
{
	struct stand_ins *s = arg;
	const char *name = strrchr(object, '/') + 1;
	struct stand_in *one;

	(void)info;
	if (condemned_has(&s->condemned, name))
		return 0;
	if (array_reserve(&s->items, &s->cap, s->n + 1) < 0)
		return -ENOMEM;
	one = &s->items[s->n++];
	one->state = NOT_READ;
	snprintf(one->name, sizeof(one->name), "%s", name);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct stand_in *)a)->name,
		      ((const struct stand_in *)b)->name);
}

static int find_name(const void *key, const void *item)
{
	return strcmp(key, ((const struct stand_in *)item)->name);
}

int repack_stand_ins(struct cycle *c, struct stand_ins **out)
{
	struct stand_ins *s = calloc(1, sizeof(*s));
	struct vault *v = c->vault;
	int r;

	*out = s;
	if (!s)
		return -ENOMEM;
	r = condemned_read(v, &s->condemned);
	if (r == 0)
		r = vault_list_plain(v, "pack/", on_listed, s);
	if (s->n)
		qsort(s->items, s->n, sizeof(*s->items), by_name);
	return r == 0 ? vault_refresh(v) : r;
}

/* Who put an object may have died before it was durable, though it is listed: a power
 * cut would take it away. Return 1, 0 (it cannot be relied on) or a negative errno. */
static int is_durable(struct vault *v, const char *object)
{
	int r = backend_sync(vault_backend(v), object);

	if (r == -ENOENT || backend_error_is_of_object(r))
		return 0;
	return r < 0 ? r : 1;
}

static int on_index(void *arg, const char *source)
{
	return strncmp(source, "index/", 6) == 0
		       ? backend_names_add(arg, source)
		       : 0;
}

/* Whether an index object that will stay names pack @no: 1, 0 or a negative errno. */
static int is_named(struct vault *v, int64_t no)
{
	struct backend_names l = { .n = 0 };
	size_t i;
	int r = catalog_pack_sources(vault_catalog(v), no, on_index, &l);

	for (i = 0; i < l.n && r == 0; i++)
		r = is_durable(v, l.list[i]);
	backend_names_release(&l);
	return r;
}

/* Look at pack @no, which is listed. Return 1 (it stands in), 0 or a negative
 * errno. */
static int prove(struct cycle *c, const struct stand_ins *s, int64_t no,
		 const char *name)
{
	AUTO_BUF struct buf dir = BUF_INIT;
	char object[OBJECT_NAME_MAX];
	struct vault *v = c->vault;
	struct pack_row row;
	int r = s->may_be_unnamed ? 1 : is_named(v, no);

	if (r == 1)
		r = format_pack_object_name(name, object) < 0
			    ? 0
			    : is_durable(v, object);
	if (r <= 0)
		return r;
	r = repack_get_dir(v, name, &row, &dir);
	if (r < 0)
		return r == -ESTALE || r == -EBADMSG ? 0 : r;
	return repack_prove(c, &row, &dir);
}

/* Whether pack @no stands in for others: 1, 0 or a negative errno. */
static int is_stand_in(struct cycle *c, const struct stand_ins *s, int64_t no)
{
	struct stand_in *one;
	struct pack_row row;
	int r = catalog_get_pack(vault_catalog(c->vault), no, &row, NULL);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	one = s->n ? bsearch(row.name, s->items, s->n, sizeof(*s->items),
			     find_name)
		   : NULL;
	if (!one)
		return 0;
	if (one->state == NOT_READ) {
		r = prove(c, s, no, one->name);
		if (r < 0)
			return r;
		one->state = r == 1 ? WHOLE : UNFIT;
	}
	return one->state == WHOLE;
}

/* ---- is all that is needed there? ---- */

static int is_at(struct vault *v, const struct chunk_ref *ref,
		 const struct chunk_loc *loc)
{
	struct pack_info *info;
	int r = pack_get(v, loc->pack, &info);

	if (r < 0)
		return r == -ESTALE ? 0 : r;
	r = loc->type == ref->type && loc->len == ref->len &&
	    pack_has(v, info, &ref->id, loc);
	pack_put(v, info);
	return r;
}

/* Return 1, 0 or a negative errno. */
static int stands(struct cycle *c, const struct stand_ins *s,
		  const struct chunk_ref *ref)
{
	struct vault *v = c->vault;
	struct chunk_loc loc = { .pack = 0 };
	int r = 0;

	while (r == 0) {
		r = catalog_find_chunk(vault_catalog(v), &ref->id, loc.pack,
				       &loc);
		if (r < 0)
			return r == -ENOENT ? 0 : r;
		r = is_stand_in(c, s, loc.pack);
		if (r == 1)
			r = is_at(v, ref, &loc);
	}
	return r;
}

/* ---- copying ---- */

/* Only what was proven now counts as stored already, and a copy that is not what its
 * name says is not taken: another pack may have the right one. */
static int copy_chunk(struct cycle *c, struct writer *w,
		      const struct stand_ins *s, const struct chunk_ref *ref)
{
	AUTO_FREE uint8_t *data = NULL;
	int r = stands(c, s, ref);

	if (r != 0)
		return MIN(r, 0);
	data = malloc(ref->len);
	if (!data)
		return -ENOMEM;
	r = chunk_read_named(c->vault, ref->type, &ref->id, ref->len, data);
	return r < 0 ? r
		     : writer_chunk_anew(w, ref->type, &ref->id, data,
					 ref->len);
}

/* What cannot be read stays where it is. */
static int copy_pack(struct cycle *c, struct writer *w,
		     const struct stand_ins *s, const char *name)
{
	struct pack_dir dir = { .nchunks = 0 };
	size_t i;
	int r = get_dir(c->vault, name, &dir);

	for (i = 0; i < dir.nchunks && r == 0; i++)
		if (mark_has(c->mark, dir.chunks[i].type, &dir.chunks[i].id))
			r = copy_chunk(c, w, s, &dir.chunks[i]);
	if (r == 0)
		r = writer_tick(w);
	if (r == 0)
		r = clock_tick(&c->clock);
	format_release_dir(&dir);
	return r == -EBADMSG || r == -EIO || r == -ESTALE ? 0 : r;
}

static int copy_all(struct cycle *c, struct writer *w)
{
	const volatile bool *stop = c->o->wait.stop;
	struct stand_ins *s = NULL;
	size_t i;
	int r = repack_stand_ins(c, &s);

	if (s)
		s->may_be_unnamed = true;
	/* Where any pack may be condemned none will stand in: what is needed would
	 * be written in vain, each time. */
	for (i = 0; r == 0 && i < c->repacked.n && !s->condemned.all; i++)
		r = stop && *stop ? -EINTR
				  : copy_pack(c, w, s, c->repacked.names[i]);
	repack_free_stand_ins(s);
	return r == 0 ? writer_finish(w) : r;
}

/* Write what is needed, and end the session, whatever became of it. */
static int run_session(struct cycle *c)
{
	struct writer *w = NULL;
	int r = writer_begin_collect(c->vault, LEVEL, &w), fenced;

	if (r < 0)
		return r;
	snprintf(c->repack_sid, sizeof(c->repack_sid), "%s", writer_session(w));
	r = copy_all(c, w);
	writer_free(w);
	fenced = wait_fence(c->vault, c->repack_sid);
	return r < 0 ? r : fenced;
}

int repack_copy(struct cycle *c)
{
	int r = c->repacked.n ? run_session(c) : 0;

	if (r != -ENOSPC && r != -EDQUOT)
		return r;
	log_warn("there is no room for what is needed of %zu packs: they stay, "
		 "and those go that hold nothing else",
		 c->repacked.n);
	return 0;
}

/* ---- afterwards ---- */

int repack_is_covered(struct cycle *c, const struct stand_ins *s,
		      const char *name, uint64_t nlive)
{
	struct pack_dir dir = { .nchunks = 0 };
	uint64_t found = 0;
	size_t i;
	int r = get_dir(c->vault, name, &dir), covered = 1;

	for (i = 0; i < dir.nchunks && r == 0 && covered == 1; i++) {
		if (!mark_has(c->mark, dir.chunks[i].type, &dir.chunks[i].id))
			continue;
		found++;
		covered = stands(c, s, &dir.chunks[i]);
	}
	format_release_dir(&dir);
	if (r < 0)
		return r == -ESTALE ? 0 : r;
	/* As many as the mark has seen: none is missing from what was read. */
	return covered < 0 ? covered : covered == 1 && found == nlive;
}
