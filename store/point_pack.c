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
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/crypt/crypt.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/history/signer.h"
#include "store/vault_internal.h"

/* Either out or in is set. */
struct walk {
	struct buf *out;
	size_t size; /* packing: bytes that the parts will need */
	struct reader *in;
	/* What is packed with others has their words. Unpacking: what is read
	 * stays where it is, so that nothing need be copied. NULL: it is packed
	 * alone. */
	struct words *words;
	const struct kept_unpack *many;
	bool no_memory;
	uint8_t *room, *end; /* or room for the parts */
};

/* Room for a part, and @align bytes at most to begin it well; NULL: none left. */
static void *carve(struct walk *w, size_t n, size_t align)
{
	size_t pad = -(uintptr_t)w->room & (align - 1);
	uint8_t *at = w->room;

	if (w->many) {
		at = arena_alloc(w->many->arena, n);
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
	if (from && w->many)
		*data = (uint8_t *)from;
	else if (from)
		*data = carve(w, *len + 1, 1);
	if (w->in->bad)
		*len = 0;
	else if (!w->many)
		memcpy(*data, from, *len);
}

/* An id: 32 digits, or none. */
static void walk_id(struct walk *w, char id[NAME_HEX + 1])
{
	uint8_t raw[NAME_HEX / 2] = { 0 };
	bool is_there = id[0] != '\0';
	const uint8_t *from;

	walk_flag(w, &is_there);
	if (!is_there)
		return;
	if (w->out) {
		/* Whoever made it has checked it. */
		(void)!hex_decode(id, sizeof(raw), raw);
		buf_put(w->out, raw, sizeof(raw));
		return;
	}
	from = reader_get(w->in, sizeof(raw));
	if (from)
		hex_encode(from, sizeof(raw), id);
}

/* A string of its own, with its NUL; the length of NULL is 0. */
static void walk_own_text(struct walk *w, char **text)
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
	if (from && w->many)
		*text = (char *)from;
	else if (from)
		*text = carve(w, len, 1);
	if (!w->in->bad && !w->many)
		memcpy(*text, from, len);
}

/* One that others have, too: the number of a word, plus one; 0 stands for NULL. */
static void walk_word(struct walk *w, char **text)
{
	uint64_t number;
	size_t i = 0;

	if (w->out) {
		if (*text && words_add(w->words, *text, &i) < 0)
			w->out->failed = true;
		buf_put_varint(w->out, *text ? i + 1 : 0);
		return;
	}
	number = reader_varint_max(w->in, w->many->nwords);
	if (number > 0)
		*text = w->many->words[number - 1];
}

