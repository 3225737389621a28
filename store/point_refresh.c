/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which points there are: commit/<sid> says so. A commit names its point and
 * the hash of the point's object. Both are small and immutable, and so is all
 * else that is said of points later: verdicts, notes, names of machines. What
 * was read once stays in memory and in the local database.
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
#include "store/history/history.h"
#include "store/kept.h"
#include "store/record/commit.h"
#include "store/record/note.h"
#include "store/record/purge.h"
#include "store/vault_internal.h"

void point_objects_release(struct point_objects *o)
{
	kept_release(&point_kept_commits, &o->commits);
	kept_release(&point_kept_verdicts, &o->verdicts);
	kept_release(&point_kept_forgets, &o->forgets);
	kept_release(&point_kept_notes, &o->notes);
	kept_release(&point_kept_machines, &o->machines);
	kept_release(&point_kept_points, &o->points);
}

/* ---- refreshing ---- */

static int refresh_kind(struct vault *v, const struct kept_kind *kind,
			struct kept_set *s, bool *changed)
{
	struct kept_wish wanted = { 0 };
	int r = kept_list_new(v, kind, s, &wanted);

	if (r == KEPT_MORE)
		r = kept_add(v, kind, s, &wanted, changed);
	else if (r == KEPT_OTHER)
		r = kept_refresh(v, kind, s, &wanted, changed);
	kept_release_wish(&wanted);
	return r;
}

static int refresh_all_commits(struct vault *v, struct point_objects *o,
			       struct kept_wish *wanted, bool *changed)
{
	int r;

	kept_sort_wish(wanted);
	r = point_digests_gather(v, wanted, o);
	return r < 0 ? r
		     : kept_refresh(v, &point_kept_commits, &o->commits, wanted,
				    changed);
}

/* Commits, and with them points where digests tell of them. */
static int refresh_commits(struct vault *v, struct point_objects *o,
			   bool *changed)
{
	struct kept_wish wanted = { 0 };
	size_t before = o->commits.n;
	int r = kept_list_new(v, &point_kept_commits, &o->commits, &wanted);

	/* So few are in no digest, or need none. */
	if (r == KEPT_MORE)
		r = kept_add(v, &point_kept_commits, &o->commits, &wanted,
			     changed);
	else if (r == KEPT_OTHER)
		r = refresh_all_commits(v, o, &wanted, changed);
	*changed |= o->commits.n != before;
	kept_release_wish(&wanted);
	return r;
}

/* The point that commit @i names, unless it was purged, when its object may be
 * gone; its object's name to @name. */
static const struct commit *wanted_point(const struct point_objects *o,
					 size_t i, char name[OBJECT_NAME_MAX])
{
	const struct known_commit *known = o->commits.items[i].value;
	const struct commit *c = known ? &known->commit : NULL;
	size_t len = strlen(point_kept_points.prefix);

	if (!c || !c->point[0] || point_verdict_on(o, c->point) == POINT_PURGED)
		return NULL;
	memcpy(name, point_kept_points.prefix, len);
	memcpy(name + len, c->point, sizeof(c->point));
	return c;
}

/* Are those that were read just those that the commits name? */
static bool has_all_points(const struct vault *v, struct point_objects *o)
{
	struct name_sum sum = { 0, 0 };
	char name[OBJECT_NAME_MAX];
	size_t i;

	for (i = 0; i < o->commits.n; i++)
		if (wanted_point(o, i, name))
			vault_sum_add(v, &sum, name);
	return kept_is_all(v, &o->points, &sum);
}

/* Want those that the commits name, or of these what was not read. @had_out: how
 * many were. */
static int want_points(const struct point_objects *o, bool all,
		       struct kept_wish *out, size_t *had_out)
{
	char name[OBJECT_NAME_MAX];
	size_t i;
	int r = 0;

	*had_out = 0;
	for (i = 0; i < o->commits.n && r == 0; i++) {
		const struct commit *c = wanted_point(o, i, name);

		if (c && (all || !kept_has(&o->points, name)))
			r = kept_want(
				out, name, c->hash,
				o->commits.items[i].name +
					strlen(point_kept_commits.prefix));
		else if (c)
			++*had_out;
	}
	return r;
}

static int refresh_points(struct vault *v, struct point_objects *o,
			  bool *changed)
{
	struct kept_wish wanted = { 0 };
	bool read = false;
	size_t i, had;
	int r;

	if (has_all_points(v, o))
		return 0;
	r = want_points(o, false, &wanted, &had);
	if (r == 0 && had == o->points.n && kept_all_read(&o->points) &&
	    wanted.n <= KEPT_MORE_MAX) {
		r = kept_add(v, &point_kept_points, &o->points, &wanted, &read);
	} else if (r == 0) {
		kept_release_wish(&wanted);
		r = want_points(o, true, &wanted, &had);
		if (r == 0)
			r = kept_refresh(v, &point_kept_points, &o->points,
					 &wanted, &read);
	}
	*changed |= read;
	/* The commit was made after its point: one that is missing now was
	 * there. */
	for (i = 0; i < o->points.n && r == 0; i++)
		if (o->points.items[i].error == -ENOENT &&
		    !point_was_removed(o, &o->points.items[i]) &&
		    vault_is_news(v, o->points.items[i].name))
			(void)fail(-EBADMSG, "%s: missing, but committed",
				   o->points.items[i].name);
	kept_release_wish(&wanted);
	return r;
}

