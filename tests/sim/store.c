/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An actor's way to the store. Each call gives way first; then the dice say what
 * becomes of it: it is done, or not, or it is done and the answer is lost, or a
 * copy of it arrives much later, or the actor dies before or after it. A listing
 * may take a while, and what came or went meanwhile is in it or not.
 */
#include "config.h"

#include "tests/sim/sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/mem.h"
#include "tests/sim/truth.h"

static const char *const op_names[SIM_OPS] = { "put",  "get",  "head",
					       "list", "sync", "delete" };

static struct sim_actor *actor_of(struct backend *b)
{
	return container_of(b, struct sim_actor, backend);
}

/* The store itself never waits. */
static struct backend_call straight(void)
{
	return (struct backend_call){ .b = sim.store,
				      .deadline_ns = INT64_MAX };
}

/* Between these calls lie most races. */
static void get_tired(struct sim_actor *a, enum sim_op op, const char *name)
{
	static const char *const hot[] = { "session/", "tomb/",	 "sweep/",
					   "commit/",  "purge/", "index/",
					   "pack/",    "point/" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(hot); i++)
		if ((op == SIM_PUT || op == SIM_LIST || op == SIM_DELETE) &&
		    strncmp(name, hot[i], strlen(hot[i])) == 0)
			a->is_tired = true;
}

static int note(struct sim_actor *a, enum sim_op op, const char *name, int r)
{
	get_tired(a, op, name);
	sim_trace_call(a, op_names[op], name, r);
	return r;
}

enum fate {
	FATE_DONE,
	FATE_FAILS, /* not done */
	FATE_LOST, /* done, and not answered */
	FATE_DIES, /* done, and the actor dies */
};

/* Errors that a store may answer with; the first are tried again. */
static int choose_error(void)
{
	static const int errors[] = { -EIO, -EHOSTUNREACH, -EACCES };

	if (sim_chance(sim.weather.passing))
		return sim_dice(2) ? -EAGAIN : -ETIMEDOUT;
	return errors[sim_dice(8) < 6 ? 0 : 1 + sim_dice(2)];
}

static enum fate draw(struct sim_actor *a, enum sim_op op, const char *name,
		      int *err_out)
{
	bool changes = op == SIM_PUT || op == SIM_DELETE;
	const struct sim_weather *w = &sim.weather;

	*err_out = -EHOSTUNREACH;
	if (plant_strikes(a, op, name)) {
		a->faults++;
		return FATE_FAILS;
	}
	if (a->cut > 0) {
		a->cut--;
		a->faults++;
		return FATE_FAILS;
	}
	if (sim_chance(w->crash)) {
		if (changes && sim_dice(2))
			return FATE_DIES;
		sim_kill(a);
		*err_out = -EIO;
		return FATE_FAILS;
	}
	if (sim_chance(w->cut)) {
		a->cut = 1 + sim_dice(30);
		a->faults++;
		return FATE_FAILS;
	}
	if (sim_chance(w->error)) {
		*err_out = choose_error();
		a->faults++;
		return FATE_FAILS;
	}
	if (changes && sim_chance(w->lost)) {
		*err_out = choose_error();
		a->faults++;
		return FATE_LOST;
	}
	return FATE_DONE;
}

/* What every call begins with. Return whether the actor lives. */
static bool enter(struct sim_actor *a)
{
	if (!a->dead && sim.current == a)
		sim_yield();
	return !a->dead;
}

/* What a call that was done with @r is answered with. */
static int answer(struct sim_actor *a, enum fate fate, int err, int r)
{
	if (fate == FATE_DIES)
		sim_kill(a);
	return fate == FATE_DIES ? -EIO : fate == FATE_LOST ? err : r;
}

/* ---- puts, and their late copies ---- */

static int put_now(struct sim_actor *a, const char *name, const void *data,
		   size_t len)
{
	struct backend_call c = straight();
	int r;

	sim.in_store = true;
	r = sim.store->ops->put(sim.store, &c, name, data, len);
	sim.in_store = false;
	if (r == 0)
		truth_put(a, name);
	return r;
}

