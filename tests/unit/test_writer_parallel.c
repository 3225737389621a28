/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What writers do at once: several uploads, and sessions that share a
 * database. */
#include "config.h"

#include "tests/unit/sessions.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/catalog/catalog.h"
#include "store/format.h"
#include "store/vault.h"
#include "store/writer/writer.h"

#define UPLOADS 4
#define PIECE (1u << 20)

/* Four packs are on their way at once, where each of them waits for its answer;
 * and all of them are named and can be read in the end. */
static void packs_go_up_together(void **state)
{
	struct scene *s = *state;
	/* A little more than packs of this many, so that all of them are full. */
	const uint64_t n = UPLOADS * (FORMAT_PACK_TARGET / PIECE) + 1;
	struct id ids[UPLOADS * (FORMAT_PACK_TARGET / PIECE) + 1];
	uint64_t i;

	backend_mem_set_patience(s->backend, INT64_MAX / 2, NULL);
	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "pack/", 1, 0,
			 BACKEND_MEM_HANGS | BACKEND_MEM_STICKY);
	for (i = 0; i < n; i++)
		ids[i] = sessions_put(s, i, PIECE);
	while (backend_mem_hanging(s->backend) < UPLOADS)
		sched_yield();
	assert_int_equal(sessions_nobjects(s, "pack/"), 0);
	backend_mem_release_hanging(s->backend);
	assert_ok(sessions_commit(s));
	assert_in_range(sessions_nobjects(s, "pack/"), UPLOADS, UPLOADS + 1);
	assert_int_equal(sessions_nobjects(s, "index/"), 1);
	sessions_next(s);
	for (i = 0; i < n; i++)
		assert_ok(sessions_reads(s, &ids[i], i, PIECE));
}

/* Another process on this machine, which shares the database. */
struct neighbour {
	struct scene scene;
	unsigned int page; /* of the listing that it works beside */
	bool busy;
};

static int work_beside(void *arg, enum backend_mem_op op, const char *name)
{
	struct neighbour *n = arg;

	if (op != BACKEND_MEM_LIST || strcmp(name, "index/") != 0 || n->busy ||
	    --n->page > 0)
		return 0;
	n->busy = true;
	assert_ok(writer_begin(n->scene.vault, 1, n->scene.pool,
			       &n->scene.writer));
	sessions_put(&n->scene, 1000, 3000);
	assert_ok(sessions_commit(&n->scene));
	return 0;
}

/*
 * A process lists the index objects. Between its first page and its last one a
 * neighbour puts one that the listing has passed already, and imports it into
 * the database that both have. That object is not gone: it came too late.
 */
static void what_came_during_a_listing_stays(void **state)
{
	struct backend_mem_weather w = { .page_names = 1 };
	struct scene *s = *state;
	struct neighbour n = { .scene = *s };
	unsigned int i;

	for (i = 0; i < 12; i++) {
		sessions_put(s, i, 3000);
		assert_ok(sessions_commit(s));
		s->options.cache_dir = support_tmpdir();
		sessions_next(s);
	}
	assert_int_equal(sessions_nobjects(s, "index/"), 12);
	assert_ok(vault_open(&s->options, &n.scene.vault));
	backend_mem_set_weather(s->backend, &w);
	n.page = 12; /* the last, behind nearly all names */
	backend_mem_watch(s->backend, work_beside, &n);
	assert_ok(vault_refresh(s->vault));
	backend_mem_watch(s->backend, NULL, NULL);
	assert_true(n.busy);
	for (i = 0; i < backend_mem_nobjects(s->backend); i++) {
		const char *name = backend_mem_name(s->backend, i);

		if (strncmp(name, "index/", 6) == 0)
			assert_int_equal(
				catalog_has_source(vault_catalog(n.scene.vault),
						   name),
				1);
	}
	writer_free(n.scene.writer);
	vault_close(n.scene.vault);
}

#define CASE(fn)                                                               \
	cmocka_unit_test_setup_teardown(fn, sessions_setup, sessions_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(packs_go_up_together),
		CASE(what_came_during_a_listing_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
