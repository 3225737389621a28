/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sessions in a vault in memory, one after the other, each with an empty
 * database as another machine would have it. */
#ifndef TESTS_UNIT_SESSIONS_H
#define TESTS_UNIT_SESSIONS_H

#include "tests/unit/support.h"

#include "store/vault.h"
#include "store/writer/writer.h"

struct pool;

struct scene {
	struct backend *backend;
	struct vault_options options;
	struct vault *vault;
	struct pool *pool;
	struct writer *writer;
};

/* For cmocka: a new vault, open, and a session in it. */
int sessions_setup(void **state);
int sessions_teardown(void **state);
/* Another client, with an empty database, begins to write. */
void sessions_next(struct scene *s);
/* Store @len bytes that follow from @seed as one chunk. */
struct id sessions_put(struct scene *s, uint64_t seed, size_t len);
/* Read them back: return what chunk_read() does; other bytes fail the test. */
int sessions_reads(struct scene *s, const struct id *id, uint64_t seed,
		   size_t len);
/* Make a point of nothing but its name. */
int sessions_commit(struct scene *s);
size_t sessions_npoints(struct scene *s); /* none of them damaged */
size_t sessions_nobjects(struct scene *s, const char *prefix);
const char *sessions_first_object(struct scene *s, const char *prefix);
/* All that is in the vault was stored days ago. */
void sessions_age(struct scene *s);
/* Put a box of the vault under @name, with JSON @text in it. */
void sessions_put_text(struct scene *s, uint8_t type, const char *name,
		       const char *text);
/* Say that a point was removed, in "purge/<point>-<n>", as somebody wished. */
void sessions_put_removal(struct scene *s, const char *name);
struct writer_stats sessions_stats(struct scene *s);

#endif
