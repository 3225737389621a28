/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/base/bytes.h"

static const uint8_t counted[] = { 1, 2, 3, 4, 5, 6, 7, 8 };

static void test_get_is_little_endian(void **state)
{
	(void)state;
	assert_true(get_le16(counted) == 0x0201);
	assert_true(get_le32(counted) == 0x04030201);
	assert_true(get_le64(counted) == 0x0807060504030201);
}

static void test_put_is_little_endian(void **state)
{
	uint8_t raw[10];

	(void)state;
	memset(raw, 0xee, sizeof(raw));
	put_le16(raw + 1, 0x0201);
	assert_memory_equal(raw + 1, counted, 2);
	assert_int_equal(raw[3], 0xee);
	put_le32(raw + 1, 0x04030201);
	assert_memory_equal(raw + 1, counted, 4);
	assert_int_equal(raw[5], 0xee);
	put_le64(raw + 1, 0x0807060504030201);
	assert_memory_equal(raw + 1, counted, 8);
	assert_int_equal(raw[0], 0xee);
	assert_int_equal(raw[9], 0xee);
}

static void test_any_alignment_and_extremes(void **state)
{
	static const uint64_t values[] = {
		0, 1, 0x8000, 0x80000000u, UINT64_MAX, 1ull << 63
	};
	uint8_t raw[16];
	size_t i, at;

	(void)state;
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		for (at = 0; at < 8; at++) {
			put_le64(raw + at, values[i]);
			assert_true(get_le64(raw + at) == values[i]);
			put_le32(raw + at, (uint32_t)values[i]);
			assert_true(get_le32(raw + at) == (uint32_t)values[i]);
			put_le16(raw + at, (uint16_t)values[i]);
			assert_true(get_le16(raw + at) == (uint16_t)values[i]);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get_is_little_endian),
		cmocka_unit_test(test_put_is_little_endian),
		cmocka_unit_test(test_any_alignment_and_extremes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
