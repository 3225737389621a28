/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An entry is the smallest thing in a tree, and there are millions of them, so
 * its form is made to be cheap: fields in a fixed order, numbers as varints,
 * which are a byte or two for most. Its length stands in front, so that its
 * fields are read within it and cannot run into the next entry.
 *
 * The bytes also are what is compared. Two trees are told apart by their nodes'
 * ids, and two entries by their stored bytes (entry.raw), so the encoder may
 * choose nothing: the same file must always give the same bytes. That is why
 * attributes are sorted by name.
 *
 * Decoding is the only gate. Everything is bounded and checked here, once, when
 * a node is read; what works with entries later relies on it, as on the name
 * being one that may stand in a directory, and on content adding up to the
 * size. Nothing is copied: an entry borrows from the node that it stands in.
 */
#include "config.h"

#include "store/entry.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "store/content.h"
#include "store/format.h"

#define NSEC_MAX 999999999

bool entry_name_ok(const void *name, size_t len)
{
	const char *s = name;

	if (len == 0 || len > ENTRY_NAME_MAX)
		return false;
	if (s[0] == '.' && (len == 1 || (len == 2 && s[1] == '.')))
		return false;
	return !memchr(s, '/', len) && !memchr(s, '\0', len);
}

static void put_fields(struct buf *out, const struct entry *e)
{
	buf_put_bytes(out, e->name, e->name_len);
	buf_put_u8(out, e->flags);
	buf_put_varint(out, e->mode);
	buf_put_varint(out, e->uid);
	buf_put_varint(out, e->gid);
	buf_put_varint(out, e->nlink);
	buf_put_varint(out, e->size);
	buf_put_svarint(out, e->mtime.sec);
	buf_put_varint(out, e->mtime.nsec);
	buf_put_svarint(out, e->ctime.sec);
	buf_put_varint(out, e->ctime.nsec);
	buf_put_varint(out, e->ino);
	buf_put_varint(out, e->dev);
	if (S_ISCHR(e->mode) || S_ISBLK(e->mode)) {
		buf_put_varint(out, e->rdev_major);
		buf_put_varint(out, e->rdev_minor);
	}
	if (S_ISLNK(e->mode))
		buf_put_bytes(out, e->target, e->target_len);
	if (e->flags & ENTRY_XATTRS)
		buf_put_bytes(out, e->xattrs, e->xattrs_len);
	if (e->flags & ENTRY_XATTRS_CHUNK) {
		buf_put(out, e->xattrs_id.b, ID_LEN);
		buf_put_varint(out, e->xattrs_len);
	}
	if (e->flags & ENTRY_EXTRA)
		buf_put(out, e->extra, e->extra_len);
	if (S_ISREG(e->mode))
		buf_put(out, e->content, e->content_len);
}

void entry_put(struct buf *out, const struct entry *e)
{
	uint8_t raw[10];
	size_t n = 0, start, len;
	uint64_t v;

	/*
	 * The length goes in front, but is known only at the end, and how many
	 * bytes it takes depends on it. Room for the longest is left, and the
	 * fields, a few dozen bytes, are moved to their place: that is cheaper
	 * than a second buffer for each of a million entries.
	 */
	if (buf_reserve(out, sizeof(raw)) < 0)
		return;
	start = out->len;
	out->len += sizeof(raw);
	put_fields(out, e);
	if (buf_error(out) < 0)
		return;
	len = out->len - start - sizeof(raw);
	for (v = len; v >= 0x80; v >>= 7)
		raw[n++] = (uint8_t)(v | 0x80);
	raw[n++] = (uint8_t)v;
	memcpy(out->data + start, raw, n);
	memmove(out->data + start + n, out->data + start + sizeof(raw), len);
	out->len = start + n + len;
}

static void get_times(struct reader *r, struct entry *e)
{
	e->mtime.sec = reader_svarint(r);
	e->mtime.nsec = (uint32_t)reader_varint_max(r, NSEC_MAX);
	e->ctime.sec = reader_svarint(r);
	e->ctime.nsec = (uint32_t)reader_varint_max(r, NSEC_MAX);
}

