/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/guest/blocks.h"
#include "fs/guest/lru.h"
#include "store/base/stop.h"

#define LEN 300000

static uint8_t bytes[LEN];

static void fill(void)
{
	uint32_t x = 1;
	size_t i;

	for (i = 0; i < LEN; i++) {
		x = x * 1664525 + 1013904223;
		bytes[i] = (uint8_t)(x >> 24);
	}
}

static struct blocks *memory(size_t len, uint64_t size)
{
	struct blocks *b;

	fill();
	assert_int_equal(blocks_memory(bytes, len, size, &b), 0);
	return b;
}

static void test_bounds(void **state)
{
	struct blocks *b = memory(1000, 2000);
	uint8_t out[2001];
	uint64_t at;

	(void)state;
	assert_int_equal(blocks_read(b, 0, out, 2001), -ERANGE);
	assert_int_equal(blocks_read(b, 2001, out, 0), -ERANGE);
	assert_int_equal(blocks_read(b, UINT64_MAX, out, 2), -ERANGE);
	assert_int_equal(blocks_read(b, 2000, out, 0), 0);
	assert_int_equal(blocks_read(b, 0, out, 2000), 0);
	assert_memory_equal(out, bytes, 1000);
	assert_int_equal(out[1000] | out[1999], 0);
	assert_int_equal(blocks_seek(b, 10, true, &at), 0);
	assert_int_equal(at, 1000);
	assert_int_equal(blocks_seek(b, 1500, true, &at), 0);
	assert_int_equal(at, 1500);
	assert_int_equal(blocks_seek(b, 1500, false, &at), -ENXIO);
	assert_int_equal(blocks_seek(b, 2000, true, &at), -ENXIO);
	blocks_put(b);
	blocks_put(NULL);
}

/* A request that was asked to end reads no more; the one behind it does. */
static void test_stop(void **state)
{
	struct blocks *b = memory(1000, 2000);
	struct stop stop = { .serving = 1 };
	uint8_t out[4];
	uint64_t at;

	(void)state;
	assert_null(stop_obey(&stop));
	assert_int_equal(blocks_read(b, 0, out, 4), 0);
	stop.asked = 1;
	assert_int_equal(blocks_read(b, 0, out, 4), -ECANCELED);
	assert_int_equal(blocks_seek(b, 0, true, &at), -ECANCELED);
	{
		STOP_SHIELD;
		assert_int_equal(blocks_read(b, 0, out, 4), 0);
	}
	assert_int_equal(blocks_read(b, 0, out, 4), -ECANCELED);
	stop.serving = 2;
	assert_int_equal(blocks_read(b, 0, out, 4), 0);
	assert_ptr_equal(stop_obey(NULL), &stop);
	blocks_put(b);
}

static void test_slice(void **state)
{
	struct blocks *b = memory(1000, 2000), *s, *t;
	uint8_t out[100];
	uint64_t at;

	(void)state;
	assert_int_equal(blocks_slice(b, 1500, 501, &s), -ERANGE);
	assert_int_equal(blocks_slice(b, UINT64_MAX, 2, &s), -ERANGE);
	assert_int_equal(blocks_slice(b, 500, 1000, &s), 0);
	blocks_put(b);
	assert_int_equal(blocks_slice(s, 450, 100, &t), 0);
	blocks_put(s);
	assert_int_equal(blocks_read(t, 0, out, 100), 0);
	assert_memory_equal(out, bytes + 950, 50);
	assert_int_equal(out[50], 0);
	assert_int_equal(blocks_seek(t, 0, true, &at), 0);
	assert_int_equal(at, 50);
	assert_int_equal(blocks_seek(t, 50, false, &at), -ENXIO);
	assert_int_equal(blocks_read(t, 1, out, 100), -ERANGE);
	blocks_put(t);
}

/* Striped over two with a linear part behind, against a plain model. */
static void test_join(void **state)
{
	static uint8_t want[100000], got[100000];
	struct blocks *b = memory(LEN, LEN), *j;
	struct blocks_stripe two[] = { { b, 1000 }, { b, 200000 } };
	struct blocks_stripe one[] = { { b, 77 } };
	struct blocks_part parts[] = {
		{ 69999, 512, two, 2 },
		{ 0, 0, one, 1 },
		{ 30001, 0, one, 1 },
	};
	size_t i, off, len;

	(void)state;
	for (i = 0; i < 69999; i++)
		want[i] = bytes[(i / 512 % 2 ? 200000 : 1000) + i / 1024 * 512 +
				i % 512];
	memcpy(want + 69999, bytes + 77, 30001);
	assert_int_equal(blocks_join(parts, 3, &j), 0);
	assert_int_equal(j->size, 100000);
	for (i = 0; i < 500; i++) {
		off = (i * 7919) % 100000;
		len = i * 131 % (100000 - off);
		assert_int_equal(blocks_read(j, off, got, len), 0);
		assert_memory_equal(got, want + off, len);
	}
	blocks_put(j);
	parts[2].len = LEN;
	assert_int_equal(blocks_join(parts, 3, &j), -ERANGE);
	parts[0].stripe = 0;
	assert_int_equal(blocks_join(parts, 3, &j), -EINVAL);
	parts[0].stripe = UINT64_MAX;
	assert_int_equal(blocks_join(parts, 3, &j), -EINVAL);
	blocks_put(b);
}

