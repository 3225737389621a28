/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/base/hex.h"

static void test_every_byte_round_trip(void **state)
{
	uint8_t all[256], back[256];
	char text[513];
	int i;

	(void)state;
	for (i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	hex_encode(all, sizeof(all), text);
	assert_int_equal(strlen(text), 512);
	assert_memory_equal(text, "000102030405060708090a0b0c0d0e0f10", 34);
	assert_string_equal(text + 500, "fafbfcfdfeff");
	assert_int_equal(hex_decode(text, sizeof(back), back), 0);
	assert_memory_equal(back, all, sizeof(all));
}

static void test_empty(void **state)
{
	char text[1] = { 'x' };

	(void)state;
	hex_encode(NULL, 0, text);
	assert_int_equal(text[0], 0);
	assert_int_equal(hex_decode("", 0, NULL), 0);
	assert_int_equal(hex_decode("zz", 0, NULL), 0);
}

static void test_only_lower_case_digits(void **state)
{
	uint8_t out;
	char text[3] = "00";
	int c;

	(void)state;
	for (c = 0; c < 256; c++) {
		int ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');

		text[0] = (char)c;
		text[1] = '0';
		assert_int_equal(hex_decode(text, 1, &out), ok ? 0 : -EINVAL);
		text[0] = '0';
		text[1] = (char)c;
		assert_int_equal(hex_decode(text, 1, &out), ok ? 0 : -EINVAL);
	}
}

static void test_stops_at_the_end_of_text(void **state)
{
	static const char text[] = "0a1b2c";
	uint8_t out[8];
	size_t cut;

	(void)state;
	assert_int_equal(hex_decode(text, 3, out), 0);
	for (cut = 0; cut < 6; cut++) {
		char part[7] = { 0 };

		memcpy(part, text, cut);
		assert_int_equal(hex_decode(part, 3, out), -EINVAL);
	}
	assert_int_equal(hex_decode("0a1b2cXX", 3, out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte_round_trip),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_only_lower_case_digits),
		cmocka_unit_test(test_stops_at_the_end_of_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
