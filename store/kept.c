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
 *
 * A snapshot is written anew only when many objects have come since: until then
 * the few are read one by one, which is cheaper than to write all.
 */
#include "config.h"

#include "store/kept.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/arena.h"
#include "store/base/array.h"
#include "store/base/log.h"
#include "store/base/pool.h"
#include "store/base/stop.h"
#include "store/catalog/catalog.h"
#include "store/crypt/crypt.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/vault_internal.h"

#define SLICE 512
#define FETCHERS 16
#define ALONE 4 /* so few are not worth the threads */
/* One that is longer, as it is stored or in plain, is fetched by itself. */
#define WITH_OTHERS_MAX (256u << 10)
/* When so much was fetched, what waits is fetched only once that is decoded. */
#define HELD_MAX (8u << 20)

void kept_release(const struct kept_kind *kind, struct kept_set *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (s->items[i].value)
			kind->release(s->items[i].value);
	free(s->items);
	arena_put(s->arena);
	memset(s, 0, sizeof(*s));
}

/* ---- reading ---- */

/* Move *@w to the first who wants an object of such a hash, as it is stored. Return 0,
 * -EBADMSG, said in words, or -EIO. */
static int find_hash(const char *name, const uint8_t *raw, size_t len,
		     const struct kept_wanted **w)
{
	uint8_t hash[CRYPT_SHA256_LEN];
	const struct kept_wanted found = { .sha256 = hash }, *at = *w;
	int r = at->sha256 ? crypt_sha256(raw, len, hash) : 0;

	if (!at->sha256 || r < 0)
		return r;
	while (!kept_same_hash(at, &found) && at->has_more)
		at++;
	if (!kept_same_hash(at, &found))
		return fail(-EBADMSG,
			    "%s: damaged: not the object that was committed",
			    name);
	*w = at;
	return 0;
}

/* Read it by itself, or return -EFBIG, silently, where it is too long to be read with
 * others. *@wanted moves to the first who wants that. */
static int read_vault(struct vault *v, const struct kept_kind *kind,
		      const char *name, const struct kept_wanted **wanted,
		      bool alone, struct buf *out)
{
	size_t max = alone ? kind->max : MIN(kind->max, WITH_OTHERS_MAX), len;
	uint8_t *raw = NULL;
	struct box box;
	int r = vault_get_again(v, name, max, &raw, &len);
	bool before = log_hush(vault_has_said(v, name));

	if (r == -EFBIG && max == kind->max)
		r = vault_fail_too_long(name, kind->max);
	if (r == 0)
		r = find_hash(name, raw, len, wanted);
	if (r == 0)
		r = format_parse_box(raw, len, kind->type, name, &box);
	if (r == 0 && !alone && box.plain_len > WITH_OTHERS_MAX)
		r = -EFBIG;
	if (r == 0)
		r = format_read_box(v->keyring, raw, len, kind->type, name,
				    out);
	(void)log_hush(before);
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
	AUTO_BUF struct buf head = BUF_INIT;
	int r;

	buf_put_bytes(&head, name, strlen(name));
	r = buf_error(&head);
	return r < 0 ? r
		     : keyring_id_of_two(v->keyring, LOCAL_OBJECT, head.data,
					 head.len, data, len, mac);
}

int kept_get_row(struct vault *v, const char *name, struct buf *out)
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

/* Read one for its own sake from the vault; its name may be of any length. */
static int read_alone(struct vault *v, const struct kept_kind *kind,
		      const char *name, const uint8_t *sha256, struct buf *out)
{
	const struct kept_wanted any = { .sha256 = sha256 }, *wanted = &any;

	return read_vault(v, kind, name, &wanted, true, out);
}

int kept_read(struct vault *v, const struct kept_kind *kind, const char *name,
	      const uint8_t *sha256, struct buf *out)
{
	int r = kept_get_row(v, name, out);

	return r == -ENOENT ? read_alone(v, kind, name, sha256, out) : r;
}

