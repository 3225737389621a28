/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What points are made of, decoded, and as the local database keeps it.
 *
 * It keeps all points in one piece: a command that finds
 * ten thousand of them there has them in memory without a look at any JSON.
 *
 * One walk over the members serves both ways, so that what is written and what is
 * read cannot differ. A point is unpacked into one piece of memory; or, where many
 * are, its strings stay where they were read. What is unpacked was packed from a
 * point that was checked, and the database proves that it is that; so here is
 * checked only that nothing passes an end.
 */
#include "config.h"

#include "store/point_internal.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/arena.h"
#include "store/base/bytes.h"
#include "store/base/log.h"
#include "store/format.h"
#include "store/record/forget.h"
#include "store/record/note.h"
#include "store/record/purge.h"

/* Either out or in is set. */
struct walk {
	struct buf *out;
	size_t size; /* packing: bytes that the parts will need */
	struct reader *in;
	/* Unpacking: what is read stays there, so that nothing need be copied;
	 * or NULL. */
	struct arena *arena;
	bool no_memory;
	uint8_t *room, *end; /* or room for the parts */
};

/* Room for a part, and @align bytes at most to begin it well; NULL: none left. */
static void *carve(struct walk *w, size_t n, size_t align)
{
	size_t pad = -(uintptr_t)w->room & (align - 1);
	uint8_t *at = w->room;

	if (w->arena) {
		at = arena_alloc(w->arena, n);
		w->no_memory |= !at;
		w->in->bad |= !at;
		return at;
	}
	if (n > (size_t)(w->end - at) || pad > (size_t)(w->end - at) - n) {
		w->in->bad = true;
		return NULL;
	}
	w->room = at + pad + n;
	return at + pad;
}

static void walk_u64(struct walk *w, uint64_t *v)
{
	if (w->out)
		buf_put_varint(w->out, *v);
	else
		*v = reader_varint(w->in);
}

static void walk_i64(struct walk *w, int64_t *v)
{
	if (w->out)
		buf_put_svarint(w->out, *v);
	else
		*v = reader_svarint(w->in);
}

static void walk_flag(struct walk *w, bool *v)
{
	if (w->out)
		buf_put_u8(w->out, *v);
	else
		*v = reader_u8(w->in) != 0;
}

static void walk_raw(struct walk *w, void *data, size_t len)
{
	const uint8_t *from;

	if (w->out) {
		buf_put(w->out, data, len);
		return;
	}
	from = reader_get(w->in, len);
	if (from)
		memcpy(data, from, len);
}

static void walk_bytes(struct walk *w, uint8_t **data, size_t *len)
{
	const uint8_t *from;

	if (w->out) {
		buf_put_bytes(w->out, *data, *len);
		w->size += *len + 1;
		return;
	}
	from = reader_bytes(w->in, SIZE_MAX, len);
	if (from && w->arena)
		*data = (uint8_t *)from;
	else if (from)
		*data = carve(w, *len + 1, 1);
	if (w->in->bad)
		*len = 0;
	else if (!w->arena)
		memcpy(*data, from, *len);
}

/* A string with its NUL; the length of NULL is 0. */
static void walk_text(struct walk *w, char **text)
{
	const uint8_t *from;
	uint64_t len;

	if (w->out) {
		len = *text ? strlen(*text) + 1 : 0;
		buf_put_varint(w->out, len);
		buf_put(w->out, *text, len);
		w->size += len;
		return;
	}
	len = reader_varint_max(w->in, SIZE_MAX);
	if (len == 0)
		return;
	from = reader_get(w->in, len);
	if (from && from[len - 1] != '\0')
		w->in->bad = true;
	if (from && w->arena)
		*text = (char *)from;
	else if (from)
		*text = carve(w, len, 1);
	if (!w->in->bad && !w->arena)
		memcpy(*text, from, len);
}

/* A list of @n items of @size bytes; each takes a byte or more. */
static void *walk_list(struct walk *w, void *list, size_t *n, size_t size)
{
	uint64_t count = *n;

	walk_u64(w, &count);
	if (w->out) {
		w->size += *n * size + _Alignof(max_align_t);
		return list;
	}
	list = NULL;
	if (count > reader_left(w->in))
		w->in->bad = true;
	else if (count > 0)
		list = carve(w, count * size, _Alignof(max_align_t));
	*n = list ? count : 0;
	return list;
}

static void walk_texts(struct walk *w, char ***list, size_t *n)
{
	size_t i;

	*list = walk_list(w, *list, n, sizeof(**list));
	for (i = 0; i < *n; i++)
		walk_text(w, &(*list)[i]);
}

