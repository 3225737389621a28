/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Objects that are of no use any more, besides packs: points that were removed, or
 * that never came to be, and what sessions that are decided said of themselves,
 * and what checks noted and others have noted since.
 * Registers, notes and wishes stay: they say why.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/names.h"
#include "store/base/array.h"
#include "store/base/buf.h"
#include "store/base/log.h"
#include "store/catalog/catalog.h"
#include "store/collect/internal.h"
#include "store/collect/register.h"
#include "store/format.h"
#include "store/point.h"
#include "store/record/verified.h"
#include "store/vault.h"

struct names {
	char (*items)[OBJECT_NAME_MAX]; /* owned */
	size_t n, cap;
};

static int add(struct names *l, const char *name)
{
	if (array_reserve(&l->items, &l->cap, l->n + 1) < 0)
		return -ENOMEM;
	snprintf(l->items[l->n++], OBJECT_NAME_MAX, "%s", name);
	return 0;
}

/* ---- points ---- */

static int on_point(void *arg, const char *name,
		    const struct backend_info *info)
{
	(void)info;
	return add(arg, name);
}

/* The points that sessions made. */
static int list_committed(const struct ledger *l, struct hex_ids *out)
{
	size_t i;
	int r = 0;

	for (i = 0; i < l->n && r == 0; i++)
		if (l->rows[i].commit.point[0])
			r = hex_ids_add(out, l->rows[i].commit.point);
	hex_ids_sort(out);
	return r;
}

/* Whether a point that no register names never will be one: its session is decided.
 * Return 1, 0 (also where it cannot be read) or a negative errno. */
static int is_void(struct cycle *c, const struct ledger *l, const char *name)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	bool before = log_hush(true);
	struct point *p = NULL;
	int r = register_read(c->vault, OBJECT_POINT, name, &plain);

	if (r == 0)
		r = point_decode(plain.data, plain.len, name, &p);
	(void)log_hush(before);
	if (r == 0)
		r = ledger_find(l, p->session) != NULL;
	else if (r == -ENOENT || r == -EOPNOTSUPP ||
		 backend_error_is_of_object(r))
		r = 0;
	point_free(p);
	return r;
}

/*
 * Keep of @l, the objects of all points, those that go. A point that somebody else
 * removed while this collection was at work is marked, or was made after its plan: its
 * packs stay, and so does its object, which tells the next collection that there is
 * something to do. So it is where a pack could not be read, which may be one that only
 * such a point needed.
 */
static int judge_points(struct cycle *c, struct names *l)
{
	struct hex_ids committed = { .n = 0 }, planned = { .n = 0 };
	struct ledger ledger = { .n = 0 };
	size_t i, n = 0;
	int r = ledger_read(c->vault, c->list, &ledger);

	if (r == 0)
		r = list_committed(&ledger, &committed);
	if (r == 0)
		r = list_committed(&c->ledger, &planned);
	for (i = 0; i < l->n && r >= 0; i++) {
		const char *id = l->items[i] + strlen("point/");

		if (hex_ids_has(&committed, id))
			r = !c->has_unread && hex_ids_has(&c->purged, id) &&
			    hex_ids_has(&planned, id) &&
			    !hex_ids_has(&c->marked, id);
		else
			r = is_void(c, &ledger, l->items[i]);
		if (r == 1 && n++ != i)
			memcpy(l->items[n - 1], l->items[i], OBJECT_NAME_MAX);
	}
	l->n = n;
	ledger_release(&ledger);
	hex_ids_release(&committed);
	hex_ids_release(&planned);
	return MIN(r, 0);
}

/* ---- sessions ---- */

/* What sessions said of themselves, and since when. */
struct sayings {
	const struct cycle *cycle;
	struct names *out;
	struct hex_ids sids; /* of which there is a session/ */
};

static int on_session(void *arg, const char *name,
		      const struct backend_info *info)
{
	struct sayings *s = arg;
	const char *sid = name + strlen("session/");
	int r = hex_ids_add(&s->sids, sid);

	(void)info;
	if (r == 0 && ledger_find(&s->cycle->ledger, sid))
		r = add(s->out, name);
	return r;
}

/* A collection that is at work puts one in each hour. What seems to be stored more than
 * an hour from now is of a clock that was wrong, and would stay for as long. */
static bool is_stale(const struct cycle *c, int64_t stored_ns)
{
	int64_t age_ns;

	return __builtin_sub_overflow(c->clock.now_ns, stored_ns, &age_ns) ||
	       age_ns > CLOCK_LEASE_NS || age_ns < -CLOCK_LEASE_NS;
}

/* Those of sessions that are decided, and of collections that are over. */
static int on_beat(void *arg, const char *name, const struct backend_info *info)
{
	struct sayings *s = arg;
	const struct cycle *c = s->cycle;
	char sid[NAME_HEX + 1];

	if (!name_numbered(name, "heartbeat/", sid, NULL) ||
	    strcmp(sid, c->clock.gid) == 0)
		return 0;
	if (ledger_find(&c->ledger, sid) ||
	    (!hex_ids_has(&s->sids, sid) && is_stale(c, info->stored_ns)))
		return add(s->out, name);
	return 0;
}

