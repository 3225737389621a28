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
#include "store/base/bytes.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/catalog/catalog.h"
#include "store/index.h"

/* ---- names ---- */

/* What the database has under this name says which set of sources stands for
 * which listing. */
#define RECORD "listed/index"
#define RECORD_LEN 32

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

/* An index object that was listed. */
struct index_object {
	const char *name; /* borrowed */
	uint64_t size; /* 0: not known */
	bool known; /* it is imported */
	bool gone; /* another one supersedes it */
};

/* A refresh. */
struct index_refresh {
	struct vault *vault; /* borrowed */
	bool again; /* import what is imported already, too */
	bool sized; /* list sizes, too */
	struct object_names known; /* sources, from before the listing */
	struct buf listed; /* of each object: its size, its name, 0 */
	struct index_object *objects; /* owned; sorted by name */
	size_t n;
	struct name_sum bad; /* objects that could not be read */
	/* Of the listing, and of the sources as this leaves them. */
	struct index_record record;
};

static int on_source(void *arg, const char *source)
{
	struct index_refresh *x = arg;

	vault_sum_add(x->vault, &x->record.known, source);
	return names_add(&x->known, source);
}

static int on_listed(void *arg, const char *name,
		     const struct backend_info *info)
{
	struct index_refresh *x = arg;

	vault_sum_add(x->vault, &x->record.listed, name);
	buf_put_le64(&x->listed, x->sized ? info->size : 0);
	buf_put(&x->listed, name, strlen(name) + 1);
	return buf_error(&x->listed);
}

static void encode_record(const struct index_record *rec,
			  uint8_t out[RECORD_LEN])
{
	put_le64(out, rec->listed.n);
	put_le64(out + 8, rec->listed.sum);
	put_le64(out + 16, rec->known.n);
	put_le64(out + 24, rec->known.sum);
}

/*
 * Where all that is listed was imported or superseded, the next refresh need not
 * look at each name: the database keeps keyed sums of what was listed and of the
 * sources that there were. Whoever imports or drops one makes them differ.
 */
static int is_recorded(struct index_refresh *x)
{
	AUTO_BUF struct buf kept = BUF_INIT;
	uint8_t mine[RECORD_LEN];
	int r = catalog_get_object(x->vault->catalog, RECORD, &kept);

	encode_record(&x->record, mine);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? r
		     : kept.len == sizeof(mine) &&
			       memcmp(kept.data, mine, sizeof(mine)) == 0;
}

static int put_record(struct vault *v, const struct index_record *rec)
{
	uint8_t data[RECORD_LEN];

	pthread_mutex_lock(&v->lock);
	v->index_record = *rec;
	pthread_mutex_unlock(&v->lock);
	encode_record(rec, data);
	return catalog_put_object(v->catalog, RECORD, data, sizeof(data));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct index_object *)a)->name,
		      ((const struct index_object *)b)->name);
}

static struct index_object *find_listed(const struct index_refresh *x,
					const char *name)
{
	const struct index_object key = { .name = name };

	return x->n ? bsearch(&key, x->objects, x->n, sizeof(key), by_name)
		    : NULL;
}

static int sort_listed(struct index_refresh *x)
{
	size_t at = 0;

	x->objects = alloc_array(x->record.listed.n + 1, sizeof(*x->objects));
	if (!x->objects)
		return -ENOMEM;
	while (at < x->listed.len) {
		struct index_object *o = &x->objects[x->n++];

		o->size = get_le64(x->listed.data + at);
		o->name = (const char *)x->listed.data + at + 8;
		o->known = names_has(&x->known, o->name);
		at += 8 + strlen(o->name) + 1;
	}
	if (x->n)
		qsort(x->objects, x->n, sizeof(*x->objects), by_name);
	return 0;
}

/* So many objects that are new are worth a second listing, which tells how long
 * they are: else few are fetched at once, for each might be long. */
#define NEW_UNSIZED 4

static int on_sized(void *arg, const char *name,
		    const struct backend_info *info)
{
	struct index_object *o = find_listed(arg, name);

	if (o)
		o->size = info->size;
	return 0;
}

static int size_new(struct index_refresh *x)
{
	size_t i, n = 0;

	for (i = 0; i < x->n; i++)
		n += !x->objects[i].known;
	return x->sized || n <= NEW_UNSIZED
		       ? 0
		       : vault_list(x->vault, "index/", on_sized, x);
}

/* ---- what supersedes what ---- */

/* Call @fn for each that an imported source supersedes, until it returns other
 * than 0. Return that, 0 or a negative errno. */
