/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/base/bytes.h"
#include "store/base/secret.h"
#include "store/crypt/crypt.h"
#include "store/crypt/keyring.h"
#include "store/writer/cdc.h"

#define DATA_LEN ((size_t)128 << 20)

static uint8_t *data; /* DATA_LEN bytes of splitmix64, seed 42 */
static uint64_t gear[256], other_gear[256];

static uint64_t splitmix(uint64_t *x)
{
	uint64_t z = *x += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* The table of the vault whose master key is 00 01 .. and id a0 a1 .. */
static void vault_gear(uint64_t out[256])
{
	struct secret *master = secret_new(CRYPT_KEY_LEN);
	uint8_t id[VAULT_ID_LEN];
	struct keyring *k;
	int i;

	for (i = 0; i < CRYPT_KEY_LEN; i++)
		master->data[i] = (uint8_t)i;
	for (i = 0; i < VAULT_ID_LEN; i++)
		id[i] = (uint8_t)(0xa0 + i);
	assert_int_equal(keyring_new(master, id, &k), 0);
	memcpy(out, keyring_gear(k), 256 * sizeof(*out));
	keyring_free(k);
	secret_free(master);
}

static int setup(void **state)
{
	uint64_t x = 42;
	size_t i;

	(void)state;
	data = malloc(DATA_LEN);
	if (!data)
		return -1;
	for (i = 0; i < DATA_LEN; i += 8)
		put_le64(data + i, splitmix(&x));
	vault_gear(gear);
	for (i = 0; i < 256; i++)
		other_gear[i] = splitmix(&x);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(data);
	return 0;
}

/* The algorithm as cdc.h tells it. */
static size_t plain_cut(const uint64_t table[256], const uint8_t *p, size_t len)
{
	size_t end = len < CDC_MAX ? len : CDC_MAX;
	uint64_t h = 0;
	size_t n;

	if (len <= CDC_MIN)
		return len;
	for (n = CDC_MIN - 64; n < CDC_MIN; n++)
		h = 2 * h + table[p[n]];
	for (n = CDC_MIN; n < end; n++) {
		if ((h & (n < CDC_SWITCH ? CDC_MASK_HARD : CDC_MASK_EASY)) == 0)
			return n;
		h = 2 * h + table[p[n]];
	}
	return end;
}

/* The ends of all chunks of <p, len>; returns how many. */
static size_t cut_all(const uint64_t table[256], const uint8_t *p, size_t len,
		      size_t *ends, size_t max)
{
	size_t off = 0, n = 0;

	while (off < len) {
		off += cdc_cut(table, p + off, len - off);
		assert_true(n < max);
		ends[n++] = off;
	}
	return n;
}

/* Computed by an implementation of the manual in another language. */
static void test_known_answer(void **state)
{
	static const size_t want[] = { 1375775, 1504930, 763726, 1487224,
				       1024428, 1890249, 342276 };
	size_t len = 8 << 20, off = 0, i;

	(void)state;
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		size_t n = cdc_cut(gear, data + off, len - off);

		assert_int_equal(n, want[i]);
		off += n;
	}
	assert_int_equal(off, len);
}

static void test_masks(void **state)
{
	(void)state;
	assert_int_equal(__builtin_popcountll(CDC_MASK_HARD), 22);
	assert_int_equal(__builtin_popcountll(CDC_MASK_EASY), 18);
	assert_true((CDC_MASK_HARD & CDC_MASK_EASY) == CDC_MASK_EASY);
}

static void test_same_as_the_plain_algorithm(void **state)
{
	size_t off = 0, len = 48 << 20;

	(void)state;
	while (off < len) {
		size_t n = cdc_cut(gear, data + off, len - off);

		assert_int_equal(n, plain_cut(gear, data + off, len - off));
		off += n;
	}
}

/* Data that ends anywhere: at a boundary, one byte to either side of the
 * bounds, inside the blocks that are scanned at once. */
