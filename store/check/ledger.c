/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The ledger: which packs were read and found whole, when, and by whom. All checks
 * of a vault share it, so that each goes on where the others ended. It saves reading,
 * and nothing that it says can make anything else worse than that something is read
 * once more, or later.
 *
 * Each check puts what it has verified, and once there are several such objects, the
 * next one says all of it and supersedes them; a collection deletes those. What an
 * object says is believed no longer than the store says that it has been there: a
 * time of its own that is later is a lie, or of a wrong clock. So whoever forges one
 * hides a pack from --max-age for that time from then on, and from a check that is
 * to read everything not at all. Nor does it say anything of a pack that was put there
 * later, such as one in a copy of the vault, where the store tells.
 */
#include "config.h"

#include "store/check/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/hex.h"
#include "store/base/seam.h"
#include "store/crypt/crypt.h"
#include "store/point.h"
#include "store/vault.h"

#define SECOND_NS INT64_C(1000000000)
#define DAY_S INT64_C(86400)
#define AGE_S (30 * DAY_S) /* for what is told, where nothing is asked for */

void check_ledger_release(struct check_ledger *l)
{
	while (l->nnames > 0)
		free(l->names[--l->nnames]);
	free(l->by_hash);
	free(l->items);
	free(l->points);
}

/* ---- names ---- */

/* The number of who is called so; the last ones of very many are nobody. */
static int intern(struct check_ledger *l, const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < l->nnames; i++)
		if (strlen(l->names[i]) == len &&
		    memcmp(l->names[i], name, len) == 0)
			return (int)i;
	if (l->nnames == VERIFIED_NAMES_MAX)
		return 1;
	l->names[l->nnames] = strndup(name, len);
	return l->names[l->nnames] ? (int)l->nnames++ : -ENOMEM;
}

static int add_first_names(struct check *c)
{
	struct check_ledger *l = &c->ledger;
	const char *by = c->o->by ? c->o->by : "";

	l->names[0] = strndup(by, VERIFIED_NAME_LEN_MAX);
	l->nnames = l->names[0] != NULL;
	if (!l->nnames)
		return -ENOMEM;
	l->names[1] = strdup("");
	l->nnames += l->names[1] != NULL;
	return l->nnames == 2 ? 0 : -ENOMEM;
}

/* ---- packs by their hashes ---- */

static int by_hash(const void *a, const void *b)
{
	const struct check_pack *p = *(struct check_pack *const *)a;
	const struct check_pack *q = *(struct check_pack *const *)b;

	return memcmp(pack_name_hash(p->name), pack_name_hash(q->name),
		      2 * VERIFIED_KEY_LEN);
}

static int by_key(const void *key, const void *item)
{
	const struct check_pack *p = *(struct check_pack *const *)item;

	return memcmp(key, pack_name_hash(p->name), 2 * VERIFIED_KEY_LEN);
}

/* Two that are called alike cannot be told apart, and are never verified. */
bool check_ledger_is_twin(const struct check_ledger *l, size_t i)
{
	return (i > 0 && by_hash(&l->by_hash[i - 1], &l->by_hash[i]) == 0) ||
	       (i + 1 < l->n &&
		by_hash(&l->by_hash[i], &l->by_hash[i + 1]) == 0);
}

static struct check_pack *find_pack(const struct check_ledger *l,
				    const uint8_t key[VERIFIED_KEY_LEN])
{
	char hex[2 * VERIFIED_KEY_LEN + 1];
	struct check_pack **p;

	if (l->n == 0)
		return NULL;
	hex_encode(key, VERIFIED_KEY_LEN, hex);
	p = bsearch(hex, l->by_hash, l->n, sizeof(struct check_pack *), by_key);
	return p && !check_ledger_is_twin(l, (size_t)(p - l->by_hash)) ? *p
								       : NULL;
}

static int order_packs(struct check *c)
{
	struct check_ledger *l = &c->ledger;

	l->by_hash = alloc_array(c->npacks + 1, sizeof(struct check_pack *));
	if (!l->by_hash)
		return -ENOMEM;
	for (l->n = 0; l->n < c->npacks; l->n++)
		l->by_hash[l->n] = &c->packs[l->n];
	if (l->n)
		qsort(l->by_hash, l->n, sizeof(struct check_pack *), by_hash);
	return 0;
}

