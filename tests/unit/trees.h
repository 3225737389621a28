/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Trees of made-up entries, in a vault in memory, and the oracle that says what
 * they hold: a sorted array. */
#ifndef TESTS_UNIT_TREES_H
#define TESTS_UNIT_TREES_H

#include "tests/unit/support.h"

#include "store/entry.h"
#include "store/vault.h"

struct writer;

struct item {
	uint8_t *key; /* directory key, name: in one piece; owned */
	uint16_t key_len, name_len;
	uint32_t value; /* goes into mtime */
};

/* Entries, in the order of their places when sorted. */
struct items {
	struct item *list;
	size_t n, cap;
};

static inline const uint8_t *item_name(const struct item *i)
{
	return i->key + i->key_len;
}

/* A vault in memory, open, with a session begun. */
struct trees {
	struct backend *backend;
	struct vault_options options;
	struct vault *vault;
	struct writer *writer;
};

int items_compare(const void *a, const void *b);
/* Append; sort when all are there. */
void items_add(struct items *s, const uint8_t *key, size_t key_len,
	       const void *name, size_t name_len, uint32_t value);
/* By place; of two at one place the first stays. */
void items_sort(struct items *s);
void items_copy(struct items *to, const struct items *from);
void items_remove(struct items *s, size_t i);
void items_release(struct items *s);
/* 0 .. @sides - 1, the same in each run. */
uint32_t trees_dice(uint32_t sides);
/* A name of bytes that are hard on keys; no '/', no NUL, not "." or "..". */
size_t trees_random_name(uint8_t *out);
/* @n entries or a few less, with names that are hard on keys; the top first. */
void items_random(struct items *s, size_t n, uint64_t seed);
struct entry items_entry(const struct item *i);
int trees_setup(void **state);
int trees_teardown(void **state);
void trees_build(struct trees *s, const struct items *items, struct id *root);
uint64_t trees_nodes_written(struct trees *s);
uint64_t trees_nodes_read(struct trees *s);
/* Make what was built readable, with cold caches. */
void trees_reopen(struct trees *s);

#endif