static void walk_left_out(struct walk *w, struct point_left_out *l)
{
	size_t i;

	walk_flag(w, &l->known);
	walk_flag(w, &l->one_file_system);
	walk_flag(w, &l->caches);
	l->patterns =
		walk_list(w, l->patterns, &l->npatterns, sizeof(*l->patterns));
	for (i = 0; i < l->npatterns; i++) {
		walk_text(w, &l->patterns[i].text);
		walk_flag(w, &l->patterns[i].ignore_case);
	}
	walk_texts(w, &l->mounts, &l->nmounts);
}

static void walk_disk(struct walk *w, struct point_disk *d)
{
	uint64_t sector = d->sector;

	walk_text(w, &d->name);
	walk_u64(w, &d->size);
	walk_u64(w, &d->used);
	walk_u64(w, &sector);
	d->sector = (uint32_t)sector;
	walk_text(w, &d->format);
	walk_text(w, &d->source);
	walk_text(w, &d->bitmap);
	walk_bytes(w, &d->content, &d->content_len);
	walk_flag(w, &d->has_sha256);
	walk_raw(w, d->sha256, sizeof(d->sha256));
}

static void walk_machine(struct walk *w, struct point *p)
{
	size_t i;

	p->disks = walk_list(w, p->disks, &p->ndisks, sizeof(*p->disks));
	for (i = 0; i < p->ndisks; i++)
		walk_disk(w, &p->disks[i]);
	p->configs =
		walk_list(w, p->configs, &p->nconfigs, sizeof(*p->configs));
	for (i = 0; i < p->nconfigs; i++) {
		struct point_config *f = &p->configs[i];

		walk_text(w, &f->name);
		walk_u64(w, &f->size);
		walk_bytes(w, &f->content, &f->content_len);
	}
}

static void walk_point(struct walk *w, struct point *p)
{
	walk_raw(w, p->id, sizeof(p->id) - 1);
	walk_raw(w, p->session, sizeof(p->session) - 1);
	walk_raw(w, p->machine, sizeof(p->machine) - 1);
	walk_raw(w, p->parent, sizeof(p->parent) - 1);
	walk_text(w, &p->vm);
	walk_text(w, &p->host);
	walk_text(w, &p->user);
	walk_text(w, &p->program);
	walk_text(w, &p->extra);
	walk_i64(w, &p->time_ns);
	walk_i64(w, &p->scan_start_ns);
	walk_texts(w, &p->tags, &p->ntags);
	walk_texts(w, &p->sources, &p->nsources);
	walk_left_out(w, &p->left_out);
	walk_flag(w, &p->has_index);
	walk_texts(w, &p->index, &p->nindex);
	walk_flag(w, &p->has_tree);
	walk_raw(w, p->root.b, sizeof(p->root.b));
	walk_u64(w, &p->entries);
	walk_u64(w, &p->files);
	walk_u64(w, &p->bytes);
	walk_machine(w, p);
	walk_flag(w, &p->incomplete);
	walk_u64(w, &p->errors);
	walk_flag(w, &p->has_acl);
	walk_u64(w, &p->data_added);
	walk_u64(w, &p->data_added_packed);
}

void point_pack(const struct point *p, struct buf *out)
{
	struct walk w = { .out = out };
	size_t at = out->len;

	buf_put_le32(out, 0);
	/* Nothing is written to a point that is packed. */
	walk_point(&w, (struct point *)p);
	if (buf_error(out) == 0)
		put_le32(out->data + at, (uint32_t)w.size);
}

/* All parts of a point take at most so many bytes for each one packed. */
#define GROWTH_MAX 64

static int unpack_kept(struct arena *a, struct reader *r, void **out)
{
	struct walk w = { .in = r, .arena = a };
	struct point *p = arena_alloc(a, sizeof(*p));

	if (!p)
		return -ENOMEM;
	(void)reader_le32(r);
	p->refs = 1;
	p->arena = arena_get(a);
	*out = p;
	walk_point(&w, p);
	return w.no_memory ? -ENOMEM : r->bad ? -EBADMSG : 0;
}

int point_unpack(struct reader *r, struct point **out)
{
	struct walk w = { .in = r };
	uint64_t size = reader_le32(r);
	struct point *p;

	*out = NULL;
	if (size / GROWTH_MAX > reader_left(r))
		r->bad = true;
	if (r->bad)
		return -EBADMSG;
	p = calloc(1, sizeof(*p) + size);
	if (!p)
		return -ENOMEM;
	p->refs = 1;
	p->block = size;
	w.room = (uint8_t *)(p + 1);
	w.end = w.room + size;
	walk_point(&w, p);
	if (r->bad) {
		point_free(p);
		return -EBADMSG;
	}
	*out = p;
	return 0;
}