/* Holes through stripes: each answer against a walk byte by byte. */
static void test_join_seek(void **state)
{
	struct blocks *a = memory(100, 300), *b, *c = NULL, *j;
	struct blocks_stripe ranges[3];
	struct blocks_part part = { 700, 16, ranges, 3 };
	bool data[700];
	uint64_t i, at, k;

	(void)state;
	assert_int_equal(blocks_memory("", 0, 300, &b), 0);
	assert_int_equal(blocks_memory(bytes, 40, 300, &c), 0);
	ranges[0] = (struct blocks_stripe){ a, 10 };
	ranges[1] = (struct blocks_stripe){ b, 0 };
	ranges[2] = (struct blocks_stripe){ c, 5 };
	assert_int_equal(blocks_join(&part, 1, &j), 0);
	for (i = 0; i < 700; i++) {
		uint64_t in = i / 48 * 16 + i % 16;

		data[i] = i / 16 % 3 == 0   ? in < 90
			  : i / 16 % 3 == 2 ? in < 35
					    : false;
	}
	for (i = 0; i < 700; i++) {
		for (k = i; k < 700 && data[k];)
			k++;
		assert_int_equal(blocks_seek(j, i, true, &at), 0);
		assert_int_equal(at, k);
		for (k = i; k < 700 && !data[k];)
			k++;
		if (k == 700) {
			assert_int_equal(blocks_seek(j, i, false, &at), -ENXIO);
			continue;
		}
		assert_int_equal(blocks_seek(j, i, false, &at), 0);
		assert_int_equal(at, k);
	}
	blocks_put(j);
	blocks_put(a);
	blocks_put(b);
	blocks_put(c);
}

/* A kind that counts its reads and fails at one place. */
struct counting {
	struct blocks b;
	unsigned int reads;
	uint64_t bad;
};

static int counting_read(struct blocks *b, uint64_t off, void *out, size_t len)
{
	struct counting *c = container_of(b, struct counting, b);

	c->reads++;
	if (off <= c->bad && c->bad < off + len)
		return -EIO;
	memcpy(out, bytes + off, len);
	return 0;
}

static void counting_free(struct blocks *b)
{
	(void)b;
}

static const struct blocks_ops counting_ops = { .read = counting_read,
						.free = counting_free };

static void test_cached(void **state)
{
	static uint8_t out[LEN];
	struct counting c = { .bad = UINT64_MAX };
	struct lru *memory = lru_new(512 << 10), *none = lru_new(1);
	struct blocks *b;
	size_t i, off, len;

	(void)state;
	fill();
	blocks_init(&c.b, &counting_ops, LEN);
	assert_int_equal(blocks_cached(&c.b, memory, &b), 0);
	for (i = 0; i < 2000; i++) {
		off = i * 104729 % LEN;
		len = MIN(i * 13 % 20000, LEN - off);
		assert_int_equal(blocks_read(b, off, out, len), 0);
		assert_memory_equal(out, bytes + off, len);
	}
	c.reads = 0;
	assert_int_equal(blocks_read(b, 1000, out, 1000), 0);
	assert_in_range(c.reads, 0, 1);
	c.reads = 0;
	assert_int_equal(blocks_read(b, 1000, out, 1000), 0);
	assert_int_equal(c.reads, 0);
	blocks_put(b);
	/* What is damaged hides nothing beside it. */
	c.bad = 20000;
	assert_int_equal(blocks_cached(&c.b, none, &b), 0);
	assert_int_equal(blocks_read(b, 16384, out, 100), 0);
	assert_memory_equal(out, bytes + 16384, 100);
	assert_int_equal(blocks_read(b, 19999, out, 2), -EIO);
	assert_int_equal(blocks_read(b, LEN - 10, out, 10), 0);
	assert_memory_equal(out, bytes + LEN - 10, 10);
	blocks_put(b);
	assert_int_equal(lru_bytes(memory), 0);
	lru_free(memory);
	lru_free(none);
}

static void test_file(void **state)
{
	struct blocks *b;
	FILE *f = tmpfile();
	uint8_t out[8];

	(void)state;
	assert_non_null(f);
	assert_int_equal(fwrite("contents", 1, 8, f), 8);
	assert_int_equal(fflush(f), 0);
	assert_int_equal(blocks_file(dup(fileno(f)), &b), 0);
	assert_int_equal(b->size, 8);
	assert_int_equal(blocks_read(b, 3, out, 5), 0);
	assert_memory_equal(out, "tents", 5);
	assert_int_equal(ftruncate(fileno(f), 4), 0);
	assert_int_equal(blocks_read(b, 3, out, 5), -EIO);
	blocks_put(b);
	fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),	  cmocka_unit_test(test_stop),
		cmocka_unit_test(test_slice),	  cmocka_unit_test(test_join),
		cmocka_unit_test(test_join_seek), cmocka_unit_test(test_cached),
		cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