static void walk_text(struct walk *w, char **text)
{
	if (w->words || w->many)
		walk_word(w, text);
	else
		walk_own_text(w, text);
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

static void walk_own_texts(struct walk *w, char ***list, size_t *n)
{
	size_t i;

	*list = walk_list(w, *list, n, sizeof(**list));
	for (i = 0; i < *n; i++)
		walk_own_text(w, &(*list)[i]);
}

/* The id of a machine, which has many points. */
static void walk_machine_id(struct walk *w, char id[NAME_HEX + 1])
{
	char *text;

	if (!w->words && !w->many) {
		walk_id(w, id);
		return;
	}
	text = w->out ? id : NULL;
	walk_word(w, &text);
	if (!w->out && text && strlen(text) == NAME_HEX)
		memcpy(id, text, NAME_HEX + 1);
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
	walk_id(w, p->id);
	walk_id(w, p->session);
	walk_machine_id(w, p->machine);
	walk_id(w, p->parent);
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
	walk_own_texts(w, &p->index, &p->nindex);
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

static void pack_point(const void *value, struct kept_pack *k)
{
	struct walk w = { .out = &k->out, .words = &k->words };

	/* Nothing is written to a point that is packed. */
	walk_point(&w, (struct point *)value);
}

/* Append all members of a point, for point_unpack() alone; ask buf_error(). */
static void point_pack(const struct point *p, struct buf *out)
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

static int unpack_point(struct kept_unpack *u, void **out)
{
	struct walk w = { .in = &u->in, .many = u };
	struct point *p = arena_alloc(u->arena, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->refs = 1;
	p->arena = arena_get(u->arena);
	*out = p;
	walk_point(&w, p);
	return w.no_memory ? -ENOMEM : u->in.bad ? -EBADMSG : 0;
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

/* ---- the kinds of objects that points are ---- */

static size_t commit_size(const struct known_commit *c)
{
	return sizeof(*c) + get_le16(c->nrefs) * sizeof(c->refs[0]);
}

/* One that says who signed it, and was not, is nobody's. */
static int verify_commit(const void *data, const char *name,
			 const struct commit_sig *sig)
{
	int r = sig->is_whole ? signer_verify(sig->key, data, sig->signed_len,
					      sig->value)
			      : -EBADMSG;

	return r == -EBADMSG
		       ? fail(r,
			      "%s: its signature is wrong: the owner of the key "
			      "that it names did not make this point",
			      name)
		       : r;
}

int known_commit_decode(const void *data, size_t len, const char *name,
			struct known_commit **out)
{
	struct commit_after after;
	struct commit_sig sig;
	struct known_commit *c;
	struct commit commit;
	int r = commit_decode_all(data, len, name, &commit, &after, &sig);

	*out = NULL;
	if (r == 0 && sig.is_there)
		r = verify_commit(data, name, &sig);
	if (r < 0)
		return r;
	c = calloc(1, sizeof(*c) + after.n * sizeof(after.refs[0]));
	if (!c)
		return -ENOMEM;
	c->commit = commit;
	c->is_told = after.is_told;
	c->is_cut = after.is_cut;
	c->is_signed = sig.is_there;
	memcpy(c->signer, sig.key, sizeof(c->signer));
	memcpy(c->vault, sig.vault, sizeof(c->vault));
	put_le16(c->nrefs, (uint16_t)after.n);
	memcpy(c->refs, after.refs, after.n * sizeof(after.refs[0]));
	r = crypt_sha256(data, len, c->own);
	if (r < 0)
		free(c);
	else
		*out = c;
	return r;
}

static int decode_commit(const void *data, size_t len, const char *name,
			 void **out)
{
	struct known_commit *c;
	int r = known_commit_decode(data, len, name, &c);

	*out = c;
	return r;
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

/* A session of a writer that reads nothing makes points of its machine alone, under the
 * id that follows from that name: under another it would be shown as another. */
static int check_machine(const struct vault *v, const struct point *p,
			 const char *name)
{
	uint32_t writer = keyring_sid_writer(v->keyring, p->session);
	char id[NAME_HEX + 1];
	int r;

	if (!writer)
		return 0;
	r = keyring_put_may_name(v->keyring, writer, p->vm);
	if (r < 0)
		return r;
	if (r == 1) {
		r = point_machine_of(p->vm, 0, id);
		if (r < 0 || strcmp(id, p->machine) == 0)
			return r;
	}
	return fail(-EBADMSG,
		    "%s: says that it is of machine %s, and was made with a "
		    "key that adds points of another one alone: it counts for "
		    "nothing; find out who used that key, and remove it",
		    name, p->vm);
}

static int check_point(const struct vault *v, const void *value,
		       const char *name, const char *session)
{
	const struct point *p = value;

	if (strcmp(p->session, session) == 0)
		return check_machine(v, p, name);
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

static void pack_commit(const void *value, struct kept_pack *p)
{
	buf_put(&p->out, value, commit_size(value));
}

/* It has nothing but bytes, and so it can stay where it is. */
static int unpack_commit(struct kept_unpack *u, void **out)
{
	struct known_commit *c;

	static_assert(_Alignof(struct known_commit) == 1, "it lies anywhere");
	c = (struct known_commit *)reader_get(&u->in, sizeof(*c));
	if (!c || !reader_get(&u->in, commit_size(c) - sizeof(*c)))
		return -EBADMSG;
	c->in_arena = true;
	*out = c;
	return 0;
}

const struct kept_kind point_kept_commits = {
	"commit/",	OBJECT_COMMIT, POINT_SMALL_MAX, decode_commit,
	release_commit, pack_commit,   unpack_commit,	5,
	true,		NULL,
};
const struct kept_kind point_kept_points = {
	"point/",      OBJECT_POINT, POINT_DOC_MAX, decode_point,
	release_point, pack_point,   unpack_point,  POINT_PACK_VERSION,
	true,	       check_point,
};
