/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Beside a collection, and with packs that were found damaged, a session refers
 * to all that is not named, and to nothing that is. */
#include "config.h"

#include "tests/unit/sessions.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/catalog/catalog.h"
#include "store/format.h"
#include "store/point.h"
#include "store/record/pack_list.h"
#include "store/record/quarantine.h"
#include "store/vault.h"
#include "store/writer/condemned.h"
#include "store/writer/writer.h"

#define TOMB "tomb/0123456789abcdef0123456789abcdef"
#define SWEEP "sweep/0123456789abcdef0123456789abcdef"

/* Two sessions, each with one pack of one chunk. */
struct two {
	struct scene *scene;
	struct id ids[2];
	char packs[2][OBJECT_NAME_MAX]; /* objects */
};

static struct two make_two(struct scene *s)
{
	struct two t = { .scene = s };
	size_t i, j;

	for (i = 0; i < 2; i++) {
		char sid[33];

		t.ids[i] = sessions_put(s, i, 5000);
		snprintf(sid, sizeof(sid), "%s", writer_session(s->writer));
		assert_ok(sessions_commit(s));
		for (j = 0; j < backend_mem_nobjects(s->backend); j++) {
			const char *name = backend_mem_name(s->backend, j);

			if (strncmp(name, "pack/", 5) == 0 && strstr(name, sid))
				snprintf(t.packs[i], OBJECT_NAME_MAX, "%s",
					 name);
		}
		assert_true(t.packs[i][0]);
		sessions_next(s);
	}
	support_log_clear();
	return t;
}

static const char *leaf(const char *object)
{
	return strrchr(object, '/') + 1;
}

static void put_box(struct scene *s, uint8_t type, const char *name,
		    const struct buf *plain)
{
	AUTO_BUF struct buf box = BUF_INIT;

	assert_ok(format_seal_box(vault_keyring(s->vault), NULL, NULL,
				  vault_seam(s->vault), type, name, NULL, 0,
				  plain->data, plain->len, &box));
	assert_ok(backend_mem_set(s->backend, name, box.data, box.len));
}

/* A tomb, or a sweep, of the first pack. */
static void condemn(struct two *t, uint8_t type)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	struct pack_list l = { .n = 0 };

	assert_ok(pack_list_add(&l, leaf(t->packs[0])));
	if (type == OBJECT_TOMB)
		tomb_encode(&l, &plain);
	else
		sweep_encode(&l, &plain);
	put_box(t->scene, type, type == OBJECT_TOMB ? TOMB : SWEEP, &plain);
	pack_list_release(&l);
}

static bool has(struct two *t, size_t i)
{
	int r = writer_has_chunk(t->scene->writer, CHUNK_DATA, &t->ids[i],
				 5000);

	assert_in_range(r, 0, 1);
	return r == 1;
}

/* Whether the point of session @i may be taken over unseen. */
static bool relies(struct two *t, size_t i)
{
	struct point_list *l;
	size_t j;
	int r = -ENOENT;

	assert_ok(vault_points(t->scene->vault, &l));
	for (j = 0; j < l->n; j++)
		if (strncmp(l->points[j]->session, leaf(t->packs[i]), 32) == 0)
			r = writer_rely_on(t->scene->writer, l->points[j]);
	point_list_put(l);
	assert_in_range(r, 0, 1);
	return r == 1;
}

static void a_tomb_names_what_it_condemns(void **state)
{
	struct two t = make_two(*state);

	condemn(&t, OBJECT_TOMB);
	sessions_next(t.scene);
	assert_false(has(&t, 0));
	assert_true(has(&t, 1));
	/* A point that was not purged is whole until this session ends. */
	assert_true(relies(&t, 0));
	assert_true(relies(&t, 1));
	sessions_put(t.scene, 0, 5000);
	sessions_put(t.scene, 1, 5000);
	assert_int_equal(sessions_stats(t.scene).chunks_new, 1);
	assert_ok(sessions_commit(t.scene));
	/* Its work is done, or it was given up. */
	assert_ok(backend_mem_remove(t.scene->backend, TOMB));
	sessions_next(t.scene);
	assert_true(has(&t, 0));
	assert_string_equal(support_log_text(), "");
}

