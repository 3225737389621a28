/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/base/buf.h"

static const uint64_t numbers[] = {
	0,	    1,		127,	    128,
	129,	    16383,	16384,	    1u << 21,
	UINT32_MAX, 1ull << 35, 1ull << 56, (1ull << 63) - 1,
	1ull << 63, UINT64_MAX,
};

static void test_everything_round_trip(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct reader r;
	const uint8_t *p;
	size_t len;

	(void)state;
	buf_put_u8(&b, 0xfe);
	buf_put_le16(&b, 0xfedc);
	buf_put_le32(&b, 0xfedcba98);
	buf_put_le64(&b, 0xfedcba9876543210);
	buf_put_varint(&b, 300);
	buf_put_svarint(&b, -300);
	buf_put_bytes(&b, "name", 4);
	buf_put_bytes(&b, NULL, 0);
	buf_put(&b, "rest", 4);
	assert_int_equal(buf_error(&b), 0);

	reader_init(&r, b.data, b.len);
	assert_int_equal(reader_left(&r), b.len);
	assert_int_equal(reader_u8(&r), 0xfe);
	assert_int_equal(reader_le16(&r), 0xfedc);
	assert_int_equal(reader_le32(&r), 0xfedcba98);
	assert_true(reader_le64(&r) == 0xfedcba9876543210);
	assert_int_equal(reader_varint(&r), 300);
	assert_int_equal(reader_svarint(&r), -300);
	p = reader_bytes(&r, 4, &len);
	assert_int_equal(len, 4);
	assert_memory_equal(p, "name", 4);
	p = reader_bytes(&r, 4, &len);
	assert_non_null(p);
	assert_int_equal(len, 0);
	assert_false(reader_done(&r));
	assert_memory_equal(reader_get(&r, 4), "rest", 4);
	assert_true(reader_done(&r));
	assert_int_equal(reader_left(&r), 0);
}

static void test_varint_shortest_form(void **state)
{
	static const size_t want[] = { 1, 1, 1, 2, 2, 2,  3,
				       4, 5, 6, 9, 9, 10, 10 };
	AUTO_BUF struct buf b = BUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		struct reader r;

		buf_clear(&b);
		buf_put_varint(&b, numbers[i]);
		assert_int_equal(b.len, want[i]);
		reader_init(&r, b.data, b.len);
		assert_true(reader_varint(&r) == numbers[i]);
		assert_true(reader_done(&r));
	}
}

static void test_varint_truncated(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;
	size_t i, cut;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		buf_clear(&b);
		buf_put_varint(&b, numbers[i]);
		for (cut = 0; cut < b.len; cut++) {
			struct reader r;

			reader_init(&r, b.data, cut);
			assert_int_equal(reader_varint(&r), 0);
			assert_true(r.bad);
			assert_false(reader_done(&r));
		}
	}
}

static void test_varint_refused(void **state)
{
	static const struct {
		uint8_t raw[11];
		size_t len;
	} cases[] = {
		{ { 0x80, 0x00 }, 2 }, /* 0 in two bytes */
		{ { 0xff, 0x80, 0x00 }, 3 }, /* 127 in three */
		/* 2^64 */
		{ { 128, 128, 128, 128, 128, 128, 128, 128, 128, 2 }, 10 },
		/* a tenth byte that goes on */
		{ { 255, 255, 255, 255, 255, 255, 255, 255, 255, 129, 0 }, 11 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct reader r;

		reader_init(&r, cases[i].raw, cases[i].len);
		assert_int_equal(reader_varint(&r), 0);
		assert_true(r.bad);
	}
}

static void test_svarint(void **state)
{
	static const int64_t values[] = { 0,   -1, 1,	      -2,	63,
					  -64, 64, INT64_MAX, INT64_MIN };
	AUTO_BUF struct buf b = BUF_INIT;
	struct reader r;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(values); i++)
		buf_put_svarint(&b, values[i]);
	/* zigzag: small numbers of both signs take one byte */
	assert_memory_equal(b.data, "\0\1\2\3\x7e\x7f\x80\1", 8);
	reader_init(&r, b.data, b.len);
	for (i = 0; i < ARRAY_SIZE(values); i++)
		assert_true(reader_svarint(&r) == values[i]);
	assert_true(reader_done(&r));
}

static void test_reader_is_bad_for_good(void **state)
{
	static const uint8_t raw[] = { 1, 2, 3 };
	struct reader r;
	size_t len = 99;

	(void)state;
	reader_init(&r, raw, sizeof(raw));
	assert_int_equal(reader_le32(&r), 0);
	assert_true(r.bad);
	assert_int_equal(reader_u8(&r), 0);
	assert_int_equal(reader_le16(&r), 0);
	assert_true(reader_le64(&r) == 0);
	assert_int_equal(reader_varint(&r), 0);
	assert_null(reader_get(&r, 0));
	assert_null(reader_bytes(&r, 10, &len));
	assert_int_equal(len, 0);
	assert_int_equal(reader_left(&r), 0);
	assert_false(reader_done(&r));
}

