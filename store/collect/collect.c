/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/collect/collect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/log.h"
#include "store/catalog/catalog.h"
#include "store/collect/internal.h"
#include "store/collect/reserve.h"
#include "store/collect/tomb.h"
#include "store/collect/wait.h"
#include "store/format.h"
#include "store/mark/mark.h"
#include "store/point.h"
#include "store/vault.h"

/* ---- points that go ---- */

/* Lists of one vault are in one order, so that the next is looked for behind the
 * last that was found, at *@at. */
static const struct due_point *find_due(const struct due_list *d,
					const char *id, size_t *at)
{
	size_t i;

	for (i = 0; i < d->n; i++) {
		size_t k = (*at + i) % d->n;

		if (strcmp(d->items[k].point->id, id) == 0) {
			*at = k + 1;
			return &d->items[k];
		}
	}
	return NULL;
}

/* It is not, once somebody else removed it. */
static bool is_listed(const struct point_list *l, const char *id)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (strcmp(l->points[i]->id, id) == 0)
			return true;
	return false;
}

static int purge_one(struct cycle *c, const struct due_point *d)
{
	bool purged = false;
	int r = due_purge(c->vault, d->point, c->o->by, &purged);

	if (r == 0 && purged)
		c->out->purged++;
	else if (r == 0)
		c->out->ntaken_back++;
	return r;
}

/* A collection lasts for hours. A later program may have added something to the vault
 * since, which it does before it makes the first point that has it: then this one does
 * not know what that refers to. */
static int check_features(struct cycle *c)
{
	int r = vault_read_features(c->vault);

	return r < 0 ? r : vault_may_collect(c->vault);
}

/* Remove the points that were due when the plan was made, and that are due still:
 * somebody may have protected one since. */
static int purge_due(struct cycle *c)
{
	struct due_list now = { .n = 0 };
	struct point_list *l = NULL;
	size_t i, at = 0;
	int r = 0;

	if (c->due.ndue == 0)
		return 0;
	r = vault_points(c->vault, &l);
	if (r == 0)
		r = check_features(c);
	if (r == 0)
		r = due_list_make(c->vault, l, c->clock.least_ns, &now);
	for (i = 0; i < c->due.n && r == 0; i++) {
		const struct due_point *d =
			find_due(&now, c->due.items[i].point->id, &at);

		if (!c->due.items[i].is_due)
			continue;
		if (d && d->is_due)
			r = purge_one(c, d);
		else if (d || is_listed(l, c->due.items[i].point->id))
			c->out->ntaken_back++;
	}
	due_list_release(&now);
	point_list_put(l);
	return r;
}

/* ---- packs that go ---- */

/* Registers are never deleted: a listing that lacks one which was there is of another
 * time, or not whole, and may lack the points that were made meanwhile, too. */
static int check_listing(const struct cycle *c, const struct hex_ids *decided,
			 const struct ledger *now)
{
	const char *lacks = NULL;
	size_t i;

	for (i = 0; i < c->ledger.n && !lacks; i++)
		if (!ledger_find(now, c->ledger.rows[i].sid))
			lacks = c->ledger.rows[i].sid;
	for (i = 0; i < decided->n && !lacks; i++)
		if (!ledger_find(now, decided->items[i]))
			lacks = decided->items[i];
	return lacks ? fail(-EIO,
			    "%s: the listing of commit/ lacks %s, which is "
			    "there: no pack is deleted",
			    vault_url(c->vault), lacks)
		     : 0;
}

/* Once every session that may not have seen the tombs is decided: of what is
 * condemned, what still nobody needs. The points that are removed are those of
 * before the tombs, for a session that began since then may stand on others. @decided:
 * those sessions. */
static int find_deletes(struct cycle *c, const struct hex_ids *decided,
			struct pack_list *out)
{
	struct ledger now = { .n = 0 };
	int r = ledger_read(c->vault, c->list, &now);

	if (r == 0)
		r = check_listing(c, decided, &now);
	if (r == 0)
		r = check_features(c);
	if (r == 0)
		r = plan_mark(c, &now, &c->purged);
	if (r == 0)
		r = plan_recheck(c, out);
	ledger_release(&now);
	return r;
}

/* The sizes of @l, as the database has them: 0 where it does not know one. Free
 * them; NULL where memory is out. */
static uint64_t *sizes_of(struct cycle *c, const struct pack_list *l)
{
	struct catalog *catalog = vault_catalog(c->vault);
	uint64_t *sizes = calloc(l->n + 1, sizeof(*sizes));
	struct pack_row row;
	size_t i;
	int64_t no;

	for (i = 0; sizes && i < l->n; i++)
		if (catalog_pack_no(catalog, l->names[i], &no) == 0 &&
		    catalog_get_pack(catalog, no, &row, NULL) == 0)
			sizes[i] = row.size;
	return sizes;
}

