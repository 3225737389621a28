/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Verdicts are read so that a point is never hidden by mistake and never relied
 * upon by mistake: one that cannot be read leaves the point to be seen, and
 * makes it nobody's parent. Notes are applied in the order of their numbers, so
 * that all readers come to the same. Nobody removes a note: a number that is
 * missing below another is one that was lost, and counts as one that cannot be
 * read.
 */
#include "config.h"

#include "store/point_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/format.h"
#include "store/record/forget.h"
#include "store/record/note.h"
#include "store/record/purge.h"
#include "store/vault_internal.h"

size_t point_items_of(const struct kept_set *s, const char *prefix,
		      const char *id, size_t *n_out)
{
	char name[OBJECT_NAME_MAX];
	size_t i, end, len;

	*n_out = 0;
	if (s->n == 0)
		return 0;
	len = (size_t)snprintf(name, sizeof(name), "%s%s-", prefix, id);
	i = kept_find(s, name);
	for (end = i; end < s->n; end++)
		if (strncmp(s->items[end].name, name, len) != 0)
			break;
	*n_out = end - i;
	return i;
}

/* Is there the wish that a verdict answers? */
static bool is_wished(const struct point_objects *o, const struct kept *verdict)
{
	char name[OBJECT_NAME_MAX];

	snprintf(name, sizeof(name), "forget/%s",
		 verdict->name + strlen("purge/"));
	return kept_has(&o->forgets, name);
}

enum point_verdict point_verdict_on(const struct point_objects *o,
				    const char *id)
{
	enum point_verdict found = POINT_NO_VERDICT;
	size_t n, i = point_items_of(&o->verdicts, "purge/", id, &n);

	for (; n > 0; n--, i++) {
		const bool *purged = o->verdicts.items[i].value;

		if (purged && *purged && is_wished(o, &o->verdicts.items[i]))
			return POINT_PURGED;
		/* Nobody deletes one: what is listed and not there is a store
		 * that lags, or a hole. */
		if (!purged)
			found = POINT_UNKNOWN_VERDICT;
		else if (*purged && found == POINT_NO_VERDICT)
			found = POINT_UNWISHED;
	}
	return found;
}

int vault_find_removed(struct vault *v, const char *prefix,
		       char id_out[POINT_ID_HEX + 1], int64_t *decided_ns_out)
{
	const struct kept_set *s = &v->objects.verdicts;
	const struct kept *found = NULL;
	struct backend_info info;
	char text[OBJECT_NAME_MAX];
	size_t i, len;
	int n = 0;

	*decided_ns_out = 0;
	len = (size_t)snprintf(text, sizeof(text), "purge/%.*s", POINT_ID_HEX,
			       prefix);
	point_listing_begin(v);
	for (i = kept_find(s, text); i < s->n && n < 2; i++) {
		const struct kept *item = &s->items[i];
		const bool *purged = item->value;

		if (strncmp(item->name, text, len) != 0)
			break;
		if (!purged || !*purged || !is_wished(&v->objects, item))
			continue;
		n += !found || strncmp(found->name, item->name,
				       strlen("purge/") + POINT_ID_HEX) != 0;
		found = item;
	}
	if (n == 1) {
		snprintf(text, sizeof(text), "%s", found->name);
		snprintf(id_out, POINT_ID_HEX + 1, "%.*s", POINT_ID_HEX,
			 text + strlen("purge/"));
	}
	point_listing_end(v);
	if (n == 1 && backend_head(v->backend, text, &info) == 0)
		*decided_ns_out = info.stored_ns;
	return n == 1;
}

/* Whether somebody answered the wish of the number @n. */
static bool is_answered(const struct point_objects *o, const char *id,
			uint32_t n)
{
	char name[OBJECT_NAME_MAX];
	size_t i;

	snprintf(name, sizeof(name), "purge/%s-%u", id, n);
	i = kept_find(&o->verdicts, name);
	return i < o->verdicts.n &&
	       strcmp(o->verdicts.items[i].name, name) == 0;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = ((const struct numbered *)a)->number;
	uint32_t y = ((const struct numbered *)b)->number;

	return x < y ? -1 : x > y;
}

