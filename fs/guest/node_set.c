/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "fs/guest/node_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CAP_MIN 256

/* The slot of a node, or the free one where it would be. */
static size_t find(const uint64_t *slots, size_t cap, uint64_t node)
{
	/* Fibonacci hashing: neighbouring inodes are spread over the table. */
	size_t i = (size_t)(node * 0x9e3779b97f4a7c15u >> 20) & (cap - 1);

	while (slots[i] && slots[i] != node)
		i = (i + 1) & (cap - 1);
	return i;
}

static int grow(struct node_set *s)
{
	size_t cap = s->cap ? 2 * s->cap : CAP_MIN, i;
	uint64_t *slots = alloc_array(cap, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (i = 0; i < s->cap; i++)
		if (s->slots[i])
			slots[find(slots, cap, s->slots[i])] = s->slots[i];
	free(s->slots);
	s->slots = slots;
	s->cap = cap;
	return 0;
}

int node_set_add(struct node_set *s, uint64_t node)
{
	size_t i;

	/* At most half full, so that searches stay short. */
	if (2 * s->n >= s->cap && grow(s) < 0)
		return -ENOMEM;
	i = find(s->slots, s->cap, node);
	if (s->slots[i])
		return 0;
	s->slots[i] = node;
	s->n++;
	return 1;
}

bool node_set_has(const struct node_set *s, uint64_t node)
{
	return s->n > 0 && s->slots[find(s->slots, s->cap, node)];
}

void node_set_release(struct node_set *s)
{
	free(s->slots);
	memset(s, 0, sizeof(*s));
}
