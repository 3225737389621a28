/* SPDX-License-Identifier: GPL-3.0-or-later */
/* However many backups there are, few index objects are in use. */
#include "config.h"

#include "tests/unit/sessions.h"

#include <errno.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/catalog/catalog.h"
#include "store/format.h"
#include "store/index.h"
#include "store/point.h"
#include "store/vault.h"
#include "store/writer/writer.h"

#define SESSIONS 140

static int count_index(void *arg, const char *source)
{
	*(size_t *)arg += strncmp(source, "index/", 6) == 0;
	return 0;
}

/* Those that this client holds to be in use. */
static size_t in_use(struct scene *s)
{
	size_t n = 0;

	assert_ok(catalog_sources(vault_catalog(s->vault), count_index, &n));
	return n;
}

static const char *find_merged(struct scene *s, size_t nth)
{
	size_t i;

	for (i = 0; i < backend_mem_nobjects(s->backend); i++) {
		const char *name = backend_mem_name(s->backend, i);

		if (strncmp(name, "index/", 6) == 0 && strstr(name, ".m") &&
		    nth-- == 0)
			return name;
	}
	return NULL;
}

struct search {
	const char *pack;
	bool found;
};

static int is_searched(void *arg, const struct index_pack *p)
{
	struct search *search = arg;

	search->found |= strcmp(p->name, search->pack) == 0;
	return 0;
}

/* Does the index object name the pack? */
static bool names_pack(struct scene *s, const char *name, const char *pack)
{
	struct search search = { .pack = pack };
	const struct index_visitor visitor = { .pack = is_searched,
					       .arg = &search };

	assert_ok(index_read(s->vault, name, &visitor));
	return search.found;
}

static void reopen(struct scene *s)
{
	writer_free(s->writer);
	s->writer = NULL;
	vault_close(s->vault);
	assert_ok(vault_open(&s->options, &s->vault));
	assert_ok(writer_begin(s->vault, 1, s->pool, &s->writer));
}

/* Every chunk can be read. Return how many points may be relied on. */
static size_t read_all(struct scene *s, const struct id ids[SESSIONS])
{
	struct point_list *l;
	size_t i, n = 0;

	for (i = 0; i < SESSIONS; i++)
		assert_ok(sessions_reads(s, &ids[i], i, 1000));
	assert_ok(vault_points(s->vault, &l));
	assert_int_equal(l->n, SESSIONS);
	for (i = 0; i < l->n; i++) {
		int r = writer_rely_on(s->writer, l->points[i]);

		assert_in_range(r, 0, 1);
		n += (size_t)r;
	}
	point_list_put(l);
	return n;
}

static void few_are_in_use(void **state)
{
	struct scene *s = *state;
	struct id ids[SESSIONS];
	struct backend_mem_counts counts;
	size_t i, len;

	s->options.cache_dir = support_tmpdir_fast();
	reopen(s);
	for (i = 0; i < SESSIONS; i++) {
		ids[i] = sessions_put(s, i, 1000);
		assert_ok(sessions_commit(s));
		assert_in_range(in_use(s), 1, 65);
		writer_free(s->writer);
		assert_ok(writer_begin(s->vault, 1, s->pool, &s->writer));
	}
	/* Nothing goes: to delete is for collections. */
	assert_int_equal(sessions_nobjects(s, "index/"), SESSIONS + 2);
	assert_int_equal(read_all(s, ids), SESSIONS);
	/* A new client reads what is in use, and both merged ones at most. */
	s->options.cache_dir = NULL;
	backend_mem_reset_counts(s->backend);
	sessions_next(s);
	backend_mem_get_counts(s->backend, "index", &counts);
	assert_in_range(counts.calls[BACKEND_MEM_GET], 1, 2 * 66);
	assert_in_range(in_use(s), 1, 65);
	assert_int_equal(read_all(s, ids), SESSIONS);
	/* What was superseded may go. */
	for (i = 0; i < backend_mem_nobjects(s->backend);) {
		const char *name = backend_mem_name(s->backend, i);

		if (strncmp(name, "index/", 6) == 0 && !strstr(name, ".m") &&
		    catalog_has_source(vault_catalog(s->vault), name) == 0)
			assert_ok(backend_mem_remove(s->backend, name));
		else
			i++;
	}
	assert_in_range(sessions_nobjects(s, "index/"), 1, 66);
	sessions_next(s);
	assert_int_equal(read_all(s, ids), SESSIONS);
	/* One that is damaged hides nothing: packs are asked themselves. */
	for (i = 0; i < 2; i++) {
		uint8_t *data =
			backend_mem_data(s->backend, find_merged(s, i), &len);

		data[len / 2] ^= 1;
	}
	sessions_next(s);
	assert_said("could not be read");
	/* Only what was not merged yet is relied on. */
	assert_in_range(read_all(s, ids), 0, SESSIONS - 128);
}

