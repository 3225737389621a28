/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Nodes of trees and of extent maps, decoded and checked once, shared through
 * the vault's cache. For store/ alone.
 */
#ifndef STORE_NODE_H
#define STORE_NODE_H

#include "store/content.h"
#include "store/tree.h"

struct node_run {
	const uint8_t *key; /* in raw */
	uint32_t key_len;
	uint32_t first; /* slot of its first entry */
};

struct node_child {
	const uint8_t *key; /* the child's last key: directory key; in raw */
	uint32_t key_len;
	const uint8_t *name; /* behind its 0 */
	uint32_t name_len;
	uint64_t first; /* entries (or bytes) in the children before */
	uint64_t count; /* in this one */
	uint64_t allocated; /* extent maps */
	struct id id;
};

enum node_kind { NODE_LEAF = 'L', NODE_INNER = 'I', NODE_EXTENTS = 'E' };

struct node {
	struct vault *vault; /* borrowed */
	struct id id;
	uint8_t *raw; /* owned */
	size_t raw_len;
	enum node_kind kind;
	unsigned int level; /* 0: leaf */
	struct node_run *runs; /* leaves; owned */
	size_t nruns;
	uint32_t *offs; /* leaves: of each entry in raw, and the end; owned */
	struct node_child *children; /* above leaves; owned */
	struct extent *extents; /* extent maps of level 0; owned */
	size_t n; /* entries, children or extents */
	uint64_t total; /* entries or bytes below */
};

/* Decode @raw (malloc'd; taken over on success). Return 0, -EBADMSG (silent)
 * or -ENOMEM. */
MUST_CHECK int node_decode(enum node_kind kind, uint8_t *raw, size_t len,
			   struct node **out);
/* Get a node through the vault's cache; it is held until node_put(). @type is
 * CHUNK_NODE or CHUNK_EXTENTS. Return 0, -EBADMSG or -EIO, said in words. */
MUST_CHECK int node_load(struct vault *v, uint8_t type, const struct id *id,
			 struct node **out);
void node_put(struct node *n);
/* Free a node, for the vault's cache. */
void node_free(void *object);

#endif
