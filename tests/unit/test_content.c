/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Content against an oracle: a plain array of extents. Chunks are named, not
 * stored, but where bytes are read. */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/content.h"
#include "store/format.h"
#include "store/point.h"
#include "store/vault.h"
#include "store/writer/content_build.h"
#include "store/writer/writer.h"
#include "tests/unit/vaults.h"

/* Content of a file of @n bytes. */
#define REF(bytes, nbytes, n)                                                  \
	(&(struct content_ref){ .data = (bytes),                               \
				.len = (nbytes),                               \
				.size = (n),                                   \
				.type = CHUNK_DATA })

struct scene {
	struct backend *backend;
	struct vault_options options;
	struct vault *vault;
	struct writer *writer;
};

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	char id[33];

	support_log_capture();
	s->backend = backend_mem_new();
	s->options = vaults_options(NULL, s->backend, NULL, NULL);
	assert_ok(vault_create(&s->options, 0, id));
	assert_ok(vault_open(&s->options, &s->vault));
	assert_ok(writer_begin(s->vault, 1, NULL, &s->writer));
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	writer_free(s->writer);
	vault_close(s->vault);
	backend_close(s->backend);
	free(s);
	return 0;
}

/* Make what was built readable. */
static void commit(struct scene *s)
{
	struct point *p = point_new();

	p->vm = strdup("m");
	p->host = strdup("h");
	p->program = strdup("test");
	assert_ok(writer_commit(s->writer, p));
	point_free(p);
	writer_free(s->writer);
	assert_ok(writer_begin(s->vault, 1, NULL, &s->writer));
}

/* ---- the oracle ---- */

struct extents {
	struct extent *list; /* no two holes or zeros are neighbours; owned */
	size_t n;
	uint64_t size, allocated, ndata;
};

static uint64_t rng;

static uint64_t dice(uint64_t sides)
{
	rng = rng * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (rng >> 20) % sides;
}

static void add(struct extents *x, enum extent_type type, uint64_t len)
{
	struct extent *e = &x->list[x->n++];

	*e = (struct extent){ x->size, len, type, { { 0 } } };
	x->size += len;
	if (type != EXTENT_DATA)
		return;
	support_fill(rng, e->id.b, ID_LEN);
	x->allocated += len;
	x->ndata++;
}

static void make(struct extents *x, size_t n, uint64_t seed)
{
	enum extent_type type = EXTENT_DATA;

	rng = seed;
	memset(x, 0, sizeof(*x));
	x->list = alloc_array(n + 1, sizeof(*x->list));
	while (x->n < n) {
		type = type != EXTENT_DATA || dice(3) ? EXTENT_DATA
		       : dice(2)		      ? EXTENT_HOLE
						      : EXTENT_ZERO;
		add(x, type,
		    1 + dice(type == EXTENT_DATA ? FORMAT_CHUNK_MAX
						 : UINT64_C(1) << 34));
	}
}

static void build(struct scene *s, const struct extents *x, struct buf *out)
{
	struct content_builder *b = content_builder_new(s->writer);
	size_t i;

	assert_non_null(b);
	for (i = 0; i < x->n; i++) {
		struct extent e = x->list[i];

		/* In two parts, and an empty one: they are joined. */
		if (e.type != EXTENT_DATA && e.len > 1) {
			e.len = 1;
			assert_ok(content_builder_add(b, &e));
			e.len = 0;
			assert_ok(content_builder_add(b, &e));
			e.len = x->list[i].len - 1;
		}
		assert_ok(content_builder_add(b, &e));
	}
	buf_clear(out);
	assert_ok(content_builder_finish(b, out));
	content_builder_free(b);
}

struct walk {
	const struct extents *x;
	size_t i;
	uint64_t chunks;
	uint64_t nodes;
};

static void assert_extent(const struct extent *a, const struct extent *b)
{
	assert_int_equal(a->off, b->off);
	assert_int_equal(a->len, b->len);
	assert_int_equal(a->type, b->type);
	if (a->type == EXTENT_DATA)
		assert_true(id_equal(&a->id, &b->id));
}

static int on_extent(void *arg, const struct extent *e)
{
	struct walk *w = arg;

	assert_true(w->i < w->x->n);
	assert_extent(e, &w->x->list[w->i++]);
	return w->i == 100000 ? 77 : 0;
}