static int each_superseded(struct vault *v, const char *source,
			   int (*fn)(void *arg, const char *object), void *arg)
{
	AUTO_BUF struct buf lines = BUF_INIT;
	char note[INDEX_NOTE_MAX], name[OBJECT_NAME_MAX] = "index/";
	size_t at = 0;
	int r;

	index_note_name(source, note);
	r = catalog_get_object(v->catalog, note, &lines);
	while (r == 0 && at < lines.len) {
		const char *line = (const char *)lines.data + at;
		const char *end = memchr(line, '\n', lines.len - at);
		size_t len = end ? (size_t)(end - line) : INDEX_NAME_MAX;

		if (len >= INDEX_NAME_MAX)
			break;
		memcpy(name + 6, line, len);
		name[6 + len] = '\0';
		at += len + 1;
		if (strcmp(name, source) != 0)
			r = fn(arg, name);
	}
	return r == -ENOENT ? 0 : r;
}

static int mark_gone(void *arg, const char *object)
{
	struct index_object *o = find_listed(arg, object);

	if (o)
		o->gone = true;
	return 0;
}

static int drop_source(struct index_refresh *x, const char *source)
{
	char note[INDEX_NOTE_MAX];
	int r = catalog_drop_source(x->vault->catalog, source);

	vault_sum_remove(x->vault, &x->record.known, source);
	index_note_name(source, note);
	return r == 0 && is_merged(source)
		       ? catalog_drop_object(x->vault->catalog, note)
		       : r;
}

