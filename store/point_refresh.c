/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which points there are: commit/<sid> says so. A commit names its point and
 * the hash of the point's object. Both are small and immutable, and so is all
 * else that is said of points later: verdicts, notes, names of machines. What
 * was read once stays in memory and in the local database.
 *
 * A point is shared by all lists that show it alike. Where there is more to say
 * of one than its object does (it has notes, its machine has another name), the
 * list has a copy of its own.
 */
#include "config.h"

#include "store/point_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/kept.h"
#include "store/point_names.h"
#include "store/point_notes.h"
#include "store/record/commit.h"
#include "store/record/note.h"
#include "store/record/purge.h"
#include "store/vault_internal.h"

#define SMALL_OBJECT_MAX (64u << 10)

/* ---- the kinds of objects ---- */

static int decode_commit(const void *data, size_t len, const char *name,
			 void **out)
{
	struct commit *c = malloc(sizeof(*c));
	int r = c ? commit_decode(data, len, name, c) : -ENOMEM;

	if (r < 0) {
		free(c);
		c = NULL;
	}
	*out = c;
	return r;
}

static int decode_verdict(const void *data, size_t len, const char *name,
			  void **out)
{
	bool *purged = malloc(sizeof(*purged));
	int r = purged ? purge_decode(data, len, name, purged) : -ENOMEM;

	if (r < 0) {
		free(purged);
		purged = NULL;
	}
	*out = purged;
	return r;
}

static int decode_note(const void *data, size_t len, const char *name,
		       void **out)
{
	struct note *n = malloc(sizeof(*n));
	int r = n ? note_decode(data, len, name, n) : -ENOMEM;

	if (r < 0) {
		free(n);
		n = NULL;
	}
	*out = n;
	return r;
}

static void release_note(void *value)
{
	note_release(value);
	free(value);
}

static int decode_point(const void *data, size_t len, const char *name,
			void **out)
{
	struct point *p = NULL;
	int r = point_decode(data, len, name, &p);

	if (r == 0 && strcmp(p->id, name + strlen("point/")) != 0) {
		r = fail(-EBADMSG, "%s: holds another point", name);
		point_free(p);
		p = NULL;
	}
	*out = p;
	return r;
}

static void release_point(void *value)
{
	point_free(value);
}

static const struct kept_kind commits = {
	"commit/", OBJECT_COMMIT, SMALL_OBJECT_MAX, decode_commit, free,
};
static const struct kept_kind verdicts = {
	"purge/", OBJECT_PURGE, SMALL_OBJECT_MAX, decode_verdict, free,
};
static const struct kept_kind notes = {
	"note/", OBJECT_NOTE, SMALL_OBJECT_MAX, decode_note, release_note,
};
static const struct kept_kind machines = {
	"machine/", OBJECT_MACHINE, SMALL_OBJECT_MAX, decode_note, release_note,
};
static const struct kept_kind points = {
	"point/", OBJECT_POINT, POINT_DOC_MAX, decode_point, release_point,
};

void point_objects_release(struct point_objects *o)
{
	kept_release(&commits, &o->commits);
	kept_release(&verdicts, &o->verdicts);
	kept_release(&notes, &o->notes);
	kept_release(&machines, &o->machines);
	kept_release(&points, &o->points);
}

/* ---- a new list ---- */

struct build {
	struct vault *vault;
	struct point_objects *objects; /* borrowed */
	struct point_list *list;
	size_t cap, dcap;
	struct naming naming;
};

static int note_damaged(struct build *b, const char *id)
{
	struct point_list *l = b->list;

	if (array_reserve(&l->damaged, &b->dcap, l->ndamaged + 1) < 0)
		return -ENOMEM;
	memset(l->damaged[l->ndamaged], 0, POINT_ID_HEX + 1);
	strncpy(l->damaged[l->ndamaged++], id, POINT_ID_HEX);
	return 0;
}

/* A copy of a point, for what the list has to say of it. */
static int copy_point(struct build *b, const struct kept *item,
		      struct point **out)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	int r = kept_read(b->vault, &points, item->name, NULL, &plain);

	*out = NULL;
	/* The vault has it no more, and the database neither: it is as gone as
	 * one that was never read. */
	if (r == -ENOENT)
		r = fail(-EBADMSG, "%s: missing, but committed", item->name);
	return r < 0 ? r : point_decode(plain.data, plain.len, item->name, out);
}

static int name_copy(struct point *p, const char *shown)
{
	char *name;

	if (strcmp(p->vm, shown) == 0)
		return 0;
	name = strdup(shown);
	if (!name)
		return -ENOMEM;
	p->named = p->vm;
	p->vm = name;
	return 0;
}

static int add_point(struct build *b, const struct kept *item)
{
	struct point_list *l = b->list;
	struct point *p = item->value, *copy;
	enum point_verdict verdict = point_verdict_on(b->objects, p->id);
	const char *shown = naming_find(&b->naming, p);
	size_t nnotes, first = point_items_of(&b->objects->notes, "note/",
					      p->id, &nnotes);
	int r = 0;

	if (verdict == POINT_PURGED)
		return 0;
	if (array_reserve(&l->points, &b->cap, l->n + 1) < 0)
		return -ENOMEM;
	if (verdict == POINT_NO_VERDICT && nnotes == 0 &&
	    strcmp(shown, p->vm) == 0) {
		l->points[l->n++] = point_get(p);
		return 0;
	}
	r = copy_point(b, item, &copy);
	if (r < 0)
		return r;
	copy->verdict_unknown = verdict == POINT_UNKNOWN_VERDICT;
	r = name_copy(copy, shown);
	if (r == 0)
		r = point_apply_notes(copy, &b->objects->notes.items[first],
				      nnotes);
	if (r < 0)
		point_free(copy);
	else
		l->points[l->n++] = copy;
	return r;
}

