/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What lies in the vault: names, sealed objects, commits, packs in indexes.
 *
 * The vault is listed once, and what was listed is then opened. Meanwhile it
 * may change: backups add to it, and a collector removes from it. So an object
 * that is gone when it is opened is not damage; it is only when something that
 * remains refers to it.
 */
#include "config.h"

#include "store/check/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/catalog/catalog.h"
#include "store/index.h"
#include "store/key.h"
#include "store/point.h"

/* Kinds of objects, by the folder of their names. */
static const struct kind {
	const char *prefix;
	uint8_t type; /* of a box to open; 0: not looked into here */
} kinds[] = {
	{ "config", 0 }, /* opened with the vault */
	{ "key/", 0 }, /* needs its own password; its form is checked */
	{ "pack/", 0 }, /* read when asked for */
	{ "session/", OBJECT_SESSION },
	{ "index/", OBJECT_INDEX },
	{ "commit/", OBJECT_COMMIT },
	{ "point/", OBJECT_POINT },
	{ "purge/", OBJECT_PURGE },
	{ "tomb/", OBJECT_TOMB },
	{ "sweep/", OBJECT_SWEEP },
	{ "note/", OBJECT_NOTE },
	{ "machine/", OBJECT_MACHINE },
	/* Of these the names say all that programs act upon. */
	{ "quarantine/", 0 },
	{ "feature/", 0 },
	{ "heartbeat/", 0 },
	{ "digest/", 0 },
	{ "forget/", 0 },
};

static const struct kind *kind_of(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t len = strlen(kinds[i].prefix);

		if (!strncmp(name, kinds[i].prefix, len) &&
		    (kinds[i].prefix[len - 1] == '/' || !name[len]))
			return &kinds[i];
	}
	return NULL;
}

/* ---- packs ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct check_pack *)a)->name,
		      ((const struct check_pack *)b)->name);
}

struct check_pack *check_find_pack(struct check *c, const char *name)
{
	struct check_pack key;

	if (strlen(name) >= sizeof(key.name) || c->npacks == 0)
		return NULL;
	memset(&key, 0, sizeof(key));
	memcpy(key.name, name, strlen(name));
	return bsearch(&key, c->packs, c->npacks, sizeof(key), by_name);
}

static int add_pack(struct check *c, const char *object, uint64_t size)
{
	const char *name = strrchr(object, '/') + 1;
	struct check_pack *p;

	if (array_reserve(&c->packs, &c->packs_cap, c->npacks + 1) < 0)
		return -ENOMEM;
	p = &c->packs[c->npacks++];
	memset(p, 0, sizeof(*p));
	memcpy(p->name, name, strlen(name));
	p->size = size;
	p->listed = true;
	return 0;
}

static int report_stray(struct check *c, const char *name)
{
	int n = check_found(c, false, name, "not an object of a vault");

	return n < 0 ? n : 0;
}

static int on_pack(void *arg, const char *name, const struct backend_info *info)
{
	return name_is_object(name) ? add_pack(arg, name, info->size)
				    : report_stray(arg, name);
}

static void sort_packs(struct check *c)
{
	if (c->npacks)
		qsort(c->packs, c->npacks, sizeof(*c->packs), by_name);
}

int check_list_packs(struct check *c)
{
	int r = backend_list(c->backend, "pack/", on_pack, c);

	sort_packs(c);
	return r;
}

/* ---- the listing ---- */

struct object_listing {
	struct check *check;
	char (*names)[BACKEND_NAME_MAX + 1]; /* to open; owned */
	size_t n, cap;
};

static int on_object(void *arg, const char *name,
		     const struct backend_info *info)
{
	const struct kind *k = kind_of(name);
	struct object_listing *l = arg;

	if (!k || !name_is_object(name))
		return report_stray(l->check, name);
	l->check->out->objects++;
	if (!strcmp(k->prefix, "pack/"))
		return add_pack(l->check, name, info->size);
	if (!k->type && strcmp(k->prefix, "key/") != 0)
		return 0;
	if (array_reserve(&l->names, &l->cap, l->n + 1) < 0)
		return -ENOMEM;
	snprintf(l->names[l->n++], sizeof(l->names[0]), "%s", name);
	return 0;
}