/* An index object of some key holder's that is not well-formed to its end stays as it
 * is, and none of what it says goes into a merged one. */
static void a_malformed_one_is_not_merged(void **state)
{
	static const char name[] = "index/00000000000000000000000000000000-0";
	static const uint8_t salt[CRYPT_SALT_LEN];
	struct scene *s = *state;
	AUTO_BUF struct buf plain = BUF_INIT, box = BUF_INIT, dir = BUF_INIT;
	const struct pack_dir none = { .nframes = 0 };
	char pack[PACK_NAME_MAX];
	size_t i;

	format_put_dir(&dir, &none);
	snprintf(pack, sizeof(pack), "%032d-0-%064d", 0, 7);
	buf_put_varint(&plain, 1);
	index_put_pack(&plain, pack, 1000, OBJECT_DATA_PACK, 0, salt, dir.data,
		       dir.len);
	buf_put_varint(&plain, 9); /* names, of which none follows */
	assert_ok(format_seal_box(vault_keyring(s->vault), NULL, NULL,
				  vault_seam(s->vault), OBJECT_INDEX, name,
				  NULL, 0, plain.data, plain.len, &box));
	for (i = 0; i < 65; i++) {
		sessions_put(s, i, 1000);
		/* As if it had been read while it was whole. */
		if (i == 60) {
			assert_ok(backend_mem_set(s->backend, name, box.data,
						  box.len));
			assert_ok(catalog_import(vault_catalog(s->vault), name,
						 NULL, 0));
		}
		assert_ok(sessions_commit(s));
		writer_free(s->writer);
		assert_ok(writer_begin(s->vault, 1, s->pool, &s->writer));
	}
	assert_non_null(find_merged(s, 0));
	assert_int_equal(catalog_has_source(vault_catalog(s->vault), name), 1);
	assert_false(names_pack(s, find_merged(s, 0), pack));
}

/* A backup whose point is made does not fail because its merge does. */
static void a_merge_that_fails(void **state)
{
	struct scene *s = *state;
	size_t i;

	for (i = 0; i < 65; i++) {
		sessions_put(s, i, 1000);
		if (i == 64)
			backend_mem_fail(s->backend, BACKEND_MEM_PUT, "index/",
					 2, -ENOSPC, BACKEND_MEM_STICKY);
		assert_ok(sessions_commit(s));
		writer_free(s->writer);
		s->writer = NULL;
		assert_ok(writer_begin(s->vault, 1, s->pool, &s->writer));
	}
	assert_said("could not be merged");
	assert_null(find_merged(s, 0));
	backend_mem_heal(s->backend);
	sessions_put(s, i, 1000);
	assert_ok(sessions_commit(s));
	assert_non_null(find_merged(s, 0));
	assert_int_equal(in_use(s), 1);
	assert_int_equal(sessions_npoints(s), 66);
}

#define CASE(fn)                                                               \
	cmocka_unit_test_setup_teardown(fn, sessions_setup, sessions_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(few_are_in_use),
		CASE(a_malformed_one_is_not_merged),
		CASE(a_merge_that_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
