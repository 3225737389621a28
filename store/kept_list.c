/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is wanted of a kind of objects, and what a listing has that a set has not.
 *
 * Most listings find what the last one found, and so much must cost next to
 * nothing: their names are compared by a keyed sum, whatever their order, before
 * any is copied or sorted; and where a few have come, these alone are looked at
 * further.
 *
 * And how a set becomes the text of a snapshot, and that a set again.
 */
#include "config.h"

#include "store/kept.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/arena.h"
#include "store/base/array.h"
#include "store/base/log.h"
#include "store/catalog/catalog.h"
#include "store/crypt/crypt.h"
#include "store/vault_internal.h"

void kept_release_wish(struct kept_wish *l)
{
	free(l->items);
	memset(l, 0, sizeof(*l));
}

int kept_want(struct kept_wish *l, const char *name, const uint8_t *sha256,
	      const char *session)
{
	size_t len = strlen(name);
	struct kept_wanted *w;

	if (len >= KEPT_NAME_MAX)
		return fail(-EBADMSG, "%s: too long a name", name);
	if (array_reserve(&l->items, &l->cap, l->n + 1) < 0)
		return -ENOMEM;
	w = &l->items[l->n++];
	memcpy(w->name, name, len + 1);
	w->sha256 = sha256;
	w->session = session;
	w->has_more = false;
	return 0;
}

static int compare_hashes(const struct kept_wanted *a,
			  const struct kept_wanted *b)
{
	if (!a->sha256 || !b->sha256)
		return !b->sha256 - !a->sha256;
	return memcmp(a->sha256, b->sha256, CRYPT_SHA256_LEN);
}

bool kept_same_hash(const struct kept_wanted *a, const struct kept_wanted *b)
{
	return compare_hashes(a, b) == 0;
}

static int by_name(const void *a, const void *b)
{
	const struct kept_wanted *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	if (c == 0)
		c = compare_hashes(x, y);
	if (c == 0 && x->session && y->session)
		c = strcmp(x->session, y->session);
	return c != 0 ? c : !y->session - !x->session;
}

void kept_sort_wish(struct kept_wish *l)
{
	size_t i, n = 0;

	if (l->n < 2)
		return;
	qsort(l->items, l->n, sizeof(*l->items), by_name);
	for (i = 1; i < l->n; i++) {
		if (by_name(&l->items[n], &l->items[i]) == 0)
			continue;
		l->items[n].has_more =
			strcmp(l->items[n].name, l->items[i].name) == 0;
		l->items[++n] = l->items[i];
	}
	l->items[n].has_more = false;
	l->n = n + 1;
}

static int on_object(void *arg, const char *name,
		     const struct backend_info *info)
{
	(void)info;
	return kept_want(arg, name, NULL, NULL);
}

int kept_list(struct vault *v, const struct kept_kind *kind,
	      struct kept_wish *out)
{
	return vault_list_plain(v, kind->prefix, on_object, out);
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

/* What a listing found: names, each ended by a 0, and their sum. */
struct found_names {
	const struct vault *vault;
	struct buf text;
	struct name_sum sum;
};

static int on_found(void *arg, const char *name,
		    const struct backend_info *info)
{
	struct found_names *f = arg;

	(void)info;
	vault_sum_add(f->vault, &f->sum, name);
	buf_put(&f->text, name, strlen(name) + 1);
	return buf_error(&f->text);
}

bool kept_all_read(const struct kept_set *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (!s->items[i].value)
			return false;
	return true;
}

uint64_t kept_sum(const struct vault *v, struct kept_set *s)
{
	struct name_sum sum = { 0, 0 };
	size_t i;

	if (s->has_sum)
		return s->sum;
	for (i = 0; i < s->n; i++)
		vault_sum_add(v, &sum, s->items[i].name);
	s->has_sum = true;
	s->sum = sum.sum;
	return s->sum;
}

bool kept_is_all(const struct vault *v, struct kept_set *s,
		 const struct name_sum *sum)
{
	return s->n == sum->n && kept_all_read(s) && kept_sum(v, s) == sum->sum;
}

bool kept_has(const struct kept_set *s, const char *name)
{
	size_t i = kept_find(s, name);

	return i < s->n && strcmp(s->items[i].name, name) == 0;
}

/* Want what was found, or of that what the set has not. @had_out: how much it
 * has. */
static int want_found(const struct found_names *f, const struct kept_set *s,
		      bool all, struct kept_wish *out, size_t *had_out)
{
	size_t at = 0;
	int r = 0;

	*had_out = 0;
	while (r == 0 && at < f->text.len) {
		const char *name = (const char *)f->text.data + at;

		if (all || !kept_has(s, name))
			r = kept_want(out, name, NULL, NULL);
		else
			++*had_out;
		at += strlen(name) + 1;
	}
	return r;
}

int kept_list_new(struct vault *v, const struct kept_kind *kind,
		  struct kept_set *s, struct kept_wish *out)
{
	struct found_names f = { .vault = v };
	size_t had;
	int r = vault_list_plain(v, kind->prefix, on_found, &f);

