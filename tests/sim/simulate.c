/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Usage: simulate [--trace] [--plant NAME] --seed N
 *        simulate [--each] [--plant NAME] --seeds FROM-TO
 *        simulate --plants
 *
 * Simulate one run or many (sim.h), and say the hash of each trace where --each
 * asks for that. Without a plant a violation is a failure,
 * exit 1. With one, a rule that is left out, the first violation ends it, and it
 * says after how many runs that was; where there was none, exit 1.
 */
#include "config.h"

#include "tests/sim/sim.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/backend/mem.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/point.h"
#include "store/vault.h"
#include "tests/sim/spoil.h"
#include "tests/sim/truth.h"

#define TEMPLATES 5
#define BEGIN_NS (INT64_C(1790000000) * SIM_SECOND) /* 2026 */

struct sim sim;

/* Vaults to begin with: the same one, older and older. */
static struct backend *templates[TEMPLATES];
static struct vault *vault; /* of them all; for its keys */

static void say_nothing(void *arg, enum log_level level, const char *text)
{
	(void)arg;
	(void)level;
	if (sim.trace)
		printf("        %s\n", text);
}

/* ---- a run ---- */

/* The number of the generators, the clocks, and nobody there. */
static void begin(uint64_t seed)
{
	static const struct sim_weather calm = { 0 };
	size_t i;

	sim.seed = seed;
	sim.dice = seed * 0x2545f4914f6cdd1du;
	sim.bytes = ~sim.dice;
	sim.step = 0;
	sim.steps_max = 4000;
	sim.hash = 0xcbf29ce484222325u;
	sim.now_ns = BEGIN_NS + 10 * SIM_YEAR;
	sim.store_ns = 0;
	sim.weather = calm;
	sim.current = NULL;
	sim.nactors = 0;
	sim.next_pid = 100;
	sim.violation[0] = '\0';
	sim_drop_late();
	sim_reset_locals();
	sim_trim_memo();
	for (i = 0; i < SIM_ACTORS; i++)
		sim.actors[i].running = false;
}

static struct sim_actor *add_actor(enum sim_role role)
{
	static const char *const machines[SIM_MACHINES] = { "/sim/one",
							    "/sim/two",
							    "/sim/three" };
	struct sim_actor *a = &sim.actors[sim.nactors];

	a->number = sim.nactors++;
	a->role = role;
	a->machine = sim_dice(2) ? machines[sim_dice(SIM_MACHINES)] : NULL;
	a->clock_ns = 0;
	a->sleeps_until = 0;
	a->faults = 0;
	a->is_tired = false;
	a->vault = NULL;
	sim_be_born(a);
	sim_connect(a);
	return a;
}

static void choose_weather(void)
{
	struct sim_weather *w = &sim.weather;
	unsigned int kind = sim_dice(8);

	w->interval = sim_dice(2) * 300;
	w->nap = sim_dice(3) * 15;
	w->hot = sim_dice(3) * 150;
	w->late = sim_dice(4) == 0 ? 150 + sim_dice(400) : 0;
	w->jump = sim_dice(4) == 0 ? 20 : 0;
	if (kind >= 4)
		w->crash = sim_dice(3) * 4;
	if (kind >= 5) {
		w->lost = sim_dice(3) * 30;
		w->error = sim_dice(3) * 12;
		w->passing = 600;
		w->cut = sim_dice(3);
	}
}

static void populate(void)
{
	static void (*const mains[SIM_ROLES])(struct sim_actor * a) = {
		sim_writer, sim_collector, sim_reader, sim_operator
	};
	unsigned int n[SIM_ROLES], i;
	enum sim_role role;

	/* Few who meet often find most; some runs have many. */
	bool is_crowd = sim_dice(4) == 0;

	n[SIM_WRITER] = 1 + sim_dice(is_crowd ? 4 : 2);
	n[SIM_COLLECTOR] = is_crowd ? sim_dice(4) : 1 + sim_dice(2);
	n[SIM_READER] = sim_dice(is_crowd ? 3 : 2);
	n[SIM_OPERATOR] = is_crowd || sim_dice(4);
	for (role = 0; role < SIM_ROLES; role++)
		for (i = 0; i < n[role]; i++) {
			struct sim_actor *a = add_actor(role);

			/* Some come when others are in the middle. */
			if (sim_dice(2))
				a->sleeps_until = sim_dice(120);
			sim_start(a, mains[role]);
		}
}

