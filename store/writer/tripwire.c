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

struct used_pack {
	char name[PACK_NAME_MAX];
	bool there;
};

struct used_packs {
	struct used_pack *list; /* owned; sorted by name */
	size_t n, cap;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct used_pack *)a)->name,
		      ((const struct used_pack *)b)->name);
}

static int64_t next_used(struct writer *w, int64_t no)
{
	SCOPED_LOCK(&w->lock);
	return packset_next(&w->used, no);
}

static int find_used(struct writer *w, struct used_packs *u)
{
	struct pack_row row;
	int64_t no;
	int r = 0;

	for (no = next_used(w, 0); no >= 0 && r == 0;
	     no = next_used(w, no + 1)) {
		r = catalog_get_pack(vault_catalog(w->vault), no, &row, NULL);
		if (r < 0)
			break;
		if (array_reserve(&u->list, &u->cap, u->n + 1) < 0)
			return -ENOMEM;
		memcpy(u->list[u->n].name, row.name, sizeof(row.name));
		u->list[u->n++].there = false;
	}
	/* Another process found its index object gone. */
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
	int r = find_used(w, &u);

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
