/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/base/attrs.h"
#include "store/base/zip.h"

#define MAX_LEN ((size_t)1 << 20)

static struct zip *zip;
static uint8_t *plain, *packed, *back;

static void fill_text(uint8_t *p, size_t len)
{
	static const char words[] = "the vault holds recovery points; ";
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)(words[i % (sizeof(words) - 1)] +
				 (i / 997) % 3);
}

static void fill_noise(uint8_t *p, size_t len)
{
	uint32_t x = 2463534242u;
	size_t i;

	for (i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		p[i] = (uint8_t)(x >> 11);
	}
}

static int setup(void **state)
{
	(void)state;
	zip = zip_new(3);
	plain = malloc(MAX_LEN);
	packed = malloc(zip_bound(MAX_LEN) + 64);
	back = malloc(MAX_LEN);
	return zip && plain && packed && back ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	zip_free(zip);
	zip_free(NULL);
	free(plain);
	free(packed);
	free(back);
	return 0;
}

static void test_round_trip(void **state)
{
	static const size_t lens[] = { 200, 4096, 65536, 131072, MAX_LEN };
	static const int levels[] = { -5, 1, 3, 19 };
	size_t i, j;

	(void)state;
	fill_text(plain, MAX_LEN);
	for (j = 0; j < ARRAY_SIZE(levels); j++) {
		struct zip *z = zip_new(levels[j]);

		assert_non_null(z);
		for (i = 0; i < ARRAY_SIZE(lens); i++) {
			ssize_t n = zip_compress(z, plain, lens[i], packed,
						 zip_bound(lens[i]));

			assert_true(n > 0 && (size_t)n < lens[i]);
			memset(back, 0xee, lens[i]);
			/* by any other level's */
			assert_int_equal(zip_decompress(zip, packed, (size_t)n,
							back, lens[i]),
					 0);
			assert_memory_equal(back, plain, lens[i]);
		}
		zip_free(z);
	}
}

static void test_not_worth_it(void **state)
{
	struct zip *store = zip_new(0);

	(void)state;
	fill_noise(plain, MAX_LEN);
	assert_int_equal(
		zip_compress(zip, plain, 131072, packed, zip_bound(131072)), 0);
	assert_int_equal(zip_compress(zip, plain, 1, packed, zip_bound(1)), 0);
	assert_int_equal(zip_compress(zip, plain, 0, packed, zip_bound(0)), 0);
	/* 2 % of zeros save less than 3 %, 10 % save more */
	memset(plain, 0, 100000 / 50);
	assert_int_equal(
		zip_compress(zip, plain, 100000, packed, zip_bound(100000)), 0);
	memset(plain, 0, 100000 / 10);
	assert_in_range(zip_compress(zip, plain, 100000, packed,
				     zip_bound(100000)),
			89000, 97000);
	memset(plain, 0, MAX_LEN);
	assert_int_equal(zip_compress(store, plain, MAX_LEN, packed,
				      zip_bound(MAX_LEN)),
			 0);
	zip_free(store);
}

static void test_another_level(void **state)
{
	struct zip *z = zip_new(1);
	ssize_t fast, slow;

	(void)state;
	fill_text(plain, MAX_LEN);
	fast = zip_compress(z, plain, MAX_LEN, packed, zip_bound(MAX_LEN));
	zip_set_level(z, 19);
	slow = zip_compress(z, plain, MAX_LEN, packed, zip_bound(MAX_LEN));
	assert_true(slow > 0 && slow < fast);
	zip_set_level(z, 0);
	assert_int_equal(
		zip_compress(z, plain, MAX_LEN, packed, zip_bound(MAX_LEN)), 0);
	zip_set_level(z, 1);
	assert_int_equal(zip_compress(z, plain, MAX_LEN, packed,
				      zip_bound(MAX_LEN)),
			 fast);
	zip_free(z);
}

static void test_small_output_room(void **state)
{
	(void)state;
	fill_text(plain, 65536);
	assert_int_equal(zip_compress(zip, plain, 65536, packed, 50), 0);
	assert_int_equal(zip_compress(zip, plain, 65536, packed, 0), 0);
}

static void test_truncated(void **state)
{
	ssize_t n, cut;

	(void)state;
	fill_text(plain, 4096);
	n = zip_compress(zip, plain, 4096, packed, zip_bound(4096));
	assert_true(n > 0);
	for (cut = 0; cut < n; cut++) {
		uint8_t *exact = malloc(cut ? (size_t)cut : 1);

		memcpy(exact, packed, (size_t)cut);
		assert_int_equal(zip_decompress(zip, exact, (size_t)cut, back,
						4096),
				 -EBADMSG);
		free(exact);
	}
	/* and the context is fit for use */
	assert_int_equal(zip_decompress(zip, packed, (size_t)n, back, 4096), 0);
}