struct left_packs {
	const struct pack_list *of; /* borrowed */
	struct pack_list found;
};

static int on_left(void *arg, const char *object,
		   const struct backend_info *info)
{
	struct left_packs *left = arg;
	const char *name = strrchr(object, '/') + 1;

	(void)info;
	return pack_list_has(left->of, name) ? pack_list_add(&left->found, name)
					     : 0;
}

/* Tell how many of the packs @l are gone. Where some may not be, as @r says, it is
 * looked which are, and where that fails, too, none is said to be. */
static void count_gone(struct cycle *c, const struct pack_list *l,
		       const uint64_t *sizes, int r)
{
	struct left_packs left = { .of = l };
	bool before = log_hush(true);
	size_t i;

	if (r < 0 && l->n)
		r = vault_list_plain(c->vault, "pack/", on_left, &left);
	(void)log_hush(before);
	pack_list_sort(&left.found);
	for (i = 0; r == 0 && i < l->n; i++) {
		if (left.found.n && pack_list_has(&left.found, l->names[i]))
			continue;
		c->out->packs++;
		c->out->bytes += sizes[i];
	}
	pack_list_release(&left.found);
}

/* Say that nothing is deleted, if that can be done; or the next collection does. */
static void give_up(struct cycle *c)
{
	struct pack_list none = { .n = 0 };
	int r = tomb_decide(c->vault, c->clock.gid, &c->condemned, NULL, &none);

	if (r == 0 && none.n == 0)
		(void)!tomb_remove(c->vault, c->clock.gid, &c->condemned);
	pack_list_release(&none);
}

/* Delete what of it stands that it goes, whoever decided the rest. */
static int sweep(struct cycle *c, const struct pack_list *deletes)
{
	struct pack_list stands = { .n = 0 };
	AUTO_FREE uint64_t *sizes = NULL;
	int r = tomb_decide(c->vault, c->clock.gid, &c->condemned, deletes,
			    &stands);
	int lost = r == -ECANCELED ? r : 0;

	r = lost < 0 ? 0 : r;
	if (r == 0) {
		sizes = sizes_of(c, &stands);
		r = sizes ? 0 : -ENOMEM;
	}
	/* Points that stand on packs that were rewritten stand on the new ones
	 * before the old ones go, where that can be said. It is decided that they
	 * go, and they would stay for ever if they waited for it. */
	if (r == 0 && c->repacked.n) {
		r = reindex(c, &stands);
		r = r == -ENOSPC || r == -EDQUOT || r == -ESTALE ||
				    backend_error_is_of_object(r)
			    ? 0
			    : r;
	}
	if (r == 0) {
		r = tomb_sweep(c->vault, &c->clock, &stands);
		count_gone(c, &stands, sizes, r);
	}
	if (r == 0)
		r = tomb_remove(c->vault, c->clock.gid, &c->condemned);
	if (r == 0)
		r = undone_forget_packs(c, &stands);
	pack_list_release(&stands);
	return r == 0 ? lost : r;
}

static int delete_packs(struct cycle *c)
{
	struct pack_list deletes = { .n = 0 };
	struct hex_ids fenced = { .n = 0 }, decided = { .n = 0 };
	int r;

	if (c->condemned.n == 0)
		return 0;
	/* Who finds the tombs looks whether this one is alive. */
	r = clock_tick(&c->clock);
	if (r == 0)
		r = tomb_put(c->vault, c->clock.gid, &c->condemned);
	if (r == 0)
		r = wait_for_sessions(c->vault, &c->clock, &c->o->wait,
				      &decided, &fenced);
	c->out->fenced += fenced.n;
	if (r == 0)
		r = repack_copy(c);
	if (r == 0)
		r = find_deletes(c, &decided, &deletes);
	if (r < 0)
		give_up(c);
	else
		r = sweep(c, &deletes);
	hex_ids_release(&fenced);
	hex_ids_release(&decided);
	pack_list_release(&deletes);
	return r;
}

/* ---- all of it ---- */

static int check_amount(const struct cycle *c)
{
	const struct collect_plan *plan = &c->out->plan;

	if (!plan->is_much || c->o->yes_remove == (int64_t)plan->nremoved)
		return 0;
	return fail(-E2BIG,
		    "%zu of %zu points and %zu of %zu packs would go, and %zu "
		    "be rewritten, which is more than 30 %% of what is there: "
		    "none of that was removed; if that is right, say "
		    "--yes-remove %zu",
		    plan->nremoved - plan->ndead - plan->nrepacked,
		    plan->npoints + plan->npurged, plan->ndead, plan->npacks,
		    plan->nrepacked, plan->nremoved);
}

static int stopped(const struct cycle *c)
{
	return c->o->wait.stop && *c->o->wait.stop ? -EINTR : 0;
}

