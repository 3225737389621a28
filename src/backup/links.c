/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/backup/links.h"

#include <stdlib.h>

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
	buf_release(&k->xattrs);
	buf_release(&k->extra);
	buf_release(&k->content);
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

static struct link **bucket(struct links *l, dev_t dev, ino_t ino)
{
	uint64_t h = (ino ^ dev << 32) * UINT64_C(0x9e3779b97f4a7c15);

	return &l->buckets[(h >> 20) & (l->cap - 1)];
}

static void grow(struct links *l)
{
	struct links bigger = { .cap = 4 * l->cap, .n = l->n };
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
	k->left = st->st_nlink;
	k->held = 1;
	p = bucket(l, k->dev, k->ino);
	k->next = *p;
	*p = k;
	l->n++;
	return k;
}

void links_done(struct links *l, struct link *k)
{
	struct link **p = bucket(l, k->dev, k->ino);

	if (k->left > 0)
		k->left--;
	if (--k->held > 0 || k->left > 0)
		return;
	while (*p != k)
		p = &(*p)->next;
	*p = k->next;
	l->n--;
	link_free(k);
}
