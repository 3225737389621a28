/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A refresh is a merge of two sorted lists of names, and reads what only the
 * new one has. It reads in slices: first all of a slice from the local
 * database, then what that lacks from the vault, by many threads, for a store
 * far away answers each after a while, but many at once; and what came is put
 * into the database in one transaction.
 *
 * A damaged object must not hide the others, so its error is kept in its place,
 * and it is tried again the next time. An error of the way there ends the
 * refresh: a list that is short of points because a network was away for a
 * moment would make a mirror delete them.
 */
#include "config.h"

#include "store/kept.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/log.h"
#include "store/base/pool.h"
#include "store/catalog/catalog.h"
#include "store/crypt/crypt.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/vault_internal.h"

#define SLICE 512
#define FETCHERS 16
#define ALONE 4 /* so few are not worth the threads */

void kept_release(const struct kept_kind *kind, struct kept_set *s)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		if (s->items[i].value)
			kind->release(s->items[i].value);
		free(s->items[i].name);
	}
	free(s->items);
	memset(s, 0, sizeof(*s));
}

int kept_want(struct kept_wish *l, const char *name, const uint8_t *sha256)
{
	struct kept_wanted *w;

	if (array_reserve(&l->items, &l->cap, l->n + 1) < 0)
		return -ENOMEM;
	w = &l->items[l->n++];
	snprintf(w->name, sizeof(w->name), "%s", name);
	w->sha256 = sha256;
	return 0;
}

static int on_object(void *arg, const char *name,
		     const struct backend_info *info)
{
	(void)info;
	return kept_want(arg, name, NULL);
}

int kept_list(struct vault *v, const struct kept_kind *kind,
	      struct kept_wish *out)
{
	return vault_list(v, kind->prefix, on_object, out);
}