/* It goes between the listing and the look at it: as if it had not been. */
static int take_tomb(void *arg, enum backend_mem_op op, const char *name)
{
	if (op == BACKEND_MEM_GET && strncmp(name, "tomb/", 5) == 0)
		(void)backend_mem_remove(arg, name);
	return 0;
}

static void a_tomb_that_goes(void **state)
{
	struct two t = make_two(*state);

	condemn(&t, OBJECT_TOMB);
	backend_mem_watch(t.scene->backend, take_tomb, t.scene->backend);
	sessions_next(t.scene);
	backend_mem_watch(t.scene->backend, NULL, NULL);
	assert_int_equal(sessions_nobjects(t.scene, "tomb/"), 0);
	assert_true(has(&t, 0));
}

static void what_cannot_be_read_condemns_all(void **state)
{
	static const char *const names[] = { TOMB, SWEEP, TOMB "-1" };
	struct two t = make_two(*state);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		assert_ok(backend_mem_set(t.scene->backend, names[i], "x", 1));
		support_log_clear();
		sessions_next(t.scene);
		assert_said("cannot be read");
		assert_false(has(&t, 0));
		assert_false(has(&t, 1));
		assert_true(relies(&t, 1));
		assert_ok(backend_mem_remove(t.scene->backend, names[i]));
	}
	condemn(&t, OBJECT_TOMB);
	backend_mem_fail(t.scene->backend, BACKEND_MEM_GET, "tomb/", 1, -EIO,
			 BACKEND_MEM_STICKY);
	sessions_next(t.scene);
	assert_false(has(&t, 1));
	backend_mem_heal(t.scene->backend);
	sessions_next(t.scene);
	assert_true(has(&t, 1));
}

/* Nor may a store that is away for a moment turn a backup into a full one. */
static void an_error_of_the_way_condemns_nothing(void **state)
{
	static const char *const folders[] = { "tomb/", "sweep/",
					       "quarantine/" };
	struct two t = make_two(*state);
	struct scene *s = t.scene;
	char name[OBJECT_NAME_MAX];
	size_t i;

	condemn(&t, OBJECT_TOMB);
	condemn(&t, OBJECT_SWEEP);
	quarantine_name(leaf(t.packs[1]), 0, name);
	sessions_put_text(s, OBJECT_QUARANTINE, name, "{}");
	for (i = 0; i < ARRAY_SIZE(folders); i++) {
		writer_free(s->writer);
		s->writer = NULL;
		vault_close(s->vault);
		assert_ok(vault_open(&s->options, &s->vault));
		backend_mem_fail(s->backend, BACKEND_MEM_GET, folders[i], 1,
				 -EHOSTUNREACH, BACKEND_MEM_STICKY);
		assert_result(writer_begin(s->vault, 1, s->pool, &s->writer),
			      -EHOSTUNREACH);
		backend_mem_heal(s->backend);
	}
	assert_ok(writer_begin(s->vault, 1, s->pool, &s->writer));
}

/* What somebody left there is no object, and what has no seal says nothing. */
static void strays_condemn_nothing(void **state)
{
	struct two t = make_two(*state);
	struct backend *b = t.scene->backend;
	char name[OBJECT_NAME_MAX];

	assert_ok(backend_mem_set(b, "tomb/readme", "x", 1));
	assert_ok(backend_mem_set(b, "sweep/x", "x", 1));
	quarantine_name(leaf(t.packs[0]), 0, name);
	assert_ok(backend_mem_set(b, name, "x", 1));
	sessions_next(t.scene);
	assert_said("tomb/readme is no object");
	assert_said("sweep/x is no object");
	assert_true(has(&t, 0));
	assert_true(has(&t, 1));
	assert_true(relies(&t, 0));
	/* That it cannot be read does not say that it is nothing. */
	backend_mem_fail(b, BACKEND_MEM_GET, name, 1, -EIO, BACKEND_MEM_STICKY);
	sessions_next(t.scene);
	assert_false(has(&t, 0));
	backend_mem_heal(b);
}

