/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What actors have in common: handles, the bytes of this world, reading points.
 * And those that only read, and that forget. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/base/secret.h"
#include "store/content.h"
#include "store/point.h"
#include "store/record/forget.h"
#include "store/tree.h"
#include "store/vault.h"
#include "store/writer/forget.h"
#include "tests/sim/truth.h"

size_t sim_chunk_bytes(unsigned int i, uint8_t out[SIM_CHUNK_MAX])
{
	size_t len = 100 + 16 * i;

	memset(out, (int)(i * 37 + 1), len);
	out[0] = (uint8_t)i;
	return len;
}

/* ---- handles ---- */

static struct secret *keyfile;

static void free_keyfile(void)
{
	secret_free(keyfile);
}

struct vault_options sim_options(struct sim_actor *a)
{
	if (!keyfile) {
		keyfile = secret_new(64);
		if (!keyfile)
			abort();
		memset(keyfile->data, 'k', keyfile->len);
		atexit(free_keyfile);
	}
	return (struct vault_options){
		.backend = a ? &a->backend : sim.store,
		.seam = sim_seam(),
		.cache_dir = a ? a->machine : NULL,
		.credential.keyfile = keyfile,
		.index_later = a && sim_dice(2),
	};
}

void sim_close(struct sim_actor *a)
{
	vault_close(a->vault);
	a->vault = NULL;
}

/* A process that died is another one then, with another handle; and some run one
 * command and end. */
int sim_open(struct sim_actor *a)
{
	struct vault_options o;

	if (a->vault && (a->dead || sim_dice(6) == 0))
		sim_close(a);
	if (a->dead)
		sim_be_born(a);
	if (a->vault)
		return 0;
	o = sim_options(a);
	return vault_open(&o, &a->vault);
}

/* ---- reading a point ---- */

/* The chunks of data @mask, one after the other. */
static size_t wanted_bytes(uint32_t mask, uint8_t *out)
{
	size_t n = 0;
	unsigned int i;

	for (i = 0; i < SIM_DATA; i++)
		if (mask & 1u << i)
			n += sim_chunk_bytes(i, out + n);
	return n;
}

static int read_content(struct vault *v, const struct content_ref *c,
			uint32_t mask)
{
	uint8_t want[SIM_DATA * SIM_CHUNK_MAX], got[sizeof(want)];
	size_t len = wanted_bytes(mask, want);
	int r;

	if (c->size != len)
		return -EILSEQ;
	if (len == 0)
		return 0;
	r = content_read(v, c, 0, got, len);
	return r < 0 ? r : memcmp(want, got, len) ? -EILSEQ : 0;
}

static int read_tree(struct vault *v, const struct point *p, uint32_t *seen)
{
	struct cursor c = { 0 };
	int r = tree_at(v, &p->root, 0, &c);

	while (r == 0) {
		struct entry e;
		uint32_t file;

		cursor_entry(&c, &e);
		file = e.name_len == 1 ? 1u << (e.name[0] - '0') : 0;
		if (S_ISREG(e.mode)) {
			struct content_ref ref = entry_content(&e);

			r = read_content(v, &ref, file);
			*seen |= file;
		}
		if (r == 0)
			r = cursor_next(&c);
	}
	cursor_release(&c);
	return r == -ENOENT ? 0 : r;
}

int sim_read_point(struct vault *v, const struct point *p)
{
	const struct truth_point *want = truth_find(p->id);
	uint32_t seen = 0;
	int r = want ? 0 : -EILSEQ;

	if (r == 0 && p->has_tree)
		r = read_tree(v, p, &seen);
	if (r == 0 && seen != want->files)
		r = -EILSEQ;
	if (r == 0 && p->nconfigs > 0) {
		struct content_ref ref = point_config_content(&p->configs[0]);

		r = read_content(v, &ref, want->config);
	}
	return r;
}

/* ---- readers ---- */

/* A point may be purged while it is read. All else that a reader is told has to be
 * right: what cannot be reached is not called damaged. */
