/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Index objects go on naming packs that were deleted. They are replaced: new ones
 * say what the old ones say, but for packs of which a sweep says that they are
 * deleted; then those that were read into them are deleted, and no others.
 *
 * A new object holds all that stays of each that it supersedes, and stands before
 * they go, so that at each moment something names every pack. Where a chunk of a pack
 * that was deleted is in another, the new object names that one in its place, for a
 * point that stands on the old object stands on the new one then. Who reads an old one
 * that is gone lists again. Which of them to replace is taken from the local
 * database, where an error costs time; what is in them is not.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/buf.h"
#include "store/base/idset.h"
#include "store/base/log.h"
#include "store/catalog/catalog.h"
#include "store/collect/index_prints.h"
#include "store/collect/internal.h"
#include "store/collect/register.h"
#include "store/format.h"
#include "store/index.h"
#include "store/mark/mark.h"
#include "store/vault.h"

struct object_list {
	char (*items)[OBJECT_NAME_MAX]; /* owned */
	size_t n, cap;
};

static int object_list_add(struct object_list *l, const char *name)
{
	if (array_reserve(&l->items, &l->cap, l->n + 1) < 0)
		return -ENOMEM;
	snprintf(l->items[l->n++], OBJECT_NAME_MAX, "%s", name);
	return 0;
}

/* An object under construction, and all of them. */
struct reindexing {
	struct cycle *cycle;
	struct gone_packs swept; /* or that go now */
	struct buf packs;
	size_t npacks;
	struct idset have; /* hashes of the names of packs in it */
	struct pack_list
		instead; /* packs in the place of those that are gone */
	struct object_list inputs; /* that were read into it */
	struct object_list gone; /* names that it supersedes */
};

/* ---- which objects name it ---- */

struct pack_numbers {
	const struct gone_packs *swept;
	int64_t *items; /* owned */
	size_t n, cap;
};

static int on_row(void *arg, const struct pack_row *row)
{
	struct pack_numbers *l = arg;

	if (!gone_packs_has(l->swept, row->name))
		return 0;
	if (array_reserve(&l->items, &l->cap, l->n + 1) < 0)
		return -ENOMEM;
	l->items[l->n++] = row->no;
	return 0;
}