/* ---- objects ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct ledger_item *)a)->name,
		      ((const struct ledger_item *)b)->name);
}

void check_ledger_sort(struct check_ledger *l)
{
	if (l->nitems)
		qsort(l->items, l->nitems, sizeof(*l->items), by_name);
}

int check_ledger_add(struct check_ledger *l, const char *name,
		     int64_t stored_ns)
{
	struct ledger_item *item;

	if (array_reserve(&l->items, &l->items_cap, l->nitems + 1) < 0)
		return -ENOMEM;
	item = &l->items[l->nitems++];
	memset(item, 0, sizeof(*item));
	snprintf(item->name, sizeof(item->name), "%s", name);
	item->stored_ns = stored_ns;
	return 0;
}

static int on_object(void *arg, const char *name,
		     const struct backend_info *info)
{
	return name_is_object(name)
		       ? check_ledger_add(arg, name + strlen(CHECK_LEDGER),
					  info->stored_ns)
		       : 0;
}

/* ---- reading ---- */

struct ledger_reading {
	struct check_ledger *l;
	struct ledger_item *item;
	uint8_t who[VERIFIED_NAMES_MAX]; /* by its own numbers */
	bool takes_points; /* none that was put later says anything of them */
};

static int on_name(void *arg, uint64_t who, const char *name, size_t len)
{
	struct ledger_reading *rd = arg;
	int r = intern(rd->l, name, len);

	if (r >= 0)
		rd->who[who] = (uint8_t)r;
	return MIN(r, 0);
}

static int on_pack(void *arg, const uint8_t key[VERIFIED_KEY_LEN],
		   int64_t time_s, uint64_t who)
{
	struct ledger_reading *rd = arg;
	struct check_pack *p = find_pack(rd->l, key);
	int64_t s = MIN(time_s, rd->item->stored_ns / SECOND_NS);

	/* By a clock that is far ahead, be it the store's, everything would be
	 * fresh for ever. */
	if (!p || s > rd->l->now_s + DAY_S)
		return 0;
	s = MIN(s, rd->l->now_s);
	/* What was put there since, as in a copy of the vault, nobody has read there. A
	 * store whose clock is ahead would say that of all. */
	if (p->placed_s > time_s && p->placed_s <= rd->l->now_s)
		return 0;
	if (s > p->verified_s) {
		p->verified_s = s;
		p->who = rd->who[who];
	}
	return 0;
}

static int on_points(void *arg)
{
	struct ledger_reading *rd = arg;

	rd->takes_points = !rd->l->says_points;
	rd->l->says_points = true;
	return 0;
}

static int on_point(void *arg, const char id[NAME_HEX + 1])
{
	struct ledger_reading *rd = arg;
	struct check_ledger *l = rd->l;

	if (!rd->takes_points)
		return 0;
	if (array_reserve(&l->points, &l->points_cap, l->npoints + 1) < 0)
		return -ENOMEM;
	memcpy(l->points[l->npoints++], id, NAME_HEX + 1);
	return 0;
}

static int on_gone(void *arg, const char *name)
{
	struct ledger_reading *rd = arg;
	struct ledger_item key, *item;

	snprintf(key.name, sizeof(key.name), "%s", name);
	item = bsearch(&key, rd->l->items, rd->l->nitems, sizeof(key), by_name);
	if (item && item != rd->item)
		item->state = LEDGER_GONE;
	return 0;
}

static int report_item(struct check *c, struct ledger_item *item,
		       const char *object, int r)
{
	if (r == -EBADMSG)
		item->state = LEDGER_DAMAGED;
	return MIN(check_found(c, true, object, "%s%s",
			       r == -EBADMSG	  ? "damaged"
			       : r == -EOPNOTSUPP ? NEWER_OR_DAMAGED
						  : "cannot be read",
			       check_what_is_lost(OBJECT_LEDGER)),
		   0);
}

static int read_item(struct check *c, struct ledger_item *item)
{
	struct ledger_reading rd = { .l = &c->ledger, .item = item };
	const struct verified_visitor v = { .name = on_name,
					    .pack = on_pack,
					    .points = on_points,
					    .point = on_point,
					    .gone = on_gone,
					    .arg = &rd };
	AUTO_BUF struct buf plain = BUF_INIT;
	char object[OBJECT_NAME_MAX];
	int r;

	snprintf(object, sizeof(object), CHECK_LEDGER "%s", item->name);
	r = check_open(c, OBJECT_LEDGER, object, &plain);
	/* Twice: what is malformed is not to be believed in part. */
	if (r == 0)
		r = verified_decode(plain.data, plain.len, object,
				    &(struct verified_visitor){ .arg = NULL });
	if (r == 0)
		r = verified_decode(plain.data, plain.len, object, &v);
	if (r == 0 && item->state == LEDGER_LISTED)
		item->state = LEDGER_IN_USE;
	if (r == -ENOENT)
		item->state = LEDGER_GONE; /* a collection took it */
	if (backend_error_is_of_object(r) || r == -EOPNOTSUPP)
		return report_item(c, item, object, r);
	return r == -ENOENT ? 0 : r;
}