static int on_chunk(void *arg, uint8_t type, const struct id *id, uint64_t len)
{
	struct walk *w = arg;

	(void)id;
	(void)len;
	if (type == CHUNK_EXTENTS)
		w->nodes++;
	else
		w->chunks++;
	return 0;
}

static size_t oracle_find(const struct extents *x, uint64_t off)
{
	size_t lo = 0, hi = x->n;

	while (hi - lo > 1) {
		size_t mid = (lo + hi) / 2;

		if (x->list[mid].off <= off)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

static int oracle_seek(const struct extents *x, uint64_t off, bool hole,
		       uint64_t *out)
{
	size_t i;

	if (off >= x->size)
		return -ENXIO;
	for (i = oracle_find(x, off); i < x->n; i++) {
		if ((x->list[i].type == EXTENT_HOLE) == hole) {
			*out = off > x->list[i].off ? off : x->list[i].off;
			return 0;
		}
	}
	*out = x->size;
	return hole ? 0 : -ENXIO;
}

static void assert_found(struct scene *s, const struct extents *x,
			 const struct buf *c, uint64_t off)
{
	uint64_t want = 0, got = 0;
	struct extent e;
	int hole, r;

	assert_ok(
		content_find(s->vault, REF(c->data, c->len, x->size), off, &e));
	assert_extent(&e, &x->list[oracle_find(x, off)]);
	for (hole = 0; hole < 2; hole++) {
		r = oracle_seek(x, off, hole, &want);
		assert_result(content_seek(s->vault,
					   REF(c->data, c->len, x->size), off,
					   hole, &got),
			      r);
		if (r == 0)
			assert_int_equal(got, want);
	}
}

static void assert_reads(struct scene *s, const struct extents *x,
			 const struct buf *c)
{
	struct walk w = { .x = x };
	uint64_t at;
	size_t i;

	assert_ok(content_check(REF(c->data, c->len, x->size)));
	assert_result(content_check(REF(c->data, c->len, x->size + 1)),
		      c->data[0] == 2 ? 0 : -EBADMSG);
	assert_int_equal(content_allocated(REF(c->data, c->len, 0)),
			 x->allocated);
	assert_ok(content_walk(s->vault, REF(c->data, c->len, x->size),
			       on_extent, &w));
	assert_int_equal(w.i, x->n);
	assert_ok(content_chunks(s->vault, REF(c->data, c->len, x->size),
				 on_chunk, &w));
	assert_int_equal(w.chunks, x->ndata);
	assert_true((w.nodes > 0) == (x->n > CONTENT_INLINE_MAX));
	for (i = 0; x->size && i < 200; i++) {
		const struct extent *e = &x->list[dice(x->n)];

		assert_found(s, x, c, e->off);
		assert_found(s, x, c, e->off + e->len - 1);
		assert_found(s, x, c, dice(x->size));
	}
	assert_result(content_seek(s->vault, REF(c->data, c->len, x->size),
				   x->size, true, &at),
		      -ENXIO);
	assert_result(content_seek(s->vault, REF(c->data, c->len, x->size),
				   UINT64_MAX, false, &at),
		      -ENXIO);
}

static void built_and_found(void **state)
{
	static const size_t sizes[] = { 0,    1,    2,	  15,	16,   17,
					18,   63,   64,	  65,	1023, 1024,
					1025, 1026, 3000, 90000 };
	struct scene *s = *state;
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		AUTO_BUF struct buf c = BUF_INIT;
		struct extents x;

		make(&x, sizes[i], i);
		build(s, &x, &c);
		commit(s);
		assert_int_equal(c.data[0], sizes[i] == 0    ? 0
					    : sizes[i] <= 16 ? 1
							     : 2);
		assert_reads(s, &x, &c);
		for (len = 0; len < c.len; len++) {
			uint8_t *copy = malloc(len + 1);

			memcpy(copy, c.data, len);
			assert_result(content_check(REF(copy, len, x.size)),
				      -EBADMSG);
			(void)content_allocated(REF(copy, len, 0));
			free(copy);
		}
		free(x.list);
	}
}

/* Many levels: data extents of one byte, a million of them (in a soak). */
static void levels(void **state)
{
	struct scene *s = *state;
	size_t n = getenv("SOAK") ? 3000000 : 400000, i;
	struct content_builder *b = content_builder_new(s->writer);
	AUTO_BUF struct buf c = BUF_INIT;
	struct vault_stats before, after;
	struct extent e = { .len = 1, .type = EXTENT_DATA }, got;

	assert_non_null(b);
	for (i = 0; i < n; i++) {
		support_fill(i, e.id.b, sizeof(e.id.b));
		assert_ok(content_builder_add(b, &e));
	}
	assert_ok(content_builder_finish(b, &c));
	content_builder_free(b);
	commit(s);
	assert_true(c.data[1] >= 1);
	vault_get_stats(s->vault, &before);
	for (i = 0; i < n; i += n / 7) {
		support_fill(i, e.id.b, sizeof(e.id.b));
		assert_ok(
			content_find(s->vault, REF(c.data, c.len, n), i, &got));
		assert_int_equal(got.off, i);
		assert_true(id_equal(&got.id, &e.id));
	}
	vault_get_stats(s->vault, &after);
	assert_true(after.nodes_decoded - before.nodes_decoded <= 8 * 3);
	/* A map that covers less than the entry says. */
	support_log_clear();
	assert_result(content_find(s->vault, REF(c.data, c.len, n + 1), 0,
				   &got),
		      -EBADMSG);
	assert_said("does not cover");
}

static void a_change_in_the_middle(void **state)
{
	struct scene *s = *state;
	AUTO_BUF struct buf c = BUF_INIT;
	struct writer_stats before, after;
	struct extents x;
	size_t i;

	make(&x, 50000, 9);
	build(s, &x, &c);
	/* One extent becomes two, all behind it move. */
	memmove(&x.list[20001], &x.list[20000],
		(x.n - 20000) * sizeof(*x.list));
	x.n++;
	x.list[20000].type = x.list[20001].type = EXTENT_DATA;
	support_fill(123, x.list[20000].id.b, ID_LEN);
	writer_get_stats(s->writer, &before);
	for (i = 0; i < x.n; i++)
		if (x.list[i].type == EXTENT_DATA)
			x.list[i].len =
				MIN(x.list[i].len, (uint64_t)FORMAT_CHUNK_MAX);
	build(s, &x, &c);
	writer_get_stats(s->writer, &after);
	assert_true(after.chunks_new - before.chunks_new <= 8);
	free(x.list);
}

static void sparse_without_end(void **state)
{
	struct scene *s = *state;
	AUTO_BUF struct buf c = BUF_INIT;
	struct extents x = { .list = alloc_array(4, sizeof(*x.list)) };
	uint64_t tib = UINT64_C(1) << 40;
	uint8_t zeros[100];

	add(&x, EXTENT_HOLE, 40 * tib);
	add(&x, EXTENT_DATA, 4096);
	add(&x, EXTENT_HOLE, 24 * tib - 4096);
	build(s, &x, &c);
	assert_int_equal(x.size, 64 * tib);
	assert_reads(s, &x, &c);
	assert_int_equal(content_allocated(REF(c.data, c.len, 0)), 4096);
	memset(zeros, 1, sizeof(zeros));
	assert_ok(content_read(s->vault, REF(c.data, c.len, x.size),
			       64 * tib - sizeof(zeros), zeros, sizeof(zeros)));
	assert_int_equal(zeros[0] | zeros[99], 0);
	assert_result(content_read(s->vault, REF(c.data, c.len, x.size),
				   64 * tib - 50, zeros, 100),
		      -EBADMSG);
	assert_result(content_read(s->vault, REF(c.data, c.len, x.size),
				   UINT64_MAX, zeros, 100),
		      -EBADMSG);
	free(x.list);
}

/* Real bytes, read in pieces over every edge. */
static void bytes(void **state)
{
	struct scene *s = *state;
	struct content_builder *b = content_builder_new(s->writer);
	AUTO_BUF struct buf c = BUF_INIT;
	uint8_t *want = calloc(1, 3000000), *got = malloc(3000000);
	size_t size = 0, i;

	assert_non_null(b);
	rng = 77;
	for (i = 0; i < 40; i++) {
		struct extent e = { .type = (enum extent_type)dice(3),
				    .len = 1 + dice(i % 4 ? 3000 : 200000) };

		if (e.type == EXTENT_DATA) {
			support_fill(i, want + size, e.len);
			assert_ok(writer_chunk(s->writer, CHUNK_DATA,
					       want + size, e.len, &e.id));
		}
		assert_ok(content_builder_add(b, &e));
		size += e.len;
	}
	assert_ok(content_builder_finish(b, &c));
	content_builder_free(b);
	commit(s);
	assert_ok(
		content_read(s->vault, REF(c.data, c.len, size), 0, got, size));
	assert_memory_equal(got, want, size);
	for (i = 0; i < 500; i++) {
		uint64_t off = dice(size), len = dice(size - off + 1);

		if (i % 2)
			len = MIN(len, (uint64_t)5000);
		memset(got, 0x55, len);
		assert_ok(content_read(s->vault, REF(c.data, c.len, size), off,
				       got, len));
		assert_memory_equal(got, want + off, len);
	}
	free(want);
	free(got);
}

static void malformed(void **state)
{
	static const struct {
		const char *what;
		uint64_t size;
		uint8_t b[128];
		size_t len;
	} t[] = {
		{ "no kind", 0, { 0 }, 0 },
		{ "a kind of later", 0, { 3 }, 1 },
		{ "nothing, but a size", 1, { 0 }, 1 },
		{ "bytes behind nothing", 0, { 0, 0 }, 2 },
		{ "no extents", 0, { 1, 0 }, 2 },
		{ "an extent of nothing", 0, { 1, 1, 0, 1 }, 4 },
		{ "an unknown type", 1, { 1, 1, 1, 3 }, 4 },
		{ "longer than the file", 1, { 1, 1, 2, 1 }, 4 },
		{ "shorter than the file", 3, { 1, 1, 2, 1 }, 4 },
		{ "an id that ends", 1, { 1, 1, 1, 0, 9, 9 }, 6 },
		{ "seventeen extents",
		  17,
		  { 1, 17, 1, 1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 2,
		    1, 1,  1, 2, 1, 1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 2, 1, 1 },
		  36 },
		{ "a chunk too long",
		  (FORMAT_CHUNK_MAX + 1),
		  { 1, 1, 0x81, 0x80, 0x80, 8, 0 },
		  39 },
		{ "a map of nothing", 0, { 2, 0, 0 }, 35 },
		{ "a map too high", 9, { 2, 7, 0 }, 35 },
		{ "more allocated than the size", 9, { 2, 0, 10 }, 35 },
		{ "bytes behind a map", 9, { 2, 0, 9 }, 36 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++)
		if (content_check(REF(t[i].b, t[i].len, t[i].size)) != -EBADMSG)
			fail_msg("%s: accepted", t[i].what);
}

/* Maps that are authentic, but do not fit: their chunks are what they are. */
static void maps_that_do_not_fit(void **state)
{
	struct scene *s = *state;
	static const uint8_t hole[] = { 0, 1, 5, EXTENT_HOLE };
	uint8_t above[36] = { 1, 1, 5, 0 }, map[35] = { 2 };
	struct extent e;
	struct id id;

	assert_ok(writer_chunk(s->writer, CHUNK_EXTENTS, hole, sizeof(hole),
			       &id));
	memcpy(above + 4, id.b, ID_LEN);
	memcpy(map + 3, id.b, ID_LEN);
	assert_ok(writer_chunk(s->writer, CHUNK_EXTENTS, above, sizeof(above),
			       &id));
	commit(s);
	assert_ok(content_find(s->vault, REF(map, sizeof(map), 5), 4, &e));
	assert_int_equal(e.len, 5);
	/* Another size, another level, a level that is not there. */
	assert_result(content_find(s->vault, REF(map, sizeof(map), 6), 4, &e),
		      -EBADMSG);
	map[1] = 1;
	assert_result(content_find(s->vault, REF(map, sizeof(map), 5), 4, &e),
		      -EBADMSG);
	memcpy(map + 3, id.b, ID_LEN);
	assert_ok(content_find(s->vault, REF(map, sizeof(map), 5), 4, &e));
	map[1] = 2;
	assert_result(content_find(s->vault, REF(map, sizeof(map), 5), 4, &e),
		      -EBADMSG);
	/* A chunk that nobody has. */
	map[10] ^= 1;
	assert_result(content_find(s->vault, REF(map, sizeof(map), 5), 4, &e),
		      -EBADMSG);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(built_and_found),
		CASE(levels),
		CASE(a_change_in_the_middle),
		CASE(sparse_without_end),
		CASE(bytes),
		cmocka_unit_test(malformed),
		CASE(maps_that_do_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