/* What a commit tells of a point that is not among those that were read. */
static int add_damaged(struct build *b)
{
	const struct kept_set *s = &b->objects->commits;
	size_t i;
	int r = 0;

	for (i = 0; i < s->n && r == 0; i++)
		/* Of a register that cannot be read the session is all that is
		 * known. */
		if (!s->items[i].value)
			r = note_damaged(b, s->items[i].name +
						    strlen(commits.prefix));
	s = &b->objects->points;
	for (i = 0; i < s->n && r == 0; i++)
		if (!s->items[i].value)
			r = note_damaged(b, s->items[i].name +
						    strlen(points.prefix));
	return r;
}

static int build_list(struct build *b)
{
	const struct kept_set *s = &b->objects->points;
	size_t i;
	int r = naming_make(b->objects, &b->naming);

	for (i = 0; i < s->n && r == 0; i++) {
		if (!s->items[i].value)
			continue;
		r = add_point(b, &s->items[i]);
		if (r == -EBADMSG || r == -EOPNOTSUPP)
			r = note_damaged(b, s->items[i].name +
						    strlen(points.prefix));
	}
	if (r == 0)
		r = add_damaged(b);
	if (r == 0)
		r = point_list_finish(b->list);
	if (r == 0)
		r = naming_machines(b->objects, b->list);
	naming_release(&b->naming);
	return r;
}

/* ---- refreshing ---- */

static int refresh_kind(struct vault *v, const struct kept_kind *kind,
			struct kept_set *s, bool *changed)
{
	struct kept_wish wanted = { 0 };
	int r = kept_list(v, kind, &wanted);

	if (r == 0)
		r = kept_refresh(v, kind, s, &wanted, changed);
	free(wanted.items);
	return r;
}

/* The points that the commits name, but for those that were purged, whose
 * objects may be gone. */
static int refresh_points(struct vault *v, struct point_objects *o,
			  bool *changed)
{
	struct kept_wish wanted = { 0 };
	char name[OBJECT_NAME_MAX];
	size_t i;
	int r = 0;

	for (i = 0; i < o->commits.n && r == 0; i++) {
		const struct commit *c = o->commits.items[i].value;

		if (!c || !c->point[0] ||
		    point_verdict_on(o, c->point) == POINT_PURGED)
			continue;
		snprintf(name, sizeof(name), "%s%s", points.prefix, c->point);
		r = kept_want(&wanted, name, c->hash);
	}
	if (r == 0)
		r = kept_refresh(v, &points, &o->points, &wanted, changed);
	/* The commit was made after its point: one that is missing now was
	 * there. */
	for (i = 0; i < o->points.n && r == 0; i++)
		if (o->points.items[i].error == -ENOENT)
			(void)fail(-EBADMSG, "%s: missing, but committed",
				   o->points.items[i].name);
	free(wanted.items);
	return r;
}

/* Verdicts are listed after the commits: what was purged before is known then,
 * and its point is not looked for. */
static int refresh_all(struct vault *v, struct point_objects *o, bool *changed)
{
	int r = refresh_kind(v, &commits, &o->commits, changed);

	if (r == 0)
		r = refresh_kind(v, &verdicts, &o->verdicts, changed);
	atomic_fetch_add(&v->lists, 1);
	if (r == 0)
		r = refresh_kind(v, &notes, &o->notes, changed);
	if (r == 0)
		r = refresh_kind(v, &machines, &o->machines, changed);
	if (r == 0)
		r = refresh_points(v, o, changed);
	return r;
}

/* Make the list anew from what was read. */
static int replace_list(struct vault *v)
{
	struct build b = { .vault = v, .objects = &v->objects };
	struct point_list *old;
	int r;

	b.list = calloc(1, sizeof(*b.list));
	if (!b.list)
		return -ENOMEM;
	b.list->refs = 1;
	r = build_list(&b);
	if (r < 0) {
		point_list_put(b.list);
		return r;
	}
	/* Whoever still uses the old list keeps it: lists do not change, they
	 * are replaced. */
	pthread_mutex_lock(&v->lock);
	old = v->points;
	b.list->generation = old ? old->generation + 1 : 1;
	v->points = b.list;
	pthread_mutex_unlock(&v->lock);
	point_list_put(old);
	return 0;
}

/*
 * One thread at a time lists; the lock is not held meanwhile. Who comes second
 * lists again when it is his turn: what he asks is what the vault has now, and
 * not what it had when somebody else began to look.
 */
int vault_points(struct vault *v, struct point_list **out)
{
	bool changed = false;
	int r;

	*out = NULL;
	pthread_mutex_lock(&v->lock);
	while (v->is_listing)
		pthread_cond_wait(&v->listed, &v->lock);
	v->is_listing = true;
	pthread_mutex_unlock(&v->lock);

	r = refresh_all(v, &v->objects, &changed);
	/* Where a list could not be made, the next one has to be, though
	 * nothing changes any more. */
	v->is_list_old |= changed;
	if (r == 0 && (v->is_list_old || !v->points)) {
		r = replace_list(v);
		if (r == 0)
			v->is_list_old = false;
	}

	pthread_mutex_lock(&v->lock);
	v->is_listing = false;
	pthread_cond_signal(&v->listed);
	if (r == 0)
		*out = point_list_get(v->points);
	pthread_mutex_unlock(&v->lock);
	return r;
}
