/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a collection would remove. Any pack could be condemned in safety, for what
 * is deleted is decided later; but whoever writes meanwhile uses none of them, and
 * so only those are that no point needs.
 */
#include "config.h"

#include "store/collect/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/buf.h"
#include "store/base/bytes.h"
#include "store/base/log.h"
#include "store/catalog/catalog.h"
#include "store/collect/wait.h"
#include "store/crypt/crypt.h"
#include "store/crypt/keyring.h"
#include "store/crypt/put.h"
#include "store/epoch/epoch.h"
#include "store/format.h"
#include "store/mark/mark.h"
#include "store/point.h"
#include "store/vault.h"
#include "store/writer/condemned.h"

/* More than this of the points, or of the packs' bytes, does not go unless
 * somebody says how much that is. */
#define MUCH_PERCENT 30

/* ---- packs ---- */

bool plan_is_decided(const struct cycle *c, const char *pack)
{
	char sid[NAME_HEX + 1];

	snprintf(sid, sizeof(sid), "%.32s", pack);
	return ledger_find(&c->ledger, sid) || hex_ids_has(&c->dead, sid);
}

int plan_condemn(struct cycle *c, const char *pack)
{
	bool put = !vault_is_own(c->vault, pack);

	if (put && c->nput == PACK_PRINTS_MAX)
		return 1;
	c->nput += put;
	return pack_list_add(&c->condemned, pack);
}

static bool is_old(const struct cycle *c, const struct mark_pack *p)
{
	return put_depends_on(p->epoch) <
	       keyring_epoch(vault_keyring(c->vault));
}

static int add_half(struct cycle *c, const struct mark_pack *p)
{
	struct half_packs *l = &c->halves;
	struct half_pack *h;

	if (array_reserve(&l->items, &l->cap, l->n + 1) < 0)
		return -ENOMEM;
	h = &l->items[l->n++];
	*h = (struct half_pack){ .size = p->size,
				 .live_bytes = p->live_bytes,
				 .dead_bytes = p->dead_bytes,
				 .is_old = is_old(c, p) };
	snprintf(h->name, sizeof(h->name), "%s", p->name);
	return 0;
}

static int on_pack(void *arg, const struct mark_pack *p)
{
	struct cycle *c = arg;
	struct collect_plan *plan = &c->out->plan;
	int r;

	clock_try_tick(&c->clock);
	if (!p->listed)
		return 0;
	plan->npacks++;
	plan->bytes += p->size;
	/* Somebody has decided on it, and condemned it. */
	if (pack_list_has(&c->undone.packs, p->name)) {
		plan->ndead++;
		plan->dead_bytes += p->size;
		return 0;
	}
	if (!p->readable || pack_list_has(&c->undone.left, p->name)) {
		plan->nunknown++;
		c->has_unread = true;
		return 0;
	}
	if (p->live_chunks > 0) {
		bool old = is_old(c, p);

		plan->waste_bytes += p->dead_bytes;
		plan->nold += old;
		plan->old_bytes += old ? p->size : 0;
		return (p->dead_bytes || (old && c->o->reseal)) &&
				       plan_is_decided(c, p->name)
			       ? add_half(c, p)
			       : 0;
	}
	if (!plan_is_decided(c, p->name)) {
		plan->nbusy++;
		return 0;
	}
	r = plan_condemn(c, p->name);
	if (r != 0) {
		plan->nbusy++;
		return MIN(r, 0);
	}
	plan->ndead++;
	plan->dead_bytes += p->size;
	return 0;
}

static void reset_plan(void *arg)
{
	struct cycle *c = arg;
	struct collect_plan *plan = &c->out->plan;

	plan->npacks = plan->ndead = plan->nunknown = plan->nbusy = 0;
	plan->bytes = plan->dead_bytes = plan->waste_bytes = 0;
	plan->nold = 0;
	plan->old_bytes = 0;
	c->halves.n = c->nput = 0;
	pack_list_release(&c->condemned);
}

struct recheck {
	struct cycle *cycle;
	const struct stand_ins *stand_ins; /* NULL: there are none */
	struct pack_list *out;
};

/* How many chunks of a pack are live, as it says itself: an index object that says
 * something else of it proves nothing. Return 0; 1 (it cannot be read, so that it
 * stays); or a negative errno. */