bool kept_put_row(struct vault *v, const char *name, struct buf *plain)
{
	struct id mac;

	if (buf_error(plain) < 0 ||
	    prove(v, name, plain->data, plain->len, &mac) < 0)
		return false;
	buf_put(plain, mac.b, ID_LEN);
	return buf_error(plain) == 0 &&
	       catalog_put_object(v->catalog, name, plain->data, plain->len) ==
		       0;
}

int kept_read_once(struct vault *v, const struct kept_kind *kind,
		   const char *name, struct buf *out)
{
	AUTO_BUF struct buf row = BUF_INIT;
	size_t from = out->len;
	int r = kept_get_row(v, name, out);

	if (r != -ENOENT)
		return r;
	r = read_alone(v, kind, name, NULL, out);
	if (r < 0)
		return r;
	buf_put(&row, out->data + from, out->len - from);
	kept_put_row(v, name, &row);
	return 0;
}

/* Of one object: a flipped bit can make its version a later one, too. */
static bool is_damage(int r)
{
	return backend_error_is_of_object(r) || r == -EOPNOTSUPP ||
	       r == -ENOENT;
}

/* One object on its way. */
struct arrival {
	struct vault *vault;
	const struct kept_kind *kind;
	struct kept *item;
	const struct kept_wanted *wanted;
	struct stop *obeys; /* the caller's, for the threads that fetch */
	atomic_size_t *held; /* bytes that were fetched and not decoded yet */
	struct buf plain;
	bool waits; /* to be fetched */
	bool is_long; /* by itself */
	bool is_new; /* it came from the vault */
};

static void fetch_one(void *arg)
{
	struct arrival *f = arg;
	struct stop *before;
	int r;

	if (atomic_load(f->held) >= HELD_MAX)
		return;
	before = stop_obey(f->obeys);
	r = read_vault(f->vault, f->kind, f->item->name, &f->wanted, f->is_long,
		       &f->plain);
	(void)stop_obey(before);
	f->is_long = r == -EFBIG;
	f->waits = f->is_long;
	f->is_new = r == 0;
	f->item->error = r;
	atomic_fetch_add(f->held, f->plain.len);
}