size_t kept_find(const struct kept_set *s, const char *name)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(s->items[mid].name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* ---- reading ---- */

static int read_vault(struct vault *v, const struct kept_kind *kind,
		      const char *name, const uint8_t *sha256, struct buf *out)
{
	uint8_t hash[CRYPT_SHA256_LEN];
	uint8_t *raw = NULL;
	size_t len;
	int r = vault_get_all(v, name, kind->max, &raw, &len);

	if (r == 0 && sha256) {
		r = crypt_sha256(raw, len, hash);
		if (r == 0 && memcmp(hash, sha256, sizeof(hash)) != 0)
			r = fail(-EBADMSG,
				 "%s: damaged: not the object that "
				 "was committed",
				 name);
	}
	if (r == 0)
		r = format_read_box(v->keyring, raw, len, kind->type, name,
				    out);
	free(raw);
	return r;
}

/*
 * What the database keeps of an object ends with a proof that it is that: it
 * may have changed since. Set @mac, of object @name and its plaintext.
 */
static int prove(struct vault *v, const char *name, const void *data,
		 size_t len, struct id *mac)
{
	AUTO_BUF struct buf b = BUF_INIT;
	int r;

	buf_put_bytes(&b, name, strlen(name));
	buf_put(&b, data, len);
	r = buf_error(&b);
	return r < 0 ? r
		     : keyring_id(v->keyring, LOCAL_OBJECT, b.data, b.len, mac);
}

/* Return 0, -ENOENT (it is not in the database, or not as it was put there) or
 * another negative errno. */
static int get_kept(struct vault *v, const char *name, struct buf *out)
{
	size_t from = out->len, len;
	struct id mac;
	int r = catalog_get_object(v->catalog, name, out);

	if (r < 0)
		return r;
	len = out->len - from;
	r = len < ID_LEN ? -ENOENT
			 : prove(v, name, out->data + from, len - ID_LEN, &mac);
	if (r == 0 &&
	    !crypt_equal(mac.b, out->data + out->len - ID_LEN, ID_LEN))
		r = -ENOENT;
	out->len = r < 0 ? from : out->len - ID_LEN;
	return r;
}

int kept_read(struct vault *v, const struct kept_kind *kind, const char *name,
	      const uint8_t *sha256, struct buf *out)
{
	int r = get_kept(v, name, out);

	return r == -ENOENT ? read_vault(v, kind, name, sha256, out) : r;
}

/* Of one object: a flipped bit can make its version a later one, too. */
static bool is_damage(int r)
{
	return r == -EBADMSG || r == -EOPNOTSUPP || r == -EIO || r == -ENOENT;
}

/* One object on its way. */
struct arrival {
	struct vault *vault;
	const struct kept_kind *kind;
	struct kept *item;
	const uint8_t *sha256;
	struct buf plain;
	bool is_new; /* it came from the vault */
};

static void fetch_one(void *arg)
{
	struct arrival *f = arg;

	f->item->error = read_vault(f->vault, f->kind, f->item->name, f->sha256,
				    &f->plain);
	f->is_new = f->item->error == 0;
}

/* Fetch those of a slice that the database does not have. */
static void fetch_rest(struct arrival *slice, size_t n, size_t missing)
{
	struct pool *p = NULL;
	size_t i;

	if (missing > ALONE)
		p = pool_new(FETCHERS, SLICE);
	for (i = 0; i < n; i++) {
		if (slice[i].item->error != -ENOENT)
			continue;
		if (p)
			pool_run(p, fetch_one, &slice[i]);
		else
			fetch_one(&slice[i]);
	}
	pool_free(p);
}

/* The proofs go behind what was read, which nobody needs any more. */
static void keep_new(struct vault *v, struct arrival *slice, size_t n)
{
	struct catalog_object *objects = alloc_array(n, sizeof(*objects));
	struct id mac;
	size_t i, k = 0;

	for (i = 0; objects && i < n; i++) {
		struct buf *b = &slice[i].plain;

		if (!slice[i].is_new || slice[i].item->error < 0 ||
		    prove(v, slice[i].item->name, b->data, b->len, &mac) < 0)
			continue;
		buf_put(b, mac.b, ID_LEN);
		if (buf_error(b) < 0)
			continue;
		objects[k].name = slice[i].item->name;
		objects[k].data = slice[i].plain.data;
		objects[k++].len = slice[i].plain.len;
	}
	/* What cannot be kept is fetched again another time. */
	if (k)
		(void)!catalog_put_objects(v->catalog, objects, k);
	free(objects);
}

static int read_slice(struct vault *v, struct arrival *slice, size_t n)
{
	size_t i, missing = 0;
	int r = 0;

	for (i = 0; i < n && r == 0; i++) {
		struct kept *item = slice[i].item;

		item->error = get_kept(v, item->name, &slice[i].plain);
		missing += item->error == -ENOENT;
		if (item->error < 0 && item->error != -ENOENT)
			r = item->error;
	}
	if (r == 0 && missing)
		fetch_rest(slice, n, missing);
	for (i = 0; i < n && r == 0; i++) {
		struct kept *item = slice[i].item;

		if (item->error == 0)
			item->error =
				slice[i].kind->decode(slice[i].plain.data,
						      slice[i].plain.len,
						      item->name, &item->value);
		if (item->error < 0 && !is_damage(item->error))
			r = item->error;
	}
	if (r == 0 && missing)
		keep_new(v, slice, n);
	return r;
}

/* Read the items of @s that have neither a value nor were read before. */
static int read_new(struct vault *v, const struct kept_kind *kind,
		    struct kept_set *s, const struct kept_wish *wanted,
		    const bool *is_new)
{
	struct arrival *slice = alloc_array(SLICE, sizeof(*slice));
	size_t i = 0, n;
	int r = slice ? 0 : -ENOMEM;

	while (i < s->n && r == 0) {
		for (n = 0; i < s->n && n < SLICE; i++) {
			if (!is_new[i])
				continue;
			slice[n].vault = v;
			slice[n].kind = kind;
			slice[n].item = &s->items[i];
			slice[n++].sha256 = wanted->items[i].sha256;
		}
		r = read_slice(v, slice, n);
		while (n > 0) {
			buf_release(&slice[--n].plain);
			memset(&slice[n], 0, sizeof(slice[n]));
		}
	}
	free(slice);
	return r;
}

/* ---- refreshing ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct kept_wanted *)a)->name,
		      ((const struct kept_wanted *)b)->name);
}

static void sort_wanted(struct kept_wish *l)
{
	size_t i, n = 0;

	if (l->n < 2)
		return;
	qsort(l->items, l->n, sizeof(*l->items), by_name);
	for (i = 1; i < l->n; i++)
		if (strcmp(l->items[n].name, l->items[i].name) != 0 && ++n != i)
			l->items[n] = l->items[i];
	l->n = n + 1;
}

/* What is new: the names that @old lacks, and what it could not read. */
static int merge(const struct kept_set *old, const struct kept_wish *wanted,
		 struct kept_set *new, bool *is_new, size_t *from)
{
	size_t i, j = 0;

	for (i = 0; i < wanted->n; i++) {
		while (j < old->n &&
		       strcmp(old->items[j].name, wanted->items[i].name) < 0)
			j++;
		from[i] = j < old->n && strcmp(old->items[j].name,
					       wanted->items[i].name) == 0
				  ? j
				  : SIZE_MAX;
		is_new[i] = from[i] == SIZE_MAX || !old->items[j].value;
		new->items[i].name = strdup(wanted->items[i].name);
		if (!new->items[i].name)
			return -ENOMEM;
		new->n++;
	}
	return 0;
}

/* Let the new set have the values of the old one that it shares. */
static bool take_over(const struct kept_kind *kind, struct kept_set *old,
		      struct kept_set *new, const bool *is_new,
		      const size_t *from)
{
	bool changed = old->n != new->n;
	size_t i;

	for (i = 0; i < new->n; i++) {
		struct kept *was =
			from[i] == SIZE_MAX ? NULL : &old->items[from[i]];

		changed |= !was ||
			   (is_new[i] && new->items[i].error != was->error);
		if (was && !is_new[i]) {
			new->items[i].value = was->value;
			was->value = NULL;
		}
	}
	kept_release(kind, old);
	*old = *new;
	memset(new, 0, sizeof(*new));
	return changed;
}

int kept_refresh(struct vault *v, const struct kept_kind *kind,
		 struct kept_set *s, struct kept_wish *wanted,
		 bool *changed_out)
{
	struct kept_set new = { 0 };
	AUTO_FREE bool *is_new = NULL;
	AUTO_FREE size_t *from = NULL;
	int r;

	sort_wanted(wanted);
	is_new = alloc_array(wanted->n + 1, sizeof(*is_new));
	from = alloc_array(wanted->n + 1, sizeof(*from));
	new.items = alloc_array(wanted->n + 1, sizeof(*new.items));
	if (!is_new || !from || !new.items)
		r = -ENOMEM;
	else
		r = merge(s, wanted, &new, is_new, from);
	if (r == 0)
		r = read_new(v, kind, &new, wanted, is_new);
	if (r == 0 && take_over(kind, s, &new, is_new, from))
		*changed_out = true;
	kept_release(kind, &new);
	return r;
}
