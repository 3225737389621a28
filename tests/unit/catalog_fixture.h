/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Packs, chunks and indexes made from numbers, so that every answer of a
 * catalog can be checked: pack n has chunks whose ids follow from n, and one
 * that all packs have.
 */
#ifndef TESTS_UNIT_CATALOG_FIXTURE_H
#define TESTS_UNIT_CATALOG_FIXTURE_H

#include "store/base/buf.h"
#include "store/catalog/catalog.h"

/* The chunk of all packs; it has 500 bytes. */
#define CATALOG_FIXTURE_SHARED UINT32_MAX

extern const uint8_t catalog_fixture_vault[VAULT_ID_LEN];

struct id catalog_fixture_chunk_id(uint32_t pack, uint32_t chunk);
/* Append the directory of pack @n: one frame, the chunks one after another. */
void catalog_fixture_make_dir(uint32_t n, struct buf *out);
/*
 * Import packs @first to @end - 1 (at most 64) as one source. Return what
 * catalog_import() does. No cmocka assert in this and the next: for threads
 * and children.
 */
int catalog_fixture_import(struct catalog *c, const char *source,
			   uint32_t first, uint32_t end);
/*
 * 0 where pack @n is there with all its chunks, 1 where nothing of it is, -1
 * where something is wrong, or the error that a lookup gave.
 */
int catalog_fixture_probe(struct catalog *c, uint32_t n);

/* Open the catalog in @dir, which must be usable. */
struct catalog *catalog_fixture_open(const char *dir);
/* A path where nothing is yet. */
const char *catalog_fixture_dir(void);
/* Before each test: keep what is said. */
int catalog_fixture_setup(void **state);

#endif
