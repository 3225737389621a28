/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A set of nodes, of a filesystem or of the namespace: a hash table with open addressing. */
#ifndef FS_GUEST_NODE_SET_H
#define FS_GUEST_NODE_SET_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Begin with zeros. No node is 0, so 0 marks a free slot. */
struct node_set {
	uint64_t *slots; /* owned */
	size_t n, cap; /* cap is 0 or a power of two */
};

/* Return 1 (@node is new), 0 (it was in the set) or -ENOMEM. */
MUST_CHECK int node_set_add(struct node_set *s, uint64_t node);
bool node_set_has(const struct node_set *s, uint64_t node);
void node_set_release(struct node_set *s);

#endif
