/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bringing the local database up to the vault's index.
 *
 * The database is a copy that can be made again at any time. Index objects
 * never change, so those that were imported need not be read again: the names
 * say what is new, and what is gone. Where one cannot be read, packs are asked
 * themselves what is in them.
 *
 * The copy is on a disk that may fail. Where a read finds that it says what the
 * vault does not, all of the index is read again: that costs time, and no more.
 */
#include "config.h"

#include "store/vault_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/catalog/catalog.h"
#include "store/index.h"
#include "store/pack_read.h"

/* The packs of one index object, on their way into the database. */
struct index_import {
	struct vault *vault; /* borrowed */
	struct catalog_pack *packs; /* owned */
	size_t n, cap;
	/* the index objects that it supersedes, a line each */
	struct buf superseded;
};

static int import_pack(void *arg, const struct index_pack *p)
{
	struct index_import *im = arg;
	struct pack_dir dir;
	struct catalog_pack *c;
	int r;

	if (array_reserve(&im->packs, &im->cap, im->n + 1) < 0)
		return -ENOMEM;
	/* Only to see that it is one: decoded, it is longer than it is. */
	r = format_get_dir(p->dir, p->dir_len, p->name, false, &dir);
	if (r < 0)
		return r;
	format_release_dir(&dir);
	c = &im->packs[im->n++];
	memset(c, 0, sizeof(*c));
	memcpy(c->row.name, p->name, sizeof(c->row.name));
	memcpy(c->row.salt, p->salt, CRYPT_SALT_LEN);
	c->row.size = p->size;
	c->row.kind = p->kind;
	c->dir = p->dir;
	c->dir_len = p->dir_len;
	return pack_row_seal(im->vault, &c->row, c->dir, c->dir_len);
}

static int import_superseded(void *arg, const char *name)
{
	struct index_import *im = arg;

	buf_printf(&im->superseded, "%s\n", name);
	return buf_error(&im->superseded);
}

/* What a source supersedes is kept under this name. */
static void note_name(char out[OBJECT_NAME_MAX + 16], const char *source)
{
	snprintf(out, OBJECT_NAME_MAX + 16, "superseded/%s", source);
}

static int import_all(struct vault *v, const char *source,
		      struct index_import *im, bool again)
{
	char note[OBJECT_NAME_MAX + 16];
	int r = 0;

	note_name(note, source);
	/* Before the source: whoever finds it finds this. */
	if (im->superseded.len)
		r = catalog_put_object(v->catalog, note, im->superseded.data,
				       im->superseded.len);
	if (r < 0)
		return r;
	return again ? catalog_import_again(v->catalog, source, im->packs,
					    im->n)
		     : catalog_import(v->catalog, source, im->packs, im->n);
}

static void import_release(struct index_import *im)
{
	free(im->packs);
	buf_release(&im->superseded);
}

static int import_object(struct vault *v, const char *name, bool again)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	struct index_import im = { .vault = v };
	uint8_t *raw = NULL;
	size_t len = 0;
	int r = vault_get_all(v, name, FORMAT_BOX_MAX, &raw, &len);

	if (r == 0)
		r = format_read_box(v->keyring, raw, len, OBJECT_INDEX, name,
				    &plain);
	free(raw);
	if (r == 0)
		r = index_decode(plain.data, plain.len, name, import_pack,
				 import_superseded, &im);
	if (r == 0)
		r = import_all(v, name, &im, again);
	import_release(&im);
	return r;
}

struct object_names {
	char **list;
	size_t n, cap;
};

static int names_add(struct object_names *names, const char *name)
{
	if (array_reserve(&names->list, &names->cap, names->n + 1) < 0)
		return -ENOMEM;
	names->list[names->n] = strdup(name);
	return names->list[names->n++] ? 0 : -ENOMEM;
}