static void judge_read(struct sim_actor *a, const struct point *p, int r)
{
	const struct truth_point *truth = truth_find(p->id);

	sim_trace(a, "read point %s: %s", p->id,
		  r < 0 ? strerrorname_np(-r) : "ok");
	if (r == -EILSEQ)
		sim_violated("point %s is read with wrong bytes", p->id);
	if (a->dead || r == 0 || truth->is_purged)
		return;
	if (a->faults == 0)
		sim_violated("point %s cannot be read: %s", p->id,
			     strerrorname_np(-r));
	else if (r == -EBADMSG)
		sim_violated("point %s is called damaged", p->id);
}

static void judge_list(struct sim_actor *a, const struct point_list *l,
		       uint64_t began)
{
	size_t i;

	if (a->dead)
		return;
	for (i = 0; i < l->ndamaged; i++) {
		const struct truth_point *p = truth_find(l->damaged[i]);

		if (p && !p->is_purged && a->faults == 0)
			sim_violated("point %s is listed as damaged", p->id);
	}
	for (i = 0; i < l->n; i++) {
		const struct truth_point *p = truth_find(l->points[i]->id);

		if (!p)
			sim_violated("point %s is listed, and is none",
				     l->points[i]->id);
		/* It was purged before anybody asked. */
		else if (p->is_purged && p->purged_at < began && a->faults == 0)
			sim_violated("point %s is listed, and was purged",
				     p->id);
	}
}

/* A mount that is let alone for long. What it knew is old then, which is all that is of
 * interest to who keeps to it. */
static bool let_alone(struct sim_actor *a)
{
	if (sim.plant != PLANT_READER_RELOADS)
		return false;
	a->sleeps_until = sim.step + sim_dice(1500);
	sim_yield();
	return !a->dead;
}

void sim_reader(struct sim_actor *a)
{
	unsigned int reads = 1 + sim_dice(2);
	struct point_list *l;
	uint64_t began;

	while (reads-- > 0) {
		a->faults = 0;
		if (sim_open(a) < 0)
			continue;
		if (sim_dice(2))
			vault_show_forgotten(a->vault);
		began = sim.step;
		if (vault_points(a->vault, &l) < 0)
			continue;
		judge_list(a, l, began);
		if (l->n > 0) {
			const struct point *p =
				l->points[sim_dice((unsigned int)l->n)];

			judge_read(a, p, sim_read_point(a->vault, p));
			if (let_alone(a))
				judge_read(a, p, sim_read_point(a->vault, p));
		}
		point_list_put(l);
	}
	sim_close(a);
}

/* ---- who forgets ---- */

static void undelete(struct sim_actor *a, const struct point *p)
{
	size_t i;
	int r = forget_undo(a->vault, p, NULL);

	sim_trace(a, "undelete %s: %s", p->id,
		  r < 0 ? strerrorname_np(-r) : "kept");
	for (i = 0; r == 0 && i < p->nopen_forgets; i++)
		truth_was_kept(p->id, p->open_forgets[i]);
	for (i = 0; r == 0 && i < p->nunread_forgets; i++)
		truth_was_kept(p->id, p->unread_forgets[i]);
}

static void forget(struct sim_actor *a, const struct point *p)
{
	const struct forget_wish wish = { .window_ns = FORGET_WINDOW_MIN_NS,
					  .vault_ns = sim.now_ns };
	int r = forget_points(a->vault, &p, 1, &wish, NULL);

	sim_trace(a, "forget %s: %s", p->id,
		  r < 0 ? strerrorname_np(-r) : "ok");
}

void sim_operator(struct sim_actor *a)
{
	unsigned int deeds = 1 + sim_dice(4);
	struct point_list *l;
	uint64_t began;

	while (deeds-- > 0) {
		a->faults = 0;
		if (sim_open(a) < 0)
			continue;
		vault_show_forgotten(a->vault);
		began = sim.step;
		if (vault_points(a->vault, &l) < 0)
			continue;
		judge_list(a, l, began);
		if (l->n > 0) {
			const struct point *p =
				l->points[sim_dice((unsigned int)l->n)];

			if (p->nopen_forgets > 0 && sim_dice(2))
				undelete(a, p);
			else
				forget(a, p);
		}
		point_list_put(l);
		/* In this world that may be but a moment later. */
		if (sim_dice(2))
			sim.now_ns += (1 + sim_dice(30)) * SIM_DAY;
		if (sim_dice(4))
			(void)!sim_purge(a);
	}
	sim_close(a);
}