/* ---- the end of a run ---- */

/* Nobody disturbs them any more. */
static void collect_calmly(struct sim_actor *a)
{
	int r = sim_collect(a);

	if (r < 0)
		sim_violated("the last collection fails: %s",
			     strerrorname_np(-r));
}

static size_t count(const char *prefix)
{
	size_t i, n = 0, len = strlen(prefix);

	for (i = 0; i < backend_mem_nobjects(sim.store); i++)
		n += strncmp(backend_mem_name(sim.store, i), prefix, len) == 0;
	return n;
}

static void check_garbage(void)
{
	struct chunk_set needs = truth_needs();
	size_t i, n;
	const struct truth_pack *packs = truth_packs(&n);

	for (i = 0; i < n; i++)
		if (packs[i].is_there &&
		    !chunk_set_meets(&packs[i].has, &needs))
			sim_violated("pack %s is left behind", packs[i].name);
	if (count("tomb/") > 0)
		sim_violated("a tomb is left behind");
}

/* Each point that is committed and not purged is listed, and whole. */
static void check_points(struct sim_actor *a)
{
	struct point_list *l = NULL;
	size_t i, live = 0;
	int r = sim_open(a);

	if (r == 0) {
		vault_show_forgotten(a->vault);
		r = vault_points(a->vault, &l);
	}
	if (r < 0) {
		sim_violated("the vault cannot be read at the end: %s",
			     strerrorname_np(-r));
		return;
	}
	for (i = 0; i < truth_npoints(); i++)
		live += !truth_at(i)->is_purged;
	if (l->n != live || l->ndamaged > 0)
		sim_violated("%zu points are listed, %zu of them damaged; "
			     "there are %zu",
			     l->n, l->ndamaged, live);
	for (i = 0; i < l->n; i++) {
		r = sim_read_point(a->vault, l->points[i]);
		if (r < 0)
			sim_violated("at the end point %s cannot be read: %s",
				     l->points[i]->id, strerrorname_np(-r));
	}
	point_list_put(l);
	sim_close(a);
}

static void finish(void)
{
	static const struct sim_weather calm = { 0 };
	struct sim_actor *a;
	size_t i, before;

	sim_deliver(true);
	sim.weather = calm;
	sim.store_ns = 0;
	/* All leases and windows are over. */
	sim.now_ns += 30 * SIM_YEAR;
	for (i = 0; i < sim.nactors; i++) {
		sim.actors[i].dead = true;
		plant_forget(&sim.actors[i]);
	}
	sim.nactors = 0;
	a = add_actor(SIM_COLLECTOR);
	a->machine = NULL;
	collect_calmly(a);
	check_garbage();
	check_points(a);
	before = count("sweep/");
	if (sim_dice(4) == 0)
		collect_calmly(a);
	sim_close(a);
	plant_forget(a);
	if (count("sweep/") > before)
		sim_violated("a second collection finds more to do");
}

static void run(uint64_t seed)
{
	begin(seed);
	sim.store = backend_mem_clone(templates[sim_dice(TEMPLATES)]);
	if (!sim.store)
		abort();
	truth_begin((struct keyring *)(uintptr_t)vault_keyring(vault));
	choose_weather();
	populate();
	sim_run();
	if (!sim.violation[0] && sim_dice(2))
		finish();
	backend_close(sim.store);
	sim.store = NULL;
}

/* ---- the vaults to begin with ---- */

