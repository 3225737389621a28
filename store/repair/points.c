/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Points of which something is lost. Beside each a new one is made that has all that
 * can be had, and says that it is incomplete; the old one stays, for what it misses
 * may come back: from a backup that still finds it, or from a copy.
 *
 * The new point has the old one for its parent, and the tag "repaired": by these a
 * later repair knows that it was made. The note on the old one is put last, so that
 * whatever is missing of the notes is put by the next repair.
 */
#include "config.h"

#include "store/repair/copy.h"
#include "store/repair/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/log.h"
#include "store/point.h"
#include "store/repair/notes.h"
#include "store/repair/registers.h"
#include "store/repair/remake.h"
#include "store/vault.h"
#include "store/writer/note.h"
#include "store/writer/writer.h"

#define TAG "repaired"
/* So many of the things that are lost are named. */
#define NAMED_MAX 100

struct point_repair {
	struct survey *s;
	struct point_list *points; /* held */
	struct idset clean; /* nodes below which all can be had */
	char point[POINT_ID_HEX + 8]; /* "point/..." at hand, for messages */
	uint64_t nsaid;
};

static void on_left_out(void *arg, const char *path)
{
	struct point_repair *x = arg;

	if (x->nsaid++ < NAMED_MAX)
		repair_say(x->s->o, x->s->out, REPAIR_NOTED, x->point,
			   "lost: %s", path);
	else if (x->nsaid == NAMED_MAX + 1)
		repair_say(x->s->o, x->s->out, REPAIR_NOTED, x->point,
			   "and more, which check names");
}

/* ---- what was done before ---- */

static bool has_tag(const struct point *p, const char *tag)
{
	size_t i;

	for (i = 0; i < p->ntags; i++)
		if (strcmp(p->tags[i], tag) == 0)
			return true;
	return false;
}

/* Has @made all that could be had of its original now? */
static bool has_all(const struct point *made, const struct remake *m)
{
	const struct point *p = m->point;
	size_t i, ndisks = 0, nconfigs = 0;

	for (i = 0; i < p->ndisks; i++)
		ndisks += !m->drops_disk[i];
	for (i = 0; i < p->nconfigs; i++)
		nconfigs += !m->drops_config[i];
	return made->entries >= m->entries && made->files >= m->files &&
	       made->ndisks >= ndisks && made->nconfigs >= nconfigs &&
	       made->errors <= p->errors + m->lost + m->lost_nodes;
}

/* The point that a repair made, that is to stay, and that lacks nothing which has come
 * back since; or NULL. */
static const struct point *find_repaired(const struct point_list *l,
					 const struct remake *m)
{
	const struct point *p = m->point;
	size_t i;

	for (i = 0; i < l->n; i++)
		if (strcmp(l->points[i]->parent, p->id) == 0 &&
		    l->points[i]->time_ns == p->time_ns &&
		    l->points[i]->nopen_forgets == 0 &&
		    has_tag(l->points[i], TAG) && has_all(l->points[i], m))
			return l->points[i];
	return NULL;
}

/* ---- repairing ---- */

static int put_notes(struct point_repair *x, const struct point *p,
		     const struct point *made)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "repaired from %s: what was lost there is not in it", p->id);
	return notes_carry_over(x->s->vault, p, made, text,
				"repaired, as far as it can be had, as",
				x->s->o->by);
}

static void say_made(struct point_repair *x, const struct remake *m,
		     const char *id)
{
	repair_say(x->s->o, x->s->out, survey_done(x->s), x->point,
		   "%llu things are lost%s; a point of all that can be had, "
		   "%llu of %llu entries, %s%s",
		   (unsigned long long)m->lost,
		   m->lost_nodes ? ", and entries that nobody can name" : "",
		   (unsigned long long)(m->entries +
					(x->s->o->apply ? 0 : m->nlost_dirs)),
		   (unsigned long long)m->point->entries,
		   x->s->o->apply ? "is made: " : "can be made", id);
}

/* The list has @made once it is listed anew. */
static int note_made(struct point_repair *x, const struct point *p,
		     const char *id)
{
	struct point_list *l;
	size_t i;
	int r = vault_points(x->s->vault, &l);

	for (i = 0; r == 0 && i < l->n; i++)
		if (strcmp(l->points[i]->id, id) == 0)
			r = put_notes(x, p, l->points[i]);
	point_list_put(l);
	return r;
}

