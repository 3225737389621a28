/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Open addressing with linear probing. Ids are hashes already, so some of their
 * bits are the place to look at, and the table is at most half full, so that
 * the run to a free slot is short. The id of zeros marks a free slot: that it
 * should be the hash of something is as unlikely as any other collision.
 */
#include "config.h"

#include "store/base/idset.h"

#include <errno.h>
#include <stdlib.h>

static const struct id zero;

void idset_release(struct idset *s)
{
	free(s->slots);
	memset(s, 0, sizeof(*s));
}

static struct id *slot_of(const struct idset *s, const struct id *id)
{
	size_t i = (size_t)id_hash(id) & (s->cap - 1);

	while (!id_equal(&s->slots[i], &zero) && !id_equal(&s->slots[i], id))
		i = (i + 1) & (s->cap - 1);
	return &s->slots[i];
}

static int grow(struct idset *s)
{
	struct idset bigger = { .cap = s->cap ? 2 * s->cap : 1024, .n = s->n };
	size_t i;

	bigger.slots = alloc_array(bigger.cap, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (i = 0; i < s->cap; i++)
		if (!id_equal(&s->slots[i], &zero))
			*slot_of(&bigger, &s->slots[i]) = s->slots[i];
	free(s->slots);
	*s = bigger;
	return 0;
}

int idset_add(struct idset *s, const struct id *id)
{
	struct id *slot;

	if (2 * (s->n + 1) > s->cap && grow(s) < 0)
		return -ENOMEM;
	slot = slot_of(s, id);
	if (!id_equal(slot, &zero))
		return 0;
	*slot = *id;
	s->n++;
	return 1;
}

/* Linear probing: what stands behind the gap moves up where it may
 * (Knuth, The Art of Computer Programming 3, 6.4, algorithm R). */
void idset_remove(struct idset *s, const struct id *id)
{
	size_t mask = s->cap - 1, gap, i, home;

	if (!idset_has(s, id))
		return;
	gap = i = (size_t)(slot_of(s, id) - s->slots);
	for (;;) {
		i = (i + 1) & mask;
		if (id_equal(&s->slots[i], &zero))
			break;
		home = (size_t)id_hash(&s->slots[i]) & mask;
		if (((i - home) & mask) >= ((i - gap) & mask)) {
			s->slots[gap] = s->slots[i];
			gap = i;
		}
	}
	s->slots[gap] = zero;
	s->n--;
}

bool idset_has(const struct idset *s, const struct id *id)
{
	return s->cap && !id_equal(slot_of(s, id), &zero);
}
