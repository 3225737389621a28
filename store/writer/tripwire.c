/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A second look, before the commit, at the packs in which chunks were found.
 * Collections never take a pack that a session may use, so none of them can be
 * gone; but what goes wrong there, or who deletes files by hand meanwhile, must
 * not end in a point that cannot be restored.
 */
#include "config.h"

#include "store/writer/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/catalog/catalog.h"
#include "store/vault.h"

/* A copy of the list, which is of the threads that find chunks. */
struct used_packs {
	struct used_pack *list; /* owned; sorted by name */
	size_t n;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct used_pack *)a)->name,
		      ((const struct used_pack *)b)->name);
}

static int copy_used(struct writer *w, struct used_packs *u)
{
	SCOPED_LOCK(&w->lock);
	u->list = alloc_array(w->nused + 1, sizeof(*u->list));
	if (!u->list)
		return -ENOMEM;
	for (; u->n < w->nused; u->n++)
		u->list[u->n] = w->used_list[u->n];
	return 0;
}

/* Return 0, -ENOENT (the database does not know the pack any more) or another
 * negative errno. */
static int look_up(struct writer *w, struct used_pack *u)
{
	struct catalog *c = vault_catalog(w->vault);
	struct pack_row row;
	int64_t old = u->no;
	int r = catalog_get_pack(c, old, &row, NULL);

	if (r != -ENOENT)
		return r;
	r = catalog_pack_no(c, u->name, &u->no);
	if (r < 0)
		return r;
	SCOPED_LOCK(&w->lock);
	packset_remove(&w->used, old);
	return packset_add(&w->used, u->no);
}

/*
 * Another process that found an index object gone has dropped what only that one
 * knew. Where one that took its place names the pack, it has another number since.
 */
static int look_up_all(struct writer *w, struct used_packs *u)
{
	bool refreshed = false;
	size_t i;
	int r = 0;

	for (i = 0; i < u->n && r == 0; i++) {
		r = look_up(w, &u->list[i]);
		if (r == -ENOENT && !refreshed) {
			refreshed = true;
			r = vault_refresh(w->vault);
			if (r == 0)
				r = look_up(w, &u->list[i]);
		}
	}
	return r == -ENOENT ? -EAGAIN : r;
}

static int on_pack(void *arg, const char *object,
		   const struct backend_info *info)
{
	struct used_packs *u = arg;
	struct used_pack key, *found;
	const char *name = strrchr(object, '/') + 1;

	(void)info;
	memcpy(key.name, name, strlen(name) + 1);
	found = bsearch(&key, u->list, u->n, sizeof(*u->list), by_name);
	if (found)
		found->there = true;
	return 0;
}

/* Ask for so few one by one: a listing of all packs takes longer. */
#define ONE_BY_ONE 16

static int look_at(struct writer *w, struct used_packs *u)
{
	struct backend *b = vault_backend(w->vault);
	struct backend_info info;
	char name[OBJECT_NAME_MAX];
	size_t i;
	int r = 0;

	for (i = 0; i < u->n && r == 0; i++) {
		r = format_pack_object_name(u->list[i].name, name);
		if (r == 0)
			r = backend_head(b, name, &info);
		u->list[i].there = r == 0;
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

static int list_all(struct writer *w, struct used_packs *u)
{
	qsort(u->list, u->n, sizeof(*u->list), by_name);
	return vault_list_plain(w->vault, "pack/", on_pack, u);
}

int writer_check_used(struct writer *w)
{
	struct used_packs u = { .n = 0 };
	size_t i;
	int r = copy_used(w, &u);

	if (r == 0)
		r = look_up_all(w, &u);
	if (r == 0)
		r = u.n <= ONE_BY_ONE ? look_at(w, &u) : list_all(w, &u);
	for (i = 0; i < u.n && r == 0; i++)
		if (!u.list[i].there)
			r = fail(-EIO,
				 "pack/%s: was there when this backup began, "
				 "and is gone: no point is made; find out who "
				 "deletes from the vault, and run the backup "
				 "again",
				 u.list[i].name);
	if (r == -EAGAIN)
		r = fail(r, "an index object that this backup used is gone: "
			    "no point is made; run the backup again");
	free(u.list);
	return r;
}