static bool begins_with(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* Index objects that are gone take what only they knew with them. Those that
 * are known were imported before the objects were listed: what another process
 * imports meanwhile is not gone. What somebody began to drop goes wholly. */
static int drop_gone(struct index_refresh *x)
{
	/* With the folder no object is taken for removed. */
	bool lacks = vault_lacks_folder(x->vault, "index");
	size_t i;
	int r = 0;

	for (i = 0; i < x->known.n && r == 0; i++) {
		const char *name = x->known.list[i];

		if (begins_with(name, CATALOG_HALF))
			name += strlen(CATALOG_HALF);
		if (begins_with(name, CATALOG_GONE) ||
		    (!lacks && begins_with(name, "index/") &&
		     !find_listed(x, name)))
			r = drop_source(x, x->known.list[i]);
	}
	return r;
}

static int drop_superseded(struct index_refresh *x)
{
	size_t i;
	int r = 0;

	for (i = 0; i < x->n && r == 0; i++)
		if (x->objects[i].gone && x->objects[i].known)
			r = drop_source(x, x->objects[i].name);
	return r;
}

/* What packs said themselves is not needed where index objects name them: when
 * those go, so does what is known of the packs. */
static int drop_told(struct index_refresh *x)
{
	size_t i;
	int r = 0;

	for (i = 0; i < x->known.n && r == 0; i++) {
		const char *name = x->known.list[i];

		if (begins_with(name, "pack/"))
			r = pack_told_is_named(x->vault, name);
		if (r == 1)
			r = drop_source(x, name);
	}
	return r;
}

/* ---- importing ---- */

/* An index object that is damaged (a flipped bit can make its version a later
 * one, too) or lies on a bad sector stops nobody. */
static bool is_passed_over(int r)
{
	return backend_error_is_of_object(r) || r == -ENOENT ||
	       r == -EOPNOTSUPP;
}

/* Note what became of one. */
static int conclude(struct index_refresh *x, struct index_object *o, int err)
{
	if (err < 0) {
		if (!is_passed_over(err))
			return err;
		vault_sum_add(x->vault, &x->bad, o->name);
		if (err != -ENOENT)
			(void)vault_is_news(x->vault, o->name);
		return 0;
	}
	if (!o->known)
		vault_sum_add(x->vault, &x->record.known, o->name);
	o->known = true;
	return is_merged(o->name)
		       ? each_superseded(x->vault, o->name, mark_gone, x)
		       : 0;
}

/* Import those that are missing, merged ones or the others. */
static int import_kind(struct index_refresh *x, bool merged)
{
	AUTO_FREE struct index_item *items =
		alloc_array(x->n + 1, sizeof(*items));
	size_t i, n = 0;
	int r = 0;

	if (!items)
		return -ENOMEM;
	for (i = 0; i < x->n; i++) {
		struct index_object *o = &x->objects[i];

		if (is_merged(o->name) == merged && !o->gone &&
		    (!o->known || x->again)) {
			items[n].name = o->name;
			items[n++].size = o->size;
		}
	}
	if (n)
		r = index_import(x->vault, items, n, x->again);
	for (i = 0; i < n && r == 0; i++)
		r = conclude(x, find_listed(x, items[i].name), items[i].error);
	return r;
}

/* ---- refreshing ---- */

/* The packs of @bad index objects have directories of their own. They are
 * looked at once, not at each refresh. */
static int make_up_for(struct vault *v, const struct name_sum *bad)
{
	uint64_t before = atomic_exchange(&v->refresh_bad, bad->sum);
	size_t asked;

	if (bad->n == 0 || bad->sum == before)
		return 0;
	log_warn("%llu index object%s could not be read: packs are asked "
		 "themselves what is in them",
		 (unsigned long long)bad->n, bad->n > 1 ? "s" : "");
	return vault_import_packs(v, &asked);
}

/*
 * Merged ones first: what they supersede need not be read, nor kept. So two
 * round trips after the listing are what it takes, where a store answers many at
 * once. What took the place of objects that are gone is imported before these are
 * dropped, too: packs that both name keep their numbers, by which other processes
 * that write on the same database know them.
 */
static int import_new(struct index_refresh *x)
{
	size_t i;
	int r = sort_listed(x);

	if (r == 0)
		r = size_new(x);
	/* What is read again says itself what it supersedes. */
	for (i = 0; i < x->n && r == 0 && !x->again; i++)
		if (x->objects[i].known && is_merged(x->objects[i].name))
			r = each_superseded(x->vault, x->objects[i].name,
					    mark_gone, x);
	if (r == 0)
		r = import_kind(x, true);
	if (r == 0)
		r = drop_gone(x);
	if (r == 0)
		r = import_kind(x, false);
	if (r == 0)
		r = drop_superseded(x);
	if (r == 0 && x->bad.n == 0)
		r = drop_told(x);
	if (r == 0)
		r = make_up_for(x->vault, &x->bad);
	return r == 0 && x->bad.n == 0 ? put_record(x->vault, &x->record) : r;
}

/* Import what is new, or all of it @again. */
static int read_index(struct vault *v, bool again)
{
	struct index_refresh x = { .vault = v, .again = again };
	uint64_t lists = atomic_load(&v->lists);
	int recorded = 0;
	int r = catalog_sources(v->catalog, on_source, &x);

	/* Where all are new it pays to know how long they are. */
	x.sized = again || x.known.n == 0;
	if (r == 0)
		r = x.sized ? vault_list(v, "index/", on_listed, &x)
			    : vault_list_plain(v, "index/", on_listed, &x);
	if (r == 0)
		r = vault_still_stands(v);
	if (r == 0 && !again)
		recorded = is_recorded(&x);
	if (r == 0)
		r = MIN(recorded, 0);
	if (r == 0 && !recorded)
		r = import_new(&x);
	else if (r == 0) {
		pthread_mutex_lock(&v->lock);
		v->index_record = x.record;
		pthread_mutex_unlock(&v->lock);
		r = make_up_for(v, &x.bad);
	}
	names_release(&x.known);
	buf_release(&x.listed);
	free(x.objects);
	if (r == 0) {
		atomic_store(&v->index_read, true);
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

int vault_import_index(struct vault *v, const char *name)
{
	struct index_item item = { .name = name };
	struct index_record rec;
	int r = catalog_has_source(v->catalog, name);

	if (r != 0)
		return MIN(r, 0);
	r = index_import(v, &item, 1, false);
	if (r == 0)
		r = item.error;
	if (r < 0)
		return r;
	pthread_mutex_lock(&v->lock);
	vault_sum_add(v, &v->index_record.listed, name);
	vault_sum_add(v, &v->index_record.known, name);
	rec = v->index_record;
	pthread_mutex_unlock(&v->lock);
	/* Where others have changed something since, it is no record. */
	return put_record(v, &rec);
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

struct superseded_search {
	const char *object;
	bool found;
};

static int is_searched(void *arg, const char *object)
{
	struct superseded_search *s = arg;

	s->found = strcmp(object, s->object) == 0;
	return s->found;
}

static int add_name(void *arg, const char *source)
{
	return is_merged(source) ? names_add(arg, source) : 0;
}

int vault_index_superseding(struct vault *v, const char *name,
			    char out[INDEX_NAME_MAX])
{
	struct object_names merged = { 0 };
	char object[OBJECT_NAME_MAX];
	struct superseded_search s = { .object = object };
	size_t i;
	int r = catalog_sources(v->catalog, add_name, &merged);

	snprintf(object, sizeof(object), "index/%s", name);
	for (i = 0; i < merged.n && r == 0; i++)
		r = each_superseded(v, merged.list[i], is_searched, &s);
	if (r == 1)
		snprintf(out, INDEX_NAME_MAX, "%s", merged.list[i - 1] + 6);
	names_release(&merged);
	return r < 0 ? r : s.found ? 0 : -ENOENT;
}