/*
 * Read the points anew, where what they follow from is @other than before; not
 * where something failed already, which @r is. Then it is remembered, for the next
 * listing finds nothing new any more.
 */
static int follow(struct vault *v, struct point_objects *o, bool other, int r,
		  bool *changed)
{
	*changed |= other;
	o->points_old |= other || !v->points;
	if (r == 0 && o->points_old && point_history_knows_points(v))
		o->points_old = false;
	if (r == 0 && (o->points_old || !kept_all_read(&o->points))) {
		r = refresh_points(v, o, changed);
		o->points_old = r < 0;
	}
	return r;
}

/* Verdicts are listed after the commits: what was purged before is known then,
 * and its point is not looked for. They are listed after the wishes, too, so that
 * none which was taken back is seen without its answer. */
static int refresh_all(struct vault *v, struct point_objects *o, bool *changed)
{
	bool other = false;
	int r = refresh_commits(v, o, &other);

	if (r == 0)
		r = refresh_kind(v, &point_kept_forgets, &o->forgets, changed);
	if (r == 0)
		r = refresh_kind(v, &point_kept_verdicts, &o->verdicts, &other);
	atomic_fetch_add(&v->lists, 1);
	if (r == 0)
		r = refresh_kind(v, &point_kept_notes, &o->notes, changed);
	if (r == 0)
		r = refresh_kind(v, &point_kept_machines, &o->machines,
				 changed);
	return follow(v, o, other, r, changed);
}

static int refresh_verdicts(struct vault *v, struct point_objects *o,
			    bool *changed)
{
	bool other = false;
	int r = refresh_kind(v, &point_kept_verdicts, &o->verdicts, &other);

	return follow(v, o, other, r, changed);
}

/* A new process begins with what was known here last. */
static int load_all(struct vault *v, struct point_objects *o)
{
	int r = kept_load(v, &point_kept_verdicts, &o->verdicts);

	/* These are what digests said, too, as far as they told of them. */
	if (r == 0 && !v->no_digests)
		r = kept_load(v, &point_kept_commits, &o->commits);
	if (r == 0 && !v->no_digests)
		r = kept_load(v, &point_kept_points, &o->points);
	if (r == 0)
		r = kept_load(v, &point_kept_forgets, &o->forgets);
	if (r == 0)
		r = kept_load(v, &point_kept_notes, &o->notes);
	return r == 0 ? kept_load(v, &point_kept_machines, &o->machines) : r;
}

static void save_all(struct vault *v, struct point_objects *o)
{
	kept_save(v, &point_kept_verdicts, &o->verdicts);
	kept_save(v, &point_kept_forgets, &o->forgets);
	kept_save(v, &point_kept_notes, &o->notes);
	kept_save(v, &point_kept_machines, &o->machines);
	/* A snapshot says which commits are in digests, for whoever makes these. */
	if (v->no_digests)
		return;
	kept_save(v, &point_kept_commits, &o->commits);
	kept_save(v, &point_kept_points, &o->points);
}

/* Make the list anew from what was read. */
static int replace_list(struct vault *v)
{
	struct point_list *list, *old;
	int r = point_list_build(v, &v->objects, v->shows_forgotten, &list);

	if (r < 0)
		return r;
	/* Whoever still uses the old list keeps it: lists do not change, they
	 * are replaced. */
	pthread_mutex_lock(&v->lock);
	old = v->points;
	list->generation = old ? old->generation + 1 : 1;
	list->in_doubt = old && atomic_load(&old->in_doubt);
	v->points = list;
	pthread_mutex_unlock(&v->lock);
	point_list_put(old);
	return 0;
}

int vault_is_last_point(struct vault *v, const struct point *p)
{
	const struct kept_kind *kind = &point_kept_commits;
	struct kept_set *s = &v->objects.commits;
	struct kept_wish wanted = { 0 };
	char name[OBJECT_NAME_MAX];
	int r;

	snprintf(name, sizeof(name), "%s%s", kind->prefix, p->session);
	point_listing_begin(v);
	r = kept_list_new(v, kind, s, &wanted);
	if (r >= 0)
		r = r == KEPT_SAME
			    ? kept_has(s, name)
			    : r == KEPT_MORE && wanted.n == 1 &&
				      strcmp(wanted.items[0].name, name) == 0;
	point_listing_end(v);
	kept_release_wish(&wanted);
	return r;
}

bool vault_has_committed(struct vault *v, const char *sid)
{
	const struct kept_set *s = &v->objects.commits;
	const struct known_commit *known = NULL;
	char name[OBJECT_NAME_MAX];
	size_t at;
	bool has;

	snprintf(name, sizeof(name), "%s%s", point_kept_commits.prefix, sid);
	point_listing_begin(v);
	at = kept_find(s, name);
	if (at < s->n && strcmp(s->items[at].name, name) == 0)
		known = s->items[at].value;
	has = known && known->commit.point[0];
	point_listing_end(v);
	return has;
}

