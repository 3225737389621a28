/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fs/guest/guest_internal.h"
#include "fs/guest/map.h"
#include "tests/unit/support.h"

#define UNIT 16 /* bytes; of the file in pieces */
#define PIECES 200000
#define SIZE (2 * UNIT * (uint64_t)PIECES + 5 * UNIT)

static uint8_t bytes[10000];
static struct guest_common common;
static const struct guest_ops fake = { .name = "fake" };
static struct guest guest = { .ops = &fake, .common = &common };

static int setup(void **state)
{
	(void)state;
	guest.memory = lru_new(24 << 20);
	assert_non_null(guest.memory);
	lru_part_init(&common.windows, guest.memory, &map_window_lru);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lru_part_release(&common.windows);
	assert_int_equal(lru_bytes(guest.memory), 0);
	lru_free(guest.memory);
	return 0;
}

static struct blocks *blocks(void)
{
	struct blocks *b;
	size_t i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 31 % 251 + 1);
	assert_int_equal(blocks_memory(bytes, sizeof(bytes), sizeof(bytes), &b),
			 0);
	return b;
}

static void test_read_and_seek(void **state)
{
	struct blocks *b = blocks();
	struct map *m = map_new(b, 950);
	struct guest_file *f;
	uint8_t want[950] = { 0 }, got[950];
	uint64_t at;
	size_t off, len;

	(void)state;
	assert_int_equal(map_add(m, 100, 100, 5000, false), 0);
	assert_int_equal(map_add(m, 200, 100, 5100, false), 0); /* joined */
	assert_int_equal(map_add(m, 300, 100, 0, true), 0);
	assert_int_equal(map_add(m, 400, 50, 100, false), 0);
	assert_int_equal(map_add(m, 900, 100, 9900, false), 0); /* cut */
	assert_int_equal(map_add(m, 1000, 100, 0, false), 0); /* behind */
	memcpy(want + 100, bytes + 5000, 200);
	memcpy(want + 400, bytes + 100, 50);
	memcpy(want + 900, bytes + 9900, 50);
	assert_int_equal(map_file(m, &guest, 5, 50, NULL, &f), 0);
	blocks_put(b);
	assert_int_equal(f->size, 950);
	for (off = 0; off < 950; off += 13) {
		for (len = 1; len <= 950 - off; len += 29) {
			assert_int_equal(f->ops->read(f, off, got, len), 0);
			assert_memory_equal(got, want + off, len);
		}
	}
	assert_int_equal(f->ops->seek(f, 0, true, &at), 0);
	assert_int_equal(at, 0);
	assert_int_equal(f->ops->seek(f, 0, false, &at), 0);
	assert_int_equal(at, 100);
	assert_int_equal(f->ops->seek(f, 150, true, &at), 0);
	assert_int_equal(at, 300); /* unwritten ranges are holes */
	assert_int_equal(f->ops->seek(f, 310, true, &at), 0);
	assert_int_equal(at, 310);
	assert_int_equal(f->ops->seek(f, 300, false, &at), 0);
	assert_int_equal(at, 400);
	assert_int_equal(f->ops->seek(f, 200, true, &at), 0);
	assert_int_equal(at, 300);
	assert_int_equal(f->ops->seek(f, 920, true, &at), 0);
	assert_int_equal(at, 950);
	assert_int_equal(f->ops->seek(f, 450, false, &at), 0);
	assert_int_equal(at, 900);
	assert_int_equal(f->ops->seek(f, 949, true, &at), 0);
	assert_int_equal(at, 950);
	f->ops->free(f);
}

static void test_refuses(void **state)
{
	struct blocks *b = blocks();
	struct map *m = map_new(b, 1 << 20);

	(void)state;
	assert_int_equal(map_add(m, 0, 100, 9901, false), -EBADMSG);
	assert_int_equal(map_add(m, 0, 100, UINT64_MAX, false), -EBADMSG);
	assert_int_equal(map_add(m, UINT64_MAX, 2, 0, false), -EBADMSG);
	assert_int_equal(map_add(m, 100, 100, 0, false), 0);
	assert_int_equal(map_add(m, 199, 1, 0, false), -EBADMSG);
	assert_int_equal(map_add(m, 50, 10, 0, false), -EBADMSG);
	assert_int_equal(map_add(m, 200, 1, 10000, false), -EBADMSG);
	assert_int_equal(map_add(m, 200, 1, 9999, false), 0);
	map_free(m);
	map_free(NULL);
	blocks_put(b);
}

/* ---- a file in many pieces ---- */

/* Byte @off of endless blocks. */
static uint8_t byte_at(uint64_t off)
{
	return (uint8_t)((off * UINT64_C(0x9e3779b97f4a7c15)) >> 56) | 1;
}

static int endless_read(struct blocks *b, uint64_t off, void *out, size_t len)
{
	uint8_t *to = out;
	size_t i;

	(void)b;
	for (i = 0; i < len; i++)
		to[i] = byte_at(off + i);
	return 0;
}

static void endless_free(struct blocks *b)
{
	(void)b;
}

static const struct blocks_ops endless = { .read = endless_read,
					   .free = endless_free };

/* Each piece is one unit with a hole of one unit behind it, and far from its
 * neighbours in the blocks; some were never written. */
static uint64_t place(uint64_t piece)
{
	return piece * 7919 % PIECES * 3 * UNIT;
}

static bool written(uint64_t piece)
{
	return piece % 50 != 49;
}

static uint8_t expected(uint64_t off)
{
	uint64_t piece = off / (2 * UNIT), in = off % (2 * UNIT);

	if (piece >= PIECES || in >= UNIT || !written(piece))
		return 0;
	return byte_at(place(piece) + in);
}