static int list_sayings(struct cycle *c, struct names *out)
{
	struct sayings s = { .cycle = c, .out = out };
	int r = vault_list_plain(c->vault, "session/", on_session, &s);

	hex_ids_sort(&s.sids);
	if (r == 0)
		r = vault_list(c->vault, "heartbeat/", on_beat, &s);
	hex_ids_release(&s.sids);
	return r;
}

/* ---- what was tried out ---- */

static int on_probe(void *arg, const char *name,
		    const struct backend_info *info)
{
	struct sayings *s = arg;

	return is_stale(s->cycle, info->stored_ns) ? add(s->out, name) : 0;
}

/* Whoever tries a place takes away what he put there, unless he is killed. Another
 * collection may be trying it just now. */
static int list_probes(struct cycle *c, struct names *out)
{
	struct sayings s = { .cycle = c, .out = out };

	return backend_list(vault_backend(c->vault), "probe/", on_probe, &s);
}

/* ---- ledgers of checks ---- */

struct ledgers {
	struct names listed;
	char (*gone)[VERIFIED_OBJECT_MAX]; /* owned; sorted once complete */
	size_t n, cap;
};

static int on_ledger(void *arg, const char *name,
		     const struct backend_info *info)
{
	struct ledgers *l = arg;

	(void)info;
	return add(&l->listed, name);
}

static int on_superseded(void *arg, const char *name)
{
	struct ledgers *l = arg;

	if (array_reserve(&l->gone, &l->cap, l->n + 1) < 0)
		return -ENOMEM;
	snprintf(l->gone[l->n++], VERIFIED_OBJECT_MAX, "%s", name);
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* What one says that cannot be read is not known, and takes none away. */
static int read_ledger(struct cycle *c, const char *name, struct ledgers *l)
{
	const struct verified_visitor v = { .gone = on_superseded, .arg = l };
	AUTO_BUF struct buf plain = BUF_INIT;
	bool before = log_hush(true);
	int r = register_read(c->vault, OBJECT_LEDGER, name, &plain);

	if (r == 0)
		r = verified_decode(plain.data, plain.len, name, &v);
	(void)log_hush(before);
	return r == -ENOENT || r == -EOPNOTSUPP || backend_error_is_of_object(r)
		       ? 0
		       : r;
}

/* Those that another one, which is there, supersedes. All that they say it says, too,
 * and nothing hangs on either. */
static int list_ledgers(struct cycle *c, struct names *out)
{
	struct ledgers l = { .n = 0 };
	size_t i;
	int r = vault_list_plain(c->vault, "ledger/", on_ledger, &l);

	for (i = 0; i < l.listed.n && r == 0; i++)
		r = read_ledger(c, l.listed.items[i], &l);
	if (l.n)
		qsort(l.gone, l.n, sizeof(*l.gone), by_text);
	for (i = 0; i < l.listed.n && l.n > 0 && r == 0; i++)
		if (bsearch(l.listed.items[i] + strlen("ledger/"), l.gone, l.n,
			    sizeof(*l.gone), by_text))
			r = add(out, l.listed.items[i]);
	free(l.listed.items);
	free(l.gone);
	return r;
}

/* ---- deleting ---- */

#define BATCH 1000

static int delete_all(struct cycle *c, const struct names *l)
{
	const char *batch[BATCH];
	size_t i, m;
	int r = 0;

	for (i = 0; i < l->n && r == 0; i += m) {
		for (m = 0; m < BATCH && i + m < l->n; m++)
			batch[m] = l->items[i + m];
		r = backend_delete_many(vault_backend(c->vault), batch, m);
	}
	for (i = 0; i < l->n && r == 0; i++)
		r = catalog_drop_object(vault_catalog(c->vault), l->items[i]);
	c->out->leftovers += r == 0 ? l->n : 0;
	return r;
}

static int list_digests(struct cycle *c, struct names *out)
{
	AUTO_NAMES struct backend_names gone = { NULL, 0, 0 };
	size_t i;
	int r = digests_tidy(c, &gone);

	for (i = 0; i < gone.n && r == 0; i++)
		r = add(out, gone.list[i]);
	return r;
}

int leftover_delete(struct cycle *c)
{
	struct names l = { .n = 0 };
	size_t nparity = 0;
	int r = vault_list_plain(c->vault, "point/", on_point, &l);

	if (r == 0)
		r = judge_points(c, &l);
	if (r == 0)
		r = list_sayings(c, &l);
	if (r == 0)
		r = list_ledgers(c, &l);
	if (r == 0)
		r = list_probes(c, &l);
	if (r == 0)
		r = list_digests(c, &l);
	if (r == 0)
		r = delete_all(c, &l);
	if (r == 0)
		r = parity_delete_left(c->vault, &nparity);
	c->out->leftovers += nparity;
	free(l.items);
	return r;
}

/* ---- is there any? ---- */

static int count_purged(void *arg, const char *name,
			const struct backend_info *info)
{
	struct cycle *c = arg;

	(void)info;
	c->out->plan.npurged +=
		hex_ids_has(&c->purged, name + strlen("point/"));
	return 0;
}

int leftover_any(struct cycle *c)
{
	int r;

	c->out->plan.npurged = 0;
	r = vault_list_plain(c->vault, "point/", count_purged, c);
	return r < 0 ? r : c->out->plan.npurged > 0;
}