static void names_release(struct object_names *names)
{
	while (names->n > 0)
		free(names->list[--names->n]);
	free(names->list);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool names_has(const struct object_names *names, const char *name)
{
	return names->n && bsearch(&name, names->list, names->n,
				   sizeof(*names->list), by_text);
}

static bool is_merged(const char *name)
{
	size_t len = strlen(name);

	return len > 2 && strcmp(name + len - 2, ".m") == 0;
}

static int on_listed(void *arg, const char *name,
		     const struct backend_info *info)
{
	(void)info;
	return names_add(arg, name);
}

static int on_source(void *arg, const char *source)
{
	return names_add(arg, source);
}

static int drop_source(struct vault *v, const char *source)
{
	char note[OBJECT_NAME_MAX + 16];
	int r = catalog_drop_source(v->catalog, source);

	note_name(note, source);
	return r == 0 && is_merged(source)
		       ? catalog_drop_object(v->catalog, note)
		       : r;
}

/* Index objects that are gone take what only they knew with them. Those of
 * @known were imported before the objects were listed: what another process
 * imports meanwhile is not gone. */
static int drop_gone(struct vault *v, const struct object_names *known,
		     const struct object_names *listed)
{
	size_t i;
	int r = 0;

	for (i = 0; i < known->n && r == 0; i++) {
		const char *name = known->list[i];

		if (strncmp(name, CATALOG_HALF, strlen(CATALOG_HALF)) == 0)
			name += strlen(CATALOG_HALF);
		if (strncmp(name, "index/", 6) == 0 && !names_has(listed, name))
			r = drop_source(v, known->list[i]);
	}
	return r;
}

/* Add what an imported source supersedes, as objects' names. */
static int add_superseded(struct vault *v, const char *source,
			  struct object_names *out)
{
	AUTO_BUF struct buf lines = BUF_INIT;
	char note[OBJECT_NAME_MAX + 16], name[OBJECT_NAME_MAX];
	size_t at = 0;
	int r;

	note_name(note, source);
	r = catalog_get_object(v->catalog, note, &lines);
	while (r == 0 && at < lines.len) {
		const char *line = (const char *)lines.data + at;
		const char *end = memchr(line, '\n', lines.len - at);

		if (!end || end - line >= INDEX_NAME_MAX)
			break;
		snprintf(name, sizeof(name), "index/%.*s", (int)(end - line),
			 line);
		at += (size_t)(end - line) + 1;
		if (strcmp(name, source) != 0)
			r = names_add(out, name);
	}
	if (r == 0 && out->n)
		qsort(out->list, out->n, sizeof(*out->list), by_text);
	return r == -ENOENT ? 0 : r;
}

/* An index object that is damaged (a flipped bit can make its version a later
 * one, too) or lies on a bad sector stops nobody. */
static int import_listed(struct vault *v, const char *name,
			 const struct object_names *known, bool again,
			 uint64_t *bad)
{
	int r = 0;

	if (!again)
		r = names_has(known, name)
			    ? 1
			    : catalog_has_source(v->catalog, name);
	if (r == 0)
		r = import_object(v, name, again);
	if (backend_error_is_of_object(r) || r == -ENOENT || r == -EOPNOTSUPP) {
		++*bad;
		r = 0;
	}
	return r > 0 ? 0 : r;
}

/*
 * Merged ones first: what they supersede need not be read, nor kept. Those that
 * are imported already say which of the others are superseded themselves.
 */
static int import_merged(struct vault *v, const struct object_names *listed,
			 const struct object_names *known, bool again,
			 struct object_names *superseded, uint64_t *bad)
{
	size_t i, pass;
	int r = 0;

	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < listed->n && r == 0; i++) {
			const char *name = listed->list[i];

			if (!is_merged(name) || names_has(superseded, name))
				continue;
			if (pass == 1)
				r = import_listed(v, name, known, again, bad);
			/* Nothing is noted of one that is not imported. */
			if (r == 0)
				r = add_superseded(v, name, superseded);
		}
	return r;
}

static int import_others(struct vault *v, const struct object_names *listed,
			 const struct object_names *known, bool again,
			 const struct object_names *superseded, uint64_t *bad)
{
	size_t i;
	int r = 0;

	for (i = 0; i < listed->n && r == 0; i++) {
		const char *name = listed->list[i];

		if (!names_has(superseded, name)) {
			r = import_listed(v, name, known, again, bad);
			continue;
		}
		if (names_has(known, name))
			r = drop_source(v, name);
	}
	return r;
}

/* The packs of @bad index objects have directories of their own. They are
 * looked at once, not at each refresh. */