static int make_point(struct point_repair *x, struct remake *m)
{
	char id[POINT_ID_HEX + 1] = "";
	struct writer *w;
	int r = writer_begin(x->s->vault, x->s->o->level, NULL, &w);

	if (r < 0)
		return r;
	writer_set_disk_level(w, x->s->o->disk_level);
	m->writer = w;
	r = writer_may_commit(w);
	if (r == 0)
		r = remake_run(m);
	if (r == 0)
		r = remake_commit(m, TAG, NULL, 0, id);
	if (r < 0)
		writer_abandon(w);
	writer_free(w);
	if (r == 0)
		r = note_made(x, m->point, id);
	if (r == 0)
		say_made(x, m, id);
	return r;
}

/* Make a new one of what there is. */
static int make_or_tell(struct point_repair *x, struct remake *m)
{
	int r = 0;

	if (m->entries == 0 && m->point->has_tree)
		repair_say(x->s->o, x->s->out, REPAIR_LEFT, x->point,
			   "nothing of its tree can be read");
	else if (x->s->o->apply)
		r = make_point(x, m);
	else
		say_made(x, m, "");
	return r;
}

/* It was repaired before. */
static int see_to_notes(struct point_repair *x, const struct point *p,
			const struct point *made)
{
	repair_say(x->s->o, x->s->out, REPAIR_NOTED, x->point,
		   "something of it is lost; what can be had is in point %s",
		   made->id);
	if (notes_tell_of(p, made->id))
		return 0;
	repair_say(x->s->o, x->s->out, survey_done(x->s), x->point,
		   "its notes are not all carried over");
	return x->s->o->apply ? put_notes(x, p, made) : 0;
}

/* Look at all of it, and see to it that there is one that has what can be had. */
static int repair_point(struct point_repair *x, const struct point *p)
{
	struct remake m = { .survey = x->s,
			    .point = p,
			    .left_out = on_left_out,
			    .left_out_arg = x };
	const struct point *made = NULL;
	int r;

	x->nsaid = 0;
	r = remake_run(&m);
	if (r == 0)
		made = find_repaired(x->points, &m);
	if (made)
		r = see_to_notes(x, p, made);
	else if (r == 0)
		r = make_or_tell(x, &m);
	remake_release(&m);
	return r;
}

static int remember_clean(struct point_repair *x, const struct remake *m)
{
	size_t i;
	int r = 0;

	for (i = 0; i < m->nnodes && r >= 0; i++)
		r = idset_add(&x->clean, &m->nodes[i]);
	return MIN(r, 0);
}

static int look_at(struct point_repair *x, const struct point *p)
{
	struct remake m = { .survey = x->s, .point = p, .clean = &x->clean };
	bool hit;
	int r = remake_run(&m);

	hit = remake_is_hit(&m);
	if (r == 0 && !hit)
		r = remember_clean(x, &m);
	remake_release(&m);
	if (r < 0 || !hit)
		return r;
	snprintf(x->point, sizeof(x->point), "point/%s", p->id);
	return repair_point(x, p);
}

static void say_damaged(struct point_repair *x)
{
	const struct point_list *l = x->points;
	char object[POINT_ID_HEX + 8];
	size_t i;

	for (i = 0; i < l->ndamaged; i++) {
		snprintf(object, sizeof(object), "point/%s", l->damaged[i]);
		repair_say(
			x->s->o, x->s->out, REPAIR_LEFT, object,
			"a point is lost: its object, or that of its commit, "
			"is damaged or gone; what it was made of is there: "
			"take the object from a copy of the vault (--from), or "
			"back up the machine again");
	}
}

int repair_points(struct vault *v, const struct repair_options *o,
		  struct task *task, struct repair_result *out)
{
	struct survey s;
	struct point_repair x = { .s = &s };
	size_t i;
	struct repair_result copied = { .repaired = 0 };
	bool whole;
	int r = repair_registers(v, o, &copied);

	s = (struct survey){ .vault = v };
	*out = (struct repair_result){ .repaired = 0 };
	if (r == 0 && o->from)
		r = copy_points(v, o, task, &copied);
	if (r == 0)
		r = survey_make(&s, v, o, task, out);
	out->repaired += copied.repaired;
	out->left += copied.left;
	if (r == 0)
		r = vault_points(v, &x.points);
	if (r == 0)
		say_damaged(&x);
	/* Where nothing is damaged nothing is lost. */
	whole = s.check.damages == 0 && s.sick.n == 0;
	for (i = 0; r == 0 && !whole && i < x.points->n; i++) {
		const struct point *p = x.points->points[i];

		/* What is about to go needs no other beside it. */
		if (p->nopen_forgets == 0 && !p->verdict_unknown)
			r = look_at(&x, p);
	}
	/* They were told of with the points. */
	out->chunks = out->bytes = out->chunks_from = out->chunks_lost = 0;
	point_list_put(x.points);
	idset_release(&x.clean);
	survey_release(&s);
	return r;
}
