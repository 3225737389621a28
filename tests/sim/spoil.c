/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/sim/spoil.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/collect/due.h"
#include "store/collect/internal.h"
#include "store/collect/ledger.h"
#include "store/collect/tomb.h"
#include "store/collect/wait.h"
#include "store/point.h"
#include "store/record/pack_list.h"
#include "store/vault.h"
#include "store/writer/internal.h"
#include "store/writer/session.h"

int __real_wait_for_sessions(struct vault *v, struct collect_clock *c,
			     const struct wait_options *o,
			     struct hex_ids *listed_out,
			     struct hex_ids *fenced_out);
int __wrap_wait_for_sessions(struct vault *v, struct collect_clock *c,
			     const struct wait_options *o,
			     struct hex_ids *listed_out,
			     struct hex_ids *fenced_out);
int __real_ledger_read(struct vault *v, const struct point_list *l,
		       struct ledger *out);
int __wrap_ledger_read(struct vault *v, const struct point_list *l,
		       struct ledger *out);
int __real_ledger_point(struct vault *v, const struct ledger *l,
			const struct ledger_row *row, struct point **out);
int __wrap_ledger_point(struct vault *v, const struct ledger *l,
			const struct ledger_row *row, struct point **out);
int __real_plan_mark(struct cycle *c, const struct ledger *l,
		     const struct hex_ids *without);
int __wrap_plan_mark(struct cycle *c, const struct ledger *l,
		     const struct hex_ids *without);
int __real_plan_recheck(struct cycle *c, struct pack_list *out);
int __wrap_plan_recheck(struct cycle *c, struct pack_list *out);
int __real_due_list_make(struct vault *v, const struct point_list *l,
			 int64_t now_ns, struct due_list *out);
int __wrap_due_list_make(struct vault *v, const struct point_list *l,
			 int64_t now_ns, struct due_list *out);
int __real_tomb_put(struct vault *v, const char *gid,
		    const struct pack_list *l);
int __wrap_tomb_put(struct vault *v, const char *gid,
		    const struct pack_list *l);
int __real_tomb_decide(struct vault *v, const char *gid,
		       const struct pack_list *l,
		       const struct pack_list *deletes, struct pack_list *out);
int __wrap_tomb_decide(struct vault *v, const char *gid,
		       const struct pack_list *l,
		       const struct pack_list *deletes, struct pack_list *out);
int __real_tomb_sweep(struct vault *v, struct collect_clock *c,
		      const struct pack_list *deletes);
int __wrap_tomb_sweep(struct vault *v, struct collect_clock *c,
		      const struct pack_list *deletes);
int __real_tomb_finish(struct vault *v, struct collect_clock *c,
		       const struct swept_tombs *l);
int __wrap_tomb_finish(struct vault *v, struct collect_clock *c,
		       const struct swept_tombs *l);
int __real_gone_packs_find(struct cycle *c, const struct pack_list *own,
			   struct gone_packs *out);
int __wrap_gone_packs_find(struct cycle *c, const struct pack_list *own,
			   struct gone_packs *out);
int __real_writer_check_used(struct writer *w);
int __wrap_writer_check_used(struct writer *w);
bool __real_session_process_ended(const struct session_info *s);
bool __wrap_session_process_ended(const struct session_info *s);

/* What is known of an actor's collection. */
struct spoilt {
	bool has_tomb, has_swept, has_early;
	struct pack_list condemned; /* owned */
	struct collect_clock *clock; /* borrowed; NULL before it waits */
	struct ledger early; /* owned; of too early a moment */
};

static struct spoilt spoilt[SIM_ACTORS];

static void clear(struct spoilt *s)
{
	pack_list_release(&s->condemned);
	ledger_release(&s->early);
	*s = (struct spoilt){ .has_tomb = false };
}

void spoil_begin(struct sim_actor *a)
{
	clear(&spoilt[a->number]);
	plant_forget(a);
}

bool spoil_has_tomb(const struct sim_actor *a)
{
	return spoilt[a->number].has_tomb;
}

const char *spoil_gid(const struct sim_actor *a)
{
	const struct spoilt *s = &spoilt[a->number];

	return s->clock ? s->clock->gid : NULL;
}

void spoil_release(void)
{
	size_t i;

	for (i = 0; i < SIM_ACTORS; i++)
		clear(&spoilt[i]);
}

/* Who collects, where that rule is left out; or NULL. */
static struct spoilt *spoils(enum plant p)
{
	return sim.plant == p && sim.current &&
			       sim.current->role == SIM_COLLECTOR
		       ? &spoilt[sim.current->number]
		       : NULL;
}

static int add_all(struct pack_list *out, const struct pack_list *from)
{
	size_t i;
	int r = 0;

	for (i = 0; i < from->n && r == 0; i++)
		r = pack_list_add(out, from->names[i]);
	pack_list_sort(out);
	return r;
}

/* ---- writers ---- */

/* They look twice whether packs are there that they use. Where they break a rule on
 * purpose, they do not, for that hides most of what follows. */
int __wrap_writer_check_used(struct writer *w)
{
	bool breaks =
		sim.plant != PLANT_NONE && sim.plant < PLANT_UNDELETE_REGISTER;

	return breaks ? 0 : __real_writer_check_used(w);
}

/* ---- manners ---- */

/* That somebody is dead may be wrong; it costs him time, and the vault nothing. */
bool __wrap_session_process_ended(const struct session_info *s)
{
	return __real_session_process_ended(s) ||
	       (sim.current && sim_dice(4) == 0);
}

