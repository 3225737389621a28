/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The collector's cycle, from the wishes to the sweep. */
#include "config.h"

#include "tests/sim/collect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/hex.h"
#include "store/base/seam.h"
#include "store/catalog/catalog.h"
#include "store/collect/collect.h"
#include "store/format.h"
#include "store/point.h"
#include "store/record/commit.h"
#include "store/record/forget.h"
#include "store/record/purge.h"
#include "store/vault.h"
#include "tests/sim/spoil.h"

#define OBJECT_MAX (1u << 20)
#define ATTEMPTS 3

int cycle_read(struct cycle *c, uint8_t type, const char *name, struct buf *out)
{
	uint8_t *raw = NULL;
	size_t len = 0;
	int r = vault_get_all(c->vault, name, OBJECT_MAX, &raw, &len);

	if (r == 0)
		r = format_read_box(vault_keyring(c->vault), raw, len, type,
				    name, out);
	free(raw);
	return r;
}

int cycle_put(struct cycle *c, uint8_t type, const char *name,
	      const struct buf *plain)
{
	AUTO_BUF struct buf box = BUF_INIT;
	int r = format_seal_box(vault_keyring(c->vault), NULL, NULL, sim_seam(),
				type, name, NULL, 0, plain->data, plain->len,
				&box);

	return r < 0 ? r
		     : backend_put(vault_backend(c->vault), name, box.data,
				   box.len);
}

int cycle_decide(struct cycle *c, uint8_t type, const char *name,
		 const struct buf *plain, struct buf *out)
{
	int r = -ENOENT, i;

	for (i = 0; i < ATTEMPTS && r == -ENOENT; i++) {
		(void)!cycle_put(c, type, name, plain);
		r = cycle_read(c, type, name, out);
	}
	return r;
}

static int list(struct cycle *c, const char *prefix, struct backend_names *out)
{
	return backend_list_names(vault_backend(c->vault), prefix, out);
}

static bool has(const struct backend_names *l, const char *name)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (strcmp(l->list[i], name) == 0)
			return true;
	return false;
}

/* ---- wishes ---- */

/* Those that are due and have no answer get one. */
static int follow_wish(struct cycle *c, const char *name)
{
	AUTO_BUF struct buf plain = BUF_INIT, there = BUF_INIT,
			    answer = BUF_INIT;
	char verdict[OBJECT_NAME_MAX], id[NAME_HEX + 1];
	struct forget f;
	bool due;
	int r = cycle_read(c, OBJECT_FORGET, name, &plain);

	if (r == 0)
		r = forget_decode(plain.data, plain.len, name, &f);
	if (r < 0)
		return r;
	due = f.until_ns <= sim.now_ns;
	forget_release(&f);
	if (!due)
		return 0;
	snprintf(id, sizeof(id), "%.32s", name + 7);
	snprintf(verdict, sizeof(verdict), "purge/%s", name + 7);
	r = purge_encode(true, id, NULL, sim.now_ns, &answer);
	return r < 0 ? r
		     : cycle_decide(c, OBJECT_PURGE, verdict, &answer, &there);
}

static int follow_wishes(struct cycle *c)
{
	AUTO_NAMES struct backend_names wishes = { NULL, 0, 0 };
	size_t i;
	int r = list(c, "forget/", &wishes);

	for (i = 0; i < wishes.n && r == 0; i++)
		r = follow_wish(c, wishes.list[i]);
	return r;
}

/* The points that were purged; where a verdict cannot be read it keeps. */
static int list_purged(struct cycle *c, struct backend_names *out)
{
	AUTO_NAMES struct backend_names verdicts = { NULL, 0, 0 };
	size_t i;
	int r = list(c, "purge/", &verdicts);

	for (i = 0; i < verdicts.n && r == 0; i++) {
		AUTO_BUF struct buf plain = BUF_INIT;
		const char *name = verdicts.list[i];
		char id[NAME_HEX + 1];
		bool is_purged = false;

		if (cycle_read(c, OBJECT_PURGE, name, &plain) < 0 ||
		    purge_decode(plain.data, plain.len, name, &is_purged) < 0 ||
		    !is_purged)
			continue;
		snprintf(id, sizeof(id), "%.32s", name + 6);
		r = backend_names_add(out, id);
	}
	return r;
}

/* ---- marks ---- */

/* A point that is neither readable nor purged ends the cycle. */
static int mark_point(struct cycle *c, const struct commit *commit)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	const struct truth_point *truth = truth_find(commit->point);
	size_t k;
	int r;

	snprintf(name, sizeof(name), "point/%s", commit->point);
	r = cycle_read(c, OBJECT_POINT, name, &plain);
	/* What it refers to never changes; the truth knows it by heart. */
	for (k = 0; r == 0 && truth && k < 4; k++)
		c->live.w[k] |= truth->needs.w[k];
	return r;
}