static int carry_out(struct cycle *c)
{
	int r = check_amount(c);

	if (r == 0)
		r = purge_due(c);
	/* From here on those are removed that are now. */
	hex_ids_release(&c->purged);
	if (r == 0)
		r = ledger_read_purged(c->vault, c->clock.now_ns, &c->purged);
	if (r == 0)
		r = stopped(c);
	if (r == 0)
		r = undone_finish(c);
	if (r == 0)
		r = delete_packs(c);
	if (r == 0)
		r = reindex(c, NULL);
	/* Points that were removed go last: while there is one, the next
	 * collection looks for what this one left. */
	if (r == 0)
		r = leftover_delete(c);
	return r == 0 ? plan_remember(c) : r;
}

/* A backup elsewhere and this collection have to see each other's objects: one that is
 * seen late, and packs go that a new point needs. */
static int check_lag(const struct cycle *c)
{
	char why[BACKEND_LAG_MAX];

	if (c->o->is_dry_run || c->o->is_single_writer ||
	    !backend_may_lag(vault_backend(c->vault), why))
		return 0;
	return fail(-EOPNOTSUPP,
		    "vault %s: %s: a backup on another machine could lose what "
		    "it uses, and nothing is deleted; run it where the vault's "
		    "disk is, or, if this machine alone writes to the vault, "
		    "say --single-writer",
		    vault_url(c->vault), why);
}

/* Whether the place keeps its word, and lets this user delete: whoever may not would
 * leave tombs, which keep writers from what they name. */
static int probe_place(const struct cycle *c)
{
	static const char *const prefixes[] = {
		"digest/", "heartbeat/",  "index/",   "ledger/", "pack/",
		"point/",  "quarantine/", "session/", "tomb/",
	};
	struct backend *b = vault_backend(c->vault);
	size_t i;
	int r = 0;

	if (c->o->is_dry_run)
		return 0;
	for (i = 0; i < ARRAY_SIZE(prefixes) && r == 0; i++)
		r = backend_may_delete(b, prefixes[i]);
	/* Some places can only be tried. */
	if (r == 0)
		r = backend_probe(b);
	if (reserve_is_full(r) && reserve_spend(c->vault))
		r = backend_probe(b);
	return r;
}

/* The vault has to be one that may be collected before anything is put there, even
 * a heartbeat. */
static int check_vault(struct vault *v)
{
	struct point_list *l;
	int r;

	/* Whoever can put objects can put a digest that tells of other points than
	 * there are. What is deleted follows from the registers alone. */
	vault_distrust_digests(v);
	r = vault_points(v, &l);
	if (r < 0)
		return r;
	point_list_put(l);
	return vault_may_collect(v);
}

static int run(struct cycle *c)
{
	int r = check_vault(c->vault);

	if (r == 0)
		r = check_lag(c);
	if (r == 0)
		r = probe_place(c);
	if (r == 0)
		r = c->o->is_dry_run ? clock_begin_silent(c->vault, &c->clock)
				     : clock_begin(c->vault, &c->clock);
	if (r == 0 && !c->o->is_dry_run)
		r = tomb_take_over(c->vault, &c->clock, &c->undone);
	if (r == 0)
		r = wait_fence_dead(c->vault, &c->clock, c->o->is_dry_run,
				    &c->dead);
	if (r == 0)
		r = plan_make(c);
	if (r == 0)
		r = undone_check(c);
	c->out->fenced = c->o->is_dry_run ? 0 : c->dead.n;
	if (r == 0 && c->o->on_plan)
		r = c->o->on_plan(c->o->arg, &c->out->plan);
	if (r == 0)
		r = stopped(c);
	if (r < 0 || c->o->is_dry_run)
		return r;
	r = c->out->plan.is_idle ? leftover_delete(c) : carry_out(c);
	if (r == 0)
		reserve_fill(c->vault, c->clock.gid,
			     c->out->plan.npacks -
				     MIN(c->out->plan.npacks, c->out->packs),
			     c->out->plan.npoints);
	return r;
}

int collect_run(struct vault *v, const struct collect_options *o,
		struct collect_result *out)
{
	struct cycle c = { .vault = v, .o = o, .out = out };
	int r;

	*out = (struct collect_result){ .purged = 0 };
	r = run(&c);
	clock_end(&c.clock);
	out->plan.points = NULL;
	out->plan.due = NULL;
	mark_free(c.mark);
	hex_ids_release(&c.marked);
	hex_ids_release(&c.dead);
	hex_ids_release(&c.purged);
	swept_tombs_release(&c.undone);
	pack_list_release(&c.condemned);
	pack_list_release(&c.repacked);
	free(c.halves.items);
	due_list_release(&c.due);
	ledger_release(&c.ledger);
	point_list_put(c.list);
	return r;
}