int point_number_items(const struct kept *items, size_t n, const char *prefix,
		       struct numbered **out)
{
	struct numbered *sorted = alloc_array(n, sizeof(*sorted));
	char hex[NAME_HEX + 1];
	size_t i;

	*out = sorted;
	if (!sorted)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		sorted[i].item = &items[i];
		sorted[i].number = 0;
		(void)!name_numbered(items[i].name, prefix, hex,
				     &sorted[i].number);
	}
	if (n)
		qsort(sorted, n, sizeof(*sorted), by_number);
	return 0;
}

uint32_t point_next_number(const struct numbered *sorted, size_t n)
{
	uint32_t next = 0;
	size_t i;

	for (i = 0; i < n && next < UINT32_MAX; i++)
		if (sorted[i].item->value || sorted[i].number <= INT32_MAX ||
		    sorted[i].number == next)
			next = sorted[i].number == UINT32_MAX
				       ? UINT32_MAX
				       : sorted[i].number + 1;
	return next;
}

static int copy_text(const char *text, char **out)
{
	*out = text ? strdup(text) : NULL;
	return text && !*out ? -ENOMEM : 0;
}

static int add_tag(struct point *p, const char *tag)
{
	char **tags;

	if (!point_name_ok(tag) || p->ntags >= POINT_TAGS_MAX)
		return 0; /* it is shown among the notes */
	tags = alloc_array(p->ntags + 1, sizeof(*tags));
	if (!tags)
		return -ENOMEM;
	if (p->ntags)
		memcpy(tags, p->tags, p->ntags * sizeof(*tags));
	point_free_part(p, p->tags);
	p->tags = tags;
	if (copy_text(tag, &tags[p->ntags]) < 0)
		return -ENOMEM;
	p->ntags++;
	point_sort_tags(p);
	return 0;
}

static void remove_tag(struct point *p, const char *tag)
{
	size_t i, n = 0;

	for (i = 0; i < p->ntags; i++) {
		if (strcmp(p->tags[i], tag) == 0)
			point_free_part(p, p->tags[i]);
		else
			p->tags[n++] = p->tags[i];
	}
	p->ntags = n;
}

static int apply_note(struct point *p, const struct note *note)
{
	struct note *copy = &p->notes[p->nnotes++];
	int r;

	memset(copy, 0, sizeof(*copy));
	copy->kind = note->kind;
	copy->time_ns = note->time_ns;
	r = copy_text(note->word, &copy->word);
	if (r == 0)
		r = copy_text(note->text, &copy->text);
	if (r == 0)
		r = copy_text(note->by, &copy->by);
	if (r == 0 && note->kind == NOTE_TAG)
		r = add_tag(p, note->text);
	if (note->kind == NOTE_UNTAG)
		remove_tag(p, note->text);
	if (note->kind == NOTE_PROTECT || note->kind == NOTE_UNPROTECT) {
		p->is_protected = note->kind == NOTE_PROTECT;
		p->missing_is_settled = true;
	}
	p->is_verified |= note->kind == NOTE_VERIFIED;
	if (note->kind == NOTE_SUSPICIOUS || note->kind == NOTE_TRUSTED)
		p->is_suspicious = note->kind == NOTE_SUSPICIOUS;
	/* One that means no time is shown among the notes. */
	if (note->kind == NOTE_KEEP)
		(void)!point_parse_time(note->text, &p->keep_until_ns);
	return r;
}

int point_apply_notes(struct point *p, const struct kept *items, size_t n)
{
	struct numbered *sorted;
	uint32_t expected = 0, missing = 0;
	bool gap = false;
	size_t i;
	int r = point_number_items(items, n, "note/", &sorted);

	if (r < 0)
		return r;
	p->notes = alloc_array(n, sizeof(*p->notes));
	if (!p->notes)
		r = -ENOMEM;
	for (i = 0; i < n && r == 0; i++) {
		if (sorted[i].number > expected) {
			if (!gap)
				missing = expected;
			gap = true;
		}
		expected = sorted[i].number + 1;
		/* What is not known may be what protects the point, until a
		 * later note ends that. Garbage proves no gap below it. */
		if (!sorted[i].item->value) {
			p->is_protected = true;
			continue;
		}
		if (gap) {
			if (!p->has_missing_note || p->missing_is_settled)
				p->missing_note = missing;
			p->is_protected = p->has_missing_note = true;
			p->missing_is_settled = gap = false;
		}
		r = apply_note(p, sorted[i].item->value);
	}
	p->next_note = point_next_number(sorted, n);
	free(sorted);
	return r;
}