/* Fetch what waits: many short ones at once, or one that is long. */
static void fetch_some(struct arrival *slice, size_t n)
{
	struct arrival *first = NULL;
	struct pool *p = NULL;
	size_t i, nshort = 0;

	for (i = 0; i < n; i++) {
		nshort += slice[i].waits && !slice[i].is_long;
		if (slice[i].waits && !first)
			first = &slice[i];
	}
	if (nshort == 0 && first)
		fetch_one(first);
	if (nshort > ALONE)
		p = pool_new(FETCHERS, SLICE);
	for (i = 0; i < n && nshort > 0; i++) {
		if (!slice[i].waits || slice[i].is_long)
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

/*
 * Whether it is of the session of any who wants it. Of what came from the vault, those
 * want it whose hash it has; what the database has was right for one of them. Return 0
 * or -EBADMSG, said in words.
 */
static int check_session(const struct vault *v, const struct arrival *f)
{
	const struct kept_kind *kind = f->kind;
	const struct kept_wanted *w = f->wanted;
	const char *name = f->item->name;
	bool before;
	int r;

	if (!kind->check || !w->session)
		return 0;
	before = log_hush(true);
	r = kind->check(v, f->item->value, name, w->session);
	while (r == -EBADMSG && w->has_more &&
	       (!f->is_new || kept_same_hash(w, w + 1))) {
		w++;
		r = kind->check(v, f->item->value, name, w->session);
	}
	(void)log_hush(before);
	return r < 0 ? kind->check(v, f->item->value, name, f->wanted->session)
		     : 0;
}

static int decode_one(struct vault *v, const struct arrival *f)
{
	const struct kept_kind *kind = f->kind;
	struct kept *item = f->item;
	bool before = log_hush(vault_has_said(v, item->name));

	if (item->error == 0)
		item->error = kind->decode(f->plain.data, f->plain.len,
					   item->name, &item->value);
	if (item->error == 0) {
		item->error = check_session(v, f);
		if (item->error < 0) {
			kind->release(item->value);
			item->value = NULL;
		}
	}
	(void)log_hush(before);
	if (item->error < 0 && !is_damage(item->error))
		return item->error;
	/* That it is gone is no damage, and was not said. */
	if (item->error < 0 && item->error != -ENOENT)
		(void)vault_is_news(v, item->name);
	return 0;
}

/* Decode and keep what has come; the others move to the front, and how many these
 * are to *n. */
static int take_in(struct vault *v, struct arrival *slice, size_t *n)
{
	size_t i, k = 0, end = *n;
	int r = 0;

	for (i = 0; i < end && r == 0; i++)
		if (!slice[i].waits)
			r = decode_one(v, &slice[i]);
	if (r == 0)
		keep_new(v, slice, end);
	for (i = 0; i < end; i++) {
		if (slice[i].waits && r == 0) {
			slice[k++] = slice[i];
			continue;
		}
		buf_release(&slice[i].plain);
	}
	*n = k;
	return r;
}

static int read_slice(struct vault *v, struct arrival *slice, size_t n,
		      atomic_size_t *held)
{
	int r = 0;

	while (n > 0 && r == 0) {
		fetch_some(slice, n);
		r = take_in(v, slice, &n);
		atomic_store(held, 0);
	}
	return r;
}

/* Look whether the database has one. Return 0 or a negative errno. */
static int begin_arrival(struct arrival *f)
{
	int r = kept_get_row(f->vault, f->item->name, &f->plain);

	f->waits = r == -ENOENT;
	f->obeys = stop_of_thread;
	f->item->error = r;
	atomic_fetch_add(f->held, f->plain.len);
	return f->waits ? 0 : r;
}

/* Where an item of a new set comes from. */
struct origin {
	const struct kept_wanted *wanted; /* the first of that name */
	struct kept *was; /* in the old set; NULL: it was not there */
	bool is_new; /* it has to be read */
};

/* Read the items of @s that have neither a value nor were read before. */
static int read_new(struct vault *v, const struct kept_kind *kind,
		    struct kept_set *s, const struct origin *of)
{
	struct arrival *slice = alloc_array(SLICE, sizeof(*slice));
	atomic_size_t held = 0;
	size_t i = 0, n = 0;
	int r = slice ? 0 : -ENOMEM;

	while (i < s->n && r == 0) {
		for (n = 0; i < s->n && n < SLICE && r == 0 &&
			    atomic_load(&held) < HELD_MAX;
		     i++) {
			if (!of[i].is_new)
				continue;
			slice[n] = (struct arrival){
				.vault = v,
				.kind = kind,
				.item = &s->items[i],
				.wanted = of[i].wanted,
				.held = &held,
			};
			r = begin_arrival(&slice[n++]);
		}
		if (r == 0)
			r = read_slice(v, slice, n, &held);
		else
			while (n > 0)
				buf_release(&slice[--n].plain);
	}
	free(slice);
	return r;
}

/* ---- refreshing ---- */

/* Has the set just what is wanted, each read? */
static bool is_complete(const struct kept_set *s, const struct kept_wish *l)
{
	size_t i, n = 0;

	for (i = 0; i < l->n; i++) {
		if (l->items[i].has_more)
			continue;
		if (n == s->n || !s->items[n].value ||
		    strcmp(s->items[n].name, l->items[i].name) != 0)
			return false;
		n++;
	}
	return n == s->n;
}

/* What is new: the names that @old lacks, and what it could not read. */
static void merge(const struct kept_set *old, const struct kept_wish *wanted,
		  struct kept_set *new, struct origin *of)
{
	size_t i, j = 0;

	for (i = 0; i < wanted->n; i++) {
		const struct kept_wanted *w = &wanted->items[i];
		struct origin *o = &of[new->n];

		if (i > 0 && w[-1].has_more)
			continue;
		while (j < old->n && strcmp(old->items[j].name, w->name) < 0)
			j++;
		o->wanted = w;
		o->was = j < old->n && strcmp(old->items[j].name, w->name) == 0
				 ? &old->items[j]
				 : NULL;
		o->is_new = !o->was || !o->was->value;
		memcpy(new->items[new->n++].name, w->name, KEPT_NAME_MAX);
	}
}

/* Let the new set have the values of the old one that it shares. */
static bool take_over(const struct kept_kind *kind, struct kept_set *old,
		      struct kept_set *new, const struct origin *of)
{
	bool changed = old->n != new->n;
	size_t i;

	new->fresh = old->fresh;
	for (i = 0; i < new->n; i++) {
		struct kept *was = of[i].was;

		changed |= !was ||
			   (of[i].is_new && new->items[i].error != was->error);
		if (was && !of[i].is_new) {
			new->items[i].value = was->value;
			was->value = NULL;
		} else {
			new->fresh += new->items[i].value != NULL;
		}
	}
	/* What is taken over lies in the old one's. */
	new->arena = old->arena;
	old->arena = NULL;
	kept_release(kind, old);
	*old = *new;
	memset(new, 0, sizeof(*new));
	return changed;
}

/* What is not listed any more was deleted, or the vault was put back to what it was
 * before; then there may be another one of that name some day. Return whether the
 * database had any. */
static bool drop_gone(struct vault *v, const struct kept_set *old,
		      const struct kept_wish *wanted)
{
	size_t i, j = 0;
	bool any = false;

	for (i = 0; i < old->n; i++) {
		const char *name = old->items[i].name;

		while (j < wanted->n && strcmp(wanted->items[j].name, name) < 0)
			j++;
		if (!old->items[i].value ||
		    (j < wanted->n && strcmp(wanted->items[j].name, name) == 0))
			continue;
		any = true;
		(void)!catalog_drop_object(v->catalog, name);
	}
	return any;
}

int kept_refresh(struct vault *v, const struct kept_kind *kind,
		 struct kept_set *s, struct kept_wish *wanted,
		 bool *changed_out)
{
	struct kept_set new = { 0 };
	AUTO_FREE struct origin *of = NULL;
	bool is_short = false;
	int r;

	kept_sort_wish(wanted);
	if (is_complete(s, wanted))
		return 0;
	of = alloc_array(wanted->n + 1, sizeof(*of));
	new.items = alloc_array(wanted->n + 1, sizeof(*new.items));
	if (!of || !new.items) {
		free(new.items);
		return -ENOMEM;
	}
	merge(s, wanted, &new, of);
	r = read_new(v, kind, &new, of);
	if (r == 0)
		is_short = drop_gone(v, s, wanted);
	if (r == 0 && take_over(kind, s, &new, of))
		*changed_out = true;
	/* The snapshot has it, too: it is made anew. */
	if (is_short)
		s->fresh += KEPT_FRESH_MAX + s->n / 64 + 1;
	kept_release(kind, &new);
	return r;
}

int kept_add(struct vault *v, const struct kept_kind *kind, struct kept_set *s,
	     struct kept_wish *wanted, bool *changed_out)
{
	struct kept_set new = { 0 };
	int r = kept_refresh(v, kind, &new, wanted, changed_out);

	if (r == 0)
		r = kept_join(kind, s, &new);
	kept_release(kind, &new);
	return r;
}

bool kept_is_local(struct vault *v, const char *name)
{
	AUTO_BUF struct buf b = BUF_INIT;

	return catalog_get_object(v->catalog, name, &b) == 0;
}
