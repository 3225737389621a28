/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "fs/leaves.h"

#include <errno.h>
#include <stdlib.h>

#include "store/base/lock.h"

#define LEAVES_MAX (UINT64_C(1) << 34)

struct row {
	struct id id;
	uint32_t point;
};

struct leaves {
	pthread_mutex_t lock; /* protects all below */
	struct row *rows; /* by number; owned */
	size_t n, cap;
	size_t *slots; /* open addressing: number + 1, or 0; owned */
	size_t nslots; /* a power of two, at least 2 * n */
};

struct leaves *leaves_new(void)
{
	struct leaves *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

void leaves_free(struct leaves *t)
{
	if (!t)
		return;
	free(t->rows);
	free(t->slots);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* The slot where @id is, or where it would go. */
static size_t *find_slot(struct leaves *t, const struct id *id)
{
	size_t i = (size_t)id_hash(id) & (t->nslots - 1);

	while (t->slots[i] && !id_equal(&t->rows[t->slots[i] - 1].id, id))
		i = (i + 1) & (t->nslots - 1);
	return &t->slots[i];
}

static int grow(struct leaves *t)
{
	size_t cap = t->cap ? 2 * t->cap : 256;
	size_t *slots = alloc_array(2 * cap, sizeof(*slots));
	struct row *rows = alloc_array(cap, sizeof(*rows));
	size_t i;

	if (!slots || !rows) {
		free(slots);
		free(rows);
		return -ENOMEM;
	}
	if (t->n > 0)
		memcpy(rows, t->rows, t->n * sizeof(*rows));
	free(t->rows);
	free(t->slots);
	t->rows = rows;
	t->cap = cap;
	t->slots = slots;
	t->nslots = 2 * cap;
	for (i = 0; i < t->n; i++)
		*find_slot(t, &t->rows[i].id) = i + 1;
	return 0;
}

int leaves_number(struct leaves *t, const struct id *id, uint32_t point,
		  uint64_t *out)
{
	size_t *slot;

	SCOPED_LOCK(&t->lock);
	if (t->n == t->cap && grow(t) < 0)
		return -ENOMEM;
	slot = find_slot(t, id);
	if (!*slot) {
		if (t->n >= LEAVES_MAX)
			return -EOVERFLOW;
		t->rows[t->n].id = *id;
		*slot = ++t->n;
	}
	t->rows[*slot - 1].point = point;
	*out = *slot - 1;
	return 0;
}

int leaves_id(struct leaves *t, uint64_t number, struct id *out,
	      uint32_t *point_out)
{
	SCOPED_LOCK(&t->lock);
	if (number >= t->n)
		return -ESTALE;
	*out = t->rows[number].id;
	if (point_out)
		*point_out = t->rows[number].point;
	return 0;
}

uint64_t leaves_count(struct leaves *t)
{
	SCOPED_LOCK(&t->lock);
	return t->n;
}