static int on_source(void *arg, const char *source)
{
	return strncmp(source, "index/", 6) == 0 ? object_list_add(arg, source)
						 : 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void sort_objects(struct object_list *l)
{
	size_t i, n = 0;

	if (l->n < 2)
		return;
	qsort(l->items, l->n, sizeof(*l->items), by_text);
	for (i = 1; i < l->n; i++)
		if (strcmp(l->items[n], l->items[i]) != 0 && ++n != i)
			memcpy(l->items[n], l->items[i], sizeof(*l->items));
	l->n = n + 1;
}

/* A writer that reads nothing finds what it has stored by its own index objects
 * alone: those stay, for nobody is misled who asks what collections deleted. */
static void leave_others(const struct vault *v, struct object_list *l)
{
	size_t i, n = 0;

	for (i = 0; i < l->n; i++)
		if (vault_is_own(v, l->items[i] + strlen("index/")) && n++ != i)
			memcpy(l->items[n - 1], l->items[i], sizeof(*l->items));
	l->n = n;
}

static int find_naming(struct vault *v, const struct gone_packs *swept,
		       struct object_list *out)
{
	struct pack_numbers l = { .swept = swept };
	size_t i;
	int r = catalog_packs(vault_catalog(v), on_row, &l);

	for (i = 0; i < l.n && r == 0; i++)
		r = catalog_pack_sources(vault_catalog(v), l.items[i],
					 on_source, out);
	leave_others(v, out);
	sort_objects(out);
	free(l.items);
	return r;
}

/* ---- building ---- */

static void reset(struct reindexing *x)
{
	buf_release(&x->packs);
	idset_release(&x->have);
	pack_list_release(&x->instead);
	x->npacks = x->inputs.n = x->gone.n = 0;
}

/* Note in which other packs a chunk is. */
static int note_holders(struct reindexing *x, const struct id *id)
{
	struct catalog *db = vault_catalog(x->cycle->vault);
	struct chunk_loc loc = { .pack = 0 };
	struct pack_row row;
	int r = 0;

	while (r == 0) {
		r = catalog_find_chunk(db, id, loc.pack, &loc);
		if (r == 0)
			r = catalog_get_pack(db, loc.pack, &row, NULL);
		if (r == 0 && !gone_packs_has(&x->swept, row.name))
			r = pack_list_add(&x->instead, row.name);
	}
	return r == -ENOENT ? 0 : r;
}

static int note_instead(struct reindexing *x, const struct index_pack *p)
{
	struct pack_dir dir = { .nchunks = 0 };
	size_t i, before = x->instead.n;
	int r = format_get_dir(p->dir, p->dir_len, p->name, false, &dir);

	/* No point stands on what nobody needs. */
	for (i = 0; i < dir.nchunks && r == 0; i++)
		if (mark_has(x->cycle->mark, dir.chunks[i].type,
			     &dir.chunks[i].id))
			r = note_holders(x, &dir.chunks[i].id);
	format_release_dir(&dir);
	if (x->instead.n != before)
		pack_list_sort(&x->instead);
	return r;
}

static int add_pack(void *arg, const struct index_pack *p)
{
	struct reindexing *x = arg;
	struct id hash;
	int r;

	if (gone_packs_has(&x->swept, p->name))
		return note_instead(x, p);
	/* Of those that were taken none says something else. */
	r = index_print_name(p, &hash);
	if (r == 0)
		r = idset_add(&x->have, &hash);
	if (r <= 0)
		return r;
	index_put_pack(&x->packs, p->name, p->size, p->kind, p->epoch, p->salt,
		       p->dir, p->dir_len);
	x->npacks++;
	return buf_error(&x->packs);
}

static int add_instead(struct reindexing *x)
{
	size_t i;
	int r = 0;

	for (i = 0; i < x->instead.n && r == 0; i++) {
		AUTO_BUF struct buf dir = BUF_INIT;
		struct index_pack p = { .size = 0 };
		struct pack_row row;

		r = repack_get_dir(x->cycle->vault, x->instead.names[i], &row,
				   &dir);
		if (r == 0) {
			memcpy(p.name, row.name, sizeof(p.name));
			p.size = row.size;
			p.kind = row.kind;
			p.epoch = row.epoch;
			p.salt = row.salt;
			p.dir = dir.data;
			p.dir_len = dir.len;
			r = add_pack(x, &p);
		}
		/* Somebody else has dropped what the database had of it. */
		r = r == -ESTALE ? 0 : r;
	}
	return r;
}

static int add_gone(void *arg, const char *name)
{
	struct reindexing *x = arg;

	return object_list_add(&x->gone, name);
}

static int delete_inputs(struct reindexing *x)
{
	const char **names = alloc_array(x->inputs.n + 1, sizeof(*names));
	size_t i;
	int r;

	if (!names)
		return -ENOMEM;
	for (i = 0; i < x->inputs.n; i++)
		names[i] = x->inputs.items[i];
	r = backend_delete_many(vault_backend(x->cycle->vault), names,
				x->inputs.n);
	free(names);
	return r;
}

/*
 * Delete what an object was built from. The database reads that one first, so that
 * the packs which it names keep the numbers by which others who work on the same
 * database know them. Where it is gone already, somebody else has replaced it, and
 * theirs is the word on what it was built from.
 */
static int replace_inputs(struct reindexing *x, const char *name)
{
	int r = vault_import_index(x->cycle->vault, name);

	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : delete_inputs(x);
}

/* Put what was built, where anything was, and delete what it was built from. */
static int put_object(struct reindexing *x)
{
	struct cycle *c = x->cycle;
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	/* The oldest names are the first, and may go. */
	size_t i = x->gone.n > INDEX_SUPERSEDED_MAX
			   ? x->gone.n - INDEX_SUPERSEDED_MAX
			   : 0;
	int r;

	if (x->inputs.n == 0)
		return 0;
	r = add_instead(x);
	if (r < 0)
		return r;
	buf_put_varint(&plain, x->npacks);
	if (x->packs.len)
		buf_put(&plain, x->packs.data, x->packs.len);
	buf_put_varint(&plain, x->gone.n - i);
	for (; i < x->gone.n; i++)
		buf_put_bytes(&plain, x->gone.items[i],
			      strlen(x->gone.items[i]));
	if (plain.len > FORMAT_BOX_MAX) {
		log_warn("what would replace %zu index objects is too long for "
			 "one: they stay",
			 x->inputs.n);
		reset(x);
		return 0;
	}
	snprintf(name, sizeof(name), "index/%s-%u.m", c->clock.gid,
		 c->next_index++);
	r = register_put_own(c->vault, OBJECT_INDEX, name, NULL, &plain);
	if (r == 0)
		r = replace_inputs(x, name);
	if (r == 0) {
		c->out->index_old += x->inputs.n;
		c->out->index_new++;
	}
	reset(x);
	return r;
}

static bool is_passed_over(int r)
{
	return r == -ENOENT || r == -EOPNOTSUPP ||
	       backend_error_is_of_object(r);
}

/* One that is gone was replaced by somebody else; one that cannot be read stays as
 * it is. */
static int take_object(struct reindexing *x, const char *name)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	int r = register_read(x->cycle->vault, OBJECT_INDEX, name, &plain);

	if (r < 0)
		return is_passed_over(r) ? 0 : r;
	if (x->inputs.n > 0 && x->packs.len + plain.len > FORMAT_INDEX_TARGET)
		r = put_object(x);
	if (r == 0)
		r = index_decode(plain.data, plain.len, name, add_pack,
				 add_gone, x);
	if (r == 0)
		r = add_gone(x, name + strlen("index/"));
	return r == 0 ? object_list_add(&x->inputs, name) : r;
}