static int mark(struct cycle *c, const struct backend_names *commits)
{
	size_t i;
	int r = 0;

	memset(&c->live, 0, sizeof(c->live));
	for (i = 0; i < commits->n && r == 0; i++) {
		AUTO_BUF struct buf plain = BUF_INIT;
		struct commit commit;

		r = cycle_read(c, OBJECT_COMMIT, commits->list[i], &plain);
		if (r == 0)
			r = commit_decode(plain.data, plain.len,
					  commits->list[i], &commit);
		if (r == 0 && commit.point[0] && !has(&c->purged, commit.point))
			r = mark_point(c, &commit);
	}
	return r;
}

static int list_and_mark(struct cycle *c)
{
	AUTO_NAMES struct backend_names commits = { NULL, 0, 0 };
	int r = list(c, "commit/", &commits);

	return r < 0 ? r : mark(c, &commits);
}

/* ---- what packs hold ---- */

struct packs {
	struct cycle *cycle;
	struct backend_names names;
	uint64_t sizes[64];
};

static int on_pack(void *arg, const char *name, const struct backend_info *info)
{
	struct packs *p = arg;

	if (p->names.n == ARRAY_SIZE(p->sizes))
		return 0;
	p->sizes[p->names.n] = info->size;
	return backend_names_add(&p->names, name);
}

/* The chunks of a pack, of an index or else of itself. */
static int contents(struct cycle *c, const char *name, uint64_t size,
		    struct chunk_set *out)
{
	struct catalog *catalog = vault_catalog(c->vault);
	AUTO_BUF struct buf dir = BUF_INIT;
	struct pack_dir decoded = { 0 };
	struct pack_row row;
	int64_t no;
	size_t i;
	int r = catalog_pack_no(catalog, name, &no);

	memset(out, 0, sizeof(*out));
	if (r == -ENOENT && size > 0) {
		r = vault_import_pack(c->vault, name, size);
		if (r == 0)
			r = catalog_pack_no(catalog, name, &no);
	}
	if (r == 0)
		r = catalog_get_pack(catalog, no, &row, &dir);
	if (r == 0)
		r = format_get_dir(dir.data, dir.len, name, false, &decoded);
	for (i = 0; r == 0 && i < decoded.nchunks; i++)
		chunk_set_add(out, truth_chunk(&decoded.chunks[i].id));
	format_release_dir(&decoded);
	return r;
}

/* Any packs may be condemned; those without a chunk that lives are worth it. */
static int choose(struct cycle *c)
{
	struct packs p = { .cycle = c };
	bool any = sim.current && sim_dice(2);
	size_t i;
	int r = backend_list(vault_backend(c->vault), "pack/", on_pack, &p);

	for (i = 0; i < p.names.n && r == 0; i++) {
		const char *name = strrchr(p.names.list[i], '/') + 1;
		struct chunk_set set;

		r = contents(c, name, p.sizes[i], &set);
		if (r == -ENOENT || r == -EBADMSG) {
			r = 0;
			continue;
		}
		if (r == 0 &&
		    (any ? sim_dice(2) : !chunk_set_meets(&set, &c->live)))
			r = pack_list_add(&c->condemned, name);
	}
	pack_list_sort(&c->condemned);
	backend_names_release(&p.names);
	return r;
}

/* Of the condemned, those that hold no chunk that lives. */
static int doom(struct cycle *c)
{
	size_t i;
	int r = 0;

	for (i = 0; i < c->condemned.n && r == 0; i++) {
		struct chunk_set set;

		r = contents(c, c->condemned.names[i], 0, &set);
		if (r == 0 && !chunk_set_meets(&set, &c->live))
			r = pack_list_add(&c->doomed, c->condemned.names[i]);
	}
	pack_list_sort(&c->doomed);
	return r;
}

/* ---- sessions ---- */

/* Wait for it a while, then decide it. */
static int settle(struct cycle *c, const char *sid)
{
	AUTO_BUF struct buf plain = BUF_INIT, fence = BUF_INIT,
			    there = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	unsigned int waits = sim.current ? sim_dice(4) : 0;
	int r;

	snprintf(name, sizeof(name), "commit/%s", sid);
	for (;;) {
		r = cycle_read(c, OBJECT_COMMIT, name, &plain);
		if (r != -ENOENT || waits-- == 0)
			break;
		sim_seam()->ops->sleep_ns(sim_seam(), SIM_SECOND);
	}
	if (r != -ENOENT)
		return r;
	commit_encode_fenced(sid, &fence);
	return cycle_decide(c, OBJECT_COMMIT, name, &fence, &there);
}

static int settle_sessions(struct cycle *c)
{
	size_t i;
	int r = 0;

	for (i = 0; i < c->sessions.n && r == 0; i++)
		r = settle(c, c->sessions.list[i] + 8);
	return r;
}

/* ---- the cycle ---- */

