/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever chunks are like, what a session writes is within the bounds that
 * readers have: or nobody could write to the vault again. */
#include "config.h"

#include "tests/unit/seam_fault.h"
#include "tests/unit/sessions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/base/bytes.h"
#include "store/format.h"
#include "store/index.h"
#include "store/vault.h"
#include "store/writer/bundle.h"
#include "store/writer/writer.h"

/* More than one index object holds. */
#define CHUNKS 120000

/* What the index objects of a vault say. */
struct census {
	size_t objects, packs, chunks; /* of all */
	size_t largest, longest_dir; /* bytes of plaintext */
	size_t most_chunks; /* in one object */
	size_t here; /* in the one in hand */
};

static int count_pack(void *arg, const struct index_pack *p)
{
	struct census *c = arg;
	struct pack_dir dir;

	assert_ok(format_get_dir(p->dir, p->dir_len, p->name, false, &dir));
	c->packs++;
	c->here += dir.nchunks;
	c->longest_dir = MAX(c->longest_dir, p->dir_len);
	format_release_dir(&dir);
	return 0;
}

static struct census take_census(struct scene *s)
{
	struct census c = { 0 };
	size_t i, len;

	for (i = 0; i < backend_mem_nobjects(s->backend); i++) {
		const char *name = backend_mem_name(s->backend, i);
		AUTO_BUF struct buf plain = BUF_INIT;
		const uint8_t *data;

		if (strncmp(name, "index/", 6) != 0)
			continue;
		data = backend_mem_data(s->backend, name, &len);
		assert_ok(format_read_box(vault_keyring(s->vault), data, len,
					  OBJECT_INDEX, name, &plain));
		c.here = 0;
		assert_ok(index_decode(plain.data, plain.len, name, count_pack,
				       NULL, &c));
		c.objects++;
		c.chunks += c.here;
		c.most_chunks = MAX(c.most_chunks, c.here);
		c.largest = MAX(c.largest, plain.len);
	}
	return c;
}

/* Tiny chunks that share frames, as the small files of a tree do. */
static void put_many(struct scene *s, uint32_t first, uint32_t n)
{
	struct bundle *b = bundle_new(s->writer);
	uint8_t data[5] = "";
	struct id id;
	uint32_t i;

	assert_non_null(b);
	for (i = first; i < first + n; i++) {
		put_le32(data, i);
		assert_ok(bundle_add(b, CHUNK_DATA, data, sizeof(data), &id));
	}
	assert_ok(bundle_flush(b));
	bundle_free(b);
}

static void assert_bounded(const struct census *c)
{
	assert_in_range(c->objects, 2, 20);
	assert_in_range(c->largest, 1, FORMAT_INDEX_TARGET);
	/* The last pack of an object, and the last frame of a pack, may go
	 * over. */
	assert_in_range(c->most_chunks, 1, 50000 + 30000);
	assert_in_range(c->longest_dir, 1,
			FORMAT_DIR_TARGET + 4096 * FORMAT_DIR_CHUNK_MAX);
}

static void many_tiny_chunks(void **state)
{
	struct scene *s = *state;
	struct census c;

	put_many(s, 0, CHUNKS);
	assert_ok(sessions_commit(s));
	c = take_census(s);
	assert_int_equal(c.chunks, CHUNKS);
	assert_bounded(&c);
	sessions_next(s);
	put_many(s, 0, CHUNKS);
	assert_int_equal(sessions_stats(s).chunks_new, 0);
	assert_ok(sessions_commit(s));
}

/* Chunks in frames of their own, which take more of a directory. */
static void many_tiny_frames(void **state)
{
	struct scene *s = *state;
	uint8_t data[5] = "";
	struct census c;
	struct id id;
	uint32_t i;

	for (i = 0; i < 40000; i++) {
		put_le32(data, i);
		assert_ok(writer_chunk(s->writer, CHUNK_NODE, data,
				       sizeof(data), &id));
	}
	assert_ok(sessions_commit(s));
	c = take_census(s);
	assert_int_equal(c.chunks, 40000);
	assert_in_range(c.packs, 2, 10);
	assert_in_range(c.longest_dir, 1, FORMAT_DIR_TARGET);
}