	if (r == 0 && !kept_is_all(v, s, &f.sum)) {
		r = want_found(&f, s, false, out, &had);
		if (r == 0 && had == s->n && out->n <= KEPT_MORE_MAX &&
		    kept_all_read(s)) {
			r = KEPT_MORE;
		} else if (r == 0) {
			kept_release_wish(out);
			r = want_found(&f, s, true, out, &had);
			r = r < 0 ? r : KEPT_OTHER;
		}
	}
	buf_release(&f.text);
	return r;
}

/* ---- from elsewhere ---- */

int kept_append(struct kept_set *s, const char *name, void *value)
{
	size_t len = strlen(name);
	struct kept *item;

	if (len >= KEPT_NAME_MAX)
		return fail(-EBADMSG, "%s: too long a name", name);
	if (array_reserve(&s->items, &s->cap, s->n + 1) < 0)
		return -ENOMEM;
	s->has_sum = false;
	item = &s->items[s->n++];
	memset(item, 0, sizeof(*item));
	memcpy(item->name, name, len + 1);
	item->value = value;
	return 0;
}

static int by_item(const void *a, const void *b)
{
	return strcmp(((const struct kept *)a)->name,
		      ((const struct kept *)b)->name);
}

/* Move the items of @s from *@at up to @end to @both. */
static void move_items(const struct kept_set *s, size_t *at, size_t end,
		       struct kept_set *both)
{
	if (end > *at)
		memcpy(both->items + both->n, s->items + *at,
		       (end - *at) * sizeof(*s->items));
	both->n += end - *at;
	*at = end;
}

static bool is_last(const struct kept_set *s, const char *name)
{
	return s->n && strcmp(s->items[s->n - 1].name, name) == 0;
}

int kept_join(const struct kept_kind *kind, struct kept_set *s,
	      struct kept_set *more)
{
	struct kept_set both = { .fresh = s->fresh + more->n,
				 .arena = s->arena };
	size_t i, at = 0;

	if (more->n == 0)
		return 0;
	both.items = alloc_array(s->n + more->n, sizeof(*both.items));
	if (!both.items)
		return -ENOMEM;
	qsort(more->items, more->n, sizeof(*more->items), by_item);
	for (i = 0; i < more->n; i++) {
		struct kept *item = &more->items[i];
		bool there = kept_has(s, item->name);

		move_items(s, &at, kept_find(s, item->name), &both);
		if (!there && !is_last(&both, item->name)) {
			both.items[both.n++] = *item;
			continue;
		}
		if (item->value)
			kind->release(item->value);
	}
	move_items(s, &at, s->n, &both);
	free(s->items);
	more->n = 0;
	*s = both;
	return 0;
}

/* ---- snapshots ---- */

static int load_item(const struct kept_kind *kind, struct kept_unpack *u,
		     struct kept *item)
{
	size_t prefix = strlen(kind->prefix), len;
	const uint8_t *name =
		reader_bytes(&u->in, KEPT_NAME_MAX - 1 - prefix, &len);