static int make_up_for(struct vault *v, uint64_t bad)
{
	uint64_t before = atomic_exchange(&v->refresh_bad, bad);
	size_t asked;

	if (bad == 0 || bad == before)
		return 0;
	log_warn("%llu index object%s could not be read: packs are asked "
		 "themselves what is in them",
		 (unsigned long long)bad, bad > 1 ? "s" : "");
	return vault_import_packs(v, &asked);
}

/* Import what is new, or all of it @again. */
static int read_index(struct vault *v, bool again)
{
	struct object_names known = { 0 }, listed = { 0 }, superseded = { 0 };
	uint64_t lists = atomic_load(&v->lists);
	uint64_t bad = 0;
	int r;

	r = catalog_sources(v->catalog, on_source, &known);
	if (r == 0)
		r = vault_list_plain(v, "index/", on_listed, &listed);
	if (r == 0 && listed.n)
		qsort(listed.list, listed.n, sizeof(*listed.list), by_text);
	if (r == 0)
		r = drop_gone(v, &known, &listed);
	if (r == 0)
		r = import_merged(v, &listed, &known, again, &superseded, &bad);
	if (r == 0)
		r = import_others(v, &listed, &known, again, &superseded, &bad);
	names_release(&known);
	names_release(&listed);
	names_release(&superseded);
	if (r == 0)
		r = make_up_for(v, bad);
	if (r == 0) {
		atomic_store(&v->refresh_lists, lists);
		atomic_store(&v->refresh_ns,
			     v->seam->ops->monotonic_ns(v->seam));
	}
	return r;
}

int vault_refresh(struct vault *v)
{
	return read_index(v, false);
}

/* ---- making it say what the vault does ---- */

/* A database that is wrong again so soon is on a disk that keeps nothing. */
#define MEND_NS INT64_C(60000000000)

/* With the lock held. Return 1 (this thread is to mend), 0 (others have) or
 * -ENOTRECOVERABLE. */
static int mend_begin(struct vault *v, uint64_t mends)
{
	int64_t now = v->seam->ops->monotonic_ns(v->seam);

	while (v->mending)
		pthread_cond_wait(&v->mended, &v->lock);
	if (atomic_load(&v->mends) != mends)
		return 0;
	if (v->mend_ns && now - v->mend_ns < MEND_NS)
		return -ENOTRECOVERABLE;
	v->mending = true;
	return 1;
}

static void mend_end(struct vault *v)
{
	SCOPED_LOCK(&v->lock);
	v->mending = false;
	v->mend_ns = v->seam->ops->monotonic_ns(v->seam);
	atomic_fetch_add(&v->mends, 1);
	pthread_cond_broadcast(&v->mended);
}

int vault_mend(struct vault *v, uint64_t mends, bool doubted)
{
	const char *dir = catalog_dir(v->catalog);
	size_t asked;
	int r;

	pthread_mutex_lock(&v->lock);
	r = mend_begin(v, mends);
	pthread_mutex_unlock(&v->lock);
	if (r < 0)
		return fail(
			r,
			"local database in %s: it says again what the vault "
			"does not: choose another cache directory",
			dir ? dir : "memory");
	if (r == 0)
		return 0;
	if (doubted)
		log_warn(
			"local database in %s: it says what the vault does not "
			"(is its disk sound?): it is made again from the "
			"index",
			dir ? dir : "memory");
	r = read_index(v, true);
	/* An index object that is gone is missed by nobody: what it named is
	 * found by asking the packs. */
	if (r == 0 && !doubted)
		r = vault_import_packs(v, &asked);
	mend_end(v);
	return r;
}

int vault_index_superseding(struct vault *v, const char *name,
			    char out[INDEX_NAME_MAX])
{
	struct object_names known = { 0 };
	char object[OBJECT_NAME_MAX];
	bool found = false;
	size_t i;
	int r = catalog_sources(v->catalog, on_source, &known);

	snprintf(object, sizeof(object), "index/%s", name);
	for (i = 0; i < known.n && r == 0 && !found; i++) {
		struct object_names gone = { 0 };

		if (!is_merged(known.list[i]))
			continue;
		r = add_superseded(v, known.list[i], &gone);
		found = r == 0 && names_has(&gone, object);
		if (found)
			snprintf(out, INDEX_NAME_MAX, "%s", known.list[i] + 6);
		names_release(&gone);
	}
	names_release(&known);
	return r < 0 ? r : found ? 0 : -ENOENT;
}
