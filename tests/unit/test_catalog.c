/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The local database: what it answers. */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/catalog_fixture.h"

/* ---- what it answers ---- */

static void test_files_are_private(void **state)
{
	const char *dir = support_path("%s/deep/er", catalog_fixture_dir());
	struct catalog *c = catalog_fixture_open(dir);
	struct stat st;
	uint64_t size;

	(void)state;
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(support_path("%s/..", dir), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(support_path("%s/catalog.db", dir), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(support_path("%s/catalog.db-wal", dir), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_ok(catalog_size(c, &size));
	assert_true(size > 4096);
	catalog_close(c);
	catalog_close(NULL);
}

static void test_import_and_find(void **state)
{
	struct catalog *c = catalog_fixture_open(catalog_fixture_dir());
	uint32_t n;

	(void)state;
	assert_int_equal(catalog_has_source(c, "index/1"), 0);
	assert_int_equal(catalog_fixture_probe(c, 1), 1);
	assert_ok(catalog_fixture_import(c, "index/1", 0, 10));
	assert_ok(catalog_fixture_import(c, "index/2", 10, 11));
	assert_ok(catalog_fixture_import(c, "index/empty", 11, 11));
	assert_int_equal(catalog_has_source(c, "index/1"), 1);
	assert_int_equal(catalog_has_source(c, "index/empty"), 1);
	assert_int_equal(catalog_has_source(c, "index/"), 0);
	for (n = 0; n < 11; n++)
		assert_int_equal(catalog_fixture_probe(c, n), 0);
	assert_int_equal(catalog_fixture_probe(c, 11), 1);
	catalog_close(c);
}

static void test_chunk_in_several_packs(void **state)
{
	struct id id = catalog_fixture_chunk_id(0, CATALOG_FIXTURE_SHARED);
	struct catalog *c = catalog_fixture_open(catalog_fixture_dir());
	struct chunk_loc loc = { 0 };
	int64_t last = 0;
	int n = 0;

	(void)state;
	assert_ok(catalog_fixture_import(c, "index/1", 0, 5));
	while (catalog_find_chunk(c, &id, last, &loc) == 0) {
		assert_true(loc.pack > last);
		assert_int_equal(loc.len, 500);
		last = loc.pack;
		n++;
	}
	assert_int_equal(n, 5);
	assert_result(catalog_find_chunk(c, &id, last, &loc), -ENOENT);
	catalog_close(c);
}

static int collect_pack(void *arg, const struct pack_row *row)
{
	struct buf *b = arg;

	buf_printf(b, "%lld:%s ", (long long)row->no, row->name);
	return b->len > 500 ? -ECANCELED : 0;
}

static int collect_source(void *arg, const char *source)
{
	buf_printf(arg, "%s ", source);
	return 0;
}

static int stop_at_once(void *arg, const char *source)
{
	(void)source;
	++*(int *)arg;
	return 7;
}

static void test_lists(void **state)
{
	struct catalog *c = catalog_fixture_open(catalog_fixture_dir());
	AUTO_BUF struct buf b = BUF_INIT;
	int calls = 0;

	(void)state;
	assert_ok(catalog_packs(c, collect_pack, &b));
	assert_ok(catalog_sources(c, collect_source, &b));
	assert_int_equal(b.len, 0);
	assert_ok(catalog_fixture_import(c, "index/b", 0, 2));
	assert_ok(catalog_fixture_import(c, "index/a", 2, 3));
	assert_ok(catalog_packs(c, collect_pack, &b));
	buf_put(&b, "", 1);
	assert_string_equal(b.data,
			    "1:pack-00000000 2:pack-00000001 3:pack-00000002 ");
	buf_clear(&b);
	assert_ok(catalog_sources(c, collect_source, &b));
	buf_put(&b, "", 1);
	assert_string_equal(b.data, "index/a index/b ");
	assert_int_equal(catalog_sources(c, stop_at_once, &calls), 7);
	assert_int_equal(calls, 1);
	assert_ok(catalog_fixture_import(c, "index/c", 10, 60));
	buf_clear(&b);
	assert_result(catalog_packs(c, collect_pack, &b), -ECANCELED);
	catalog_close(c);
}

static int collect_no(void *arg, int64_t no)
{
	buf_printf(arg, "%lld ", (long long)no);
	return 0;
}

static int stop_at_no(void *arg, int64_t no)
{
	(void)arg;
	return (int)no;
}

static void assert_packs_of(struct catalog *c, const char *source,
			    const char *want)
{
	AUTO_BUF struct buf b = BUF_INIT;

	assert_ok(catalog_source_packs(c, source, collect_no, &b));
	buf_put(&b, "", 1);
	assert_string_equal(b.data, want);
}

static void assert_sources_of(struct catalog *c, int64_t no, const char *want)
{
	AUTO_BUF struct buf b = BUF_INIT;

	assert_ok(catalog_pack_sources(c, no, collect_source, &b));
	buf_put(&b, "", 1);
	assert_string_equal(b.data, want);
}

/* Which source names which pack, and the other way round. */
static void test_links(void **state)
{
	struct catalog *c = catalog_fixture_open(catalog_fixture_dir());
	AUTO_BUF struct buf b = BUF_INIT;
	int calls = 0;

	(void)state;
	assert_result(catalog_source_packs(c, "index/a", collect_no, &b),
		      -ENOENT);
	assert_ok(catalog_fixture_import(c, "index/b", 0, 2));
	assert_ok(catalog_fixture_import(c, "index/a", 1, 3));
	assert_ok(catalog_import(c, "index/none", NULL, 0));
	assert_packs_of(c, "index/a", "2 3 ");
	assert_packs_of(c, "index/b", "1 2 ");
	assert_packs_of(c, "index/none", "");
	assert_sources_of(c, 1, "index/b ");
	assert_sources_of(c, 2, "index/a index/b ");
	assert_sources_of(c, 99, "");
	assert_int_equal(catalog_source_packs(c, "index/b", stop_at_no, NULL),
			 1);
	assert_int_equal(catalog_pack_sources(c, 2, stop_at_once, &calls), 7);
	assert_ok(catalog_drop_source(c, "index/b"));
	assert_sources_of(c, 1, "");
	assert_result(catalog_source_packs(c, "index/b", collect_no, &b),
		      -ENOENT);
	catalog_close(c);
}

static void test_get_pack(void **state)
{
	AUTO_BUF struct buf want = BUF_INIT;
	AUTO_BUF struct buf got = BUF_INIT;
	struct catalog *c = catalog_fixture_open(catalog_fixture_dir());
	struct pack_row row;
	int64_t no;

	(void)state;
	assert_ok(catalog_fixture_import(c, "index/1", 0, 3));
	assert_ok(catalog_pack_no(c, "pack-00000002", &no));
	buf_put(&got, "before", 6);
	assert_ok(catalog_get_pack(c, no, &row, &got));
	buf_put(&want, "before", 6);
	catalog_fixture_make_dir(2, &want);
	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.data, want.data, want.len);
	assert_int_equal(row.no, no);
	assert_string_equal(row.name, "pack-00000002");
	assert_int_equal(row.size, 4098);
	assert_int_equal(row.kind, OBJECT_DATA_PACK);
	assert_int_equal(row.salt[0], 2);
	assert_int_equal(row.salt[CRYPT_SALT_LEN - 1], 2);
	assert_result(catalog_get_pack(c, 99, &row, &got), -ENOENT);
	assert_result(catalog_pack_no(c, "pack-", &no), -ENOENT);
	catalog_close(c);
}

static void test_import_twice(void **state)
{
	struct catalog *c = catalog_fixture_open(catalog_fixture_dir());
	int64_t no, again;

	(void)state;
	assert_ok(catalog_fixture_import(c, "index/1", 0, 2));
	assert_ok(catalog_pack_no(c, "pack-00000001", &no));
	/* A known source is not looked into again. */
	assert_ok(catalog_fixture_import(c, "index/1", 0, 5));
	assert_int_equal(catalog_fixture_probe(c, 4), 1);
	/* A known pack keeps its number. */
	assert_ok(catalog_fixture_import(c, "index/2", 1, 4));
	assert_ok(catalog_pack_no(c, "pack-00000001", &again));
	assert_int_equal(no, again);
	assert_int_equal(catalog_fixture_probe(c, 1), 0);
	assert_int_equal(catalog_fixture_probe(c, 3), 0);
	catalog_close(c);
}

static void test_drop_source(void **state)
{
	struct id shared = catalog_fixture_chunk_id(0, CATALOG_FIXTURE_SHARED);
	struct catalog *c = catalog_fixture_open(catalog_fixture_dir());
	struct chunk_loc loc;
	int64_t old, no;

	(void)state;
	assert_ok(catalog_fixture_import(c, "index/1", 0, 3));
	assert_ok(catalog_fixture_import(c, "index/2", 2, 4));
	assert_ok(catalog_pack_no(c, "pack-00000003", &old));
	assert_ok(catalog_drop_source(c, "index/1"));
	assert_int_equal(catalog_has_source(c, "index/1"), 0);
	assert_int_equal(catalog_fixture_probe(c, 0), 1);
	assert_int_equal(catalog_fixture_probe(c, 1), 1);
	assert_int_equal(catalog_fixture_probe(c, 2), 0);
	assert_int_equal(catalog_fixture_probe(c, 3), 0);
	assert_ok(catalog_find_chunk(c, &shared, 0, &loc));
	assert_ok(catalog_drop_source(c, "index/1"));
	assert_ok(catalog_drop_source(c, "index/2"));
	assert_int_equal(catalog_fixture_probe(c, 2), 1);
	assert_int_equal(catalog_fixture_probe(c, 3), 1);
	assert_result(catalog_find_chunk(c, &shared, 0, &loc), -ENOENT);
	/* A number is not handed out again. */
	assert_ok(catalog_fixture_import(c, "index/3", 3, 4));
	assert_ok(catalog_pack_no(c, "pack-00000003", &no));
	assert_true(no > old);
	catalog_close(c);
}

/* A directory of @n chunks whose ids follow from @seed, in frames of 16. */
static void make_pack(uint32_t seed, uint32_t n, struct catalog_pack *out,
		      struct buf *dir)
{
	struct chunk_ref *chunks = calloc(n, sizeof(*chunks));
	struct frame *frames = calloc(n / 16 + 1, sizeof(*frames));
	struct pack_dir d = { frames, n / 16 + 1, chunks, n };
	uint32_t i;

	assert_true(chunks && frames);
	for (i = 0; i < d.nframes; i++)
		frames[i] = (struct frame){ .plen = 65536,
					    .clen = 20000,
					    .codec = CODEC_ZSTD };
	for (i = 0; i < n; i++)
		chunks[i] = (struct chunk_ref){
			catalog_fixture_chunk_id(1000 + seed, i), 4096, i / 16,
			i % 16 * 4096, CHUNK_DATA
		};
	buf_clear(dir);
	format_put_dir(dir, &d);
	assert_ok(buf_error(dir));
	free(chunks);
	free(frames);
	memset(out, 0, sizeof(*out));
	snprintf(out->row.name, PACK_NAME_MAX, "%032u-0-%064u", seed, seed);
	out->row.size = 1 << 24;
	out->row.kind = OBJECT_DATA_PACK;
	out->dir = dir->data;
	out->dir_len = dir->len;
}

/* Whether chunk @i of pack @seed is found where make_pack() puts it. */
static bool has_chunk(struct catalog *c, uint32_t seed, uint32_t i)
{
	struct id id = catalog_fixture_chunk_id(1000 + seed, i);
	struct chunk_loc loc;
	int r = catalog_find_chunk(c, &id, 0, &loc);

	assert_true(r == 0 || r == -ENOENT);
	return r == 0 && loc.len == 4096 && loc.frame == i / 16 &&
	       loc.off == i % 16 * 4096 && loc.type == CHUNK_DATA;
}

/* A chunk costs at most 60 bytes, however the chunks came. */
static void test_size(void **state)
{
	const uint32_t packs = 60, chunks = 1000;
	const char *dir = catalog_fixture_dir();
	struct catalog *c = catalog_fixture_open(dir);
	AUTO_BUF struct buf b = BUF_INIT;
	uint64_t size;
	uint32_t i;

	(void)state;
	for (i = 0; i < packs; i++) {
		struct catalog_pack p;

		make_pack(i, chunks, &p, &b);
		assert_ok(
			catalog_import(c, support_path("index/%u", i), &p, 1));
	}
	catalog_close(c);
	c = catalog_fixture_open(dir);
	assert_ok(catalog_size(c, &size));
	assert_in_range(size, packs * chunks * 40, packs * chunks * 60);
	for (i = 0; i < packs * 10; i++)
		assert_true(has_chunk(c, i % packs, i * 97 % chunks));
	assert_false(has_chunk(c, 0, chunks));
	/* What is dropped is gone, and the rest is not. */
	for (i = 0; i < packs; i += 2)
		assert_ok(catalog_drop_source(c, support_path("index/%u", i)));
	for (i = 0; i < packs * 10; i++)
		assert_true(has_chunk(c, i % packs, i * 97 % chunks) ==
			    (i % packs % 2 == 1));
	catalog_close(c);
}

/* A large source takes several transactions; until the last, nobody takes it
 * for imported, and it is finished or dropped by whoever comes next. */
static void test_half_imported(void **state)
{
	const uint32_t chunks = 100000;
	struct catalog *c = catalog_fixture_open(catalog_fixture_dir());
	AUTO_BUF struct buf names = BUF_INIT;
	struct buf dirs[4] = { { 0 } };
	struct catalog_pack packs[4];
	size_t good;
	uint32_t i;

	(void)state;
	for (i = 0; i < 4; i++)
		make_pack(2 * i, chunks, &packs[i], &dirs[i]);
	good = packs[3].dir_len;
	packs[3].dir_len--;
	assert_result(catalog_import(c, "index/1", packs, 4), -EBADMSG);
	assert_int_equal(catalog_has_source(c, "index/1"), 0);
	assert_ok(catalog_sources(c, collect_source, &names));
	buf_put(&names, "", 1);
	assert_string_equal(names.data, CATALOG_HALF "index/1 ");
	assert_sources_of(c, 1, "index/1 ");
	assert_true(has_chunk(c, 4, chunks - 1));
	assert_false(has_chunk(c, 6, 0));
	packs[3].dir_len = good;
	assert_ok(catalog_import(c, "index/1", packs, 4));
	assert_int_equal(catalog_has_source(c, "index/1"), 1);
	buf_clear(&names);
	assert_ok(catalog_sources(c, collect_source, &names));
	buf_put(&names, "", 1);
	assert_string_equal(names.data, "index/1 ");
	assert_packs_of(c, "index/1", "1 2 3 4 ");
	for (i = 0; i < 4; i++)
		assert_true(has_chunk(c, 2 * i, 0) &&
			    has_chunk(c, 2 * i, chunks - 1));
	catalog_close(c);
	for (i = 0; i < 4; i++)
		buf_release(&dirs[i]);
}

/* The same file, behind the catalog's back. */
static sqlite3 *open_behind(const char *dir)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(support_path("%s/catalog.db", dir), &db),
			 SQLITE_OK);
	return db;
}