/* ---- indexes ---- */

struct index_visit {
	struct check *check;
	const char *object;
};

/* All chunks of a pack's directory are lost with finding @n. */
static int lose_all(struct check *c, int n, const struct pack_dir *dir)
{
	size_t i;
	int r = 0;

	for (i = 0; i < dir->nchunks && r == 0; i++)
		r = check_lost(c, n, &dir->chunks[i].id);
	return r;
}

/* An index says what a pack holds, so of a pack that is gone or cut it can
 * still tell which chunks are lost with it. */
static int on_index_pack(void *arg, const struct index_pack *p)
{
	struct index_visit *ic = arg;
	struct check *c = ic->check;
	struct check_pack *pack = check_find_pack(c, p->name);
	struct pack_dir dir = { .frames = NULL };
	char object[OBJECT_NAME_MAX];
	int n, r;

	r = format_get_dir(p->dir, p->dir_len, p->name, false, &dir);
	if (r == -EBADMSG) {
		n = check_found(c, true, ic->object,
				"what it says about pack"
				" %s is malformed",
				p->name);
		return n < 0 ? n : 0;
	}
	if (r < 0)
		return r;
	if (pack && pack->size == p->size) {
		pack->indexed = true;
		goto out;
	}
	/* index_decode() has checked the name. */
	if (format_pack_object_name(p->name, object) < 0)
		goto out;
	if (pack) {
		pack->indexed = true;
		pack->bad = true;
		n = check_found(c, true, object,
				"%llu bytes long, but %llu by"
				" %s",
				(unsigned long long)pack->size,
				(unsigned long long)p->size, ic->object);
	} else {
		n = check_found(c, true, object, "missing, but %s names it",
				ic->object);
	}
	r = lose_all(c, n, &dir);
out:
	format_release_dir(&dir);
	return r;
}

/* ---- sealed objects ---- */

/* A slot's own password is not known here. That its clear text makes sense is
 * all that can be told without. */
static int check_slot(struct check *c, const char *name, const uint8_t *raw,
		      size_t len)
{
	struct key_info info = { .label = NULL };
	int r = -EBADMSG, n;
	uint64_t cost;

	if (strlen(name) == 4 + 32)
		r = key_describe(raw, len, name + 4, &info, &cost);
	free(info.label);
	if (r == -EBADMSG || r == -EOPNOTSUPP) {
		n = check_found(c, true, name, "a damaged key slot");
		return n < 0 ? n : 0;
	}
	return r;
}

static int check_object(struct check *c, const char *name)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	const struct kind *k = kind_of(name);
	struct index_visit ic = { c, name };
	uint8_t *raw = NULL;
	size_t len = 0;
	int r, n;

	r = vault_get_all(c->vault, name,
			  FORMAT_BOX_MAX + FORMAT_CLEAR_MAX + FORMAT_BOX_LEN +
				  CRYPT_TAG_LEN,
			  &raw, &len);
	if (r == -ENOENT)
		return 0; /* went away meanwhile: sessions and keys may */
	if (r == 0 && !k->type) {
		r = check_slot(c, name, raw, len);
		goto out;
	}
	if (r == 0)
		r = format_read_box(vault_keyring(c->vault), raw, len, k->type,
				    name, &plain);
	if (r == 0)
		r = check_record(k->type, plain.data, plain.len, name);
	if (r == 0 && k->type == OBJECT_INDEX) {
		c->out->indexes++;
		r = index_decode(plain.data, plain.len, name, on_index_pack,
				 NULL, &ic);
	}
	if (r == -EBADMSG || r == -EOPNOTSUPP || r == -EIO) {
		n = check_found(c, true, name, "%s%s",
				r == -EIO ? "cannot be read" : "damaged",
				check_what_is_lost(k->type));
		r = n < 0 ? n : 0;
	}
out:
	free(raw);
	return r;
}

