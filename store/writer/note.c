/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Notes are put under the number after the greatest that is there, so that each is
 * the last word although others may have been lost. Two who note something at
 * once both want the same one: the second learns that it is taken, and takes the
 * next. A number that is taken by one's own bytes is a lost reply.
 */
#include "config.h"

#include "store/writer/note.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/format.h"
#include "store/point.h"
#include "store/vault.h"

#define NOTE_OBJECT_MAX (64u << 10)
#define TRIES 1000 /* so many are at it at once? */

/* Return 1 where what is under @name is just this, 0 where it is another's, or the
 * negative errno that keeps it from being known. */
static int is_own(struct vault *v, const char *name, const struct buf *box)
{
	AUTO_FREE uint8_t *there = NULL;
	size_t len = 0;
	int r = vault_get_all(v, name, NOTE_OBJECT_MAX, &there, &len);

	if (r == -EBADMSG || r == -EPERM || r == -ENOENT)
		return 0; /* one's own can be read */
	if (r < 0)
		return fail(r, "%s: whether it was noted is not known", name);
	return len == box->len && memcmp(there, box->data, len) == 0;
}

int note_put_object(struct vault *v, uint8_t type, const char *prefix,
		    const char *id, uint32_t *number, const struct buf *plain)
{
	AUTO_BUF struct buf box = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	unsigned int i;
	int r = vault_may_write(v);

	if (r < 0)
		return r;
	r = -EEXIST;
	for (i = 0; i < TRIES && r == -EEXIST; i++) {
		if (*number == UINT32_MAX)
			return fail(-EOVERFLOW, "%s%s: no more can be noted",
				    prefix, id);
		snprintf(name, sizeof(name), "%s%s-%u", prefix, id,
			 (*number)++);
		r = format_seal_box(vault_keyring(v), NULL, NULL, vault_seam(v),
				    type, name, NULL, 0, plain->data,
				    plain->len, &box);
		if (r == 0)
			r = backend_put(vault_backend(v), name, box.data,
					box.len);
		if (r == -EEXIST) {
			int own = is_own(v, name, &box);

			r = own > 0 ? 0 : own < 0 ? own : r;
		}
	}
	if (r == 0 && type == OBJECT_NOTE)
		vault_remember_note(v, name);
	return r == -EEXIST ? fail(r, "%s%s: others note too much at once",
				   prefix, id)
			    : r;
}

static int encode(struct vault *v, enum note_kind kind, const char *text,
		  const char *by, struct buf *out)
{
	struct seam *s = vault_seam(v);
	int r = note_encode(kind, text, by, s->ops->realtime_ns(s), out);

	if (r == -EINVAL)
		return fail(r,
			    "%s: a note takes 1 to %d bytes of plain UTF-8 "
			    "text",
			    note_word(kind), NOTE_TEXT_MAX);
	return r;
}

static int encode_wish(struct vault *v, const struct note_wish *w,
		       const char *by, struct buf *out)
{
	if ((w->kind == NOTE_TAG || w->kind == NOTE_UNTAG) &&
	    (!w->text || !point_name_ok(w->text)))
		return fail(-EINVAL, "\"%s\" cannot be a tag",
			    w->text ? w->text : "");
	return encode(v, w->kind, w->text, by, out);
}

int note_points(struct vault *v, const struct point *const *points,
		size_t npoints, const struct note_wish *wishes, size_t n,
		const char *by)
{
	struct buf *plain = calloc(n ? n : 1, sizeof(*plain));
	size_t i, k, done = 0;
	uint32_t number;
	int r = plain ? 0 : -ENOMEM;

	for (i = 0; i < n && r == 0; i++)
		r = encode_wish(v, &wishes[i], by, &plain[i]);
	for (k = 0; k < npoints && r == 0; k++) {
		number = points[k]->next_note;
		for (i = 0; i < n && r == 0; i++) {
			r = note_put_object(v, OBJECT_NOTE, "note/",
					    points[k]->id, &number, &plain[i]);
			done += r == 0;
		}
	}
	if (r < 0 && done > 0)
		(void)fail(r, "the first %zu of %zu notes were put", done,
			   n * npoints);
	for (i = 0; plain && i < n; i++)
		buf_release(&plain[i]);
	free(plain);
	return r;
}

int note_point(struct vault *v, const struct point *p, enum note_kind kind,
	       const char *text, const char *by)
{
	struct note_wish wish = { kind, text };

	return note_points(v, &p, 1, &wish, 1, by);
}