/* A row of the local database that rotted is none. */
static void the_database_is_asked_for_proof(void **state)
{
	struct two t = make_two(*state);
	struct catalog *catalog;

	condemn(&t, OBJECT_SWEEP);
	sessions_next(t.scene);
	assert_false(has(&t, 0));
	catalog = vault_catalog(t.scene->vault);
	assert_ok(catalog_put_object(catalog, SWEEP, "rotten", 6));
	writer_free(t.scene->writer);
	t.scene->writer = NULL;
	support_log_clear();
	assert_ok(writer_begin(t.scene->vault, 1, t.scene->pool,
			       &t.scene->writer));
	assert_string_equal(support_log_text(), "");
	assert_false(has(&t, 0));
	assert_true(has(&t, 1));
	/* And it is fetched once. */
	writer_free(t.scene->writer);
	t.scene->writer = NULL;
	backend_mem_fail(t.scene->backend, BACKEND_MEM_GET, SWEEP, 1, -EIO, 0);
	assert_ok(writer_begin(t.scene->vault, 1, t.scene->pool,
			       &t.scene->writer));
	assert_false(has(&t, 0));
	assert_true(has(&t, 1));
}

/* An older index object goes on naming what was deleted. That is no damage, and
 * where the name comes back nobody uses it. */
static void what_was_swept_is_not_missed(void **state)
{
	struct two t = make_two(*state);
	AUTO_BUF struct buf aborted = BUF_INIT;
	AUTO_BUF struct buf pack = BUF_INIT;
	struct backend *b = t.scene->backend;
	char index[OBJECT_NAME_MAX];
	size_t len;
	uint8_t *data;

	sweep_encode(NULL, &aborted);
	put_box(t.scene, OBJECT_SWEEP, SWEEP "-1", &aborted);
	sessions_next(t.scene);
	assert_true(has(&t, 0));
	condemn(&t, OBJECT_SWEEP);
	data = backend_mem_data(b, t.packs[0], &len);
	buf_put(&pack, data, len);
	assert_ok(backend_mem_remove(b, t.packs[0]));
	sessions_next(t.scene);
	assert_false(has(&t, 0));
	assert_true(has(&t, 1));
	assert_true(relies(&t, 0));
	assert_string_equal(support_log_text(), "");
	assert_ok(backend_mem_set(b, t.packs[0], pack.data, pack.len));
	sessions_next(t.scene);
	assert_false(has(&t, 0));
	/* Nor is it adopted by whoever knows no index object that names it. */
	snprintf(index, sizeof(index), "index/%.32s-0", leaf(t.packs[0]));
	assert_ok(backend_mem_remove(b, index));
	sessions_next(t.scene);
	assert_int_equal(sessions_stats(t.scene).packs_adopted, 0);
	assert_false(has(&t, 0));
}

/* The collection goes on between the reading of sweeps and the listing. */
static int delete_it(void *arg, enum backend_mem_op op, const char *name)
{
	struct two *t = arg;

	if (op != BACKEND_MEM_LIST || strcmp(name, "pack/") != 0 ||
	    !backend_mem_data(t->scene->backend, t->packs[0], &(size_t){ 0 }))
		return 0;
	condemn(t, OBJECT_SWEEP);
	assert_ok(backend_mem_remove(t->scene->backend, t->packs[0]));
	return 0;
}

static void what_goes_meanwhile_is_not_missed(void **state)
{
	struct two t = make_two(*state);

	condemn(&t, OBJECT_TOMB);
	backend_mem_watch(t.scene->backend, delete_it, &t);
	sessions_next(t.scene);
	backend_mem_watch(t.scene->backend, NULL, NULL);
	assert_int_equal(sessions_nobjects(t.scene, "sweep/"), 1);
	assert_int_equal(sessions_nobjects(t.scene, "pack/"), 1);
	assert_string_equal(support_log_text(), "");
	assert_false(has(&t, 0));
	assert_true(relies(&t, 0));
	assert_true(relies(&t, 1));
}