static unsigned int walks;
static uint64_t ranges, damaged = UINT64_MAX;

static int walk(struct guest *g, uint64_t node, struct map *m)
{
	uint64_t i = map_from(m) / (2 * UNIT);
	int r = 0;

	assert_ptr_equal(g, &guest);
	assert_int_equal(node, 5);
	walks++;
	for (; i < PIECES && r == 0; i++) {
		if (i == damaged)
			return -EBADMSG;
		ranges++;
		r = map_add(m, i * 2 * UNIT, UNIT, place(i), !written(i));
	}
	return r;
}

static struct guest_file *file_in_pieces(struct blocks *b)
{
	struct map *m = map_new(b, SIZE);
	struct guest_file *f;

	assert_int_equal(walk(&guest, 5, m), 1);
	assert_int_equal(map_file(m, &guest, 5, UNIT, walk, &f), 0);
	assert_in_range(f->memory, 0, 1000);
	walks = 0;
	ranges = 0;
	return f;
}

static void test_windows(void **state)
{
	static uint8_t got[SIZE];
	struct blocks b;
	struct guest_file *f;
	uint64_t off;
	size_t i;

	(void)state;
	blocks_init(&b, &endless, 1 << 30);
	f = file_in_pieces(&b);
	assert_int_equal(f->ops->read(f, 0, got, SIZE), 0);
	for (i = 0; i < SIZE; i++)
		if (got[i] != expected(i))
			fail_msg("byte %zu", i);
	/* Each of its windows was looked for once, and passed over others. */
	assert_int_equal(walks, SIZE / UNIT / MAP_WINDOW + 1);
	assert_in_range(ranges, PIECES, PIECES + 2 * walks);
	for (off = 0; off < SIZE - 100; off += 3001) {
		assert_int_equal(f->ops->read(f, off, got, 100), 0);
		for (i = 0; i < 100; i++)
			assert_int_equal(got[i], expected(off + i));
	}
	assert_int_equal(walks, SIZE / UNIT / MAP_WINDOW + 1);
	assert_in_range(lru_bytes(guest.memory), 1,
			(uint64_t)walks * (MAP_WINDOW + 20) * 16);
	f->ops->free(f);
}

static void test_seek_windows(void **state)
{
	uint64_t off = 0, end, piece, n = 0;
	struct guest_file *f;
	struct blocks b;

	(void)state;
	blocks_init(&b, &endless, 1 << 30);
	f = file_in_pieces(&b);
	for (piece = 0; piece < PIECES; piece++) {
		if (!written(piece))
			continue;
		assert_int_equal(f->ops->seek(f, off, false, &off), 0);
		assert_int_equal(off, piece * 2 * UNIT);
		assert_int_equal(f->ops->seek(f, off, true, &end), 0);
		assert_int_equal(end, off + UNIT);
		off = end;
		n++;
	}
	assert_int_equal(n, PIECES / 50 * 49);
	assert_int_equal(f->ops->seek(f, off, false, &off), -ENXIO);
	assert_int_equal(f->ops->seek(f, SIZE - 1, true, &off), 0);
	assert_int_equal(off, SIZE - 1);
	f->ops->free(f);
}

/* Damage is met where it is. */
static void test_damaged_window(void **state)
{
	struct guest_file *f;
	struct blocks b;
	uint8_t got[UNIT];

	(void)state;
	blocks_init(&b, &endless, 1 << 30);
	f = file_in_pieces(&b);
	damaged = PIECES / 2;
	assert_int_equal(f->ops->read(f, 0, got, UNIT), 0);
	assert_int_equal(f->ops->read(f, damaged * 2 * UNIT, got, UNIT),
			 -EBADMSG);
	assert_int_equal(f->ops->read(f, SIZE - 10 * UNIT, got, UNIT), 0);
	damaged = UINT64_MAX;
	f->ops->free(f);
}

/* Pieces smaller than the unit that was promised do not fill the memory. */
static int walk_crumbs(struct guest *g, uint64_t node, struct map *m)
{
	uint64_t i;
	int r = 0;

	(void)g;
	(void)node;
	for (i = 0; i < PIECES && r == 0; i++)
		r = map_add(m, 2 * i, 1, 2 * i, false);
	return r;
}

static void test_crumbs(void **state)
{
	struct guest_file *f;
	struct blocks b;
	struct map *m;
	uint8_t got;

	(void)state;
	support_log_capture();
	blocks_init(&b, &endless, 1 << 30);
	m = map_new(&b, SIZE);
	assert_int_equal(walk_crumbs(&guest, 5, m), 1);
	assert_int_equal(map_file(m, &guest, 5, UNIT, NULL, &f), -EFBIG);
	assert_int_equal(map_file(m, &guest, 5, UNIT, walk_crumbs, &f), 0);
	assert_int_equal(f->ops->read(f, 0, &got, 1), -EBADMSG);
	f->ops->free(f);
}

static void test_memory_file(void **state)
{
	struct guest_file *f;
	uint8_t got[10];

	(void)state;
	assert_int_equal(map_memory_file("abcdef", 6, 10, &f), 0);
	assert_int_equal(f->ops->read(f, 3, got, 7), 0);
	assert_memory_equal(got, "def\0\0\0\0", 7);
	f->ops->free(f);
	assert_int_equal(map_memory_file("abcdef", 6, 2, &f), 0);
	assert_int_equal(f->size, 2);
	f->ops->free(f);
	assert_int_equal(map_memory_file(NULL, 0, 0, &f), 0);
	f->ops->free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_and_seek),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_memory_file),
		cmocka_unit_test_setup_teardown(test_windows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_seek_windows, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_damaged_window, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_crumbs, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
