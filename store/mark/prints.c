/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Open addressing with linear probing. A part is chosen by the first bits of a
 * print, a slot by the next 32, as a fraction of the part's length, which so may be
 * any: it grows by a quarter, when 13 of 16 slots are taken. Since prints stand
 * nearly in their order, growing goes through both tables from one end to the
 * other.
 */
#include "config.h"

#include "store/mark/prints.h"

#include <errno.h>

#include "store/base/seam.h"
#include "store/crypt/siphash.h"

#define FIRST_CAP 32
#define PRINT_BITS 63

int prints_init(struct prints *p, struct seam *seam, bool words)
{
	memset(p, 0, sizeof(*p));
	p->has_words = words;
	return seam->ops->random(seam, p->key, sizeof(p->key));
}

void prints_release(struct prints *p)
{
	size_t i;

	for (i = 0; i < PRINTS_PARTS; i++) {
		free(p->parts[i].slots);
		free(p->parts[i].words);
	}
	memset(p, 0, sizeof(*p));
}

uint64_t prints_of(const struct prints *p, const struct id *id)
{
	uint64_t h = siphash(p->key, id->b, ID_LEN) >> 1;

	return h ? h : 1;
}

static size_t part_of(uint64_t print)
{
	return (size_t)(print >> (PRINT_BITS - 8));
}

static size_t home_of(const struct prints_part *t, uint64_t print)
{
	uint64_t fraction = print >> (PRINT_BITS - 8 - 32) & UINT32_MAX;

	return (size_t)(fraction * t->cap >> 32);
}

/* The slot of a print, or the free one where it belongs. */
static size_t slot_of(const struct prints_part *t, uint64_t print)
{
	size_t i = home_of(t, print);

	while (t->slots[i] != 0 && t->slots[i] >> 1 != print)
		i = i + 1 < t->cap ? i + 1 : 0;
	return i;
}

static int grow(struct prints_part *t, bool words)
{
	struct prints_part bigger = { .n = t->n };
	size_t i, to;

	bigger.cap = t->cap ? t->cap + t->cap / 4 : FIRST_CAP;
	/* A home is found with 32 bits of each. */
	if (bigger.cap > UINT32_MAX)
		return -ENOMEM;
	bigger.slots = alloc_array(bigger.cap, sizeof(*bigger.slots));
	if (words)
		bigger.words = alloc_array(bigger.cap, sizeof(*bigger.words));
	if (!bigger.slots || (words && !bigger.words)) {
		free(bigger.slots);
		free(bigger.words);
		return -ENOMEM;
	}
	for (i = 0; i < t->cap; i++) {
		if (t->slots[i] == 0)
			continue;
		to = slot_of(&bigger, t->slots[i] >> 1);
		bigger.slots[to] = t->slots[i];
		if (words)
			bigger.words[to] = t->words[i];
	}
	free(t->slots);
	free(t->words);
	*t = bigger;
	return 0;
}

void prints_expect(const struct prints *p, uint64_t print)
{
	const struct prints_part *t = &p->parts[part_of(print)];

	if (t->cap)
		__builtin_prefetch(&t->slots[home_of(t, print)]);
}

int prints_add(struct prints *p, uint64_t print, uint32_t **word_out)
{
	struct prints_part *t = &p->parts[part_of(print)];
	size_t i;
	int r = 0;

	if (16 * (t->n + 1) > 13 * t->cap && grow(t, p->has_words) < 0)
		return -ENOMEM;
	i = slot_of(t, print);
	if (t->slots[i] == 0) {
		t->slots[i] = print << 1;
		t->n++;
		p->n++;
		r = 1;
	}
	if (word_out)
		*word_out = p->has_words ? &t->words[i] : NULL;
	return r;
}

bool prints_has(const struct prints *p, uint64_t print)
{
	const struct prints_part *t = &p->parts[part_of(print)];

	return t->cap && t->slots[slot_of(t, print)] != 0;
}

uint32_t prints_word(const struct prints *p, uint64_t print)
{
	const struct prints_part *t = &p->parts[part_of(print)];
	size_t i;

	if (t->cap == 0 || !p->has_words)
		return 0;
	i = slot_of(t, print);
	return t->slots[i] ? t->words[i] : 0;
}

bool prints_hold(struct prints *p, uint64_t print)
{
	struct prints_part *t = &p->parts[part_of(print)];
	size_t i;

	if (t->cap == 0)
		return false;
	i = slot_of(t, print);
	if (t->slots[i] == 0)
		return false;
	p->held += !(t->slots[i] & 1);
	t->slots[i] |= 1;
	return true;
}

void prints_let_go(struct prints *p)
{
	size_t i, slot;

	for (i = 0; i < PRINTS_PARTS; i++)
		for (slot = 0; slot < p->parts[i].cap; slot++)
			p->parts[i].slots[slot] &= ~UINT64_C(1);
	p->held = 0;
}

uint64_t prints_memory(const struct prints *p)
{
	uint64_t slots = 0;
	size_t i;

	for (i = 0; i < PRINTS_PARTS; i++)
		slots += p->parts[i].cap;
	return sizeof(*p) + slots * (sizeof(uint64_t) +
				     (p->has_words ? sizeof(uint32_t) : 0));
}