/* Sessions die with as much as they could upload: whoever adopts that names it
 * in as many index objects as it takes. */
static void many_adopted(void **state)
{
	struct scene *s = *state;
	struct scene dead[3] = { *s, *s, *s };
	struct census c;
	uint32_t i;

	for (i = 1; i < 3; i++)
		assert_ok(writer_begin(s->vault, 1, s->pool, &dead[i].writer));
	s->writer = NULL;
	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "index/", 1, -EIO,
			 BACKEND_MEM_STICKY);
	for (i = 0; i < 3; i++) {
		put_many(&dead[i], i * (CHUNKS / 3), CHUNKS / 3);
		assert_result(sessions_commit(&dead[i]), -EIO);
		writer_free(dead[i].writer);
	}
	backend_mem_heal(s->backend);
	sessions_age(s);
	assert_int_equal(take_census(s).objects, 0);
	sessions_next(s);
	put_many(s, 0, CHUNKS);
	assert_int_equal(sessions_stats(s).chunks_new, 0);
	assert_ok(sessions_commit(s));
	c = take_census(s);
	assert_int_equal(c.chunks, CHUNKS);
	assert_bounded(&c);
}

/* More than a pack. */
static struct id put_pack(struct writer *w, uint64_t seed)
{
	const size_t len = 1000000;
	AUTO_FREE uint8_t *data = malloc(len);
	struct id first = { { 0 } }, id;
	uint64_t i;

	assert_non_null(data);
	for (i = 0; i < FORMAT_PACK_TARGET / len + 2; i++) {
		support_fill(seed + i, data, len);
		assert_ok(writer_chunk(w, CHUNK_DATA, data, len, &id));
		if (i == 0)
			first = id;
	}
	return first;
}

/* A session that stores little for hours, and dies, had its packs named. */
static void old_indexes_are_closed(void **state)
{
	static const int64_t minute = INT64_C(60) * 1000000000;
	static const int64_t begin = INT64_C(1000000000000000000);
	struct scene *s = *state;
	struct seam_fault f;
	struct writer *w;
	struct id id;

	seam_fault_init(&f, NULL);
	seam_fault_clock(&f, begin, 0);
	s->options.seam = &f.seam;
	sessions_next(s);
	assert_ok(writer_begin(s->vault, 1, NULL, &w));
	id = put_pack(w, 1);
	assert_int_equal(sessions_nobjects(s, "pack/"), 1);
	seam_fault_clock(&f, begin + 9 * minute, 0);
	assert_ok(writer_tick(w));
	assert_int_equal(sessions_nobjects(s, "index/"), 0);
	seam_fault_clock(&f, begin + 10 * minute, 0);
	assert_ok(writer_tick(w));
	assert_int_equal(sessions_nobjects(s, "index/"), 1);
	/* Its age counts from the first pack in it, whoever looks at it. */
	seam_fault_clock(&f, begin + 30 * minute, 0);
	(void)put_pack(w, 100);
	assert_int_equal(sessions_nobjects(s, "index/"), 1);
	seam_fault_clock(&f, begin + 40 * minute, 0);
	(void)put_pack(w, 200);
	assert_int_equal(sessions_nobjects(s, "index/"), 2);
	writer_free(w);
	sessions_next(s);
	assert_int_equal(sessions_stats(s).packs_adopted, 0);
	assert_int_equal(writer_has_chunk(s->writer, CHUNK_DATA, &id, 0), 1);
	writer_free(s->writer);
	s->writer = NULL;
	vault_close(s->vault);
	s->options.seam = NULL;
	assert_ok(vault_open(&s->options, &s->vault));
	seam_fault_release(&f);
}

#define CASE(fn)                                                               \
	cmocka_unit_test_setup_teardown(fn, sessions_setup, sessions_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(many_tiny_chunks),
		CASE(many_tiny_frames),
		CASE(many_adopted),
		CASE(old_indexes_are_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
