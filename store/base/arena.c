/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/base/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BLOCK_MIN ((size_t)64 << 10)
#define BLOCK_MAX ((size_t)2 << 20) /* a large page */

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
	size_t next_len; /* of the next block */
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

/* To get memory in large pages costs a fourth of what it does in small ones. */
static struct block *alloc_block(size_t len)
{
	struct block *b;

	if (len < BLOCK_MAX)
		return malloc(len);
	b = aligned_alloc(BLOCK_MAX, (len + BLOCK_MAX - 1) & ~(BLOCK_MAX - 1));
	if (b)
		(void)madvise(b, len, MADV_HUGEPAGE);
	return b;
}

/* Each block is twice as long as the one before. */
static int add_block(struct arena *a, size_t want)
{
	size_t len = MAX(a->next_len, BLOCK_MIN);
	struct block *b;

	while (len < want + sizeof(*b))
		len *= 2;
	b = alloc_block(len);
	if (!b)
		return -1;
	b->next = a->blocks;
	a->blocks = b;
	a->left = a->end = len - sizeof(*b);
	a->next_len = MIN(2 * len, BLOCK_MAX);
	return 0;
}

void *arena_alloc(struct arena *a, size_t len)
{
	size_t align = _Alignof(max_align_t), want;
	void *p;

	if (len > PTRDIFF_MAX / 4)
		return NULL;
	want = (len + align - 1) & ~(align - 1);
	if (want > a->left && add_block(a, want) < 0)
		return NULL;
	a->left -= want;
	p = a->blocks->room + (a->end - a->left - want);
	memset(p, 0, want);
	return p;
}