static void make_templates(void)
{
	struct vault_options o;
	char id[33];
	size_t i;

	begin(0);
	sim.now_ns = BEGIN_NS;
	sim.store = backend_mem_new();
	if (!sim.store)
		abort();
	o = sim_options(NULL);
	if (vault_create(&o, 0, id) < 0 || vault_open(&o, &vault) < 0)
		abort();
	for (i = 0; i < TEMPLATES; i++) {
		struct sim_actor *a = add_actor(SIM_WRITER);

		truth_begin((struct keyring *)(uintptr_t)vault_keyring(vault));
		if (i > 0)
			sim_writer(a);
		if (i > 1) {
			a->role = SIM_OPERATOR;
			sim_operator(a);
		}
		templates[i] = backend_mem_clone(sim.store);
		if (!templates[i] || sim.violation[0])
			abort();
	}
}

static void release_all(void)
{
	size_t i;

	vault_close(vault);
	for (i = 0; i < TEMPLATES; i++)
		backend_close(templates[i]);
	for (i = 0; i < SIM_ACTORS; i++) {
		plant_forget(&sim.actors[i]);
		backend_release(&sim.actors[i].backend);
	}
	truth_release();
	sim_drop_late();
	sim_free_locals();
	sim_free_stacks();
	sim_free_memo();
	spoil_release();
}

/* ---- the program ---- */

static double cpu_seconds(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

static int run_many(uint64_t from, uint64_t to, bool each)
{
	uint64_t seed, steps = 0, all = 0;
	double began = cpu_seconds();
	bool found = false;

	for (seed = from; seed <= to && !found; seed++) {
		run(seed);
		steps += sim.step;
		all = (all ^ sim.hash) * 0x100000001b3u;
		found = sim.violation[0];
		if (each)
			printf("%llu %016llx\n", (unsigned long long)seed,
			       (unsigned long long)sim.hash);
		if (found)
			printf("seed %llu: %s\n", (unsigned long long)seed,
			       sim.violation);
	}
	printf("%s: %llu runs, %llu steps, hash %016llx, %.1f s\n",
	       plant_name(sim.plant), (unsigned long long)(seed - from),
	       (unsigned long long)steps, (unsigned long long)all,
	       cpu_seconds() - began);
	return found == (sim.plant != PLANT_NONE) ? 0 : 1;
}

static int usage(void)
{
	fputs("usage: simulate [--trace] [--plant NAME] --seed N\n"
	      "       simulate [--each] [--plant NAME] --seeds FROM-TO\n"
	      "       simulate --plants\n",
	      stderr);
	return 2;
}

static int list_plants(void)
{
	int p;

	for (p = PLANT_NONE + 1; p < PLANT_COUNT; p++)
		printf("%s %s\n", plant_name(p), plant_text(p));
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t from = 1, to = 0;
	enum plant plant = PLANT_NONE;
	bool trace = false, each = false;
	int i, r;

	for (i = 1; i < argc; i++) {
		char *end = NULL;

		if (strcmp(argv[i], "--plants") == 0)
			return list_plants();
		if (strcmp(argv[i], "--trace") == 0) {
			trace = true;
			continue;
		}
		if (strcmp(argv[i], "--each") == 0) {
			each = true;
			continue;
		}
		if (i + 1 == argc)
			return usage();
		if (strcmp(argv[i], "--plant") == 0) {
			plant = plant_find(argv[++i]);
			if (plant == PLANT_COUNT)
				return usage();
			continue;
		}
		if (strncmp(argv[i], "--seed", 6) != 0)
			return usage();
		from = to = strtoull(argv[++i], &end, 10);
		if (*end == '-')
			to = strtoull(end + 1, NULL, 10);
	}
	if (to < from)
		return usage();
	/* Memory that was given back is asked for again at once. */
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	log_set(LOG_LEVEL_WARN, say_nothing, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	make_templates();
	sim.trace = trace;
	sim.plant = plant;
	r = run_many(from, to, each);
	release_all();
	return r;
}