static int by_time(const void *a, const void *b)
{
	const struct ledger_item *p = *(struct ledger_item *const *)a;
	const struct ledger_item *q = *(struct ledger_item *const *)b;

	if (p->stored_ns != q->stored_ns)
		return p->stored_ns > q->stored_ns ? -1 : 1;
	return strcmp(q->name, p->name);
}

/* The last ones first, since they may supersede the others. */
static int read_items(struct check *c)
{
	struct check_ledger *l = &c->ledger;
	AUTO_FREE struct ledger_item **order =
		alloc_array(l->nitems + 1, sizeof(struct ledger_item *));
	size_t i;
	int r = order ? 0 : -ENOMEM;

	for (i = 0; r == 0 && i < l->nitems; i++)
		order[i] = &l->items[i];
	if (r == 0 && l->nitems)
		qsort(order, l->nitems, sizeof(struct ledger_item *), by_time);
	for (i = 0; i < l->nitems && r == 0; i++) {
		if (order[i]->state != LEDGER_GONE)
			r = read_item(c, order[i]);
		if (r == 0)
			r = check_tick(c);
	}
	return r;
}

int check_ledger_read(struct check *c)
{
	struct check_ledger *l = &c->ledger;
	uint8_t raw[NAME_HEX / 2];
	int r = order_packs(c);

	l->now_s = c->seam->ops->realtime_ns(c->seam) / SECOND_NS;
	if (r == 0)
		r = add_first_names(c);
	if (r == 0)
		r = c->seam->ops->random(c->seam, raw, sizeof(raw));
	if (r < 0)
		return r;
	hex_encode(raw, sizeof(raw), l->sid);
	r = backend_list(c->backend, CHECK_LEDGER, on_object, l);
	check_ledger_sort(l);
	return r == 0 ? read_items(c) : r;
}

/* ---- telling ---- */

static int by_id(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool was_hurt(const struct check_ledger *l, const char *id)
{
	return bsearch(id, l->points, l->npoints, sizeof(*l->points), by_id);
}

static int find_mended(struct check *c)
{
	const struct point_list *l = c->out->points_list;
	const struct check_ledger *ledger = &c->ledger;
	size_t i, cap = 0;

	for (i = 0; i < l->n && ledger->npoints > 0; i++) {
		/* One whose register was damaged is called by its session. */
		if (c->hurt[i] || !(was_hurt(ledger, l->points[i]->id) ||
				    was_hurt(ledger, l->points[i]->session)))
			continue;
		if (array_reserve(&c->out->mended, &cap, c->out->nmended + 1) <
		    0)
			return -ENOMEM;
		c->out->mended[c->out->nmended++] = i;
	}
	return 0;
}

int check_ledger_tell(struct check *c)
{
	struct check_coverage *out = &c->out->coverage;
	struct check_ledger *l = &c->ledger;
	const struct check_pack *oldest = NULL;
	char object[OBJECT_NAME_MAX];
	size_t i;

	out->age_s = c->o->max_age_s ? c->o->max_age_s : AGE_S;
	for (i = 0; i < c->npacks; i++) {
		const struct check_pack *p = &c->packs[i];

		out->bytes += p->size;
		if (format_pack_object_name(p->name, object) < 0 ||
		    check_find(c, object))
			continue; /* what is damaged is not verified */
		if (p->verified_s == 0) {
			out->never++;
			out->never_bytes += p->size;
			continue;
		}
		if (p->verified_s >= l->now_s - out->age_s)
			out->bytes_verified += p->size;
		if (!oldest || p->verified_s < oldest->verified_s)
			oldest = p;
	}
	if (oldest) {
		out->oldest_s = oldest->verified_s;
		snprintf(out->oldest, sizeof(out->oldest), "%s", oldest->name);
	}
	out->oldest_by = strdup(oldest ? l->names[oldest->who] : "");
	return out->oldest_by ? find_mended(c) : -ENOMEM;
}