static void get_xattrs(struct reader *r, struct entry *e)
{
	const uint8_t *id;
	size_t len;

	if (e->flags & ENTRY_XATTRS) {
		e->xattrs = reader_bytes(r, ENTRY_XATTR_INLINE_MAX, &len);
		e->xattrs_len = (uint32_t)len;
		if (!r->bad && xattrs_check(e->xattrs, len) < 0)
			r->bad = true;
	}
	if (e->flags & ENTRY_XATTRS_CHUNK) {
		id = reader_get(r, ID_LEN);
		if (id)
			memcpy(e->xattrs_id.b, id, ID_LEN);
		e->xattrs_len =
			(uint32_t)reader_varint_max(r, ENTRY_XATTRS_MAX);
		if (e->xattrs_len == 0)
			r->bad = true;
	}
}

/* Read the value of one fact. What is wrong makes @r bad; what is not known is
 * passed over. */
static void get_fact(struct reader *r, uint8_t tag, struct entry_extra *out)
{
	struct reader value;
	const uint8_t *data;
	size_t len;

	data = reader_bytes(r, ENTRY_EXTRA_MAX, &len);
	if (!data)
		return;
	reader_init(&value, data, len);
	switch (tag) {
	case ENTRY_TAG_BIRTH:
		out->has_birth = true;
		out->birth.sec = reader_svarint(&value);
		out->birth.nsec = (uint32_t)reader_varint_max(&value, NSEC_MAX);
		break;
	case ENTRY_TAG_INODE_FLAGS:
		out->inode_flags =
			(uint32_t)reader_varint_max(&value, UINT32_MAX);
		break;
	case ENTRY_TAG_PROJECT:
		out->project = (uint32_t)reader_varint_max(&value, UINT32_MAX);
		break;
	default:
		return;
	}
	r->bad |= !reader_done(&value);
}

static void get_facts(struct reader *r, struct entry_extra *out)
{
	uint64_t n = reader_varint_max(r, UINT8_MAX);
	uint8_t tag, last = 0;

	memset(out, 0, sizeof(*out));
	if (n == 0)
		r->bad = true;
	for (; n > 0 && !r->bad; n--, last = tag) {
		tag = reader_u8(r);
		if (tag <= last)
			r->bad = true;
		else
			get_fact(r, tag, out);
	}
}

static void get_extra(struct reader *r, struct entry *e)
{
	struct entry_extra known;

	if (r->bad || !(e->flags & ENTRY_EXTRA))
		return;
	e->extra = r->p;
	get_facts(r, &known);
	e->extra_len = (uint32_t)(r->p - e->extra);
	if (e->extra_len > ENTRY_EXTRA_MAX)
		r->bad = true;
}

/* A value's length stands in front of it in one byte, as it is below 128. */
static size_t begin_fact(struct buf *out, enum entry_tag tag)
{
	buf_put_u8(out, (uint8_t)tag);
	buf_put_u8(out, 0);
	return out->len;
}

static void end_fact(struct buf *out, size_t start)
{
	if (buf_error(out) == 0)
		out->data[start - 1] = (uint8_t)(out->len - start);
}

void entry_extra_put(struct buf *out, const struct entry_extra *x)
{
	unsigned int n = x->has_birth + !!x->inode_flags + !!x->project;
	size_t start;

	if (n == 0)
		return;
	buf_put_varint(out, n);
	if (x->has_birth) {
		start = begin_fact(out, ENTRY_TAG_BIRTH);
		buf_put_svarint(out, x->birth.sec);
		buf_put_varint(out, x->birth.nsec);
		end_fact(out, start);
	}
	if (x->inode_flags) {
		start = begin_fact(out, ENTRY_TAG_INODE_FLAGS);
		buf_put_varint(out, x->inode_flags);
		end_fact(out, start);
	}
	if (x->project) {
		start = begin_fact(out, ENTRY_TAG_PROJECT);
		buf_put_varint(out, x->project);
		end_fact(out, start);
	}
}

void entry_extra_get(const struct entry *e, struct entry_extra *out)
{
	struct reader r;

	memset(out, 0, sizeof(*out));
	if (!(e->flags & ENTRY_EXTRA))
		return;
	reader_init(&r, e->extra, e->extra_len);
	get_facts(&r, out);
}

/* Each kind has fields of its own, so a mode of no known kind would leave the
 * decoder guessing where the next field begins. */
static bool mode_ok(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFIFO:
	case S_IFSOCK:
	case S_IFCHR:
	case S_IFBLK:
		return (mode & ~(uint32_t)(S_IFMT | 07777)) == 0;
	default:
		return false;
	}
}