static int read_index(struct vault *v, const char *name,
		      int (*fn)(void *arg, const struct index_pack *p),
		      void *arg)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	int r = register_read(v, OBJECT_INDEX, name, &plain);

	return r < 0 ? r
		     : index_decode(plain.data, plain.len, name, fn, NULL, arg);
}

/* Objects that are to be replaced, and what they say. */
struct comparison {
	const struct gone_packs *swept;
	const struct object_list *objects;
	struct index_prints prints;
	uint32_t at; /* the one that is read */
	bool *stays; /* owned; for each: it is not replaced */
	bool is_said;
};

static int note_print(void *arg, const struct index_pack *p)
{
	struct comparison *cmp = arg;

	return gone_packs_has(cmp->swept, p->name)
		       ? 0
		       : index_prints_add(&cmp->prints, p, cmp->at);
}

static void say_differ(const char *a, const char *b)
{
	log_warn("%s and %s do not say the same of a pack: neither is replaced "
		 "or removed; run vmbackup check",
		 a, b);
}

static void on_differing(void *arg, uint32_t a, uint32_t b)
{
	struct comparison *cmp = arg;

	cmp->stays[a] = cmp->stays[b] = true;
	if (!cmp->is_said)
		say_differ(cmp->objects->items[MIN(a, b)],
			   cmp->objects->items[MAX(a, b)]);
	cmp->is_said = true;
}

/* Of two objects that say different things of a pack, one may be right: both stay,
 * and so do those that cannot be read. */
static int leave_differing(struct reindexing *x, struct object_list *old)
{
	struct comparison cmp = { .swept = &x->swept, .objects = old };
	size_t i, n = 0;
	int r = 0;

	cmp.stays = calloc(old->n + 1, sizeof(*cmp.stays));
	if (!cmp.stays)
		return -ENOMEM;
	for (i = 0; i < old->n && r == 0; i++) {
		cmp.at = (uint32_t)i;
		r = read_index(x->cycle->vault, old->items[i], note_print,
			       &cmp);
		cmp.stays[i] = is_passed_over(r);
		r = cmp.stays[i] ? 0 : r;
	}
	if (r == 0)
		index_prints_each_differing(&cmp.prints, on_differing, &cmp);
	for (i = 0; i < old->n && r == 0; i++)
		if (!cmp.stays[i] && n++ != i)
			memcpy(old->items[n - 1], old->items[i],
			       sizeof(*old->items));
	old->n = r == 0 ? n : old->n;
	index_prints_release(&cmp.prints);
	free(cmp.stays);
	return r;
}

static int replace_all(struct reindexing *x, const struct object_list *old)
{
	size_t i;
	int r = 0;

	for (i = 0; i < old->n && r == 0; i++)
		r = take_object(x, old->items[i]);
	if (r == 0)
		r = put_object(x);
	return r;
}