/* A point of the machine that is called @vm, or NULL. */
static const struct point *find_machine(const struct point_list *l,
					const char *vm)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (strcmp(l->points[i]->vm, vm) == 0)
			return l->points[i];
	return NULL;
}

static const struct point_machine *find_named(const struct point_list *l,
					      const char *name)
{
	size_t i;

	for (i = 0; i < l->nmachines; i++)
		if (l->machines[i].name &&
		    strcmp(l->machines[i].name, name) == 0)
			return &l->machines[i];
	return NULL;
}

static const struct point_machine *find_id(const struct point_list *l,
					   const char *id)
{
	size_t i;

	for (i = 0; i < l->nmachines; i++)
		if (strcmp(l->machines[i].id, id) == 0)
			return &l->machines[i];
	return NULL;
}

static int refuse_reserved(const char *name)
{
	if (!point_name_is_parted(name))
		return 0;
	return fail(-EINVAL,
		    "\"%s\" cannot be a new machine's name: it ends as that of "
		    "a second machine of one name",
		    name);
}

static int refuse_name(const struct point_list *l, const char *name,
		       const struct point *same,
		       const struct point_machine *named)
{
	size_t i;

	for (i = 0; i < l->n && !same; i++)
		if (strcmp(l->points[i]->machine, named->id) == 0)
			same = l->points[i];
	if (same)
		return fail(-EEXIST,
			    "%s: a machine is called so already; rename that "
			    "one first",
			    name);
	return fail(-EEXIST,
		    "%s: a machine is called so of which no point is listed, "
		    "for they are forgotten or gone; take another name, or "
		    "undelete one of its points and rename that one first",
		    name);
}

int note_rename(struct vault *v, const struct point_list *l, const char *old,
		const char *name, const char *by)
{
	const struct point *p = find_machine(l, old), *same;
	const struct point_machine *m, *named;
	AUTO_BUF struct buf plain = BUF_INIT;
	uint32_t number;
	int r;

	if (!p)
		return fail(
			-ENOENT,
			"%s: no machine of this name has a point; \"vmbackup"
			" points\" lists what there is",
			old);
	if (!point_name_ok(name) || point_name_is_latest(name))
		return fail(-EINVAL, "\"%s\" cannot be a machine's name", name);
	r = strcmp(old, name) == 0 ? 0 : refuse_reserved(name);
	if (r < 0)
		return r;
	m = find_id(l, p->machine);
	same = find_machine(l, name);
	named = find_named(l, name);
	/* Where its name is in doubt, it is called again what it is shown as. */
	if ((same || named) &&
	    (!m || !m->in_doubt || (named && named != m) ||
	     (same && strcmp(same->machine, p->machine) != 0)))
		return refuse_name(l, name, same, named);
	number = m ? m->next : 0;
	r = encode(v, NOTE_NAME, name, by, &plain);
	return r < 0 ? r
		     : note_put_object(v, OBJECT_MACHINE, "machine/",
				       p->machine, &number, &plain);
}

/* Whether some machine, whatever it is called, has this id. */
static bool id_is_taken(const struct point_list *l, const char *id)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (strcmp(l->points[i]->machine, id) == 0)
			return true;
	return find_id(l, id);
}

/* That no machine is known to be called @vm does not say that none is, where what
 * one is called cannot be read. */
static int refuse_doubt(const struct point_list *l, const char *vm)
{
	size_t i;

	for (i = 0; i < l->nmachines; i++)
		if (l->machines[i].in_doubt)
			return fail(
				-EBADMSG,
				"%s: no machine is known to be called so, "
				"but it may be the one that is shown as %s, "
				"whose name is lost or cannot be read; say "
				"what that is called first: vmbackup rename "
				"%s NAME",
				vm, l->machines[i].name, l->machines[i].name);
	return 0;
}

int note_machine_of(const struct point_list *l, const char *vm,
		    char out[NAME_HEX + 1])
{
	const struct point *p = find_machine(l, vm);
	const struct point_machine *m = p ? NULL : find_named(l, vm);
	uint32_t n = 0;
	int r;

	if (p || m) {
		memcpy(out, p ? p->machine : m->id, NAME_HEX + 1);
		return 0;
	}
	r = refuse_reserved(vm);
	if (r == 0)
		r = refuse_doubt(l, vm);
	/* An id that follows from the name, so that two first backups at once
	 * agree; the next one where a machine has it that was renamed. */
	do
		r = r < 0 ? r : point_machine_of(vm, n++, out);
	while (r == 0 && id_is_taken(l, out));
	return r;
}