static int add_forget(struct point *p, uint32_t number, const struct forget *f)
{
	/* No later wish shortens the window of an earlier one. */
	if (p->nopen_forgets == 0 || f->until_ns > p->until_ns) {
		free(p->forget_reason);
		if (copy_text(f->reason, &p->forget_reason) < 0)
			return -ENOMEM;
		p->until_ns = f->until_ns;
		p->forgotten_ns = f->time_ns;
	}
	p->open_forgets[p->nopen_forgets++] = number;
	return 0;
}

/* Wishes are numbered from 0, and are never removed: of numbers below this one that
 * is missing below another is that of a wish which was lost. */
#define LOOKED_AT 1000

static int add_unread(struct point *p, const struct point_objects *o,
		      size_t *cap, uint32_t number)
{
	if (is_answered(o, p->id, number))
		return 0;
	if (array_reserve(&p->unread_forgets, cap, p->nunread_forgets + 1) < 0)
		return -ENOMEM;
	p->unread_forgets[p->nunread_forgets++] = number;
	return 0;
}

/* Note what nobody has answered and nobody can read. No honest wish has one of the
 * greatest numbers, nor does garbage prove a gap below it. */
static int note_unread(struct point *p, const struct point_objects *o,
		       const struct numbered *sorted, size_t n)
{
	uint32_t number, end = 0;
	size_t i, cap = 0;
	int r = 0;

	for (i = 0; i < n && r == 0; i++)
		if (sorted[i].item->value)
			end = MIN(sorted[i].number, LOOKED_AT);
		else if (sorted[i].number <= INT32_MAX)
			r = add_unread(p, o, &cap, sorted[i].number);
	for (number = 0, i = 0; number < end && r == 0; number++) {
		while (i < n && sorted[i].number < number)
			i++;
		if (i == n || sorted[i].number != number)
			r = add_unread(p, o, &cap, number);
	}
	return r;
}

/* The next wish comes after all that were answered, too, or it would be answered
 * before it is made. */
static int count_forgets(struct point *p, const struct point_objects *o,
			 const struct numbered *sorted, size_t n)
{
	size_t nverdicts, first = point_items_of(&o->verdicts, "purge/", p->id,
						 &nverdicts);
	struct numbered *verdicts;
	uint32_t next;
	int r;

	p->next_forget = point_next_number(sorted, n);
	if (nverdicts == 0)
		return 0;
	r = point_number_items(&o->verdicts.items[first], nverdicts, "purge/",
			       &verdicts);
	if (r < 0)
		return r;
	next = point_next_number(verdicts, nverdicts);
	p->next_forget = MAX(p->next_forget, next);
	free(verdicts);
	return 0;
}

int point_apply_forgets(struct point *p, const struct point_objects *o,
			const struct kept *items, size_t n)
{
	struct numbered *sorted;
	size_t i;
	int r = point_number_items(items, n, "forget/", &sorted);

	if (r < 0)
		return r;
	p->open_forgets = alloc_array(n, sizeof(*p->open_forgets));
	if (!p->open_forgets)
		r = -ENOMEM;
	for (i = 0; i < n && r == 0; i++)
		/* An answer that cannot be read may be to this one. */
		if (sorted[i].item->value && !p->verdict_unknown &&
		    !is_answered(o, p->id, sorted[i].number))
			r = add_forget(p, sorted[i].number,
				       sorted[i].item->value);
	if (r == 0 && !p->verdict_unknown)
		r = note_unread(p, o, sorted, n);
	if (r == 0)
		r = count_forgets(p, o, sorted, n);
	free(sorted);
	return r;
}