/*
 * One thread at a time lists; the lock is not held meanwhile. Who comes second
 * lists again when it is his turn: what he asks is what the vault has now, and
 * not what it had when somebody else began to look.
 */
void point_listing_begin(struct vault *v)
{
	SCOPED_LOCK(&v->lock);
	while (v->is_listing)
		pthread_cond_wait(&v->listed, &v->lock);
	v->is_listing = true;
}

void point_listing_end(struct vault *v)
{
	SCOPED_LOCK(&v->lock);
	v->is_listing = false;
	pthread_cond_signal(&v->listed);
}

/* ---- looking without listing ---- */

static bool take_stamps(struct vault *v, struct backend_stamp *out)
{
	static const struct kept_kind *const kinds[POINT_KINDS] = {
		&point_kept_commits, &point_kept_verdicts, &point_kept_forgets,
		&point_kept_notes,   &point_kept_machines,
	};
	size_t i;
	bool all = true;

	for (i = 0; i < POINT_KINDS && all; i++)
		all = backend_take_stamp(v->backend, kinds[i]->prefix, &out[i]);
	return all;
}

/* What could not be read is tried again, though its folder be the same. */
static bool has_all_objects(const struct vault *v)
{
	const struct point_objects *o = &v->objects;

	return !o->points_old && kept_all_read(&o->commits) &&
	       kept_all_read(&o->verdicts) && kept_all_read(&o->forgets) &&
	       kept_all_read(&o->notes) && kept_all_read(&o->machines) &&
	       kept_all_read(&o->points);
}

/*
 * A mount is looked at all the time, and hardly ever anything is new. So where the
 * store can prove that no folder has changed since it was listed last, it is not
 * listed again.
 */
static int refresh_unless_same(struct vault *v,
			       int (*refresh)(struct vault *v,
					      struct point_objects *o,
					      bool *changed),
			       bool *changed)
{
	struct backend_stamp now[POINT_KINDS] = { 0 };
	bool stamped = take_stamps(v, now);
	int r;

	if (stamped && v->stamped && memcmp(now, v->stamps, sizeof(now)) == 0 &&
	    has_all_objects(v))
		return 0;
	r = refresh(v, &v->objects, changed);
	/* From before a listing of all kinds. */
	if (refresh != refresh_all)
		return r;
	v->stamped = r == 0 && stamped;
	memcpy(v->stamps, now, sizeof(now));
	return r;
}

/* @refresh brings up to date what the list is made of. */
static int refresh_objects(struct vault *v,
			   int (*refresh)(struct vault *v,
					  struct point_objects *o,
					  bool *changed))
{
	bool changed = false;
	int r = refresh_unless_same(v, refresh, &changed);

	if (r == 0)
		r = vault_still_stands(v);
	if (r == 0)
		save_all(v, &v->objects);
	/* Where a list could not be made, the next one has to be, though
	 * nothing changes any more. */
	v->is_list_old |= changed;
	return r;
}

/* All of one call, which one thread at a time is in. */
static int refresh_list(struct vault *v,
			int (*refresh)(struct vault *v, struct point_objects *o,
				       bool *changed))
{
	/* What others have seen since commits were listed is not missed where
	 * they are not listed now. */
	int seen = refresh == refresh_all ? point_history_begin(v) : 0;
	int r = MIN(seen, 0);

	if (r == 0 && !v->is_loaded) {
		r = load_all(v, &v->objects);
		v->is_loaded = r == 0;
	}
	if (r == 0)
		r = refresh_objects(v, refresh);
	if (r == 0 && (v->is_list_old || seen > 0 || !v->points))
		r = point_history_compare(v);
	/* What is remembered was read only now, and is of a later time. */
	if (r == POINT_HISTORY_LATER) {
		r = refresh_objects(v, refresh_all);
		if (r == 0)
			r = point_history_compare(v);
	}
	v->is_list_old |= v->trust_rows != history_trust(v->history)->n;
	if (r == 0 && (v->is_list_old || !v->points)) {
		r = replace_list(v);
		if (r == 0)
			v->is_list_old = false;
	}
	return r;
}

bool vault_latest_in_doubt(struct vault *v)
{
	SCOPED_LOCK(&v->lock);
	return v->points && atomic_load(&v->points->in_doubt);
}

static int list_points(struct vault *v,
		       int (*refresh)(struct vault *v, struct point_objects *o,
				      bool *changed),
		       struct point_list **out)
{
	int r;

	*out = NULL;
	point_listing_begin(v);
	r = refresh_list(v, refresh);
	if (r == 0)
		*out = point_list_get(v->points);
	point_listing_end(v);
	return r;
}

int vault_points(struct vault *v, struct point_list **out)
{
	return list_points(v, refresh_all, out);
}

int vault_points_judged(struct vault *v, struct point_list **out)
{
	return list_points(v, refresh_verdicts, out);
}