/* What a pack said of itself goes with it. */
static void a_pack_that_goes_says_nothing(void **state)
{
	struct two t = make_two(*state);
	struct scene *s = t.scene;
	struct catalog *c;
	size_t asked;

	writer_free(s->writer);
	s->writer = NULL;
	vault_close(s->vault);
	while (sessions_nobjects(s, "index/") > 0)
		assert_ok(backend_mem_remove(
			s->backend, sessions_first_object(s, "index/")));
	assert_ok(vault_open(&s->options, &s->vault));
	assert_ok(vault_import_packs(s->vault, &asked));
	c = vault_catalog(s->vault);
	assert_int_equal(catalog_has_source(c, t.packs[0]), 1);
	assert_int_equal(catalog_has_source(c, t.packs[1]), 1);
	assert_ok(backend_mem_remove(s->backend, t.packs[0]));
	assert_ok(writer_begin(s->vault, 1, s->pool, &s->writer));
	assert_int_equal(catalog_has_source(c, t.packs[0]), 0);
	assert_false(has(&t, 0));
}

static void move_indexes(struct scene *s, const char *from, const char *to)
{
	char name[OBJECT_NAME_MAX];

	while (sessions_nobjects(s, from) > 0) {
		const char *first = sessions_first_object(s, from);

		snprintf(name, sizeof(name), "%s%s", to,
			 strchr(first, '/') + 1);
		assert_ok(backend_mem_rename(s->backend, first, name));
	}
}

/* It is forgotten by whoever only reads, too: when it is gone, and when an index
 * object names it. */
static void what_packs_said_is_not_kept(void **state)
{
	struct two t = make_two(*state);
	struct scene *s = t.scene;
	struct catalog *c;
	size_t asked;

	writer_free(s->writer);
	s->writer = NULL;
	vault_close(s->vault);
	move_indexes(s, "index/", "probe/");
	assert_ok(vault_open(&s->options, &s->vault));
	assert_ok(vault_refresh(s->vault));
	assert_ok(vault_import_packs(s->vault, &asked));
	c = vault_catalog(s->vault);
	assert_int_equal(catalog_has_source(c, t.packs[0]), 1);
	assert_int_equal(catalog_has_source(c, t.packs[1]), 1);
	move_indexes(s, "probe/", "index/");
	assert_ok(vault_refresh(s->vault));
	assert_int_equal(catalog_has_source(c, t.packs[0]), 0);
	assert_int_equal(catalog_has_source(c, t.packs[1]), 0);
	move_indexes(s, "index/", "probe/");
	assert_ok(vault_refresh(s->vault));
	assert_ok(vault_import_packs(s->vault, &asked));
	assert_int_equal(asked, 2);
	assert_ok(backend_mem_remove(s->backend, t.packs[0]));
	assert_ok(vault_import_packs(s->vault, &asked));
	assert_int_equal(catalog_has_source(c, t.packs[0]), 0);
	assert_int_equal(catalog_has_source(c, t.packs[1]), 1);
	/* What somebody began to drop goes wholly. */
	assert_ok(catalog_import(c, CATALOG_GONE "index/x", NULL, 0));
	assert_ok(vault_refresh(s->vault));
	assert_int_equal(catalog_has_source(c, CATALOG_GONE "index/x"), 0);
}

static void a_pack_in_quarantine(void **state)
{
	struct two t = make_two(*state);
	char name[OBJECT_NAME_MAX];

	snprintf(name, sizeof(name), "quarantine/%s", leaf(t.packs[0]));
	sessions_put_text(t.scene, OBJECT_QUARANTINE, name, "{}");
	assert_ok(backend_mem_set(t.scene->backend, "quarantine/x", "x", 1));
	support_log_clear();
	sessions_next(t.scene);
	/* The check that found it said so, and no backup does again. */
	assert_null(strstr(support_log_text(), leaf(t.packs[0])));
	assert_false(has(&t, 0));
	assert_true(has(&t, 1));
	assert_false(relies(&t, 0));
	assert_true(relies(&t, 1));
	sessions_put(t.scene, 0, 5000);
	assert_int_equal(sessions_stats(t.scene).chunks_new, 1);
	assert_ok(sessions_commit(t.scene));
	sessions_next(t.scene);
	assert_true(has(&t, 0));
}

