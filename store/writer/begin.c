/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a session may refer to. Only packs seen in a listing made after the
 * session object was created, and after tombs were read: a collector that
 * condemns a pack puts its tomb first and then waits for every session it
 * finds, so whoever saw a condemned pack is decided before it goes.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/catalog/catalog.h"
#include "store/format.h"
#include "store/vault.h"
#include "store/writer/condemned.h"
#include "store/writer/internal.h"

bool writer_pack_usable(struct writer *w, int64_t no)
{
	SCOPED_LOCK(&w->lock);
	return packset_has(&w->usable, no);
}

/* Return 1 (it is used already), 0 or -ESTALE (it may not be). */
static int is_used(struct writer *w, int64_t no)
{
	SCOPED_LOCK(&w->lock);
	return packset_has(&w->usable, no) ? packset_has(&w->used, no)
					   : -ESTALE;
}

/* Keep its name, for another process may drop the row, and make another one. One
 * that is gone already holds nothing. */
int writer_use_pack(struct writer *w, int64_t no)
{
	struct pack_row row;
	struct used_pack *u;
	int r = is_used(w, no);

	if (r != 0)
		return r < 0 ? 0 : 1;
	r = catalog_get_pack(vault_catalog(w->vault), no, &row, NULL);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	SCOPED_LOCK(&w->lock);
	if (packset_has(&w->used, no))
		return 1;
	if (array_reserve(&w->used_list, &w->used_cap, w->nused + 1) < 0 ||
	    packset_add(&w->used, no) < 0)
		return -ENOMEM;
	u = &w->used_list[w->nused++];
	*u = (struct used_pack){ .no = no };
	memcpy(u->name, row.name, sizeof(u->name));
	return 1;
}

int writer_mark_whole(struct writer *w, int64_t no)
{
	SCOPED_LOCK(&w->lock);
	return packset_add(&w->whole, no);
}

int writer_mark_usable(struct writer *w, int64_t no)
{
	int r;

	SCOPED_LOCK(&w->lock);
	r = packset_add(&w->whole, no);
	return r == 0 ? packset_add(&w->usable, no) : r;
}

/* ---- the listing of packs ---- */

/* A pack that the database knew before packs were listed. */
struct known_pack {
	char name[PACK_NAME_MAX];
	uint64_t size;
	int64_t no;
	bool told; /* the pack itself has said what is in it */
	bool unnamed; /* and nobody else has */
	bool listed;
};

/* One that was listed and that it did not know. */
struct unknown_pack {
	char name[PACK_NAME_MAX];
	struct backend_info info;
};

struct pack_listing {
	struct writer *writer;
	struct known_pack *known; /* owned; sorted by name */
	size_t nknown, known_cap;
	struct unknown_pack *unknown; /* owned */
	size_t nunknown, unknown_cap;
	struct condemned condemned;
};

static int on_row(void *arg, const struct pack_row *row)
{
	struct pack_listing *l = arg;
	struct known_pack *k;

	if (array_reserve(&l->known, &l->known_cap, l->nknown + 1) < 0)
		return -ENOMEM;
	k = &l->known[l->nknown++];
	memcpy(k->name, row->name, sizeof(k->name));
	k->size = row->size;
	k->no = row->no;
	k->told = k->unnamed = k->listed = false;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct known_pack *)a)->name,
		      ((const struct known_pack *)b)->name);
}

static int find_name(const void *key, const void *item)
{
	return strcmp(key, ((const struct known_pack *)item)->name);
}

static struct known_pack *find_known(const struct pack_listing *l,
				     const char *name)
{
	return l->nknown ? bsearch(name, l->known, l->nknown, sizeof(*l->known),
				   find_name)
			 : NULL;
}

static int is_index(void *arg, const char *source)
{
	(void)arg;
	return strncmp(source, "index/", 6) == 0;
}

static int on_pack_source(void *arg, const char *source)
{
	struct known_pack *k;

	if (strncmp(source, "pack/", 5) != 0)
		return 0;
	k = find_known(arg, strrchr(source, '/') + 1);
	if (k)
		k->told = k->unnamed = true;
	return 0;
}

/*
 * Whoever could not read an index object may have asked packs themselves. That
 * says what is in them, not that they are whole.
 */
static int find_unnamed(struct pack_listing *l)
{
	struct catalog *c = vault_catalog(l->writer->vault);
	size_t i;
	int r = catalog_sources(c, on_pack_source, l);

	for (i = 0; i < l->nknown && r == 0; i++) {
		if (!l->known[i].unnamed)
			continue;
		r = catalog_pack_sources(c, l->known[i].no, is_index, NULL);
		if (r == 1)
			l->known[i].unnamed = false;
		r = MIN(r, 0);
	}
	return r;
}

static int note_unknown(struct pack_listing *l, const char *name,
			const struct backend_info *info)
{
	if (array_reserve(&l->unknown, &l->unknown_cap, l->nunknown + 1) < 0)
		return -ENOMEM;
	memcpy(l->unknown[l->nunknown].name, name, strlen(name) + 1);
	l->unknown[l->nunknown++].info = *info;
	return 0;
}

/*
 * Whoever makes points and reads none may store under the name of a chunk what it is
 * not: nothing new refers to what such a writer stored, but his own points.
 */
static bool may_use(const struct pack_listing *l, const char *name)
{
	return !condemned_has(&l->condemned, name) &&
	       vault_is_own(l->writer->vault, name);
}