/* ---- points ---- */

static int check_points(struct check *c)
{
	struct point_list *l;
	char object[OBJECT_NAME_MAX];
	struct backend_info info;
	size_t i;
	int r, n;

	r = vault_points(c->vault, &l);
	if (r < 0)
		return r;
	c->out->points_list = l;
	c->out->points = l->n;
	for (i = 0; i < l->ndamaged; i++) {
		/* The id is the point's, or, where that is not known, its
		 * commit's. */
		snprintf(object, sizeof(object), "commit/%s", l->damaged[i]);
		if (backend_head(c->backend, object, &info) < 0)
			snprintf(object, sizeof(object), "point/%s",
				 l->damaged[i]);
		n = check_found(c, true, object,
				"a point is lost: what was"
				" committed is missing or damaged");
		if (n < 0)
			return n;
	}
	return 0;
}

/* Damaged points count: they were committed, whatever became of them. */
static bool in_list(const struct point_list *l, const char *id)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (!strcmp(l->points[i]->id, id))
			return true;
	for (i = 0; i < l->ndamaged; i++)
		if (!strcmp(l->damaged[i], id))
			return true;
	return false;
}

/* Points that were stored, but not committed. */
static int report_uncommitted(struct check *c, const struct object_listing *l)
{
	size_t i;
	int n;

	for (i = 0; i < l->n; i++) {
		if (strncmp(l->names[i], "point/", 6) != 0 ||
		    in_list(c->out->points_list, l->names[i] + 6))
			continue;
		c->out->uncommitted++;
		n = check_found(c, false, l->names[i],
				"no commit names it: its"
				" backup died just before the end, or is at"
				" work, or the commit is gone");
		if (n < 0)
			return n;
	}
	return 0;
}

/* ---- packs that are there ---- */

/* Trees name chunks, and the database says by number in which packs they are. A
 * bit for each number tells of millions of chunks whether the pack is there. */
static int mark_good(void *arg, const struct pack_row *row)
{
	struct check *c = arg;
	struct check_pack *p = check_find_pack(c, row->name);
	size_t len = c->good_len;

	if (!p || p->bad || p->size != row->size || row->no < 0)
		return 0;
	if (array_reserve(&c->good, &c->good_len, (size_t)row->no / 8 + 1) < 0)
		return -ENOMEM;
	memset(c->good + len, 0, c->good_len - len);
	c->good[row->no / 8] |= (uint8_t)(1 << (row->no % 8));
	return 0;
}

bool check_pack_good(const struct check *c, int64_t no)
{
	return no >= 0 && (uint64_t)no / 8 < c->good_len &&
	       (c->good[no / 8] >> (no % 8) & 1);
}

static int report_unreferenced(struct check *c)
{
	char object[OBJECT_NAME_MAX];
	size_t i;
	int n;

	for (i = 0; i < c->npacks; i++) {
		if (c->packs[i].indexed)
			continue;
		c->out->unreferenced++;
		c->out->unreferenced_bytes += c->packs[i].size;
		if (format_pack_object_name(c->packs[i].name, object) < 0)
			continue;
		n = check_found(c, false, object,
				"no index names it: a"
				" session died or is at work; the next backup"
				" adopts it");
		if (n < 0)
			return n;
	}
	return 0;
}

int check_objects(struct check *c)
{
	struct object_listing l = { .check = c };
	size_t i;
	int r;

	c->progress.phase = "objects";
	r = backend_list(c->backend, "", on_object, &l);
	sort_packs(c);
	c->progress.items_total = l.n;
	for (i = 0; i < l.n && r == 0; i++) {
		r = check_object(c, l.names[i]);
		c->progress.items_done++;
		if (r == 0)
			r = check_tick(c);
	}
	if (r == 0)
		r = catalog_packs(vault_catalog(c->vault), mark_good, c);
	if (r == 0)
		r = check_points(c);
	if (r == 0)
		r = report_uncommitted(c, &l);
	free(l.names);
	if (r == 0)
		r = report_unreferenced(c);
	return r;
}