static void set_text(struct two *t, uint32_t n, const char *text)
{
	char name[OBJECT_NAME_MAX];

	quarantine_name(leaf(t->packs[0]), n, name);
	(void)!backend_mem_remove(t->scene->backend, name);
	sessions_put_text(t->scene, OBJECT_QUARANTINE, name, text);
	sessions_next(t->scene);
}

static void a_pack_let_out_of_quarantine(void **state)
{
	struct two t = make_two(*state);
	char name[OBJECT_NAME_MAX];

	set_text(&t, 0, "{\"time_ns\":1}");
	assert_false(has(&t, 0));
	/* Whoever lets it out has the vault's key, and says what is meant. */
	quarantine_name(leaf(t.packs[0]), 1, name);
	assert_ok(backend_mem_set(t.scene->backend, name, "x", 1));
	sessions_next(t.scene);
	assert_false(has(&t, 0));
	set_text(&t, 1, "no JSON");
	assert_false(has(&t, 0));
	set_text(&t, 1, "{\"time_ns\":2}");
	assert_true(has(&t, 0));
	assert_true(relies(&t, 0));
	/* The last one counts, whatever is listed first. */
	set_text(&t, 2, "{\"time_ns\":3}");
	assert_false(has(&t, 0));
	set_text(&t, 13, "{\"time_ns\":4}");
	assert_true(has(&t, 0));
	set_text(&t, 100, "{\"time_ns\":5}");
	assert_false(has(&t, 0));
	/* Garbage takes no number's place. */
	set_text(&t, 101, "{\"time_ns\":5}");
	set_text(&t, 102, "no JSON");
	assert_true(has(&t, 0));
	set_text(&t, 104, "{\"time_ns\":6}");
	set_text(&t, 105, "no JSON");
	assert_false(has(&t, 0));
	assert_false(relies(&t, 0));
	assert_true(has(&t, 1));
}

#define SWEEPS 4
#define IN_EACH 50000

/* All that was ever deleted is known to each backup, so that it takes little memory. */
static void what_was_swept_takes_little_memory(void **state)
{
	struct scene *s = *state;
	struct condemned c = { .all = false };
	char name[PACK_NAME_MAX];
	size_t i, j, before, after;

	for (i = 0; i < SWEEPS; i++) {
		AUTO_BUF struct buf plain = BUF_INIT;
		struct pack_list l = { .n = 0 };
		char object[OBJECT_NAME_MAX];

		for (j = 0; j < IN_EACH; j++) {
			snprintf(name, sizeof(name), "%032zx-0-%064zx", i, j);
			assert_ok(pack_list_add(&l, name));
		}
		sweep_encode(&l, &plain);
		snprintf(object, sizeof(object), "sweep/%032zx", i);
		put_box(s, OBJECT_SWEEP, object, &plain);
		pack_list_release(&l);
	}
	before = mallinfo2().uordblks + mallinfo2().hblkhd;
	assert_ok(condemned_read(s->vault, &c));
	after = mallinfo2().uordblks + mallinfo2().hblkhd;
	assert_false(c.all);
	assert_true(condemned_has(&c, name));
	name[2] = '1';
	assert_false(condemned_has(&c, name));
	/* 1.6 MB, and room to grow; what the database keeps in memory is some. */
	assert_in_range(after - MIN(before, after), 0, 10000000);
	condemned_release(&c);
}

#define CASE(fn)                                                               \
	cmocka_unit_test_setup_teardown(fn, sessions_setup, sessions_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_tomb_names_what_it_condemns),
		CASE(a_tomb_that_goes),
		CASE(what_cannot_be_read_condemns_all),
		CASE(an_error_of_the_way_condemns_nothing),
		CASE(strays_condemn_nothing),
		CASE(the_database_is_asked_for_proof),
		CASE(what_was_swept_is_not_missed),
		CASE(what_goes_meanwhile_is_not_missed),
		CASE(a_pack_that_goes_says_nothing),
		CASE(what_packs_said_is_not_kept),
		CASE(what_was_swept_takes_little_memory),
		CASE(a_pack_in_quarantine),
		CASE(a_pack_let_out_of_quarantine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