/* ---- the kinds of objects that are read for it ---- */

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

static void pack_text(const char *text, struct buf *out)
{
	buf_put_u8(out, text != NULL);
	if (text)
		buf_put_bytes(out, text, strlen(text));
}

static int unpack_text(struct reader *r, char **out)
{
	const uint8_t *from;
	size_t len;

	if (!reader_u8(r))
		return 0;
	from = reader_bytes(r, SIZE_MAX, &len);
	*out = from ? strndup((const char *)from, len) : NULL;
	return *out ? 0 : from ? -ENOMEM : -EBADMSG;
}

static int decode_forget(const void *data, size_t len, const char *name,
			 void **out)
{
	struct forget *f = malloc(sizeof(*f));
	int r = f ? forget_decode(data, len, name, f) : -ENOMEM;

	if (r < 0) {
		free(f);
		f = NULL;
	}
	*out = f;
	return r;
}

static void release_forget(void *value)
{
	forget_release(value);
	free(value);
}

static void pack_forget(const void *value, struct kept_pack *p)
{
	struct buf *out = &p->out;
	const struct forget *f = value;

	buf_put_svarint(out, f->time_ns);
	buf_put_svarint(out, f->until_ns);
	pack_text(f->by, out);
	pack_text(f->reason, out);
}

static int unpack_forget(struct kept_unpack *u, void **out)
{
	struct reader *r = &u->in;
	struct forget *f = calloc(1, sizeof(*f));
	int e = f ? 0 : -ENOMEM;

	if (e == 0) {
		f->time_ns = reader_svarint(r);
		f->until_ns = reader_svarint(r);
		e = unpack_text(r, &f->by);
	}
	if (e == 0)
		e = unpack_text(r, &f->reason);
	*out = f;
	return e;
}

static void pack_note(const void *value, struct kept_pack *p)
{
	struct buf *out = &p->out;
	const struct note *n = value;

	buf_put_varint(out, n->kind);
	buf_put_svarint(out, n->time_ns);
	pack_text(n->word, out);
	pack_text(n->text, out);
	pack_text(n->by, out);
}

static int unpack_note(struct kept_unpack *u, void **out)
{
	struct reader *r = &u->in;
	struct note *n = calloc(1, sizeof(*n));
	int e = n ? 0 : -ENOMEM;

	if (e == 0) {
		n->kind = (enum note_kind)reader_varint_max(r, NOTE_KINDS - 1);
		n->time_ns = reader_svarint(r);
		e = unpack_text(r, &n->word);
	}
	if (e == 0)
		e = unpack_text(r, &n->text);
	if (e == 0)
		e = unpack_text(r, &n->by);
	*out = n;
	return e;
}

static void pack_verdict(const void *value, struct kept_pack *p)
{
	buf_put_u8(&p->out, *(const bool *)value);
}

static int unpack_verdict(struct kept_unpack *u, void **out)
{
	bool *purged = malloc(sizeof(*purged));

	*out = purged;
	if (!purged)
		return -ENOMEM;
	*purged = reader_u8(&u->in) != 0;
	return u->in.bad ? -EBADMSG : 0;
}

const struct kept_kind point_kept_verdicts = {
	"purge/", OBJECT_PURGE, POINT_SMALL_MAX, decode_verdict,
	free,	  pack_verdict, unpack_verdict,	 3,
	false,	  NULL,
};
const struct kept_kind point_kept_forgets = {
	"forget/",	OBJECT_FORGET, POINT_SMALL_MAX, decode_forget,
	release_forget, pack_forget,   unpack_forget,	3,
	false,		NULL,
};
const struct kept_kind point_kept_notes = {
	"note/",      OBJECT_NOTE, POINT_SMALL_MAX, decode_note,
	release_note, pack_note,   unpack_note,	    4,
	false,	      NULL,
};
const struct kept_kind point_kept_machines = {
	"machine/",   OBJECT_MACHINE, POINT_SMALL_MAX, decode_note,
	release_note, pack_note,      unpack_note,     4,
	false,	      NULL,
};