/* A pack that the database says is @size bytes long is listed with @listed. */
static int take_known(const struct pack_listing *l, const char *name,
		      int64_t no, uint64_t size, uint64_t listed)
{
	struct writer *w = l->writer;

	if (size != listed) {
		log_warn("pack/%s: damaged: %llu bytes long, not %llu; nothing "
			 "new will refer to it",
			 name, (unsigned long long)listed,
			 (unsigned long long)size);
		return 0;
	}
	if (pack_list_has(&l->condemned.quarantined, name))
		return 0;
	return may_use(l, name) ? writer_mark_usable(w, no)
				: writer_mark_whole(w, no);
}

static int on_pack(void *arg, const char *object,
		   const struct backend_info *info)
{
	struct pack_listing *l = arg;
	const char *name = strrchr(object, '/') + 1;
	struct known_pack *k = find_known(l, name);

	if (k)
		k->listed = true;
	if (!k || k->unnamed)
		return note_unknown(l, name, info);
	return take_known(l, k->name, k->no, k->size, info->size);
}

/* A pack that is gone says nothing any more. */
static int forget_told(const struct pack_listing *l, const struct known_pack *k)
{
	char source[OBJECT_NAME_MAX];

	if (k->listed || !k->told)
		return 0;
	(void)!format_pack_object_name(k->name, source);
	return catalog_drop_source(vault_catalog(l->writer->vault), source);
}

/* Whether one that was condemned is not listed: the collection has deleted it since
 * sweeps were read. */
static bool is_outrun(const struct pack_listing *l)
{
	size_t i;

	for (i = 0; i < l->nknown; i++)
		if (!l->known[i].listed &&
		    (l->condemned.all ||
		     pack_list_has(&l->condemned.tombs, l->known[i].name)) &&
		    !pack_prints_has(&l->condemned.swept, l->known[i].name))
			return true;
	return false;
}

/* What a collection deleted is still named by older index objects. What a check
 * found damaged it has told, and tells again. */
static int report_missing(struct pack_listing *l)
{
	struct writer *w = l->writer;
	size_t i;
	int r = is_outrun(l) ? condemned_read_sweeps(w->vault, &l->condemned)
			     : 0;

	for (i = 0; i < l->nknown && r == 0; i++)
		if (pack_prints_has(&l->condemned.swept, l->known[i].name))
			r = packset_add(&w->swept, l->known[i].no);
		else if (!l->known[i].unnamed &&
			 !packset_has(&w->whole, l->known[i].no) &&
			 !pack_list_has(&l->condemned.quarantined,
					l->known[i].name))
			log_warn("pack/%s: %s; what it held is stored again "
				 "where the source still has it",
				 l->known[i].name,
				 l->known[i].listed ? "damaged" : "missing");
	for (i = 0; i < l->nknown && r == 0; i++)
		r = forget_told(l, &l->known[i]);
	return r;
}

/* A pack of which the database did not know when it was asked. Another process
 * that shares the database may have read its index since. */
static int take_unknown(const struct pack_listing *l,
			const struct unknown_pack *u, bool dead)
{
	const struct known_pack *k = find_known(l, u->name);
	struct writer *w = l->writer;
	struct catalog *c = vault_catalog(w->vault);
	struct pack_row row;
	int64_t no = 0;
	int r = catalog_pack_no(c, u->name, &no);

	if (r == -ENOENT || (k && k->unnamed))
		return dead && may_use(l, u->name) &&
				       !vault_is_put_only(w->vault)
			       ? writer_adopt_pack(w, u->name, u->info.size)
			       : 0;
	if (r == 0)
		r = catalog_get_pack(c, no, &row, NULL);
	if (r == 0)
		r = take_known(l, u->name, no, row.size, u->info.size);
	return r;
}

static int by_session(const void *a, const void *b)
{
	return strcmp(((const struct unknown_pack *)a)->name,
		      ((const struct unknown_pack *)b)->name);
}

/* Ask of each session once. */
static int take_unknowns(const struct pack_listing *l)
{
	size_t i, end;
	int r = 0;

	if (l->nunknown)
		qsort(l->unknown, l->nunknown, sizeof(*l->unknown), by_session);
	for (i = 0; i < l->nunknown && r == 0; i = end) {
		const char *name = l->unknown[i].name;
		int64_t newest_ns = 0;
		char sid[33];
		bool dead;

		snprintf(sid, sizeof(sid), "%.32s", name);
		for (end = i; end < l->nunknown &&
			      strncmp(l->unknown[end].name, name, 32) == 0;
		     end++)
			newest_ns =
				MAX(newest_ns, l->unknown[end].info.stored_ns);
		dead = writer_is_dead(l->writer, sid, newest_ns);
		for (; i < end && r == 0; i++)
			r = take_unknown(l, &l->unknown[i], dead);
	}
	return r;
}

static int list_packs(struct pack_listing *l)
{
	struct writer *w = l->writer;
	int r = catalog_packs(vault_catalog(w->vault), on_row, l);

	if (r == 0 && l->nknown)
		qsort(l->known, l->nknown, sizeof(*l->known), by_name);
	if (r == 0)
		r = find_unnamed(l);
	if (r == 0)
		r = vault_list(w->vault, "pack/", on_pack, l);
	if (r == 0)
		r = report_missing(l);
	return r == 0 ? take_unknowns(l) : r;
}

int writer_list(struct writer *w)
{
	struct pack_listing l = { .writer = w };
	int r = writer_settle_indexes(w);

	if (r == 0)
		r = condemned_read(w->vault, &l.condemned);
	if (r == 0)
		r = list_packs(&l);
	if (r == 0)
		r = writer_index_adopted(w);
	condemned_release(&l.condemned);
	free(l.known);
	free(l.unknown);
	return r;
}