/* ---- what others superseded ---- */

/* One object that supersedes others, and what it says of packs. */
struct superseding {
	struct reindexing *x;
	char name[INDEX_NAME_MAX];
	struct idset has; /* hashes of names, and of all that is said */
	bool lacks; /* a pack that an older object names */
	bool differs; /* or something that that one says of it */
};

static int note_has(void *arg, const struct index_pack *p)
{
	struct superseding *s = arg;
	struct id name, all;
	int r = index_print_name(p, &name);

	if (r == 0)
		r = index_print_all(p, &all);
	if (r == 0)
		r = MIN(idset_add(&s->has, &name), 0);
	return r < 0 ? r : MIN(idset_add(&s->has, &all), 0);
}

static int note_lack(void *arg, const struct index_pack *p)
{
	struct superseding *s = arg;
	struct id name, all;
	int r = index_print_name(p, &name);

	if (r == 0)
		r = index_print_all(p, &all);
	if (r < 0 || idset_has(&s->has, &all) ||
	    gone_packs_has_old(&s->x->swept, p->name))
		return r;
	if (idset_has(&s->has, &name))
		s->differs = true;
	else
		s->lacks = true;
	return 0;
}

/* Whether the object that supersedes @name, both read now, says all that it says:
 * 1, 0 or a negative errno. */
static int is_covered(struct superseding *s, const char *name)
{
	struct vault *v = s->x->cycle->vault;
	char object[OBJECT_NAME_MAX], by[INDEX_NAME_MAX];
	int r = vault_index_superseding(v, name + strlen("index/"), by);

	if (r == 0 && strcmp(by, s->name) != 0) {
		idset_release(&s->has);
		s->name[0] = '\0';
		snprintf(object, sizeof(object), "index/%s", by);
		r = read_index(v, object, note_has, s);
		if (r == 0)
			snprintf(s->name, sizeof(s->name), "%s", by);
	}
	s->lacks = s->differs = false;
	if (r == 0)
		r = read_index(v, name, note_lack, s);
	if (r < 0)
		return is_passed_over(r) ? 0 : r;
	if (s->differs) {
		snprintf(object, sizeof(object), "index/%s", s->name);
		say_differ(name, object);
	}
	return !s->lacks && !s->differs;
}

static int on_index(void *arg, const char *name,
		    const struct backend_info *info)
{
	(void)info;
	return object_list_add(arg, name);
}

static int drop_superseded(struct reindexing *x)
{
	struct superseding s = { .x = x };
	struct vault *v = x->cycle->vault;
	struct object_list all = { .n = 0 };
	size_t i;
	int r = vault_list_plain(v, "index/", on_index, &all);

	sort_objects(&all);
	for (i = 0; i < all.n && r >= 0; i++) {
		/* What the database does not know is superseded, or damaged. */
		r = catalog_has_source(vault_catalog(v), all.items[i]);
		if (r == 0)
			r = is_covered(&s, all.items[i]);
		else if (r == 1)
			r = 0;
		if (r == 1)
			r = object_list_add(&x->inputs, all.items[i]);
	}
	if (r == 0 && x->inputs.n)
		r = delete_inputs(x);
	x->cycle->out->index_old += r == 0 ? x->inputs.n : 0;
	x->inputs.n = 0;
	idset_release(&s.has);
	free(all.items);
	return MIN(r, 0);
}

int reindex(struct cycle *c, const struct pack_list *own)
{
	struct reindexing x = { .cycle = c };
	struct object_list old = { .n = 0 };
	int r = vault_refresh(c->vault);

	if (r == 0)
		r = gone_packs_find(c, own, &x.swept);
	if (r == 0)
		r = find_naming(c->vault, &x.swept, &old);
	if (r == 0)
		r = leave_differing(&x, &old);
	if (r == 0)
		r = replace_all(&x, &old);
	if (r == 0 && old.n)
		r = vault_refresh(c->vault);
	if (r == 0)
		r = drop_superseded(&x);
	reset(&x);
	free(x.inputs.items);
	free(x.gone.items);
	free(old.items);
	gone_packs_release(&x.swept);
	return r;
}
