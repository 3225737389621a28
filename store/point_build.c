/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A list of points is made anew from all that was read of them. A point is
 * shared by all lists that show it alike. Where there is more to say of one than
 * its object does (it has notes, its machine has another name), the list has a
 * copy of its own.
 *
 * From the same follows what a new commit has to name.
 */
#include "config.h"

#include "store/point_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/hex.h"
#include "store/vault_internal.h"

struct build {
	const struct point_objects *objects; /* borrowed */
	bool shows_forgotten;
	struct vault *vault; /* borrowed; remembers what was said */
	struct point_list *list;
	size_t cap, dcap, fcap, ucap;
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

/* The point is taken over. */
static int note_forgotten(struct build *b, struct point *p)
{
	struct point_list *l = b->list;

	if (array_reserve(&l->forgotten, &b->fcap, l->nforgotten + 1) < 0) {
		point_free(p);
		return -ENOMEM;
	}
	l->forgotten[l->nforgotten++] = p;
	return 0;
}

/* The same. */
static int note_untrusted(struct build *b, struct point *p)
{
	struct point_list *l = b->list;

	if (array_reserve(&l->untrusted, &b->ucap, l->nuntrusted + 1) < 0) {
		point_free(p);
		return -ENOMEM;
	}
	l->untrusted[l->nuntrusted++] = p;
	return 0;
}

static bool is_untrusted(const struct build *b, const struct point *p,
			 const char *shown)
{
	return b->list->demands_signatures &&
	       point_judge_signature(b->vault, b->objects, p, shown) !=
		       POINT_SIGNED_TRUSTED;
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

static int add_point(struct build *b, struct point *p)
{
	struct point_list *l = b->list;
	struct point *copy;
	enum point_verdict verdict = point_verdict_on(b->objects, p->id);
	const char *shown = naming_find(&b->naming, p);
	size_t nnotes, first = point_items_of(&b->objects->notes, "note/",
					      p->id, &nnotes);
	size_t nforgets, forgets = point_items_of(&b->objects->forgets,
						  "forget/", p->id, &nforgets);
	bool untrusted = is_untrusted(b, p, shown);
	size_t nverdicts;
	int r = 0;

	/* One that lets the point stay tells which wish is the next. */
	(void)point_items_of(&b->objects->verdicts, "purge/", p->id,
			     &nverdicts);

	if (verdict == POINT_PURGED)
		return 0;
	if (array_reserve(&l->points, &b->cap, l->n + 1) < 0)
		return -ENOMEM;
	if (!untrusted && nverdicts == 0 && nnotes == 0 && nforgets == 0 &&
	    strcmp(shown, p->vm) == 0) {
		l->points[l->n++] = point_get(p);
		return 0;
	}
	r = point_copy(p, &copy);
	if (r < 0)
		return r;
	copy->verdict_unknown = verdict == POINT_UNKNOWN_VERDICT;
	copy->is_untrusted = untrusted;
	copy->has_unwished_verdict = verdict == POINT_UNWISHED;
	r = name_copy(copy, shown);
	if (r == 0 && nnotes > 0)
		r = point_apply_notes(copy, &b->objects->notes.items[first],
				      nnotes);
	if (r == 0)
		r = point_apply_forgets(
			copy, b->objects,
			kept_from(&b->objects->forgets, forgets), nforgets);
	if (r == 0 && untrusted && !b->vault->shows_untrusted)
		return note_untrusted(b, copy);
	if (r == 0 && copy->nopen_forgets > 0 && !b->shows_forgotten)
		return note_forgotten(b, copy);
	if (r < 0)
		point_free(copy);
	else
		l->points[l->n++] = copy;
	return r;
}

bool point_was_removed(const struct point_objects *o, const struct kept *point)
{
	return point->error == -ENOENT &&
	       point_verdict_on(o, point->name +
					   strlen(point_kept_points.prefix)) ==
		       POINT_UNWISHED;
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
			r = note_damaged(
				b, s->items[i].name +
					   strlen(point_kept_commits.prefix));
	s = &b->objects->points;
	for (i = 0; i < s->n && r == 0; i++)
		if (!s->items[i].value &&
		    !point_was_removed(b->objects, &s->items[i]))
			r = note_damaged(
				b, s->items[i].name +
					   strlen(point_kept_points.prefix));
	return r;
}

static int build_list(struct build *b)
{
	const struct kept_set *s = &b->objects->points;
	size_t i;
	int r = naming_make(b->vault, b->objects, &b->naming);

	if (r == 0)
		r = point_find_kept(b->vault, b->objects);
	b->list->demands_signatures = point_demands_signatures(b->vault);
	if (r == 0 && b->list->demands_signatures)
		r = point_remember_demand(b->vault);

	for (i = 0; i < s->n && r == 0; i++)
		if (s->items[i].value)
			r = add_point(b, s->items[i].value);
	if (r == 0)
		r = add_damaged(b);
	if (r == 0)
		r = point_list_finish(b->list);
	if (r == 0)
		r = naming_machines(b->objects, &b->naming, b->list);
	if (r == 0)
		r = point_judge_signers(b->vault, b->objects, b->list);
	naming_release(&b->naming);
	return r;
}

int point_list_build(struct vault *v, const struct point_objects *o,
		     bool shows_forgotten, struct point_list **out)
{
	struct build b = { .vault = v,
			   .objects = o,
			   .shows_forgotten = shows_forgotten };
	int r;

	b.list = calloc(1, sizeof(*b.list));
	if (!b.list)
		return -ENOMEM;
	b.list->refs = 1;
	b.list->lacks_commits = vault_lacks_folder(v, "commit");
	r = build_list(&b);
	if (r < 0)
		point_list_put(b.list);
	else
		*out = b.list;
	return r;
}

/* Those that do not say what they follow are many in an old vault, or where writers are
 * that read nothing: so many are named, where there is room, until none is left. */
#define UNTOLD_MAX 64

/* How many of each kind may be named yet. Those that cannot be read may be anybody's,
 * in any number, and keep none of the others from being named. */
struct after_room {
	size_t told, unread, untold;
};

static size_t *room_of(const struct vault *v, struct after_room *room,
		       const struct kept *item)
{
	if (!item->value)
		return &room->unread;
	return point_commit_tells(v, item) ? &room->told : &room->untold;
}

static void add_ref(const struct vault *v, const struct kept *item,
		    struct after_room *room, struct commit_after *out)
{
	const struct known_commit *c = item->value;
	struct commit_ref *ref = &out->refs[out->n];
	size_t *left = room_of(v, room, item);

	if (*left == 0)
		return;
	--*left;
	memset(ref, 0, sizeof(*ref));
	if (hex_decode(item->name + strlen(point_kept_commits.prefix),
		       COMMIT_SID_LEN, ref->sid) < 0)
		return;
	ref->has_hash = c != NULL;
	if (c)
		memcpy(ref->hash, c->own, sizeof(ref->hash));
	out->n++;
}

int vault_newest_commits(struct vault *v, struct commit_after *out)
{
	const struct kept_set *s = &v->objects.commits;
	struct after_room n = { 0, 0, 0 }, room;
	struct chain chain;
	size_t i;
	int r;

	out->n = 0;
	out->is_told = !vault_is_put_only(v);
	out->is_cut = false;
	/* It cannot tell what it follows. */
	if (!out->is_told)
		return 0;
	point_listing_begin(v);
	r = point_judge_chain(v, false, &chain);
	for (i = 0; r == 0 && i < chain.nheads; i++)
		++*room_of(v, &n, &s->items[chain.heads[i]]);
	room.told = MIN(n.told, (size_t)COMMIT_AFTER_MAX);
	room.untold =
		MIN(n.untold, UNTOLD_MAX - MIN(room.told, (size_t)UNTOLD_MAX));
	room.unread = COMMIT_AFTER_MAX - room.told - room.untold;
	out->is_cut = n.told > room.told || n.unread > room.unread;
	for (i = 0; r == 0 && i < chain.nheads; i++)
		add_ref(v, &s->items[chain.heads[i]], &room, out);
	chain_release(&chain);
	point_listing_end(v);
	return r;
}

/* ---- what is listed ---- */

static void show(struct vault *v, bool *shows)
{
	point_listing_begin(v);
	v->is_list_old |= !*shows;
	*shows = true;
	point_listing_end(v);
}

void vault_show_forgotten(struct vault *v)
{
	show(v, &v->shows_forgotten);
}

void vault_show_untrusted(struct vault *v)
{
	show(v, &v->shows_untrusted);
}