	if (!name)
		return -EBADMSG;
	memcpy(item->name, kind->prefix, prefix);
	memcpy(item->name + prefix, name, len);
	u->name = item->name;
	return kind->unpack(u, &item->value);
}

static int load_words(struct kept_unpack *u)
{
	size_t n = reader_varint_max(&u->in, reader_left(&u->in)), len, i;

	u->words = alloc_array(n + 1, sizeof(*u->words));
	if (!u->words)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		const char *word =
			(const char *)reader_bytes(&u->in, SIZE_MAX, &len);

		if (!word || len == 0 || word[len - 1] != '\0')
			return -EBADMSG;
		u->words[u->nwords++] = (char *)word;
	}
	return u->in.bad ? -EBADMSG : 0;
}

int kept_unpack_set(const struct kept_kind *kind, struct arena *arena,
		    struct kept_set *out)
{
	const struct buf *text = arena_text(arena);
	struct kept_unpack u = { .arena = arena };
	size_t n;
	int e;

	reader_init(&u.in, text->data, text->len);
	e = load_words(&u);
	out->sum = reader_le64(&u.in);
	out->has_sum = true;
	n = reader_varint_max(&u.in, reader_left(&u.in));
	if (e == 0) {
		out->items = alloc_array(n + 1, sizeof(*out->items));
		e = out->items ? 0 : -ENOMEM;
	}
	while (e == 0 && out->n < n)
		e = load_item(kind, &u, &out->items[out->n++]);
	if (e == 0 && !reader_done(&u.in))
		e = -EBADMSG;
	free(u.words);
	return e;
}

static void pack_words(const struct words *w, struct buf *out)
{
	size_t i;

	buf_put_varint(out, w->n);
	for (i = 0; i < w->n; i++) {
		const char *word = (const char *)w->text.data + w->at[i];

		buf_put_bytes(out, word, strlen(word) + 1);
	}
}

int kept_pack_set(const struct vault *v, const struct kept_kind *kind,
		  const struct kept_set *s, struct buf *out)
{
	struct kept_pack p = { .out = BUF_INIT };
	struct name_sum sum = { 0, 0 };
	size_t i;

	for (i = 0; i < s->n; i++) {
		const char *name = s->items[i].name;

		if (!s->items[i].value)
			continue;
		vault_sum_add(v, &sum, name);
		name += strlen(kind->prefix);
		buf_put_bytes(&p.out, name, strlen(name));
		kind->pack(s->items[i].value, &p);
	}
	pack_words(&p.words, out);
	buf_put_le64(out, sum.sum);
	buf_put_varint(out, sum.n);
	buf_put(out, p.out.data, p.out.len);
	out->failed |= p.out.failed;
	buf_release(&p.out);
	words_release(&p.words);
	return buf_error(out);
}

static void snapshot_name(const struct kept_kind *kind, uint32_t version,
			  char out[OBJECT_NAME_MAX])
{
	snprintf(out, OBJECT_NAME_MAX, "snapshot/%s%u", kind->prefix, version);
}

int kept_load(struct vault *v, const struct kept_kind *kind, struct kept_set *s)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	struct arena *arena;
	int r;

	if (s->items)
		return 0;
	snapshot_name(kind, kind->version, name);
	r = kept_get_row(v, name, &plain);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	arena = arena_new(&plain);
	if (!arena)
		return -ENOMEM;
	r = kept_unpack_set(kind, arena, s);
	if (kind->in_arena)
		s->arena = arena_get(arena);
	arena_put(arena);
	if (r < 0)
		kept_release(kind, s);
	return r == -ENOMEM ? r : 0;
}

void kept_save(struct vault *v, const struct kept_kind *kind,
	       struct kept_set *s)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX];

	/* A private database ends with the process. */
	if (s->fresh <= KEPT_FRESH_MAX + s->n / 64 || !catalog_dir(v->catalog))
		return;
	snapshot_name(kind, kind->version, name);
	if (kept_pack_set(v, kind, s, &plain) < 0 ||
	    !kept_put_row(v, name, &plain))
		return;
	s->fresh = 0;
	/* That of the version before is of no use any more. */
	snapshot_name(kind, kind->version - 1, name);
	(void)!catalog_drop_object(v->catalog, name);
}