void point_free_part(const struct point *p, void *part)
{
	uintptr_t block = (uintptr_t)(p + 1), at = (uintptr_t)part;

	if (!p->arena && (at < block || at - block >= p->block))
		free(part);
}

int point_copy(const struct point *p, struct point **out)
{
	AUTO_BUF struct buf packed = BUF_INIT;
	struct reader r;

	*out = NULL;
	point_pack(p, &packed);
	if (buf_error(&packed) < 0)
		return -ENOMEM;
	reader_init(&r, packed.data, packed.len);
	return point_unpack(&r, out);
}

/* ---- the kinds of objects that points are made of ---- */

#define SMALL_OBJECT_MAX (64u << 10)

static int decode_commit(const void *data, size_t len, const char *name,
			 void **out)
{
	struct known_commit *c = calloc(1, sizeof(*c));
	int r = c ? commit_decode(data, len, name, &c->commit) : -ENOMEM;

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

static void pack_forget(const void *value, struct buf *out)
{
	const struct forget *f = value;

	buf_put_svarint(out, f->time_ns);
	buf_put_svarint(out, f->until_ns);
	pack_text(f->by, out);
	pack_text(f->reason, out);
}

static int unpack_forget(struct arena *a, struct reader *r, void **out)
{
	struct forget *f = calloc(1, sizeof(*f));
	int e = f ? 0 : -ENOMEM;

	(void)a;
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

static void pack_note(const void *value, struct buf *out)
{
	const struct note *n = value;

	buf_put_varint(out, n->kind);
	buf_put_svarint(out, n->time_ns);
	pack_text(n->word, out);
	pack_text(n->text, out);
	pack_text(n->by, out);
}

static int unpack_note(struct arena *a, struct reader *r, void **out)
{
	struct note *n = calloc(1, sizeof(*n));
	int e = n ? 0 : -ENOMEM;

	(void)a;
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

static int check_point(const void *value, const char *name, const char *session)
{
	const struct point *p = value;

	if (strcmp(p->session, session) == 0)
		return 0;
	return fail(-EBADMSG,
		    "%s: damaged: it is of another session than commit/%s",
		    name, session);
}

static void release_commit(void *value)
{
	struct known_commit *c = value;

	if (!c->in_arena)
		free(c);
}

static void pack_commit(const void *value, struct buf *out)
{
	buf_put(out, value, sizeof(struct known_commit));
}

/* It has nothing but bytes, and so it can stay where it is. */
static int unpack_commit(struct arena *a, struct reader *r, void **out)
{
	struct known_commit *c;

	(void)a;
	static_assert(_Alignof(struct known_commit) == 1, "it lies anywhere");
	c = (struct known_commit *)reader_get(r, sizeof(*c));
	if (!c)
		return -EBADMSG;
	c->in_arena = true;
	*out = c;
	return 0;
}

static void pack_verdict(const void *value, struct buf *out)
{
	buf_put_u8(out, *(const bool *)value);
}

static int unpack_verdict(struct arena *a, struct reader *r, void **out)
{
	bool *purged = malloc(sizeof(*purged));

	(void)a;
	*out = purged;
	if (!purged)
		return -ENOMEM;
	*purged = reader_u8(r) != 0;
	return r->bad ? -EBADMSG : 0;
}

static void pack_point(const void *value, struct buf *out)
{
	point_pack(value, out);
}

const struct kept_kind point_kept_commits = {
	"commit/",	OBJECT_COMMIT, SMALL_OBJECT_MAX, decode_commit,
	release_commit, pack_commit,   unpack_commit,	 3,
	true,		NULL,
};
const struct kept_kind point_kept_verdicts = {
	"purge/", OBJECT_PURGE, SMALL_OBJECT_MAX, decode_verdict,
	free,	  pack_verdict, unpack_verdict,	  2,
	false,	  NULL,
};
const struct kept_kind point_kept_forgets = {
	"forget/",	OBJECT_FORGET, SMALL_OBJECT_MAX, decode_forget,
	release_forget, pack_forget,   unpack_forget,	 2,
	false,		NULL,
};
const struct kept_kind point_kept_notes = {
	"note/",      OBJECT_NOTE, SMALL_OBJECT_MAX, decode_note,
	release_note, pack_note,   unpack_note,	     3,
	false,	      NULL,
};
const struct kept_kind point_kept_machines = {
	"machine/",   OBJECT_MACHINE, SMALL_OBJECT_MAX, decode_note,
	release_note, pack_note,      unpack_note,	3,
	false,	      NULL,
};
const struct kept_kind point_kept_points = {
	"point/",      OBJECT_POINT, POINT_DOC_MAX, decode_point,
	release_point, pack_point,   unpack_kept,   POINT_PACK_VERSION,
	true,	       check_point,
};
