/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A tree follows from its entries alone. So whether an earlier run has made the point
 * already is told by its root, and a run that was interrupted behind the commit goes
 * on with the notes.
 */
#include "config.h"

#include "store/repair/rewrite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/base/log.h"
#include "store/repair/internal.h"
#include "store/repair/notes.h"
#include "store/repair/remake.h"
#include "store/vault.h"
#include "store/writer/writer.h"

struct rewriting {
	struct vault *vault;
	const struct point *point;
	const struct rewrite_options *o;
	struct rewrite_result *out;
	struct remake m;
};

static int fail_lost(const struct rewriting *x)
{
	return fail(-EBADMSG,
		    "point %s: something of it is lost, so that it cannot be "
		    "rewritten: see vmbackup repair points",
		    x->point->id);
}

static const struct point *find_id(const struct point_list *l, const char *id)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (strcmp(l->points[i]->id, id) == 0)
			return l->points[i];
	return NULL;
}

static bool has_same_content(const void *a, size_t len_a, const void *b,
			     size_t len_b)
{
	return len_a == len_b && (len_a == 0 || memcmp(a, b, len_a) == 0);
}

/* Has @made the disks and config files of @p, all of them? Both are sorted. */
static bool has_same_members(const struct point *p, const struct point *made)
{
	size_t i;

	if (p->ndisks != made->ndisks || p->nconfigs != made->nconfigs)
		return false;
	for (i = 0; i < p->ndisks; i++)
		if (strcmp(p->disks[i].name, made->disks[i].name) != 0 ||
		    !has_same_content(
			    p->disks[i].content, p->disks[i].content_len,
			    made->disks[i].content, made->disks[i].content_len))
			return false;
	for (i = 0; i < p->nconfigs; i++)
		if (strcmp(p->configs[i].name, made->configs[i].name) != 0 ||
		    !has_same_content(p->configs[i].content,
				      p->configs[i].content_len,
				      made->configs[i].content,
				      made->configs[i].content_len))
			return false;
	return true;
}

/*
 * One that was made of the same point and holds the same. The backup that came after
 * it has it for a parent, too, and the same tree, where it was told to leave out what
 * is left out here and nothing else had changed: but its time is another one, and it
 * may have no disks. It does not stand for the point.
 */
static const struct point *find_made(const struct rewriting *x,
				     const struct point_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		const struct point *p = l->points[i];

		if (strcmp(p->parent, x->point->id) == 0 && p->has_tree &&
		    id_equal(&p->root, &x->m.root) &&
		    p->time_ns == x->point->time_ns &&
		    strcmp(p->machine, x->point->machine) == 0 &&
		    p->nopen_forgets == 0 && !p->verdict_unknown &&
		    has_same_members(x->point, p))
			return p;
	}
	return NULL;
}

/* May the session take over all of it unseen? As it is listed now. */
static int ask_to_rely(struct rewriting *x, struct writer *w)
{
	struct point_list *l = writer_points(w);
	const struct point *p = find_id(l, x->point->id);
	int r = p ? writer_rely_on(w, p) : 0;

	point_list_put(l);
	x->m.relies = r == 1;
	return MIN(r, 0);
}

static int make(struct rewriting *x, struct writer *w)
{
	const struct point *made;
	struct point_list *l;
	int r = ask_to_rely(x, w);

	x->m.writer = w;
	if (r == 0)
		r = remake_run(&x->m);
	if (r == 0 && remake_is_hit(&x->m))
		r = fail_lost(x);
	if (r < 0)
		return r;
	l = writer_points(w);
	made = find_made(x, l);
	if (made) {
		memcpy(x->out->id, made->id, sizeof(x->out->id));
		x->out->was_made = true;
		writer_abandon(w);
	}
	point_list_put(l);
	return x->out->was_made
		       ? 0
		       : remake_commit(&x->m, x->o->tag, x->o->patterns,
				       x->o->npatterns, x->out->id);
}

static int put_notes(struct rewriting *x)
{
	const struct point *old, *made;
	struct point_list *l;
	char text[256];
	int r = vault_points(x->vault, &l);

	if (r < 0)
		return r;
	snprintf(text, sizeof(text),
		 "rewritten from %s: %llu entries are not "
		 "in it",
		 x->point->id, (unsigned long long)x->out->excluded);
	old = find_id(l, x->point->id);
	made = find_id(l, x->out->id);
	if (old && made)
		r = notes_carry_over(x->vault, old, made, text, "rewritten as",
				     x->o->by);
	point_list_put(l);
	return r;
}

static int apply(struct rewriting *x)
{
	struct writer *w;
	int r = writer_begin(x->vault, x->o->level, NULL, &w);

	if (r < 0)
		return r;
	writer_set_disk_level(w, x->o->disk_level);
	r = writer_may_commit(w);
	if (r == 0)
		r = make(x, w);
	if (r < 0)
		writer_abandon(w);
	writer_free(w);
	return r == 0 ? put_notes(x) : r;
}

int rewrite_point(struct vault *v, const struct point *p,
		  const struct rewrite_options *o, struct task *task,
		  struct rewrite_result *out)
{
	const struct repair_options ro = { .apply = o->apply };
	struct repair_result counts = { .repaired = 0 };
	struct survey s = {
		.vault = v, .o = &ro, .task = task, .out = &counts
	};
	struct rewriting x = { v, p, o, out, { .survey = &s } };
	int r;

	*out = (struct rewrite_result){ .excluded = 0 };
	x.m.point = p;
	x.m.excludes = o->excludes;
	x.m.excludes_arg = o->excludes_arg;
	x.m.left_out = o->left_out;
	x.m.left_out_arg = o->left_out_arg;
	/* What is in the files is not looked at before it has to be. */
	x.m.relies = true;
	r = remake_run(&x.m);
	if (r == 0 && remake_is_hit(&x.m))
		r = fail_lost(&x);
	out->excluded = x.m.excluded;
	out->excluded_bytes = x.m.excluded_bytes;
	if (r == 0 && out->excluded > 0 && o->apply)
		r = apply(&x);
	remake_release(&x.m);
	idset_release(&s.had);
	idset_release(&s.lost);
	return r;
}
