/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What index objects say, and which packs none of them names.
 *
 * A collection replaces index objects by one that was put before they went. So
 * where one of those that were listed is gone, what stood in it is in one that
 * was not, and index/ is listed anew until all that was listed was also read.
 */
#include "config.h"

#include "store/check/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/names.h"
#include "store/base/array.h"
#include "store/index.h"
#include "store/point.h"
#include "store/vault.h"

/* ---- what they say ---- */

struct index_visit {
	struct check *check;
	size_t object; /* where its name begins in check.names */
};

/* Compare what an index object says of a pack with what was listed. */
static int on_index_pack(void *arg, const struct index_pack *p)
{
	struct index_visit *ic = arg;
	struct check *c = ic->check;
	struct check_pack *pack = check_find_pack(c, p->name);
	int n, r = format_check_dir(p->dir, p->dir_len, p->name);

	if (r == -EBADMSG) {
		n = check_found(c, true,
				(const char *)c->names.data + ic->object,
				"what it says about pack %s is malformed",
				p->name);
		return MIN(n, 0);
	}
	if (r == 0)
		r = check_is_undisputed(c, p);
	if (r == 0 || (r == 1 && pack && pack->size != p->size))
		r = pack_list_add(&c->disputed, p->name);
	if (r < 0)
		return r;
	if (pack && pack->size == p->size) {
		pack->indexed = true;
		return 0;
	}
	return check_add_suspect(c, p->name, p->size, ic->object);
}

static int count_index(void *arg, uint64_t len)
{
	struct index_visit *ic = arg;

	(void)len;
	ic->check->out->indexes++;
	return 0;
}

int check_read_index(struct check *c, size_t at)
{
	struct index_visit ic = { c, at };
	const struct index_visitor visitor = { .begin = count_index,
					       .pack = on_index_pack,
					       .arg = &ic };

	return index_read(c->vault, (const char *)c->names.data + at, &visitor);
}

bool check_index_superseded(struct check *c, const char *name)
{
	char other[INDEX_NAME_MAX];

	return index_name_ok(name + 6) &&
	       vault_index_superseding(c->vault, name + 6, other) == 0;
}

/* ---- those that points stand on ---- */

/* Return 1 where the index object is there, or one that supersedes it. */
static int has_index(struct check *c, const char *name)
{
	char object[OBJECT_NAME_MAX], merged[INDEX_NAME_MAX];
	int r;

	snprintf(object, sizeof(object), "index/%s", name);
	r = catalog_has_source(vault_catalog(c->vault), object);
	if (r == 0)
		r = vault_index_superseding(c->vault, name, merged) == 0;
	return r;
}

int check_make_up_for_indexes(struct check *c)
{
	const struct point_list *l = c->out->points_list;
	size_t i, k, asked;
	int r = 1;

	for (i = 0; i < l->n && r == 1; i++)
		for (k = 0; k < l->points[i]->nindex && r == 1; k++)
			r = has_index(c, l->points[i]->index[k]);
	return r == 0 ? vault_import_packs(c->vault, &asked) : MIN(r, 0);
}

struct gone_search {
	struct check *check;
	bool found;
};

static int on_row(void *arg, const struct pack_row *row)
{
	struct gone_search *s = arg;

	s->found = check_find_pack(s->check, row->name) == NULL;
	return s->found;
}

int check_make_up_for_packs(struct check *c)
{
	struct gone_search s = { .check = c };
	size_t asked;
	int r = catalog_packs(vault_catalog(c->vault), on_row, &s);

	if (r < 0 || !s.found)
		return MIN(r, 0);
	return vault_import_packs(c->vault, &asked);
}

/* ---- those that came meanwhile ---- */

/* A listing of index/, and those that were read, by name. */
struct listing {
	struct check *check;
	const char **names; /* into check.names; sorted; owned */
	size_t n;
	struct buf fresh; /* names that are new, each with its NUL */
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int on_listed(void *arg, const char *name,
		     const struct backend_info *info)
{
	struct listing *l = arg;

	(void)info;
	if (!name_is_object(name) ||
	    (l->n &&
	     bsearch(&name, l->names, l->n, sizeof(*l->names), by_name)))
		return 0;
	buf_put(&l->fresh, name, strlen(name) + 1);
	return buf_error(&l->fresh);
}

static int sort_read(struct listing *l)
{
	const struct buf *names = &l->check->names;
	size_t at, len, cap = 0;

	for (at = 0; at < names->len; at += len + 1) {
		const char *name = (const char *)names->data + at;

		len = strlen(name);
		if (strncmp(name, "index/", 6) != 0)
			continue;
		if (array_reserve(&l->names, &cap, l->n + 1) < 0)
			return -ENOMEM;
		l->names[l->n++] = name;
	}
	if (l->n)
		qsort(l->names, l->n, sizeof(*l->names), by_name);
	return 0;
}

int check_list_new_indexes(struct check *c)
{
	struct listing l = { .check = c, .fresh = BUF_INIT };
	size_t at, len;
	int r = sort_read(&l);

	if (r == 0)
		r = backend_list(c->backend, "index/", on_listed, &l);
	free(l.names);
	for (at = 0; at < l.fresh.len && r == 0; at += len + 1) {
		len = strlen((const char *)l.fresh.data + at);
		r = check_add_name(c, (const char *)l.fresh.data + at);
	}
	buf_release(&l.fresh);
	return r;
}

/* ---- packs that none names ---- */

/* It may have been listed, and be swept since. Whether it is there cannot be
 * told where the store does not say. */
static bool is_there(struct check *c, const char *name)
{
	char object[OBJECT_NAME_MAX];
	struct backend_info info;

	return format_pack_object_name(name, object) == 0 &&
	       backend_head(c->backend, object, &info) != -ENOENT;
}

int check_unindexed(struct check *c)
{
	const struct point_list *l = c->out->points_list;
	struct idset made = { 0 };
	uint64_t lost = 0;
	struct id key;
	char sid[NAME_HEX + 1] = "";
	size_t i;
	int r = 0;

	for (i = 0; i < l->n && r >= 0; i++) {
		key = check_key_of(l->points[i]->session);
		r = idset_add(&made, &key);
	}
	for (i = 0; i < c->npacks && r >= 0; i++) {
		if (c->packs[i].indexed)
			continue;
		c->out->unreferenced++;
		c->out->unreferenced_bytes += c->packs[i].size;
		memcpy(sid, c->packs[i].name, NAME_HEX);
		key = check_key_of(sid);
		if (idset_has(&made, &key) && is_there(c, c->packs[i].name))
			lost++;
	}
	idset_release(&made);
	if (r >= 0 && lost > 0)
		r = check_found(c, true, "index/",
				"no index names %" PRIu64 " packs that points"
				" need; they say themselves what is in them,"
				" and the next backup names them again",
				lost);
	return MIN(r, 0);
}
