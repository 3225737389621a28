/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/repair/notes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/point.h"
#include "store/writer/note.h"

bool notes_tell_of(const struct point *old, const char *id)
{
	size_t i;

	for (i = 0; i < old->nnotes; i++)
		if (old->notes[i].kind == NOTE_TEXT && old->notes[i].text &&
		    strstr(old->notes[i].text, id))
			return true;
	return false;
}

static bool has_text(const struct point *p, const char *text)
{
	size_t i;

	for (i = 0; i < p->nnotes; i++)
		if (p->notes[i].kind == NOTE_TEXT && p->notes[i].text &&
		    strcmp(p->notes[i].text, text) == 0)
			return true;
	return false;
}

/* What is to be noted of the new point. @out has room for four more than the old one
 * has. */
static size_t make_wishes(const struct point *old, const struct point *made,
			  const char *text, struct note_wish *out)
{
	const char *keep = NULL;
	size_t i, n = 0;

	if (old->is_protected && !made->is_protected)
		out[n++] = (struct note_wish){ NOTE_PROTECT, NULL };
	if (!has_text(made, text))
		out[n++] = (struct note_wish){ NOTE_TEXT, text };
	for (i = 0; i < old->nnotes; i++) {
		const struct note *note = &old->notes[i];

		if (note->kind == NOTE_TEXT && note->text &&
		    !has_text(made, note->text))
			out[n++] = (struct note_wish){ NOTE_TEXT, note->text };
		if (note->kind == NOTE_KEEP)
			keep = note->text;
	}
	if (keep && made->keep_until_ns != old->keep_until_ns)
		out[n++] = (struct note_wish){ NOTE_KEEP, keep };
	if (old->is_suspicious && !made->is_suspicious)
		out[n++] = (struct note_wish){ NOTE_SUSPICIOUS, NULL };
	return n;
}

int notes_carry_over(struct vault *v, const struct point *old,
		     const struct point *made, const char *text,
		     const char *what, const char *by)
{
	AUTO_FREE struct note_wish *wishes =
		alloc_array(old->nnotes + 4, sizeof(*wishes));
	char last[256];
	size_t n;
	int r;

	if (!wishes)
		return -ENOMEM;
	n = make_wishes(old, made, text, wishes);
	r = n ? note_points(v, &made, 1, wishes, n, by) : 0;
	snprintf(last, sizeof(last), "%s %s", what, made->id);
	if (r == 0 && !notes_tell_of(old, made->id))
		r = note_point(v, old, NOTE_TEXT, last, by);
	return r;
}