static void put_later(struct sim_actor *a, const char *name, const void *data,
		      size_t len)
{
	size_t i;

	for (i = 0; i < SIM_LATE && sim.late[i].data; i++)
		;
	if (i == SIM_LATE)
		return;
	sim.late[i].data = malloc(len ? len : 1);
	if (!sim.late[i].data)
		abort();
	if (len)
		memcpy(sim.late[i].data, data, len);
	sim.late[i].len = len;
	sim.late[i].from = a;
	sim.late[i].at = sim.step + 1 + sim_dice(sim_dice(4) ? 300 : 20);
	snprintf(sim.late[i].name, sizeof(sim.late[i].name), "%s", name);
}

void sim_deliver(bool all)
{
	size_t i;

	for (i = 0; i < SIM_LATE; i++) {
		if (!sim.late[i].data || (!all && sim.late[i].at > sim.step))
			continue;
		sim_note(NULL, "copy %s", sim.late[i].name);
		sim_trace(sim.late[i].from, "a copy of %s arrives: %s",
			  sim.late[i].name,
			  put_now(NULL, sim.late[i].name, sim.late[i].data,
				  sim.late[i].len) < 0
				  ? "too late"
				  : "it is back");
		free(sim.late[i].data);
		sim.late[i].data = NULL;
	}
}

void sim_drop_late(void)
{
	size_t i;

	for (i = 0; i < SIM_LATE; i++) {
		free(sim.late[i].data);
		sim.late[i].data = NULL;
	}
}

static int sim_put(struct backend *b, const struct backend_call *c,
		   const char *name, const void *data, size_t len)
{
	struct sim_actor *a = actor_of(b);
	enum fate fate;
	int err, r;

	(void)c;
	if (!enter(a))
		return -EIO;
	fate = draw(a, SIM_PUT, name, &err);
	if (fate == FATE_FAILS)
		return plant_put_answer(a, name, data, len,
					note(a, SIM_PUT, name, err));
	if (!plant_put(a, name, data, len, &r))
		r = put_now(a, name, data, len);
	if (r == 0 && sim_chance(sim.weather.late))
		put_later(a, name, data, len);
	note(a, SIM_PUT, name, r);
	if (fate != FATE_DONE)
		sim_trace(a, "no answer");
	return plant_put_answer(a, name, data, len, answer(a, fate, err, r));
}

/* ---- what only looks ---- */

static int sim_get_all(struct backend *b, const struct backend_call *c,
		       const char *name, size_t max, uint8_t **out,
		       size_t *len_out)
{
	struct backend_call now = straight();
	struct sim_actor *a = actor_of(b);
	int err, r;

	(void)c;
	if (!enter(a))
		return -EIO;
	if (draw(a, SIM_GET, name, &err) != FATE_DONE)
		return plant_get_answer(a, name, note(a, SIM_GET, name, err));
	if (!plant_get(a, name, max, out, len_out, &r))
		r = sim.store->ops->get_all(sim.store, &now, name, max, out,
					    len_out);
	return note(a, SIM_GET, name, r);
}

static int sim_get(struct backend *b, const struct backend_call *c,
		   const char *name, uint64_t off, void *data, size_t len)
{
	struct backend_call now = straight();
	struct sim_actor *a = actor_of(b);
	int err;

	(void)c;
	if (!enter(a))
		return -EIO;
	if (draw(a, SIM_GET, name, &err) != FATE_DONE)
		return plant_get_answer(a, name, note(a, SIM_GET, name, err));
	return note(a, SIM_GET, name,
		    sim.store->ops->get(sim.store, &now, name, off, data, len));
}

static int sim_head(struct backend *b, const struct backend_call *c,
		    const char *name, struct backend_info *info_out)
{
	struct backend_call now = straight();
	struct sim_actor *a = actor_of(b);
	int err;

	(void)c;
	if (!enter(a))
		return -EIO;
	if (draw(a, SIM_HEAD, name, &err) != FATE_DONE)
		return note(a, SIM_HEAD, name, err);
	return note(a, SIM_HEAD, name,
		    sim.store->ops->head(sim.store, &now, name, info_out));
}

static int sim_sync(struct backend *b, const struct backend_call *c,
		    const char *name)
{
	struct backend_call now = straight();
	struct sim_actor *a = actor_of(b);
	int err;

	(void)c;
	if (!enter(a))
		return -EIO;
	if (draw(a, SIM_SYNC, name, &err) != FATE_DONE)
		return note(a, SIM_SYNC, name, err);
	return note(a, SIM_SYNC, name,
		    sim.store->ops->sync(sim.store, &now, name));
}

