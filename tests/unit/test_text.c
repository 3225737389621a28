/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <string.h>

#include "store/base/text.h"

static void test_utf8(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} rows[] = {
		{ "", 0 },
		{ "a", 1 },
		{ "\x7f", 1 },
		{ "\x80", 0 },
		{ "\xc1\xbf", 0 }, /* overlong */
		{ "\xc2\x80", 2 },
		{ "\xc2", 0 },
		{ "\xc2\x41", 0 },
		{ "\xe0\x9f\xbf", 0 }, /* overlong */
		{ "\xe0\xa0\x80", 3 },
		{ "\xe2\x82", 0 },
		{ "\xed\x9f\xbf", 3 },
		{ "\xed\xa0\x80", 0 }, /* a surrogate */
		{ "\xef\xbf\xbf", 3 },
		{ "\xf0\x8f\xbf\xbf", 0 }, /* overlong */
		{ "\xf0\x90\x80\x80", 4 },
		{ "\xf4\x8f\xbf\xbf", 4 },
		{ "\xf4\x90\x80\x80", 0 }, /* past U+10FFFF */
		{ "\xf5\x80\x80\x80", 0 },
		{ "\xff", 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(text_utf8_len(rows[i].text,
					       strlen(rows[i].text)),
				 rows[i].len);
	assert_int_equal(text_utf8_len("\0", 1), 1);
	assert_true(text_is_utf8("", 0));
	assert_true(text_is_utf8("a\n\xc3\xa9", 4));
	assert_false(text_is_utf8("a\n\xc3", 3));
}

static void test_plain(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;

	(void)state;
	assert_true(text_is_plain("web 1 \xc3\xa9", 8));
	assert_false(text_is_plain("\n", 1));
	assert_false(text_is_plain("\0", 1));
	assert_false(text_is_plain("\x7f", 1));
	assert_false(text_is_plain("\xc2\x9f", 2));
	assert_true(text_is_plain("\xc2\xa0", 2));
	text_put_plain(&b, "a\x1b\xff\xc2\x9fz\xe2\x82", 8);
	buf_put(&b, "", 1);
	assert_ok(buf_error(&b));
	assert_string_equal(b.data, "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
				    "z\xef\xbf\xbd\xef\xbf\xbd");
}

static void test_base64_known(void **state)
{
	static const char *const rows[][2] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "\xff\xfe\xfb", "//77" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO_BUF struct buf b = BUF_INIT;
		AUTO_BUF struct buf back = BUF_INIT;

		text_put_base64(&b, rows[i][0], strlen(rows[i][0]));
		assert_int_equal(b.len, strlen(rows[i][1]));
		if (b.len)
			assert_memory_equal(b.data, rows[i][1], b.len);
		assert_ok(
			text_get_base64(&back, rows[i][1], strlen(rows[i][1])));
		assert_int_equal(back.len, strlen(rows[i][0]));
		if (back.len)
			assert_memory_equal(back.data, rows[i][0], back.len);
	}
}

static void test_base64_refused(void **state)
{
	static const char *const rows[] = {
		"Z",	"Zg",	"Zg=",	"Zg==Zg==", "Zg=a",  "Z===", "====",
		"Zh==", "Zm9=", "Zm 9", "Zm9-",	    "Zm9\n", "=m9v",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO_BUF struct buf b = BUF_INIT;

		assert_result(text_get_base64(&b, rows[i], strlen(rows[i])),
			      -EINVAL);
	}
}

static void test_base64_every_length(void **state)
{
	uint8_t data[100];
	size_t len;

	(void)state;
	support_fill(3, data, sizeof(data));
	for (len = 0; len < sizeof(data); len++) {
		AUTO_BUF struct buf b = BUF_INIT;
		AUTO_BUF struct buf back = BUF_INIT;

		text_put_base64(&b, data, len);
		assert_int_equal(b.len, (len + 2) / 3 * 4);
		assert_ok(text_get_base64(&back, (char *)b.data, b.len));
		assert_int_equal(back.len, len);
		if (len)
			assert_memory_equal(back.data, data, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_base64_known),
		cmocka_unit_test(test_base64_refused),
		cmocka_unit_test(test_base64_every_length),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
