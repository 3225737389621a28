/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Nodes of trees and extent maps. The first byte says which. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "store/node.h"
#include "store/vault_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct node *n;
	struct entry e;
	uint8_t *raw;
	size_t i, key_len;

	if (len == 0)
		return 0;
	raw = malloc(len);
	if (!raw)
		return 0;
	memcpy(raw, data + 1, len - 1);
	if (node_decode(data[0] & 1 ? NODE_EXTENTS : NODE_LEAF, raw, len - 1,
			&n) < 0) {
		free(raw);
		return 0;
	}
	for (i = 0; n->kind == NODE_LEAF && i < n->n; i++) {
		leaf_entry((struct leaf *)n, i, &e);
		if (!leaf_dirkey((struct leaf *)n, i, &key_len))
			abort();
		if (leaf_run_end((struct leaf *)n, i) <= i)
			abort();
		if (e.mode == 0)
			abort();
	}
	node_free(n);
	return 0;
}