static int count_own(const struct cycle *c, const struct mark_pack *p,
		     uint64_t *live_out)
{
	struct pack_dir dir = { .nchunks = 0 };
	size_t i;
	int r = vault_read_pack_dir(c->vault, p->name, p->size, &dir);

	*live_out = 0;
	for (i = 0; i < dir.nchunks && r == 0; i++)
		*live_out += mark_has(c->mark, dir.chunks[i].type,
				      &dir.chunks[i].id);
	format_release_dir(&dir);
	return r == -ENOENT || backend_error_is_of_object(r) ? 1 : r;
}

int plan_is_as_indexed(const struct cycle *c, const struct mark_pack *p)
{
	uint64_t live;
	int r = count_own(c, p, &live);

	if (r != 0)
		return r < 0 ? r : 0;
	if (live == p->live_chunks)
		return 1;
	if (!vault_is_own(c->vault, p->name)) {
		log_warn("pack %s holds %llu chunks that points need, but %llu "
			 "by what its writer says of it, whose key reads "
			 "nothing: it stays; see: vmbackup repair index",
			 p->name, (unsigned long long)live,
			 (unsigned long long)p->live_chunks);
		return 0;
	}
	return fail(-EBADMSG,
		    "pack %s holds %llu chunks that points need, but %llu by "
		    "the index: nothing is deleted; see: vmbackup repair index",
		    p->name, (unsigned long long)live,
		    (unsigned long long)p->live_chunks);
}

/* Whether nothing is lost with a pack: 1, 0 or a negative errno. */
static int may_go(const struct recheck *x, const struct mark_pack *p)
{
	struct cycle *c = x->cycle;
	int r;

	if (!p->listed || !pack_list_has(&c->condemned, p->name))
		return 0;
	r = p->readable ? plan_is_as_indexed(c, p) : 0;
	c->has_unread |= r == 0;
	if (r <= 0 || p->live_chunks == 0)
		return r;
	return x->stand_ins && pack_list_has(&c->repacked, p->name)
		       ? repack_is_covered(c, x->stand_ins, p->name,
					   p->live_chunks)
		       : 0;
}

static int on_condemned(void *arg, const struct mark_pack *p)
{
	struct recheck *x = arg;
	int r = may_go(x, p);

	clock_try_tick(&x->cycle->clock);
	if (p->listed && x->cycle->repack_sid[0] &&
	    strncmp(p->name, x->cycle->repack_sid, NAME_HEX) == 0)
		x->cycle->out->repacked_bytes += p->size;
	if (r <= 0)
		return r;
	return pack_list_add(x->out, p->name);
}

static void reset_recheck(void *arg)
{
	struct recheck *x = arg;

	x->cycle->out->repacked_bytes = 0;
	pack_list_release(x->out);
}

int plan_recheck(struct cycle *c, struct pack_list *out)
{
	struct recheck x = { .cycle = c, .out = out };
	struct stand_ins *stand_ins = NULL;
	int r = 0;

	if (c->repack_sid[0])
		r = repack_stand_ins(c, &stand_ins);
	x.stand_ins = stand_ins;
	if (r == 0)
		r = plan_each_pack(c, on_condemned, &x, reset_recheck);
	repack_free_stand_ins(stand_ins);
	pack_list_sort(out);
	return r;
}

/* ---- is there anything to do? ---- */

/* Under this name the database keeps which packs of sessions without a point were
 * there when the last collection ended: one that was needed then, as a backup that
 * found it had a use for it, is no reason to look again. */
#define REMEMBERED "collected/unowned"
/* And under this one how many bytes that nothing needs it left in packs. Without a
 * point that goes, or a session that made none, there will not be more. */
#define WASTE "collected/waste"

struct unowned_packs {
	const struct cycle *cycle;
	uint8_t sum[CRYPT_SHA256_LEN]; /* of the hashes of their names */
	size_t n, npacks;
	uint64_t bytes;
	/* Those that collections have deleted; NULL: nobody asks for them. */
	const struct condemned *condemned;
	size_t nlate; /* of them: late copies that the store put after that */
	bool is_left; /* a pack that was to be rewritten is there still */
};

