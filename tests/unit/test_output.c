/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/cli/output.h"

static void assert_set(const char *bytes, size_t len, const char *text,
		       const char *base64)
{
	json_t *o = json_object();
	const char *got;

	output_set_bytes(o, "path", bytes, len);
	assert_string_equal(json_string_value(json_object_get(o, "path")),
			    text);
	got = json_string_value(json_object_get(o, "path_b64"));
	if (base64)
		assert_string_equal(got, base64);
	else
		assert_null(got);
	json_decref(o);
}

static void test_utf8_stays_as_it_is(void **state)
{
	(void)state;
	assert_set("", 0, "", NULL);
	assert_set("plain", 5, "plain", NULL);
	assert_set("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9,
		   "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", NULL);
	assert_set("\x7f\x01", 2, "\x7f\x01", NULL);
}

static void test_other_bytes_come_twice(void **state)
{
	(void)state;
#define BAD "\xef\xbf\xbd"
	assert_set("\xff", 1, BAD, "/w==");
	assert_set("a\xff"
		   "b",
		   3, "a" BAD "b", "Yf9i");
	/* Cut, overlong, a surrogate, past the end of Unicode. */
	assert_set("\xc3", 1, BAD, "ww==");
	assert_set("\xc0\xaf", 2, BAD BAD, "wK8=");
	assert_set("\xe0\x80\xaf", 3, BAD BAD BAD, "4ICv");
	assert_set("\xed\xa0\x80", 3, BAD BAD BAD, "7aCA");
	assert_set("\xf4\x90\x80\x80", 4, BAD BAD BAD BAD, "9JCAgA==");
	assert_set("\x80", 1, BAD, "gA==");
}

static void test_every_two_bytes_are_valid_json(void **state)
{
	char bytes[2];
	int i;

	(void)state;
	for (i = 0; i < 65536; i++) {
		json_t *o = json_object(), *back;
		char *text;

		bytes[0] = (char)(i >> 8);
		bytes[1] = (char)i;
		output_set_bytes(o, "p", bytes, 2);
		text = json_dumps(o, 0);
		assert_non_null(text);
		back = json_loads(text, JSON_ALLOW_NUL, NULL);
		assert_non_null(back);
		json_decref(back);
		free(text);
		json_decref(o);
	}
}

static void assert_escaped(const char *bytes, const char *want)
{
	AUTO_BUF struct buf b = BUF_INIT;

	output_escape(&b, bytes, strlen(bytes));
	buf_put_u8(&b, 0);
	assert_string_equal(b.data, want);
}

static void test_names_cannot_drive_a_terminal(void **state)
{
	(void)state;
	assert_escaped("plain \xc3\xa4", "plain \xc3\xa4");
	assert_escaped("\033[2J", "\\033[2J");
	assert_escaped("a\nb\r\tc\x7f", "a\\012b\\015\\011c\\177");
	assert_escaped("\xc2\x9b"
		       "2J",
		       "\\302\\2332J"); /* CSI in C1 */
	assert_escaped("\xff", "\\377");
}

static void test_sizes(void **state)
{
	char text[OUTPUT_SIZE_LEN], wanted[OUTPUT_SIZE_LEN];
	uint64_t n;
	double v;
	int i;

	(void)state;
	unsetenv("VMBACKUP_UNITS");
	assert_string_equal(output_size(0, text), "0 B");
	assert_string_equal(output_size(1023, text), "1023 B");
	assert_string_equal(output_size(1024, text), "1.000 KiB");
	assert_string_equal(output_size((1 << 20) - 1, text), "1023.999 KiB");
	assert_string_equal(output_size((1 << 30) - 1, text), "1.000 GiB");
	assert_string_equal(output_size(UINT64_MAX, text), "16.000 EiB");
	/* Rounded as printf() does, to the even one where two are as near. */
	for (n = 1024; n < UINT64_C(1) << 53; n += n / 37 + 1) {
		for (i = 0, v = (double)n; v >= 1023.9995; i++)
			v /= 1024;
		snprintf(wanted, sizeof(wanted), "%.3f %ciB", v, "?KMGTPE"[i]);
		assert_string_equal(output_size(n, text), wanted);
	}
	for (n = 0; n < 40; n++) {
		snprintf(wanted, sizeof(wanted), "%.3f KiB",
			 (double)(1024 + 64 * n) / 1024);
		assert_string_equal(output_size(1024 + 64 * n, text), wanted);
	}
	setenv("VMBACKUP_UNITS", "si", 1);
	assert_string_equal(output_size(1500, text), "1.500 kB");
	setenv("VMBACKUP_UNITS", "raw", 1);
	assert_string_equal(output_size(UINT64_MAX, text),
			    "18446744073709551615");
	unsetenv("VMBACKUP_UNITS");
}

static void test_durations(void **state)
{
	char text[OUTPUT_DURATION_LEN];

	(void)state;
	assert_string_equal(output_duration(0, text), "0:00");
	assert_string_equal(output_duration(-1, text), "0:00");
	assert_string_equal(output_duration(67.9, text), "1:07");
	assert_string_equal(output_duration(3723, text), "1:02:03");
	/* Nothing overflows, NaN included. */
	assert_string_equal(output_duration(1e300, text), "277777:46:40");
	assert_string_equal(output_duration(NAN, text), "0:00");
}

static void test_times(void **state)
{
	char text[OUTPUT_TIME_LEN];

	(void)state;
	assert_string_equal(output_time(0, text), "1970-01-01T00:00:00Z");
	assert_string_equal(output_time(1, text),
			    "1970-01-01T00:00:00.000000001Z");
	assert_string_equal(output_time(-1, text),
			    "1969-12-31T23:59:59.999999999Z");
	assert_string_equal(output_time(INT64_MIN, text),
			    "1677-09-21T00:12:43.145224192Z");
	assert_string_equal(output_timespec(INT64_MAX, 5, text),
			    "@9223372036854775807.000000005");
	assert_string_equal(output_timespec(INT64_MIN, 999999999, text),
			    "@-9223372036854775808.999999999");
	assert_string_equal(output_short_time(4102444800, text),
			    "2100-01-01 00:00:00");
}

static void test_modes(void **state)
{
	char text[OUTPUT_MODE_LEN];

	(void)state;
	assert_string_equal(output_mode(S_IFREG | 0644, text), "-rw-r--r--");
	assert_string_equal(output_mode(S_IFDIR | 01777, text), "drwxrwxrwt");
	assert_string_equal(output_mode(S_IFREG | 06755, text), "-rwsr-sr-x");
	assert_string_equal(output_mode(S_IFREG | 07000, text), "---S--S--T");
	assert_string_equal(output_mode(S_IFLNK | 0777, text), "lrwxrwxrwx");
	assert_string_equal(output_type(S_IFSOCK), "socket");
	assert_string_equal(output_type(S_IFBLK), "dev");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8_stays_as_it_is),
		cmocka_unit_test(test_other_bytes_come_twice),
		cmocka_unit_test(test_every_two_bytes_are_valid_json),
		cmocka_unit_test(test_names_cannot_drive_a_terminal),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_modes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
