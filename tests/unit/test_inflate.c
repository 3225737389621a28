/* SPDX-License-Identifier: GPL-3.0-or-later */
/* inflate.h: the framing, by hand-made bytes; a target of its own fuzzes it. */
#include "config.h"

#include "fs/guest/inflate.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/support.h"

/* "Wikipedia", stored, with its Adler-32 0x11e60398. */
static const uint8_t zlib_stored[] = {
	0x78, 0x01, 0x01, 9,   0,   0xf6, 0xff, 'W',  'i',  'k',
	'i',  'p',  'e',  'd', 'i', 'a',  0x11, 0xe6, 0x03, 0x98,
};

/* The same as a raw block, with its size and without. */
static const uint8_t zstd_sized[] = {
	0x28, 0xb5, 0x2f, 0xfd, 0x20, 9,   73,	0,   0,
	'W',  'i',  'k',  'i',	'p',  'e', 'd', 'i', 'a',
};
static const uint8_t zstd_unsized[] = {
	0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00, 73,	 0,   0,
	'W',  'i',  'k',  'i',	'p',  'e',  'd', 'i', 'a',
};

/* One piece: a run of literals, the end mark. */
#define LZO_PIECE 17 + 9, 'W', 'i', 'k', 'i', 'p', 'e', 'd', 'i', 'a', 17, 0, 0
static const uint8_t lzo_one[] = { 21, 0, 0, 0, 13, 0, 0, 0, LZO_PIECE };
/* Two, of sectors of 24 bytes: 3 bytes are left of the first. */
static const uint8_t lzo_two[] = { 41, 0, 0, 0,	 13, 0, 0, 0,	     LZO_PIECE,
				   0,  0, 0, 13, 0,  0, 0, LZO_PIECE };

static ssize_t zlib(const void *in, size_t len, void *out, size_t cap)
{
	return inflate_zlib(in, len, out, cap);
}

static ssize_t lzo(const void *in, size_t len, void *out, size_t cap)
{
	return inflate_lzo_pieces(in, len, 24, out, cap);
}

typedef ssize_t inflate_fn(const void *in, size_t len, void *out, size_t cap);

/* @in gives @text; cut anywhere, or with too little room, nothing. */
static void check(inflate_fn *fn, const uint8_t *in, size_t len,
		  const char *text)
{
	size_t size = strlen(text), i;
	uint8_t padded[64] = { 0 };
	char out[64];

	assert_int_equal(fn(in, len, out, sizeof(out)), size);
	assert_memory_equal(out, text, size);
	assert_int_equal(fn(in, len, out, size), size);
	for (i = 0; i < len; i++)
		assert_int_equal(fn(in, i, out, sizeof(out)), -EBADMSG);
	for (i = 0; i < size; i++)
		assert_int_equal(fn(in, len, out, i), -EBADMSG);
	/* A sector's rest is zeros. */
	memcpy(padded, in, len);
	assert_int_equal(fn(padded, sizeof(padded), out, sizeof(out)), size);
}

static void test_zlib(void **state)
{
	(void)state;
	check(zlib, zlib_stored, sizeof(zlib_stored), "Wikipedia");
}

static void test_zstd(void **state)
{
	static const uint8_t skippable[] = {
		0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0
	};
	char out[16];

	(void)state;
	check(inflate_zstd, zstd_sized, sizeof(zstd_sized), "Wikipedia");
	check(inflate_zstd, zstd_unsized, sizeof(zstd_unsized), "Wikipedia");
	assert_int_equal(inflate_zstd(skippable, sizeof(skippable), out, 16),
			 -EBADMSG);
}

static void test_lzo(void **state)
{
	(void)state;
	check(lzo, lzo_one, sizeof(lzo_one), "Wikipedia");
	check(lzo, lzo_two, sizeof(lzo_two), "WikipediaWikipedia");
}

static void test_lzo_framing(void **state)
{
	uint8_t in[sizeof(lzo_one)];
	char out[64];

	(void)state;
	/* The whole's length: below its own, above what there is. */
	memcpy(in, lzo_one, sizeof(in));
	in[0] = 3;
	assert_int_equal(lzo(in, sizeof(in), out, 64), -EBADMSG);
	in[0] = sizeof(in) + 1;
	assert_int_equal(lzo(in, sizeof(in), out, 64), -EBADMSG);
	in[0] = 4;
	assert_int_equal(lzo(in, sizeof(in), out, 64), 0);
	/* A piece's: nothing, too much, far too much. */
	memcpy(in, lzo_one, sizeof(in));
	in[4] = 0;
	assert_int_equal(lzo(in, sizeof(in), out, 64), -EBADMSG);
	in[4] = 14;
	assert_int_equal(lzo(in, sizeof(in), out, 64), -EBADMSG);
	memset(in + 4, 0xff, 4);
	assert_int_equal(lzo(in, sizeof(in), out, 64), -EBADMSG);
	/* More than a sector in one piece. */
	assert_int_equal(inflate_lzo_pieces(lzo_one, sizeof(lzo_one), 8, out,
					    64),
			 -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zlib),
		cmocka_unit_test(test_zstd),
		cmocka_unit_test(test_lzo),
		cmocka_unit_test(test_lzo_framing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