static int count_pack(void *arg, const char *object,
		      const struct backend_info *info)
{
	struct unowned_packs *u = arg;
	uint8_t hash[CRYPT_SHA256_LEN];
	const struct ledger_row *row;
	char sid[NAME_HEX + 1];
	size_t i;
	int r;

	u->npacks++;
	u->bytes += info->size;
	if (u->condemned &&
	    pack_prints_has(&u->condemned->swept, strrchr(object, '/') + 1))
		u->nlate++;
	u->is_left |=
		pack_list_has(&u->cycle->repacked, strrchr(object, '/') + 1);
	snprintf(sid, sizeof(sid), "%.32s", strrchr(object, '/') + 1);
	row = ledger_find(&u->cycle->ledger, sid);
	/* The own session is in no ledger that was read before it. */
	if (strcmp(sid, u->cycle->repack_sid) != 0 &&
	    (row ? row->commit.point[0] != '\0'
		 : !hex_ids_has(&u->cycle->dead, sid)))
		return 0;
	u->n++;
	r = crypt_sha256(object, strlen(object), hash);
	for (i = 0; i < sizeof(hash) && r == 0; i++)
		u->sum[i] ^= hash[i];
	return r;
}

/* Is it what was remembered? Return 1, 0 or a negative errno. */
static int is_remembered(struct cycle *c, const struct unowned_packs *u)
{
	AUTO_BUF struct buf kept = BUF_INIT;
	int r = catalog_get_object(vault_catalog(c->vault), REMEMBERED, &kept);

	if (r == -ENOENT)
		return u->n == 0;
	return r < 0 ? r
		     : kept.len == sizeof(u->sum) &&
			       memcmp(kept.data, u->sum, sizeof(u->sum)) == 0;
}

int plan_remember(struct cycle *c)
{
	const struct collect_plan *plan = &c->out->plan;
	struct catalog *catalog = vault_catalog(c->vault);
	struct unowned_packs u = { .cycle = c };
	uint8_t waste[8];
	int r = vault_list(c->vault, "pack/", count_pack, &u);

	put_le64(waste,
		 plan->waste_bytes + (u.is_left ? plan->repack_dead_bytes : 0));
	if (r == 0)
		r = catalog_put_object(catalog, WASTE, waste, sizeof(waste));
	if (r == 0)
		r = catalog_put_object(catalog, REMEMBERED, u.sum,
				       sizeof(u.sum));
	return r;
}

/* Is there more that nothing needs than may stay? Nobody may have told this client how
 * much there is: where points were removed, it has to be looked. Return 1, 0 or a
 * negative errno. */
static int is_wasteful(const struct cycle *c)
{
	AUTO_BUF struct buf kept = BUF_INIT;
	uint64_t bytes = c->out->plan.bytes, allowed = repack_allowed(c, bytes);
	int r;

	if (c->o->max_unused >= 100 || allowed >= bytes)
		return 0;
	r = catalog_get_object(vault_catalog(c->vault), WASTE, &kept);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r == -ENOENT || kept.len != sizeof(uint64_t))
		return c->purged.n > 0;
	return get_le64(kept.data) > allowed;
}

/* A mark is worth its time only where points go, sessions made none, what went is there
 * again, or too much is left in packs: to find that out takes three listings. */
static int look_idle(struct cycle *c)
{
	struct collect_plan *plan = &c->out->plan;
	struct condemned condemned = { .all = false };
	struct unowned_packs u = { .cycle = c, .condemned = &condemned };
	struct epoch_old old = { .packs = 0 };
	int r = condemned_read_sweeps(c->vault, &condemned), left = 0;
	int wasteful = 0;

	if (r == 0)
		r = vault_list(c->vault, "pack/", count_pack, &u);
	condemned_release(&condemned);
	plan->npacks = u.npacks;
	plan->bytes = u.bytes;
	if (r == 0)
		left = leftover_any(c);
	if (r == 0)
		wasteful = is_wasteful(c);
	if (r == 0 && wasteful < 0)
		r = wasteful;
	if (r == 0)
		r = left < 0 ? left : is_remembered(c, &u);
	plan->is_idle = r == 1 && left == 0 && u.nlate == 0 &&
			c->due.ndue == 0 && c->undone.n == 0 && !wasteful;
	if (r < 0 || !plan->is_idle || !c->o->reseal)
		return MIN(r, 0);
	r = epoch_count_old(c->vault, &old);
	plan->is_idle = old.packs == 0;
	return r;
}