static void test_other_lengths(void **state)
{
	ssize_t n;

	(void)state;
	fill_text(plain, 4096);
	n = zip_compress(zip, plain, 4096, packed, zip_bound(4096));
	assert_true(n > 0);
	assert_int_equal(zip_decompress(zip, packed, (size_t)n, back, 4095),
			 -EBADMSG);
	assert_int_equal(zip_decompress(zip, packed, (size_t)n, back, 4097),
			 -EBADMSG);
	assert_int_equal(zip_decompress(zip, packed, (size_t)n, back, 0),
			 -EBADMSG);
	packed[n] = 0; /* a byte too many */
	assert_int_equal(zip_decompress(zip, packed, (size_t)n + 1, back, 4096),
			 -EBADMSG);
	/* a frame behind it that adds nothing: skippable, then empty */
	memcpy(packed + n, "\x50\x2a\x4d\x18\0\0\0\0", 8);
	assert_int_equal(zip_decompress(zip, packed, (size_t)n + 8, back, 4096),
			 -EBADMSG);
	memcpy(packed + n, "\x28\xb5\x2f\xfd\x20\0\1\0\0", 9);
	assert_int_equal(zip_decompress(zip, packed, (size_t)n + 9, back, 4096),
			 -EBADMSG);
	/* the same frame again */
	memmove(packed + n, packed, (size_t)n);
	assert_int_equal(zip_decompress(zip, packed, 2 * (size_t)n, back, 4096),
			 -EBADMSG);
	assert_int_equal(zip_decompress(zip, packed, 2 * (size_t)n, back, 8192),
			 -EBADMSG);
}

/* Frames by hand (RFC 8878): magic, descriptor, [window], [dictionary],
 * [size], a raw block of "abc". */
static void test_frames_by_hand(void **state)
{
	static const struct {
		uint8_t raw[24];
		size_t len;
		int want;
	} cases[] = {
		/* one segment, size 3 */
		{ { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 3, 0x19, 0, 0, 'a', 'b',
		    'c' },
		  12,
		  0 },
		/* no size */
		{ { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0, 0x19, 0, 0, 'a', 'b',
		    'c' },
		  12,
		  -EBADMSG },
		/* the reserved bit */
		{ { 0x28, 0xb5, 0x2f, 0xfd, 0x28, 3, 0x19, 0, 0, 'a', 'b',
		    'c' },
		  12,
		  -EBADMSG },
		/* a dictionary, number 1 */
		{ { 0x28, 0xb5, 0x2f, 0xfd, 0x21, 1, 3, 0x19, 0, 0, 'a', 'b',
		    'c' },
		  13,
		  -EBADMSG },
		/* a wrong checksum */
		{ { 0x28, 0xb5, 0x2f, 0xfd, 0x24, 3, 0x19, 0, 0, 'a', 'b', 'c',
		    1, 2, 3, 4 },
		  16,
		  -EBADMSG },
		/* says 3, holds 2 */
		{ { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 3, 0x11, 0, 0, 'a', 'b' },
		  11,
		  -EBADMSG },
		/* says 3, holds 4 */
		{ { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 3, 0x21, 0, 0, 'a', 'b', 'c',
		    'd' },
		  13,
		  -EBADMSG },
		/* another magic */
		{ { 0x27, 0xb5, 0x2f, 0xfd, 0x20, 3, 0x19, 0, 0, 'a', 'b',
		    'c' },
		  12,
		  -EBADMSG },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(zip_decompress(zip, cases[i].raw, cases[i].len,
						back, 3),
				 cases[i].want);
	assert_int_equal(zip_decompress(zip, cases[0].raw, 12, back, 3), 0);
	assert_memory_equal(back, "abc", 3);
}

/* A run of 2 GiB claimed in 20 bytes: refused for its size alone. */
static void test_bomb(void **state)
{
	static const uint8_t bomb[] = { 0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0,
					0,    0x80, 3,	  0,	0x10, 0 };

	(void)state;
	assert_int_equal(zip_decompress(zip, bomb, sizeof(bomb), back, 131072),
			 -EBADMSG);
}

static void test_skippable_frame(void **state)
{
	static const uint8_t skip[] = { 0x50, 0x2a, 0x4d, 0x18, 2,
					0,    0,    0,	  'h',	'i' };

	(void)state;
	assert_int_equal(zip_decompress(zip, skip, sizeof(skip), back, 0),
			 -EBADMSG);
}

static void *other_thread(void *arg)
{
	struct zip **out = arg;

	out[0] = zip_thread();
	out[1] = zip_thread();
	return NULL;
}

static void test_zip_of_the_thread(void **state)
{
	struct zip *mine = zip_thread(), *theirs[2] = { NULL, NULL };
	pthread_t thread;

	(void)state;
	assert_non_null(mine);
	assert_ptr_equal(zip_thread(), mine);
	assert_int_equal(pthread_create(&thread, NULL, other_thread, theirs),
			 0);
	pthread_join(thread, NULL);
	assert_non_null(theirs[0]);
	assert_ptr_equal(theirs[0], theirs[1]);
	assert_ptr_not_equal(theirs[0], mine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_not_worth_it),
		cmocka_unit_test(test_another_level),
		cmocka_unit_test(test_small_output_room),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_other_lengths),
		cmocka_unit_test(test_frames_by_hand),
		cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_skippable_frame),
		cmocka_unit_test(test_zip_of_the_thread),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
