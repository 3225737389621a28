/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What points need, and whether packs hold it. Other collections may be at work: a
 * point that is marked may be removed for ever meanwhile, and what it alone needed
 * deleted, and that is no damage.
 */
#include "config.h"

#include "store/collect/internal.h"

#include <errno.h>

#include "store/backend/backend.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/mark/mark.h"
#include "store/point.h"
#include "store/vault.h"

/* What is marked, and of which points. */
struct marking {
	struct cycle *cycle;
	struct mark *mark; /* NULL: begin one */
	struct hex_ids points;
	const struct ledger *ledger; /* borrowed */
	const struct hex_ids *without; /* borrowed: points that count no more */
	struct hex_ids gone; /* others, as was found meanwhile */
};

/* The points that were removed for ever until now, by whomever. */
static int read_purged(struct cycle *c, struct hex_ids *out)
{
	struct seam *seam = vault_seam(c->vault);
	/* Somebody who began later may have gone by a later time. */
	int64_t now_ns = seam->ops->realtime_ns(seam);

	return ledger_read_purged(c->vault, MAX(now_ns, c->clock.now_ns), out);
}

static int read_and_mark(const struct marking *m, struct mark *mark,
			 const struct ledger_row *row)
{
	struct point *p = NULL;
	int r = ledger_point(m->cycle->vault, m->ledger, row, &p);

	if (r == 0)
		r = mark_point(mark, p);
	point_free(p);
	return r;
}

/* Say what is wrong with a point that could not be marked. Return what that is. */
static int say_why(const struct marking *m, const struct ledger_row *row)
{
	struct mark *mark;
	int r = mark_new(m->cycle->vault, &mark);

	if (r == 0) {
		mark_set_task(mark, &m->cycle->task);
		r = read_and_mark(m, mark, row);
	}
	mark_free(mark);
	return r < 0 ? r
		     : fail(-EIO,
			    "point %s could not be read for a while: nothing "
			    "is deleted; try again",
			    row->commit.point);
}

/*
 * A point that could not be marked may have been removed for ever, by another
 * collection, which has deleted what it alone needed. Then all begins anew without it,
 * for the mark holds nodes that were not looked into, and that others may have, too.
 * Return 0, or the negative errno of what is wrong, said in words.
 */
static int begin_anew(struct marking *m, const struct ledger_row *row)
{
	struct hex_ids purged = { .n = 0 };
	int r = read_purged(m->cycle, &purged);
	bool is_gone = r == 0 && hex_ids_has(&purged, row->commit.point);

	hex_ids_release(&purged);
	if (r < 0)
		return r;
	if (!is_gone)
		return say_why(m, row);
	mark_free(m->mark);
	m->mark = NULL;
	hex_ids_release(&m->points);
	r = hex_ids_add(&m->gone, row->commit.point);
	hex_ids_sort(&m->gone);
	return r;
}

/* Mark one more. Return 0, 1 (all has to be marked again) or a negative errno. */
static int mark_row(struct marking *m, const struct ledger_row *row)
{
	bool before = log_hush(true);
	int r = read_and_mark(m, m->mark, row);

	(void)log_hush(before);
	if (r == 0)
		return hex_ids_add(&m->points, row->commit.point);
	if (r == -EINTR || r == -ENOMEM)
		return r;
	if (r != -ENOENT && !backend_error_is_of_object(r))
		return say_why(m, row);
	r = begin_anew(m, row);
	return r < 0 ? r : 1;
}

/* The same of all of them. */
static int mark_rows(struct marking *m)
{
	size_t i, n = m->points.n;
	int r = 0;

	for (i = 0; i < m->ledger->n && r == 0; i++) {
		const struct ledger_row *row = &m->ledger->rows[i];
		const char *id = row->commit.point;
		/* Those that are added are not looked for: each is in the ledger
		 * once. */
		struct hex_ids before = m->points;

		before.n = n;
		if (id[0] && !hex_ids_has(m->without, id) &&
		    !hex_ids_has(&m->gone, id) && !hex_ids_has(&before, id))
			r = mark_row(m, row);
	}
	return r;
}

static int mark_all(struct marking *m)
{
	int r;

	do {
		r = 0;
		if (!m->mark) {
			r = mark_new(m->cycle->vault, &m->mark);
			if (r == 0)
				mark_set_task(m->mark, &m->cycle->task);
		}
		if (r == 0)
			r = mark_rows(m);
		hex_ids_sort(&m->points);
	} while (r == 1);
	hex_ids_release(&m->gone);
	return r;
}

int plan_mark(struct cycle *c, const struct ledger *l,
	      const struct hex_ids *without)
{
	struct marking m = { .cycle = c,
			     .mark = c->mark,
			     .points = c->marked,
			     .ledger = l,
			     .without = without };
	int r = mark_all(&m);

	c->mark = m.mark;
	c->marked = m.points;
	return r;
}

/* ---- packs ---- */

static int on_other_pack(void *arg, const struct mark_pack *p)
{
	struct cycle *c = arg;

	(void)p;
	clock_try_tick(&c->clock);
	return 0;
}

/* Count the chunks that no pack holds of those that points need but for @purged. */
static int count_unheld(struct cycle *c, const struct hex_ids *purged,
			uint64_t *out)
{
	struct ledger now = { .n = 0 };
	struct marking m = { .cycle = c, .ledger = &now, .without = purged };
	int r = ledger_read(c->vault, c->list, &now);

	if (r == 0)
		r = mark_all(&m);
	if (r == 0)
		r = mark_packs(m.mark, on_other_pack, c);
	if (r == 0)
		*out = mark_unheld(m.mark);
	mark_free(m.mark);
	hex_ids_release(&m.points);
	ledger_release(&now);
	return r;
}

/*
 * The mark holds for the whole collection, and another one may have removed points
 * for ever since, and have deleted what they alone needed. So it is asked what is
 * lacking of what all others need; and again, where more were removed meanwhile.
 */
static int count_lost(struct cycle *c, uint64_t *out)
{
	struct hex_ids purged = { .n = 0 };
	size_t before;
	int r = read_purged(c, &purged);

	do {
		before = purged.n;
		if (r == 0)
			r = count_unheld(c, &purged, out);
		hex_ids_release(&purged);
		if (r == 0 && *out > 0)
			r = read_purged(c, &purged);
	} while (r == 0 && *out > 0 && purged.n != before);
	hex_ids_release(&purged);
	return r;
}

/* A chunk that a point needs, and that no pack is known to hold, may be in any that
 * somebody has just put: look once more. */
int plan_each_pack(struct cycle *c,
		   int (*fn)(void *arg, const struct mark_pack *p), void *arg,
		   void (*reset)(void *arg))
{
	uint64_t unheld;
	int r;

	reset(arg);
	r = mark_packs(c->mark, fn, arg);
	unheld = r == 0 ? mark_unheld(c->mark) : 0;
	if (unheld > 0) {
		reset(arg);
		r = mark_packs(c->mark, fn, arg);
		unheld = r == 0 ? mark_unheld(c->mark) : 0;
	}
	if (unheld > 0)
		r = count_lost(c, &unheld);
	if (r == 0 && unheld > 0)
		r = fail(-EBADMSG,
			 "%llu chunks that points need are in no pack that can "
			 "be read: nothing is deleted from a vault that is "
			 "damaged; see: vmbackup check",
			 (unsigned long long)unheld);
	return r;
}
