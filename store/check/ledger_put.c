/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a check adds to the ledger: once when it ends, also where it was asked to, and
 * every ten minutes, so that one that is killed has not read in vain.
 */
#include "config.h"

#include "store/check/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/seam.h"
#include "store/crypt/crypt.h"
#include "store/point.h"
#include "store/vault.h"

#define IN_USE_MAX 8 /* then they are merged */
#define PUT_EVERY_NS INT64_C(600000000000)

/* ---- points ---- */

struct hurt_ids {
	char (*items)[NAME_HEX + 1]; /* owned; sorted */
	size_t n, cap;
};

static int by_id(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int add_id(struct hurt_ids *l, const char *id)
{
	if (array_reserve(&l->items, &l->cap, l->n + 1) < 0)
		return -ENOMEM;
	snprintf(l->items[l->n++], NAME_HEX + 1, "%s", id);
	return 0;
}

/* The points that this check found hurt. */
static int list_hurt(const struct check *c, struct hurt_ids *out)
{
	const struct point_list *l = c->out->points_list;
	size_t i, n = 0;
	int r = 0;

	for (i = 0; i < l->n && r == 0; i++)
		if (c->hurt[i])
			r = add_id(out, l->points[i]->id);
	for (i = 0; i < l->ndamaged && r == 0; i++)
		r = add_id(out, l->damaged[i]);
	if (out->n == 0)
		return r;
	qsort(out->items, out->n, sizeof(*out->items), by_id);
	for (i = 1; i < out->n; i++)
		if (strcmp(out->items[n], out->items[i]) != 0 && ++n != i)
			memcpy(out->items[n], out->items[i], NAME_HEX + 1);
	out->n = MIN(n + 1, (size_t)VERIFIED_POINTS_MAX);
	return r;
}

static bool is_as_before(const struct check_ledger *l, const struct hurt_ids *h)
{
	return l->npoints == h->n &&
	       (h->n == 0 ||
		memcmp(l->points, h->items, h->n * sizeof(*h->items)) == 0);
}

/* ---- putting ---- */

static size_t count_items(const struct check_ledger *l, int state)
{
	size_t i, n = 0;

	for (i = 0; i < l->nitems; i++)
		n += (int)l->items[i].state == state;
	return n;
}

/* What is put, in one object or several. */
struct ledger_putting {
	bool is_full; /* it says all that is known, and supersedes the rest */
	bool says_points;
	struct hurt_ids points;
	size_t next; /* in by_hash */
};

static void encode_names(const struct check_ledger *l, struct buf *out)
{
	size_t i;

	buf_put_varint(out, l->nnames);
	for (i = 0; i < l->nnames; i++)
		buf_put_bytes(out, l->names[i], strlen(l->names[i]));
}

/* Threads that read packs may be at work. */
static uint64_t encode_packs(struct check *c, struct ledger_putting *w,
			     struct buf *out)
{
	struct check_ledger *l = &c->ledger;
	uint8_t hash[CRYPT_SHA256_LEN];
	uint64_t n = 0;

	pthread_mutex_lock(&c->lock);
	for (; w->next < l->n && n < VERIFIED_PACKS_MAX; w->next++) {
		struct check_pack *p = l->by_hash[w->next];
		bool is_new = p->whole && !p->entered;

		if (!(is_new || (w->is_full && p->verified_s)) ||
		    check_ledger_is_twin(l, w->next) ||
		    format_pack_hash(p->name, hash) < 0)
			continue;
		verified_put_pack(out, hash, p->verified_s, p->who);
		p->entered |= is_new;
		n++;
	}
	pthread_mutex_unlock(&c->lock);
	return n;
}

static bool is_superseded(const struct ledger_putting *w,
			  const struct ledger_item *item)
{
	return item->state == LEDGER_GONE || item->state == LEDGER_DAMAGED ||
	       (w->is_full && item->state == LEDGER_IN_USE);
}

/* What stands in the last object alone: it supersedes others only when all that is
 * to be said is there. */
static void encode_tail(struct check *c, struct ledger_putting *w, size_t nold,
			struct buf *out)
{
	struct check_ledger *l = &c->ledger;
	size_t i, n = 0;

	buf_put_varint(out, w->says_points ? 1 + w->points.n : 0);
	for (i = 0; i < w->points.n && w->says_points; i++)
		verified_put_point(out, w->points.items[i]);
	for (i = 0; i < nold; i++)
		n += is_superseded(w, &l->items[i]);
	n = MIN(n, (size_t)VERIFIED_GONE_MAX);
	buf_put_varint(out, n);
	for (i = 0; i < nold && n > 0; i++) {
		if (!is_superseded(w, &l->items[i]))
			continue;
		buf_put_bytes(out, l->items[i].name, strlen(l->items[i].name));
		n--;
	}
}

/* All that was to be said stands, so that those before are needed no more. */
static void note_gone(struct check_ledger *l, const struct ledger_putting *w,
		      size_t nold)
{
	size_t i;

	for (i = 0; i < nold; i++)
		if (is_superseded(w, &l->items[i]))
			l->items[i].state = LEDGER_GONE;
}

/* What this check has verified is to be put once more. */
static void forget_entered(struct check *c)
{
	size_t i;

	pthread_mutex_lock(&c->lock);
	for (i = 0; i < c->ledger.n; i++)
		c->ledger.by_hash[i]->entered = false;
	pthread_mutex_unlock(&c->lock);
}

static int put_object(struct check *c, const struct buf *plain)
{
	struct check_ledger *l = &c->ledger;
	AUTO_BUF struct buf box = BUF_INIT;
	char object[OBJECT_NAME_MAX];
	int r;

	snprintf(object, sizeof(object), CHECK_LEDGER "%s-%u", l->sid,
		 l->next_n++);
	r = format_seal_box(vault_keyring(c->vault), NULL, NULL, c->seam,
			    OBJECT_LEDGER, object, NULL, 0, plain->data,
			    plain->len, &box);
	if (r == 0)
		r = backend_put_own(c->backend, object, box.data, box.len);
	if (r == 0)
		r = check_ledger_add(l, object + strlen(CHECK_LEDGER),
				     c->seam->ops->realtime_ns(c->seam));
	if (r == 0)
		l->items[l->nitems - 1].state = LEDGER_IN_USE;
	return r;
}

static int put_part(struct check *c, struct ledger_putting *w, size_t nold)
{
	AUTO_BUF struct buf plain = BUF_INIT, packs = BUF_INIT;
	uint64_t n = encode_packs(c, w, &packs);

	encode_names(&c->ledger, &plain);
	buf_put_varint(&plain, n);
	if (n)
		buf_put(&plain, packs.data, packs.len);
	if (w->next == c->ledger.n) {
		encode_tail(c, w, nold, &plain);
	} else {
		buf_put_varint(&plain, 0);
		buf_put_varint(&plain, 0);
	}
	if (packs.failed || buf_error(&plain) < 0)
		return -ENOMEM;
	return put_object(c, &plain);
}

static int put_all(struct check *c, struct ledger_putting *w)
{
	size_t nold = c->ledger.nitems;
	int r = vault_may_write(c->vault);

	if (r == 0)
		do
			r = put_part(c, w, nold);
		while (r == 0 && w->next < c->ledger.n);
	if (r == 0)
		note_gone(&c->ledger, w, nold);
	else
		forget_entered(c);
	check_ledger_sort(&c->ledger);
	return r;
}

static bool any_new(struct check *c)
{
	size_t i;
	bool any = false;

	pthread_mutex_lock(&c->lock);
	for (i = 0; i < c->ledger.n && !any; i++)
		any = c->ledger.by_hash[i]->whole &&
		      !c->ledger.by_hash[i]->entered &&
		      !check_ledger_is_twin(&c->ledger, i);
	pthread_mutex_unlock(&c->lock);
	return any;
}

/* What is to be said of points? What was said before stays said. */
static int choose_points(struct check *c, bool is_end, struct ledger_putting *w)
{
	struct check_ledger *l = &c->ledger;
	size_t i;
	int r = 0;

	/* What is not in quarantine the next check need not find. */
	if (is_end && c->out->quarantine_error == 0) {
		r = list_hurt(c, &w->points);
		w->says_points = !is_as_before(l, &w->points) ||
				 (w->is_full && w->points.n > 0);
		return r;
	}
	for (i = 0; i < l->npoints && w->is_full && r == 0; i++)
		r = add_id(&w->points, l->points[i]);
	w->says_points = w->is_full && l->npoints > 0;
	return r;
}

int check_ledger_put(struct check *c, bool is_end)
{
	struct check_ledger *l = &c->ledger;
	struct ledger_putting w = { .next = 0 };
	int r;

	if (!l->by_hash || l->nnames < 2)
		return 0; /* it was not read */
	w.is_full = count_items(l, LEDGER_IN_USE) >= IN_USE_MAX;
	r = choose_points(c, is_end, &w);
	if (r == 0 &&
	    (w.says_points || count_items(l, LEDGER_DAMAGED) > 0 || any_new(c)))
		r = put_all(c, &w);
	free(w.points.items);
	l->put_ns = c->seam->ops->monotonic_ns(c->seam);
	if (r == -ENOMEM)
		return r;
	/* What was read is as whole where it cannot be noted; the next time it may
	 * be. */
	c->out->ledger_error = r;
	return 0;
}

int check_ledger_tick(struct check *c)
{
	if (c->o->look_only ||
	    c->seam->ops->monotonic_ns(c->seam) - c->ledger.put_ns <
		    PUT_EVERY_NS)
		return 0;
	return check_ledger_put(c, false);
}