static void test_fixed_width_truncated(void **state)
{
	static const uint8_t raw[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
	size_t cut;

	(void)state;
	for (cut = 0; cut <= 8; cut++) {
		struct reader r;

		reader_init(&r, raw, cut);
		assert_int_equal(reader_le16(&r), cut < 2 ? 0 : 0x0101);
		assert_int_equal(r.bad, cut < 2);
		reader_init(&r, raw, cut);
		assert_int_equal(reader_le32(&r), cut < 4 ? 0 : 0x01010101);
		assert_int_equal(r.bad, cut < 4);
		reader_init(&r, raw, cut);
		assert_int_equal(reader_le64(&r) != 0, cut == 8);
		assert_int_equal(r.bad, cut < 8);
	}
}

static void test_bounds(void **state)
{
	static const uint8_t raw[] = { 5, 'a', 'b', 'c', 'd', 'e' };
	static const uint8_t huge[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					0xff, 0xff, 0xff, 1,	0 };
	struct reader r;
	size_t len;

	(void)state;
	reader_init(&r, raw, sizeof(raw));
	assert_int_equal(reader_varint_max(&r, 5), 5);
	reader_init(&r, raw, sizeof(raw));
	assert_int_equal(reader_varint_max(&r, 4), 0);
	assert_true(r.bad);
	reader_init(&r, raw, sizeof(raw));
	assert_non_null(reader_bytes(&r, 5, &len));
	reader_init(&r, raw, sizeof(raw));
	assert_null(reader_bytes(&r, 4, &len));
	reader_init(&r, raw, sizeof(raw) - 1);
	assert_null(reader_bytes(&r, 5, &len));
	assert_true(r.bad);
	/* a length of 2^64 - 1, allowed by the caller, is still not there */
	reader_init(&r, huge, sizeof(huge));
	assert_null(reader_bytes(&r, SIZE_MAX, &len));
	reader_init(&r, raw, sizeof(raw));
	assert_null(reader_get(&r, SIZE_MAX));
}

static void test_growth_and_reuse(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;
	uint8_t *data;
	size_t i;

	(void)state;
	for (i = 0; i < 10000; i++)
		buf_put_le32(&b, (uint32_t)i);
	assert_int_equal(b.len, 40000);
	assert_int_equal(b.data[4 * 9999], 9999 & 255);
	data = b.data;
	buf_clear(&b);
	assert_int_equal(b.len, 0);
	buf_put_u8(&b, 1);
	assert_ptr_equal(b.data, data);
	buf_release(&b);
	assert_null(b.data);
	buf_put_u8(&b, 2);
	assert_int_equal(b.len, 1);
	assert_int_equal(b.data[0], 2);
}

static void test_failure_is_sticky(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;

	(void)state;
	buf_put(&b, "kept", 4);
	assert_int_equal(buf_reserve(&b, SIZE_MAX), -ENOMEM);
	assert_int_equal(buf_error(&b), -ENOMEM);
	buf_put(&b, "lost", 4);
	buf_put_varint(&b, 7);
	assert_int_equal(b.len, 4);
	assert_int_equal(buf_reserve(&b, 1), -ENOMEM);
	buf_clear(&b);
	assert_int_equal(buf_error(&b), 0);
	buf_put(&b, "new", 3);
	assert_memory_equal(b.data, "new", 3);
}

static void test_reserve_overflow_without_bytes(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;

	(void)state;
	/* the capacity cannot double up to that */
	assert_int_equal(buf_reserve(&b, SIZE_MAX / 2 + 2), -ENOMEM);
	assert_int_equal(buf_error(&b), -ENOMEM);
}

static void test_printf(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;
	char long_text[300];

	(void)state;
	memset(long_text, 'x', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
	buf_printf(&b, "%s-%d", "a", 1);
	assert_int_equal(b.len, 3);
	buf_printf(&b, "%s", long_text);
	assert_int_equal(b.len, 302);
	assert_memory_equal(b.data, "a-1xxx", 6);
	assert_int_equal(b.data[302], 0); /* ended, but not counted */
	buf_printf(&b, "%s", "");
	assert_int_equal(b.len, 302);
	assert_int_equal(buf_error(&b), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_round_trip),
		cmocka_unit_test(test_varint_shortest_form),
		cmocka_unit_test(test_varint_truncated),
		cmocka_unit_test(test_varint_refused),
		cmocka_unit_test(test_svarint),
		cmocka_unit_test(test_reader_is_bad_for_good),
		cmocka_unit_test(test_fixed_width_truncated),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_growth_and_reuse),
		cmocka_unit_test(test_failure_is_sticky),
		cmocka_unit_test(test_reserve_overflow_without_bytes),
		cmocka_unit_test(test_printf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