static void run(sqlite3 *db, const char *sql)
{
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static void assert_answers(sqlite3 *db, const char *sql, const char *want)
{
	const unsigned char *text;
	sqlite3_stmt *st;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	text = sqlite3_column_text(st, 0);
	assert_non_null(text);
	assert_string_equal((const char *)text, want);
	sqlite3_finalize(st);
}

static int64_t first_pack(struct catalog *c)
{
	int64_t no;

	assert_ok(catalog_pack_no(c, "pack-00000000", &no));
	return no;
}

/* A large source goes in several transactions, too: what the first ones did stays
 * done, and the rest has a name that nobody takes for imported. */
static void test_drop_in_slices(void **state)
{
	const uint32_t chunks = 100000;
	const char *dir = catalog_fixture_dir();
	struct catalog *c = catalog_fixture_open(dir);
	sqlite3 *db = open_behind(dir);
	struct buf dirs[4] = { { 0 } };
	struct catalog_pack packs[4];
	uint32_t i;

	(void)state;
	for (i = 0; i < 4; i++)
		make_pack(2 * i, chunks, &packs[i], &dirs[i]);
	assert_ok(catalog_import(c, "index/1", packs, 4));
	/* Here dropping ends, as it would where the process is killed. */
	run(db, "DELETE FROM packs WHERE no=4");
	assert_result(catalog_drop_source(c, "index/1"), -ENOTRECOVERABLE);
	assert_answers(db, "SELECT name FROM sources", CATALOG_GONE "index/1");
	assert_answers(db, "SELECT count(*) FROM packs", "0");
	assert_answers(db, "SELECT count(*) FROM source_packs", "1");
	sqlite3_close(db);
	catalog_close(c);
	for (i = 0; i < 4; i++)
		buf_release(&dirs[i]);
}

/* What somebody left of it is in nobody's way, and goes with the next. */
static void test_half_dropped(void **state)
{
	static const char half[] =
		"UPDATE sources SET name='" CATALOG_GONE "' || name";
	const char *dir = catalog_fixture_dir();
	struct catalog *c = catalog_fixture_open(dir);
	sqlite3 *db = open_behind(dir);

	(void)state;
	assert_ok(catalog_fixture_import(c, "index/1", 0, 3));
	run(db, half);
	assert_int_equal(catalog_has_source(c, "index/1"), 0);
	assert_ok(catalog_fixture_import(c, "index/1", 2, 4));
	assert_int_equal(catalog_has_source(c, "index/1"), 1);
	assert_ok(catalog_drop_source(c, CATALOG_GONE "index/1"));
	assert_int_equal(catalog_has_source(c, "index/1"), 1);
	assert_int_equal(catalog_fixture_probe(c, 1), 1);
	assert_int_equal(catalog_fixture_probe(c, 2), 0);
	run(db, half);
	assert_ok(catalog_fixture_import(c, "index/1", 0, 3));
	assert_ok(catalog_drop_source(c, "index/1"));
	assert_answers(db, "SELECT count(*) FROM sources", "0");
	assert_answers(db, "SELECT count(*) FROM packs", "0");
	assert_answers(db, "SELECT sum(length(data)) FROM runs", "0");
	/* A pack that goes by itself takes its numbers with it, too. */
	assert_ok(catalog_fixture_import(c, "index/2", 0, 1));
	assert_answers(db, "SELECT sum(length(data)) > 0 FROM runs", "1");
	assert_answers(db, "SELECT count(*) FROM packs", "1");
	assert_ok(catalog_drop_pack(c, first_pack(c)));
	assert_answers(db, "SELECT sum(length(data)) FROM runs", "0");
	sqlite3_close(db);
	catalog_close(c);
}

static void test_import_refuses_a_name_without_end(void **state)
{
	struct catalog *c = catalog_fixture_open(catalog_fixture_dir());
	struct catalog_pack p = { .dir = NULL };

	(void)state;
	memset(p.row.name, 'x', sizeof(p.row.name));
	assert_result(catalog_import(c, "index/1", &p, 1), -EBADMSG);
	assert_int_equal(catalog_has_source(c, "index/1"), 0);
	catalog_close(c);
}

static void test_objects(void **state)
{
	static uint8_t big[3 << 20];
	struct catalog *c = catalog_fixture_open(catalog_fixture_dir());
	AUTO_BUF struct buf b = BUF_INIT;

	(void)state;
	support_fill(1, big, sizeof(big));
	assert_result(catalog_get_object(c, "point/1", &b), -ENOENT);
	assert_ok(catalog_drop_object(c, "point/1"));
	assert_ok(catalog_put_object(c, "point/1", "abc", 3));
	assert_ok(catalog_put_object(c, "point/2", big, sizeof(big)));
	assert_ok(catalog_put_object(c, "point/3", NULL, 0));
	assert_ok(catalog_get_object(c, "point/1", &b));
	assert_ok(catalog_get_object(c, "point/2", &b));
	assert_ok(catalog_get_object(c, "point/3", &b));
	assert_int_equal(b.len, 3 + sizeof(big));
	assert_memory_equal(b.data, "abc", 3);
	assert_memory_equal(b.data + 3, big, sizeof(big));
	assert_ok(catalog_put_object(c, "point/1", "d\0f", 3));
	buf_clear(&b);
	assert_ok(catalog_get_object(c, "point/1", &b));
	assert_int_equal(b.len, 3);
	assert_memory_equal(b.data, "d\0f", 3);
	assert_ok(catalog_drop_object(c, "point/1"));
	assert_result(catalog_get_object(c, "point/1", &b), -ENOENT);
	catalog_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_files_are_private,
				       catalog_fixture_setup),
		cmocka_unit_test_setup(test_import_and_find,
				       catalog_fixture_setup),
		cmocka_unit_test_setup(test_chunk_in_several_packs,
				       catalog_fixture_setup),
		cmocka_unit_test_setup(test_lists, catalog_fixture_setup),
		cmocka_unit_test_setup(test_links, catalog_fixture_setup),
		cmocka_unit_test_setup(test_get_pack, catalog_fixture_setup),
		cmocka_unit_test_setup(test_import_twice,
				       catalog_fixture_setup),
		cmocka_unit_test_setup(test_drop_source, catalog_fixture_setup),
		cmocka_unit_test_setup(test_size, catalog_fixture_setup),
		cmocka_unit_test_setup(test_half_imported,
				       catalog_fixture_setup),
		cmocka_unit_test_setup(test_drop_in_slices,
				       catalog_fixture_setup),
		cmocka_unit_test_setup(test_half_dropped,
				       catalog_fixture_setup),
		cmocka_unit_test_setup(test_import_refuses_a_name_without_end,
				       catalog_fixture_setup),
		cmocka_unit_test_setup(test_objects, catalog_fixture_setup),
	};

	return cmocka_run_group_tests_name("catalog", tests, NULL, NULL);
}