static void test_every_kind_of_end(void **state)
{
	size_t cut = cdc_cut(gear, data, CDC_MAX);
	const size_t ends[] = {
		0,
		1,
		63,
		64,
		65,
		CDC_MIN - 1,
		CDC_MIN,
		CDC_MIN + 1,
		CDC_MIN + 2047,
		CDC_MIN + 8191,
		CDC_MIN + 8192,
		CDC_MIN + 8193,
		CDC_SWITCH - 1,
		CDC_SWITCH,
		CDC_SWITCH + 1,
		cut - 1,
		cut,
		cut + 1,
		CDC_MAX - 1,
		CDC_MAX,
		CDC_MAX + 1,
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		/* Memory of that length alone: a sanitizer sees an overrun. */
		uint8_t *copy = malloc(ends[i] ? ends[i] : 1);
		size_t n;

		assert_non_null(copy);
		memcpy(copy, data, ends[i]);
		n = cdc_cut(gear, copy, ends[i]);
		assert_int_equal(n, ends[i] < cut ? ends[i] : cut);
		assert_int_equal(n, plain_cut(gear, copy, ends[i]));
		free(copy);
	}
}

static void test_bounds_and_average(void **state)
{
	size_t off = 0, n = 0;

	(void)state;
	while (off < DATA_LEN) {
		size_t len = cdc_cut(gear, data + off, DATA_LEN - off);

		assert_true(len <= CDC_MAX);
		off += len;
		assert_true(len >= CDC_MIN || off == DATA_LEN);
		n++;
	}
	assert_in_range(DATA_LEN / n, CDC_AVG * 9 / 10, CDC_AVG * 11 / 10);
}

static void test_what_follows_does_not_matter(void **state)
{
	uint8_t *copy = malloc(CDC_MAX + 4096);
	size_t want = cdc_cut(gear, data, CDC_MAX);

	(void)state;
	assert_non_null(copy);
	memcpy(copy, data, CDC_MAX);
	memset(copy + CDC_MAX, 0xff, 4096);
	assert_int_equal(cdc_cut(gear, copy, CDC_MAX + 4096), want);
	/* nor what follows the boundary */
	memset(copy + want, 0, CDC_MAX - want);
	assert_int_equal(cdc_cut(gear, copy, CDC_MAX), want);
	free(copy);
}

/* How many ends of one list, moved by @shift, are in the other. */
static size_t shared(const size_t *a, size_t na, const size_t *b, size_t nb,
		     size_t shift)
{
	size_t i, j = 0, n = 0;

	for (i = 0; i < na; i++) {
		while (j < nb && b[j] < a[i] + shift)
			j++;
		n += j < nb && b[j] == a[i] + shift;
	}
	return n;
}

static void test_resync_after_insertion(void **state)
{
	static const size_t shifts[] = { 1, 7, 4096, 100001 };
	size_t len = 32 << 20, at = 9 << 20, i, na, nb;
	size_t a[128], b[128];
	uint8_t *copy = malloc(len + 100001);

	(void)state;
	assert_non_null(copy);
	na = cut_all(gear, data, len, a, 128);
	for (i = 0; i < 4; i++) {
		size_t before = 0, k;

		memcpy(copy, data, at);
		memset(copy + at, 'x', shifts[i]);
		memcpy(copy + at + shifts[i], data + at, len - at);
		nb = cut_all(gear, copy, len + shifts[i], b, 128);
		while (a[before] <= at)
			before++;
		for (k = 0; k < before; k++)
			assert_int_equal(a[k], b[k]);
		/* behind the insertion all but a few chunks are the same */
		assert_true(shared(a + before, na - before, b, nb, shifts[i]) +
				    6 >=
			    na - before);
	}
	free(copy);
}

static void test_another_table_cuts_elsewhere(void **state)
{
	size_t a[128], b[128], len = 64 << 20, na, nb;

	(void)state;
	na = cut_all(gear, data, len, a, 128);
	nb = cut_all(other_gear, data, len, b, 128);
	assert_int_equal(shared(a, na - 1, b, nb - 1, 0), 0);
}

/* A run of one byte has one hash: it is cut at the minimum or not at all. */
static void test_constant_data(void **state)
{
	uint8_t *flat = malloc(CDC_MAX);
	int byte;

	(void)state;
	assert_non_null(flat);
	for (byte = 0; byte < 4; byte++) {
		memset(flat, byte, CDC_MAX);
		assert_int_equal(cdc_cut(gear, flat, CDC_MAX),
				 plain_cut(gear, flat, CDC_MAX));
	}
	free(flat);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_answer),
		cmocka_unit_test(test_masks),
		cmocka_unit_test(test_same_as_the_plain_algorithm),
		cmocka_unit_test(test_every_kind_of_end),
		cmocka_unit_test(test_bounds_and_average),
		cmocka_unit_test(test_what_follows_does_not_matter),
		cmocka_unit_test(test_resync_after_insertion),
		cmocka_unit_test(test_another_table_cuts_elsewhere),
		cmocka_unit_test(test_constant_data),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
