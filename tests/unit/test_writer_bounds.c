/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever chunks are like, what a session writes is within the bounds that
 * readers have: or nobody could write to the vault again. */
#include "config.h"

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

#define CASE(fn)                                                               \
	cmocka_unit_test_setup_teardown(fn, sessions_setup, sessions_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(many_tiny_chunks),
		CASE(many_tiny_frames),
		CASE(many_adopted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