static int put_tomb(struct cycle *c)
{
	AUTO_BUF struct buf plain = BUF_INIT, there = BUF_INIT;
	char name[OBJECT_NAME_MAX];

	tomb_encode(&c->condemned, &plain);
	snprintf(name, sizeof(name), "tomb/%s", c->gid);
	return cycle_decide(c, OBJECT_TOMB, name, &plain, &there);
}

/* Decide the sweep: @l NULL gives it up. Return 1 where it is to be. */
static int put_sweep(struct cycle *c, const struct pack_list *l)
{
	AUTO_BUF struct buf plain = BUF_INIT, there = BUF_INIT;
	struct pack_list packs = { .n = 0 };
	char name[OBJECT_NAME_MAX];
	bool aborted = true;
	int r;

	sweep_encode(l, &plain);
	snprintf(name, sizeof(name), "sweep/%s", c->gid);
	r = cycle_decide(c, OBJECT_SWEEP, name, &plain, &there);
	if (r == 0)
		r = sweep_decode(there.data, there.len, name, &aborted, &packs);
	pack_list_release(&packs);
	return r < 0 ? r : !aborted;
}

static int drop_tomb(struct cycle *c)
{
	char name[OBJECT_NAME_MAX];
	int r;

	snprintf(name, sizeof(name), "tomb/%s", c->gid);
	r = backend_delete(vault_backend(c->vault), name);
	return r == -ENOENT ? 0 : r;
}

static int sweep(struct cycle *c)
{
	int r;

	if (c->doomed.n == 0) {
		r = put_sweep(c, NULL);
		return r < 0 ? r : drop_tomb(c);
	}
	r = put_sweep(c, &c->doomed);
	if (r == 0)
		return drop_tomb(c);
	if (r > 0)
		r = sim.current && sim_dice(2) ? 0 : cycle_rewrite_index(c);
	if (r == 0)
		r = cycle_delete_packs(c, &c->doomed);
	return r < 0 ? r : drop_tomb(c);
}

static int run_cycle(struct cycle *c)
{
	int r = cycle_take_over(c);

	if (r == 0)
		r = follow_wishes(c);
	if (r == 0)
		r = list_purged(c, &c->purged);
	if (r == 0)
		r = vault_refresh(c->vault);
	if (r == 0)
		r = list_and_mark(c);
	if (r == 0)
		r = choose(c);
	if (r < 0 || c->condemned.n == 0)
		return r;
	r = put_tomb(c);
	if (r == 0)
		r = list(c, "session/", &c->sessions);
	if (r == 0)
		r = settle_sessions(c);
	/* What lives after all is decided, by the purges of the mark. */
	if (r == 0)
		r = list_and_mark(c);
	if (r == 0)
		r = doom(c);
	return r < 0 ? r : sweep(c);
}

static int collect_by_the_book(struct sim_actor *a)
{
	struct cycle c = { .actor = a, .vault = a->vault };
	uint8_t raw[16];
	int r;

	if (sim_seam()->ops->random(sim_seam(), raw, sizeof(raw)) < 0)
		abort();
	hex_encode(raw, sizeof(raw), c.gid);
	r = run_cycle(&c);
	backend_names_release(&c.purged);
	backend_names_release(&c.sessions);
	pack_list_release(&c.condemned);
	pack_list_release(&c.doomed);
	return r;
}

/* Whoever is asked how much may go says yes. */
static int on_plan(void *arg, const struct collect_plan *plan)
{
	struct collect_options *o = arg;

	o->yes_remove = (int64_t)plan->nremoved;
	return 0;
}

/* The real one. */
static int collect_really(struct sim_actor *a)
{
	struct collect_options o = { .on_plan = on_plan, .arg = &o };
	struct collect_result result;

	/* The one that goes by the book rewrites no packs: what it left half full is not
	 * to be what a second collection finds. */
	o.max_unused = sim.current ? 0 : 100;
	o.wait.wait_ns = sim.current ? sim_dice(20) * SIM_SECOND : 0;
	vault_show_forgotten(a->vault);
	spoil_begin(a);
	return collect_run(a->vault, &o, &result);
}

int sim_collect(struct sim_actor *a)
{
	/* The rules of collectors are left out of the real one. */
	bool by_the_book = sim_dice(2) && sim.plant < PLANT_PURGE_REGISTER;
	int r = sim_open(a);

	if (r < 0)
		return r;
	r = by_the_book ? collect_by_the_book(a) : collect_really(a);
	sim_trace(a, "%s collection: %s", by_the_book ? "model" : "real",
		  r < 0 ? strerrorname_np(-r) : "ok");
	return r;
}

int sim_purge(struct sim_actor *a)
{
	struct cycle c = { .actor = a, .vault = a->vault };

	return follow_wishes(&c);
}

void sim_collector(struct sim_actor *a)
{
	unsigned int cycles = 1 + sim_dice(2);

	while (cycles-- > 0) {
		a->faults = 0;
		(void)!sim_collect(a);
	}
	sim_close(a);
}