static int sim_delete(struct backend *b, const struct backend_call *c,
		      const char *name)
{
	struct backend_call now = straight();
	struct sim_actor *a = actor_of(b);
	enum fate fate;
	int err, r;

	(void)c;
	if (!enter(a))
		return -EIO;
	fate = draw(a, SIM_DELETE, name, &err);
	if (fate == FATE_FAILS)
		return note(a, SIM_DELETE, name, err);
	plant_delete(a, name);
	r = sim.store->ops->delete (sim.store, &now, name);
	if (r == 0)
		truth_deleted(a, name);
	note(a, SIM_DELETE, name, r);
	if (fate != FATE_DONE)
		sim_trace(a, "no answer");
	return answer(a, fate, err, r);
}

/* ---- listings ---- */

static const char *name_at(const struct backend_page *p, size_t i)
{
	return (const char *)p->text.data + p->found[i].name;
}

/* Add what is in one of two listings to @out: always what is in both, and of the
 * rest what chance wills. */
static int merge(const struct backend_page *one, const struct backend_page *two,
		 struct backend_page *out)
{
	size_t i = 0, k = 0;
	int r = 0;

	while (r == 0 && (i < one->n || k < two->n)) {
		int c = i == one->n ? 1
			: k == two->n
				? -1
				: strcmp(name_at(one, i), name_at(two, k));
		const struct backend_page *from = c <= 0 ? one : two;
		size_t at = c <= 0 ? i : k;

		if (c == 0 || sim_dice(2))
			r = backend_page_add(out, name_at(from, at),
					     &from->found[at].info);
		i += c <= 0;
		k += c >= 0;
	}
	return r;
}

static int list_slowly(struct sim_actor *a, const char *prefix,
		       struct backend_page *page)
{
	struct backend_page one = { .n = 0 }, two = { .n = 0 };
	struct backend_call now = straight();
	unsigned int waits = 1 + sim_dice(4);
	int r = sim.store->ops->list(sim.store, &now, prefix, NULL, &one);

	while (r == 0 && waits-- > 0)
		r = enter(a) ? 0 : -EIO;
	if (r == 0)
		r = sim.store->ops->list(sim.store, &now, prefix, NULL, &two);
	if (r == 0)
		r = merge(&one, &two, page);
	backend_page_release(&one);
	backend_page_release(&two);
	return r;
}

/* What is listed is for who replays the trace. */
static int note_list(struct sim_actor *a, const char *prefix,
		     const struct backend_page *page, int r)
{
	size_t i;

	if (r == 0)
		sim_trace_call(a, "names", "", (int)page->n);
	for (i = 0; r == 0 && sim.trace && i < page->n; i++)
		sim_note(a, "found %s", name_at(page, i));
	return note(a, SIM_LIST, prefix, r);
}

static int sim_list(struct backend *b, const struct backend_call *c,
		    const char *prefix, const char *token,
		    struct backend_page *page)
{
	struct backend_call now = straight();
	struct sim_actor *a = actor_of(b);
	int err, r;

	(void)c;
	(void)token;
	if (!enter(a))
		return -EIO;
	sim_note(a, "begins list %s", prefix);
	if (draw(a, SIM_LIST, prefix, &err) != FATE_DONE)
		return plant_list_answer(a, prefix,
					 note(a, SIM_LIST, prefix, err));
	if (!plant_list(a, prefix, page, &r))
		r = sim.current && sim_chance(sim.weather.interval)
			    ? list_slowly(a, prefix, page)
			    : sim.store->ops->list(sim.store, &now, prefix,
						   NULL, page);
	return note_list(a, prefix, page, r);
}

/* The place is one that keeps its word. */
static int sim_probe(struct backend *b)
{
	(void)b;
	return 0;
}

static void sim_unplug(struct backend *b)
{
	(void)b;
}

void sim_connect(struct sim_actor *a)
{
	static const struct backend_ops ops = {
		.put = sim_put,
		.get = sim_get,
		.get_all = sim_get_all,
		.head = sim_head,
		.list = sim_list,
		.sync = sim_sync,
		.delete = sim_delete,
		.probe = sim_probe,
		.close = sim_unplug,
	};
	struct backend_options o = { .seam = sim_seam(),
				     .timeout_ns = 60 * SIM_SECOND,
				     .pause_ns = SIM_SECOND };

	backend_release(&a->backend);
	if (backend_init(&a->backend, &ops, "simulated", &o) < 0)
		abort();
}