int entry_get(struct reader *outer, struct entry *e)
{
	struct reader inner, *r = &inner;
	const uint8_t *body, *start = outer->p;
	struct content_ref content;
	size_t len;

	memset(e, 0, sizeof(*e));
	body = reader_bytes(outer, ENTRY_MAX, &len);
	if (!body)
		return -EBADMSG;
	e->raw = start;
	e->raw_len = (uint32_t)(outer->p - start);
	reader_init(r, body, len);
	e->name = reader_bytes(r, ENTRY_NAME_MAX, &len);
	e->name_len = (uint32_t)len;
	e->flags = reader_u8(r);
	e->mode = (uint32_t)reader_varint_max(r, UINT32_MAX);
	e->uid = (uint32_t)reader_varint_max(r, UINT32_MAX);
	e->gid = (uint32_t)reader_varint_max(r, UINT32_MAX);
	e->nlink = reader_varint_max(r, UINT32_MAX);
	e->size = reader_varint_max(r, CONTENT_SIZE_MAX);
	get_times(r, e);
	e->ino = reader_varint(r);
	e->dev = (uint32_t)reader_varint_max(r, UINT32_MAX);
	/*
	 * What follows depends on these, so they are judged before it is read.
	 * Unknown flags are refused, not passed over: they may announce a field.
	 * An empty name is the top's, and whoever decodes a node looks that it
	 * stands nowhere else.
	 */
	if (r->bad || !mode_ok(e->mode) || (e->flags & ~31) ||
	    (e->flags & (ENTRY_XATTRS | ENTRY_XATTRS_CHUNK)) ==
		    (ENTRY_XATTRS | ENTRY_XATTRS_CHUNK) ||
	    (e->name_len && !entry_name_ok(e->name, e->name_len)))
		return -EBADMSG;
	if (S_ISCHR(e->mode) || S_ISBLK(e->mode)) {
		e->rdev_major = (uint32_t)reader_varint_max(r, UINT32_MAX);
		e->rdev_minor = (uint32_t)reader_varint_max(r, UINT32_MAX);
	}
	if (S_ISLNK(e->mode)) {
		e->target = reader_bytes(r, ENTRY_TARGET_MAX, &len);
		e->target_len = (uint32_t)len;
		if (!e->target || len == 0 || memchr(e->target, '\0', len))
			return -EBADMSG;
	}
	get_xattrs(r, e);
	get_extra(r, e);
	/* The last field needs no length of its own: it goes to the end. */
	if (!r->bad && S_ISREG(e->mode)) {
		e->content_len = (uint32_t)reader_left(r);
		e->content = reader_get(r, e->content_len);
		content = entry_content(e);
		if (content_check(&content) < 0)
			return -EBADMSG;
	}
	return reader_done(r) ? 0 : -EBADMSG;
}

struct content_ref entry_content(const struct entry *e)
{
	return (struct content_ref){ .data = e->content,
				     .len = e->content_len,
				     .size = e->size,
				     .type = CHUNK_DATA };
}

uint64_t xattrs_begin(struct reader *r, const uint8_t *list, size_t len)
{
	reader_init(r, list, len);
	return reader_varint_max(r, len);
}

bool xattrs_next(struct reader *r, struct xattr *out)
{
	out->name =
		(const char *)reader_bytes(r, ENTRY_NAME_MAX, &out->name_len);
	out->value = reader_bytes(r, 64u << 10, &out->value_len);
	return !r->bad;
}

/* The order of bytes, in which no locale has a say. */
static int compare_names(const struct xattr *a, const struct xattr *b)
{
	int c = memcmp(a->name, b->name, MIN(a->name_len, b->name_len));

	if (c != 0)
		return c;
	return a->name_len < b->name_len ? -1 : a->name_len > b->name_len;
}

int xattrs_check(const uint8_t *list, size_t len)
{
	struct xattr last = { 0 }, x;
	struct reader r;
	uint64_t i, n = xattrs_begin(&r, list, len);

	/* Strictly ascending names: in order, and none twice. */
	for (i = 0; i < n && !r.bad; i++) {
		if (!xattrs_next(&r, &x) || x.name_len == 0 ||
		    memchr(x.name, '\0', x.name_len))
			return -EBADMSG;
		if (i > 0 && compare_names(&last, &x) >= 0)
			return -EBADMSG;
		last = x;
	}
	return n > 0 && reader_done(&r) ? 0 : -EBADMSG;
}

void xattrs_put(struct buf *out, const char *name, const void *value,
		size_t len)
{
	buf_put_bytes(out, name, strlen(name));
	buf_put_bytes(out, value, len);
}
