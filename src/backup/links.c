/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/backup/links.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEFT_MAX ((1u << 29) - 1) /* so many, or more: it is never forgotten */

/* Forty bytes, which malloc() has no waste for. */
struct link {
	struct link *next; /* in its bucket */
	uint64_t dev, ino;
	uint8_t *found; /* owned; packed; NULL: not known, or failed */
	uint32_t held; /* slots that point here */
	uint32_t left : 29; /* names not in the tree yet, as far as is known */
	uint32_t failed : 1;
	uint32_t has_acl : 1;
	uint32_t partial : 1;
};

struct links {
	struct link **buckets; /* owned */
	size_t cap, n;
};

struct links *links_new(void)
{
	struct links *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->cap = 1024;
	l->buckets = alloc_array(l->cap, sizeof(*l->buckets));
	if (!l->buckets) {
		free(l);
		return NULL;
	}
	return l;
}

static void link_free(struct link *k)
{
	free(k->found);
	free(k);
}

void links_free(struct links *l)
{
	size_t i;

	if (!l)
		return;
	for (i = 0; i < l->cap; i++) {
		while (l->buckets[i]) {
			struct link *k = l->buckets[i];

			l->buckets[i] = k->next;
			link_free(k);
		}
	}
	free(l->buckets);
	free(l);
}

static struct link **bucket(struct links *l, uint64_t dev, uint64_t ino)
{
	uint64_t h = (ino ^ dev << 32) * UINT64_C(0x9e3779b97f4a7c15);

	return &l->buckets[(h >> 20) & (l->cap - 1)];
}

static void grow(struct links *l)
{
	struct links bigger = { .cap = 2 * l->cap, .n = l->n };
	size_t i;

	bigger.buckets = alloc_array(bigger.cap, sizeof(*bigger.buckets));
	if (!bigger.buckets)
		return; /* slower, not wrong */
	for (i = 0; i < l->cap; i++) {
		while (l->buckets[i]) {
			struct link *k = l->buckets[i], **p;

			l->buckets[i] = k->next;
			p = bucket(&bigger, k->dev, k->ino);
			k->next = *p;
			*p = k;
		}
	}
	free(l->buckets);
	*l = bigger;
}

struct link *links_find(struct links *l, const struct stat *st, bool *first_out)
{
	struct link *k = *bucket(l, st->st_dev, st->st_ino), **p;

	while (k && (k->dev != st->st_dev || k->ino != st->st_ino))
		k = k->next;
	*first_out = !k;
	if (k) {
		k->held++;
		return k;
	}
	if (l->n >= l->cap)
		grow(l);
	k = calloc(1, sizeof(*k));
	if (!k)
		return NULL;
	k->dev = st->st_dev;
	k->ino = st->st_ino;
	k->left = (uint32_t)MIN(st->st_nlink, (nlink_t)LEFT_MAX);
	k->held = 1;
	p = bucket(l, k->dev, k->ino);
	k->next = *p;
	*p = k;
	l->n++;
	return k;
}

static void put_found(struct buf *b, const struct link_found *f)
{
	const struct stat *st = &f->st;

	buf_put_varint(b, st->st_mode);
	buf_put_varint(b, st->st_uid);
	buf_put_varint(b, st->st_gid);
	buf_put_varint(b, st->st_nlink);
	buf_put_varint(b, (uint64_t)st->st_size);
	buf_put_svarint(b, st->st_mtim.tv_sec);
	buf_put_varint(b, (uint64_t)st->st_mtim.tv_nsec);
	buf_put_svarint(b, st->st_ctim.tv_sec);
	buf_put_varint(b, (uint64_t)st->st_ctim.tv_nsec);
	buf_put_varint(b, f->xattrs.len);
	buf_put_varint(b, f->extra.len);
	buf_put_varint(b, f->content.len);
	buf_put(b, f->xattrs.data, f->xattrs.len);
	buf_put(b, f->extra.data, f->extra.len);
	buf_put(b, f->content.data, f->content.len);
}

int link_set(struct link *k, const struct link_found *f)
{
	AUTO_BUF struct buf b = BUF_INIT;
	uint32_t len;

	k->failed = f->failed;
	k->has_acl = f->has_acl;
	k->partial = f->partial;
	if (f->failed)
		return 0;
	put_found(&b, f);
	if (buf_error(&b) < 0 || b.len > UINT32_MAX)
		return -ENOMEM;
	len = (uint32_t)b.len;
	free(k->found);
	k->found = malloc(sizeof(len) + len);
	if (!k->found)
		return -ENOMEM;
	memcpy(k->found, &len, sizeof(len));
	memcpy(k->found + sizeof(len), b.data, len);
	return 0;
}

static int take_bytes(struct buf *to, struct reader *r, size_t len)
{
	buf_clear(to);
	buf_put(to, reader_get(r, len), len);
	return buf_error(to);
}

int link_get(const struct link *k, struct link_found *f)
{
	struct stat *st = &f->st;
	size_t xattrs, extra, content;
	struct reader r;
	uint32_t len;
	int err;

	f->failed = k->failed;
	if (!k->found)
		return 0;
	f->has_acl = k->has_acl;
	f->partial = k->partial;
	memcpy(&len, k->found, sizeof(len));
	reader_init(&r, k->found + sizeof(len), len);
	st->st_mode = (mode_t)reader_varint(&r);
	st->st_uid = (uid_t)reader_varint(&r);
	st->st_gid = (gid_t)reader_varint(&r);
	st->st_nlink = (nlink_t)reader_varint(&r);
	st->st_size = (off_t)reader_varint(&r);
	st->st_mtim.tv_sec = reader_svarint(&r);
	st->st_mtim.tv_nsec = (long)reader_varint(&r);
	st->st_ctim.tv_sec = reader_svarint(&r);
	st->st_ctim.tv_nsec = (long)reader_varint(&r);
	xattrs = (size_t)reader_varint(&r);
	extra = (size_t)reader_varint(&r);
	content = (size_t)reader_varint(&r);
	err = take_bytes(&f->xattrs, &r, xattrs);
	if (err == 0)
		err = take_bytes(&f->extra, &r, extra);
	return err < 0 ? err : take_bytes(&f->content, &r, content);
}

void links_done(struct links *l, struct link *k)
{
	struct link **p = bucket(l, k->dev, k->ino);

	if (k->left > 0 && k->left < LEFT_MAX)
		k->left--;
	if (--k->held > 0 || k->left > 0)
		return;
	while (*p != k)
		p = &(*p)->next;
	*p = k->next;
	l->n--;
	link_free(k);
}
