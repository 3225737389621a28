/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Open addressing with linear probing, as store/base/idset.c; a value of 0 marks
 * a free slot, and nothing is ever taken out. */
#include "config.h"

#include "store/check/memo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEY_LEN 16
#define SLOT_LEN (KEY_LEN + 1)
#define FIRST_CAP 1024

void memo_release(struct memo *m)
{
	free(m->slots);
	memset(m, 0, sizeof(*m));
}

/* The slot of a key, or the free one where it belongs. */
static uint8_t *slot_of(const struct memo *m, const uint8_t *key)
{
	size_t i;
	uint8_t *slot;

	memcpy(&i, key, sizeof(i));
	for (;; i++) {
		slot = m->slots + (i & (m->cap - 1)) * SLOT_LEN;
		if (slot[KEY_LEN] == 0 || memcmp(slot, key, KEY_LEN) == 0)
			return slot;
	}
}

static int grow(struct memo *m)
{
	struct memo bigger = { .cap = m->cap ? 2 * m->cap : FIRST_CAP,
			       .n = m->n };
	size_t i;

	bigger.slots = calloc(bigger.cap, SLOT_LEN);
	if (!bigger.slots)
		return -ENOMEM;
	for (i = 0; i < m->cap; i++) {
		const uint8_t *slot = m->slots + i * SLOT_LEN;

		if (slot[KEY_LEN])
			memcpy(slot_of(&bigger, slot), slot, SLOT_LEN);
	}
	free(m->slots);
	*m = bigger;
	return 0;
}

uint8_t memo_get(const struct memo *m, const struct id *id)
{
	return m->cap ? slot_of(m, id->b)[KEY_LEN] : 0;
}

int memo_set(struct memo *m, const struct id *id, uint8_t value)
{
	uint8_t *slot;

	/* At most three quarters full, so that the run to a free slot is
	 * short. */
	if (4 * (m->n + 1) > 3 * m->cap && grow(m) < 0)
		return -ENOMEM;
	slot = slot_of(m, id->b);
	if (slot[KEY_LEN] == 0) {
		memcpy(slot, id->b, KEY_LEN);
		m->n++;
	}
	slot[KEY_LEN] = value;
	return 0;
}
