/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/base/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_LEN 65536

struct block {
	struct block *next;
	alignas(max_align_t) unsigned char room[];
};

struct arena {
	int refs;
	struct buf text;
	struct block *blocks; /* owned; the newest first */
	size_t left; /* in that one, at its end */
	size_t end;
};

struct arena *arena_new(struct buf *text)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->refs = 1;
	a->text = *text;
	memset(text, 0, sizeof(*text));
	return a;
}

const struct buf *arena_text(const struct arena *a)
{
	return &a->text;
}

struct arena *arena_get(struct arena *a)
{
	__atomic_add_fetch(&a->refs, 1, __ATOMIC_RELAXED);
	return a;
}

void arena_put(struct arena *a)
{
	struct block *b, *next;

	if (!a || __atomic_sub_fetch(&a->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (b = a->blocks; b; b = next) {
		next = b->next;
		free(b);
	}
	buf_release(&a->text);
	free(a);
}

static int add_block(struct arena *a, size_t len)
{
	struct block *b = calloc(1, sizeof(*b) + len);

	if (!b)
		return -1;
	b->next = a->blocks;
	a->blocks = b;
	a->left = a->end = len;
	return 0;
}

void *arena_alloc(struct arena *a, size_t len)
{
	size_t align = _Alignof(max_align_t), want;

	if (len > PTRDIFF_MAX / 2)
		return NULL;
	want = (len + align - 1) & ~(align - 1);
	if (want > a->left && add_block(a, MAX(want, BLOCK_LEN)) < 0)
		return NULL;
	a->left -= want;
	return a->blocks->room + (a->end - a->left - want);
}
