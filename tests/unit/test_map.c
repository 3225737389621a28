/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fs/guest/map.h"

static uint8_t bytes[10000];

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
	assert_int_equal(map_file(m, &f), 0);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