/* ---- breakers ---- */

/* Registers are never deleted: where others tell of points and there are none,
 * they are not gone but hidden. */
static int count_any(void *arg, const char *name,
		     const struct backend_info *info)
{
	(void)name;
	(void)info;
	++*(size_t *)arg;
	return 0;
}

static int check_registers(struct cycle *c)
{
	size_t n = 0;
	int r = 0;

	if (c->ledger.n == 0)
		r = vault_list_plain(c->vault, "digest/", count_any, &n);
	if (c->ledger.n == 0 && r == 0)
		r = vault_list_plain(c->vault, "purge/", count_any, &n);
	if (r == 0 && n > 0)
		r = fail(-EREMCHG,
			 "%s: no session is listed, though there were some: "
			 "nothing is deleted",
			 vault_url(c->vault));
	return r;
}

static void judge_amount(struct collect_plan *plan, size_t ndue)
{
	uint64_t freed = plan->dead_bytes + plan->repack_dead_bytes;
	size_t npacks = plan->ndead + plan->nrepacked, ngone = ndue;

	/* What was removed before counts where more goes for it. */
	if (npacks > 0)
		ngone += plan->npurged;

	plan->nremoved = ngone + npacks;
	plan->is_much =
		ngone * 100 > (plan->npoints + plan->npurged) * MUCH_PERCENT ||
		freed / MUCH_PERCENT > plan->bytes / 100;
}

/* ---- the plan ---- */

static int read_points(struct cycle *c)
{
	struct vault *v = c->vault;
	size_t i;
	int r = vault_points(v, &c->list);

	if (r == 0)
		r = vault_may_collect(v);
	if (r == 0)
		r = ledger_read(v, c->list, &c->ledger);
	if (r == 0)
		r = check_registers(c);
	if (r == 0)
		r = ledger_read_purged(v, c->clock.now_ns, &c->purged);
	if (r == 0)
		r = ledger_check_lost(v, &c->ledger, &c->purged);
	if (r == 0)
		r = due_list_make(v, c->list, c->clock.least_ns, &c->due);
	for (i = 0; i < c->ledger.n && r == 0; i++) {
		const char *id = c->ledger.rows[i].commit.point;

		c->out->plan.npoints += id[0] && !hex_ids_has(&c->purged, id);
	}
	return r;
}

/* A mark may last for hours, and others would take this collection for dead. What
 * fails here is tried again before the tombs. */
static void on_tick(void *arg, const void *progress)
{
	struct cycle *c = arg;

	if (c->o->task)
		task_tick_now(c->o->task, progress);
	clock_try_tick(&c->clock);
}

/* As if the points that are due were removed already. */
static int mark_rest(struct cycle *c)
{
	struct hex_ids gone = { .n = 0 };
	size_t i;
	int r = 0;

	for (i = 0; i < c->purged.n && r == 0; i++)
		r = hex_ids_add(&gone, c->purged.items[i]);
	for (i = 0; i < c->due.n && r == 0; i++)
		if (c->due.items[i].is_due)
			r = hex_ids_add(&gone, c->due.items[i].point->id);
	hex_ids_sort(&gone);
	c->task = (struct task){ .stop = c->o->task ? c->o->task->stop : NULL,
				 .tick = on_tick,
				 .arg = c };
	if (r == 0)
		r = plan_mark(c, &c->ledger, &gone);
	hex_ids_release(&gone);
	return r;
}

int plan_make(struct cycle *c)
{
	struct collect_plan *plan = &c->out->plan;
	int r = read_points(c);

	if (r == 0)
		r = look_idle(c);
	if (r == 0 && !plan->is_idle)
		r = mark_rest(c);
	if (r == 0 && !plan->is_idle)
		r = plan_each_pack(c, on_pack, c, reset_plan);
	if (r == 0)
		r = repack_choose(c);
	pack_list_sort(&c->condemned);
	judge_amount(plan, c->due.ndue);
	plan->points = c->list;
	plan->due = &c->due;
	return r;
}