/* ---- points ---- */

int __wrap_due_list_make(struct vault *v, const struct point_list *l,
			 int64_t now_ns, struct due_list *out)
{
	int r = __real_due_list_make(v, l, now_ns, out);
	size_t i;

	if (r < 0 || l->n == 0 || !spoils(PLANT_PURGE_UNASKED))
		return r;
	i = sim_dice((unsigned int)l->n);
	if (l->points[i]->nopen_forgets > 0)
		return 0;
	out->items[out->n++] = (struct due_point){ .point = l->points[i],
						   .index = i,
						   .is_due = true };
	out->ndue++;
	return 0;
}

int __wrap_ledger_point(struct vault *v, const struct ledger *l,
			const struct ledger_row *row, struct point **out)
{
	int r = __real_ledger_point(v, l, row, out);

	if (r == 0 || !spoils(PLANT_UNREAD_POINTS))
		return r;
	*out = point_new();
	return *out ? 0 : -ENOMEM;
}

/* ---- the second mark ---- */

int __wrap_ledger_read(struct vault *v, const struct point_list *l,
		       struct ledger *out)
{
	struct spoilt *s = spoils(PLANT_REMARK_AFTER);

	if (!s || !s->has_early)
		return __real_ledger_read(v, l, out);
	*out = s->early;
	s->early = (struct ledger){ .n = 0 };
	s->has_early = false;
	return 0;
}

int __wrap_plan_mark(struct cycle *c, const struct ledger *l,
		     const struct hex_ids *without)
{
	struct hex_ids newer = { .n = 0 };
	struct spoilt *s = spoils(PLANT_REMARK);
	int r;

	if (s && s->has_tomb)
		return 0;
	s = spoils(PLANT_PURGES_OF_MARK);
	if (!s || !s->has_tomb)
		return __real_plan_mark(c, l, without);
	r = ledger_read_purged(c->vault, c->clock.now_ns, &newer);
	if (r == 0)
		r = __real_plan_mark(c, l, &newer);
	hex_ids_release(&newer);
	return r;
}

int __wrap_plan_recheck(struct cycle *c, struct pack_list *out)
{
	return spoils(PLANT_COVER) ? add_all(out, &c->condemned)
				   : __real_plan_recheck(c, out);
}

/* ---- sessions ---- */

int __wrap_wait_for_sessions(struct vault *v, struct collect_clock *c,
			     const struct wait_options *o,
			     struct hex_ids *listed_out,
			     struct hex_ids *fenced_out)
{
	struct spoilt *s;
	int r = 0;

	if (sim.current)
		spoilt[sim.current->number].clock = c;
	if (spoils(PLANT_SESSIONS_WAIT))
		return 0;
	s = spoils(PLANT_REMARK_AFTER);
	if (s) {
		r = ledger_read(v, NULL, &s->early);
		s->has_early = r == 0;
	}
	if (r == 0)
		r = __real_wait_for_sessions(v, c, o, listed_out, fenced_out);
	/* Nor is it seen that some are not in that list. */
	if (s)
		hex_ids_release(listed_out);
	return r;
}

/* ---- tombs and sweeps ---- */

int __wrap_tomb_put(struct vault *v, const char *gid, const struct pack_list *l)
{
	int r = __real_tomb_put(v, gid, l);
	struct spoilt *s;

	if (r < 0 || !sim.current)
		return r;
	s = &spoilt[sim.current->number];
	s->has_tomb = true;
	pack_list_release(&s->condemned);
	return add_all(&s->condemned, l);
}

int __wrap_tomb_decide(struct vault *v, const char *gid,
		       const struct pack_list *l,
		       const struct pack_list *deletes, struct pack_list *out)
{
	struct spoilt *s = spoils(PLANT_SWEEP_FIRST);
	int r = 0;

	if (s && s->clock && deletes && deletes->n)
		r = __real_tomb_sweep(v, s->clock, deletes);
	if (r == 0)
		r = __real_tomb_decide(v, gid, l, deletes, out);
	if (r == -ECANCELED && deletes && spoils(PLANT_SWEEP_REGISTER)) {
		pack_list_release(out);
		r = add_all(out, deletes);
	}
	return r;
}

int __wrap_tomb_sweep(struct vault *v, struct collect_clock *c,
		      const struct pack_list *deletes)
{
	int r = spoils(PLANT_TOMB_LAST) && deletes->n
			? tomb_remove(v, c->gid, deletes)
			: 0;

	if (r == 0)
		r = __real_tomb_sweep(v, c, deletes);
	if (sim.current)
		spoilt[sim.current->number].has_swept = r == 0;
	return r;
}

int __wrap_tomb_finish(struct vault *v, struct collect_clock *c,
		       const struct swept_tombs *l)
{
	struct swept_tombs without = *l;

	if (spoils(PLANT_TAKEOVER_FINISHES))
		without.packs = (struct pack_list){ .n = 0 };
	return __real_tomb_finish(v, c, &without);
}

/* Once it deleted them, it drops entries of what it did not delete, too. */
int __wrap_gone_packs_find(struct cycle *c, const struct pack_list *own,
			   struct gone_packs *out)
{
	struct spoilt *s = spoils(PLANT_INDEX_SWEPT_ONLY);
	int r = __real_gone_packs_find(c, own, out);

	return r == 0 && s && s->has_swept ? add_all(&out->known, &s->condemned)
					   : r;
}
