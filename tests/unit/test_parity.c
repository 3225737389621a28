/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/base/attrs.h"
#include "store/base/buf.h"
#include "store/base/bytes.h"
#include "store/base/hex.h"
#include "store/crypt/crypt.h"
#include "store/parity/parity.h"
#include "store/parity/reader.h"

#define B PARITY_BLOCK

static const uint8_t vault_id[16] = { 1, 2, 3 };

/* A pack, its name, and its parity. */
struct one {
	uint8_t *data; /* owned */
	size_t len, nblocks, nstripes, k, m, npieces;
	char name[PACK_NAME_MAX];
	struct buf object;
};

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static void make(struct one *o, size_t len, unsigned int percent)
{
	uint8_t hash[CRYPT_SHA256_LEN];
	char hex[2 * CRYPT_SHA256_LEN + 1];
	struct parity_state state;
	uint64_t x = 88172645463325252u + len;
	size_t i;

	*o = (struct one){ .len = len, .object = BUF_INIT };
	o->data = malloc(len);
	assert_non_null(o->data);
	for (i = 0; i < len; i++)
		o->data[i] = (uint8_t)next_random(&x);
	assert_int_equal(crypt_sha256(o->data, len, hash), 0);
	hex_encode(hash, sizeof(hash), hex);
	snprintf(o->name, sizeof(o->name),
		 "0123456789abcdef0123456789abcdef-7-%s", hex);
	assert_int_equal(parity_make(o->name, o->data, len, percent, vault_id,
				     &o->object),
			 0);
	assert_int_equal(parity_check(o->name, o->object.data, o->object.len,
				      &state),
			 0);
	assert_int_equal(state.blocks * B, o->object.len);
	assert_int_equal(state.lost, 0);
	o->k = state.k;
	o->m = state.m;
	o->nblocks = (len + B - 1) / B;
	o->nstripes = (o->nblocks + o->k - 1) / o->k;
	o->npieces = (state.blocks - o->m * o->nstripes) / 2;
	/* At least what was asked for. */
	assert_true(o->m * o->nstripes * 100 >= o->nblocks * percent);
}

static void release(struct one *o)
{
	free(o->data);
	buf_release(&o->object);
}

static uint8_t *copy_of(const void *data, size_t len)
{
	uint8_t *copy = malloc(len + 1);

	assert_non_null(copy);
	memcpy(copy, data, len);
	return copy;
}

/* Blocks of a copy of <data, len>, lost. */
static void lose(uint8_t *data, size_t len, size_t first, size_t n)
{
	size_t i;

	for (i = first * B; i < (first + n) * B && i < len; i++)
		data[i] ^= 0x5a;
}

/* Mend a pack of which this was read. Return whether that gave the pack. */
static bool mends(const struct one *o, const uint8_t *data, size_t len,
		  const uint8_t *object, size_t object_len)
{
	struct parity_mended m;
	int r = parity_mend(o->name, data, len, object, object_len, &m);
	bool is_proven;

	if (r < 0) {
		assert_int_equal(r, -EBADMSG);
		assert_null(m.bytes);
		return false;
	}
	is_proven = m.is_proven;
	if (is_proven) {
		assert_int_equal(m.len, o->len);
		assert_memory_equal(m.bytes, o->data, o->len);
		assert_int_equal(m.nlost, m.nmade);
	} else {
		assert_true(m.len != o->len ||
			    memcmp(m.bytes, o->data, o->len) != 0);
	}
	parity_release(&m);
	return is_proven;
}

static bool mends_burst(const struct one *o, size_t first, size_t n)
{
	uint8_t *data = copy_of(o->data, o->len);
	bool ok;

	lose(data, o->len, first, n);
	ok = mends(o, data, o->len, o->object.data, o->object.len);
	free(data);
	return ok;
}

static const size_t lengths[] = {
	1,     B - 1,	B,	     B + 1,	  2 * B,
	7 * B, 100 * B, 100 * B + 1, 201 * B - 5, 493 * B,
};
static const unsigned int percents[] = { 1, 5, 50 };

/* Any burst of as many blocks as there are of parity, wherever it is, is mended bit for
 * bit; one that is a block longer never is, and is never taken for mended. */
static void test_bursts(void **state)
{
	size_t i, j, at, n;
	struct one o;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lengths); i++)
		for (j = 0; j < ARRAY_SIZE(percents); j++) {
			make(&o, lengths[i], percents[j]);
			n = o.m * o.nstripes;
			for (at = 0; at < o.nblocks;
			     at += MAX(o.nblocks / 13, 1u)) {
				assert_true(mends_burst(&o, at, n));
				if (at + n + 1 <= o.nblocks)
					assert_false(
						mends_burst(&o, at, n + 1));
			}
			if (n < o.nblocks) {
				at = o.nblocks - n;
				assert_true(mends_burst(&o, at, n));
				assert_false(mends_burst(&o, at - 1, n + 1));
			}
			release(&o);
		}
}

/* What is lost of a stripe and of its parity may be m blocks together, and of the table
 * one copy of each piece. */
static void test_both_lost(void **state)
{
	uint8_t *data, *object;
	size_t at, len;
	struct one o;

	(void)state;
	make(&o, 201 * B, 5);
	len = o.object.len;
	assert_true(o.m > 1);
	for (at = 0; at < o.nblocks - o.nstripes * (o.m - 1); at += 17) {
		data = copy_of(o.data, o.len);
		object = copy_of(o.object.data, len);
		lose(data, o.len, at, o.nstripes * (o.m - 1));
		/* One row of parity, and the first table before it. */
		lose(object, len, 0, o.npieces + o.nstripes);
		assert_int_equal(parity_check(o.name, object, len, NULL),
				 -EBADMSG);
		assert_true(mends(&o, data, o.len, object, len));
		/* One more of either. */
		lose(object, len, o.npieces + o.nstripes, o.nstripes);
		assert_false(mends(&o, data, o.len, object, len));
		/* The pack is whole: it can all be made again. */
		assert_true(mends(&o, o.data, o.len, object, len));
		free(data);
		free(object);
	}
	release(&o);
}

/* Any burst in the object leaves a pack whole, and one of the table's length leaves all
 * of its strength. */
static void test_object_lost(void **state)
{
	uint8_t *data, *object;
	size_t at, n, len;
	struct one o;

	(void)state;
	make(&o, 700 * B, 5);
	assert_true(o.npieces > 1);
	len = o.object.len;
	n = len / B;
	data = copy_of(o.data, o.len);
	lose(data, o.len, 99, o.m * o.nstripes);
	for (at = 0; at < n; at++) {
		struct parity_state s;
		bool is_table = at < o.npieces || at >= n - o.npieces;

		object = copy_of(o.object.data, len);
		object[at * B + 4000] ^= 1;
		assert_int_equal(parity_check(o.name, object, len, &s),
				 -EBADMSG);
		assert_int_equal(s.lost, 1);
		assert_true(mends(&o, o.data, o.len, object, len));
		assert_int_equal(mends(&o, data, o.len, object, len), is_table);
		free(object);
	}
	/* Each piece is there once, here or there. */
	object = copy_of(o.object.data, len);
	lose(object, len, 0, 1);
	lose(object, len, n - o.npieces + 1, o.npieces - 1);
	assert_true(mends(&o, data, o.len, object, len));
	/* None of them is. */
	lose(object, len, 1, o.npieces - 1);
	lose(object, len, n - o.npieces, 1);
	assert_false(mends(&o, data, o.len, object, len));
	free(object);
	free(data);
	release(&o);
}

/* Cut, and with something behind them. */
static void test_lengths(void **state)
{
	uint8_t *data, *object;
	struct one o;
	size_t n, len;

	(void)state;
	make(&o, 150 * B + 77, 10);
	n = o.m * o.nstripes;
	len = o.object.len;
	data = calloc(1, o.len + 5 * B);
	object = calloc(1, len + 5 * B);
	assert_non_null(data);
	assert_non_null(object);
	memcpy(data, o.data, o.len);
	memcpy(object, o.object.data, len);
	assert_true(mends(&o, data, o.len + 5 * B, object, len + 5 * B));
	assert_true(mends(&o, data, (o.nblocks - n) * B, object, len));
	assert_false(mends(&o, data, (o.nblocks - n) * B - 1, object, len));
	assert_false(mends(&o, NULL, 0, object, len));
	/* The second table is gone; then a row of parity; then all. */
	assert_true(mends(&o, data, (o.nblocks - n) * B, object,
			  len - o.npieces * B));
	assert_false(mends(&o, data, (o.nblocks - n) * B, object,
			   len - o.npieces * B - 1));
	assert_true(mends(&o, data, o.len, object, B));
	assert_false(mends(&o, data, o.len, object, B - 1));
	assert_int_equal(parity_check(o.name, object, len - 1, NULL), -EBADMSG);
	assert_int_equal(parity_check(o.name, object, len + 1, NULL), -EBADMSG);
	/* Of another pack. */
	o.name[PACK_NAME_MAX / 2] ^= 1;
	assert_false(mends(&o, data, o.len, object, len));
	free(data);
	free(object);
	release(&o);
}

/* Single bits, all over pack and object: what is proven is right. */
static void test_flips(void **state)
{
	uint64_t x = 42;
	size_t i, j, nmended = 0;
	struct one o;

	(void)state;
	make(&o, 201 * B, 5);
	for (i = 0; i < 200; i++) {
		uint8_t *data = copy_of(o.data, o.len);
		uint8_t *object = copy_of(o.object.data, o.object.len);

		for (j = 0; j < i / 8; j++) {
			uint64_t bit = next_random(&x) % (8 * o.len);

			data[bit / 8] ^= (uint8_t)(1 << (bit % 8));
			bit = next_random(&x) % (8 * o.object.len);
			object[bit / 8] ^= (uint8_t)(1 << (bit % 8));
		}
		nmended += mends(&o, data, o.len, object, o.object.len);
		free(data);
		free(object);
	}
	assert_in_range(nmended, 8, 192);
	release(&o);
}

/* ---- against the arithmetic of the manual ---- */

static uint8_t multiply(uint8_t a, uint8_t b)
{
	unsigned int p = 0, i;

	for (i = 0; i < 8; i++) {
		if (b >> i & 1)
			p ^= (unsigned int)a << i;
	}
	for (i = 14; i >= 8; i--)
		if (p >> i & 1)
			p ^= 0x11du << (i - 8);
	return (uint8_t)p;
}

static uint8_t invert(uint8_t a)
{
	unsigned int b;

	for (b = 1; b < 256; b++)
		if (multiply(a, (uint8_t)b) == 1)
			return (uint8_t)b;
	return 0;
}

/* CRC-64/XZ, a bit at a time. */
static uint64_t sum_of(const uint8_t *p, size_t len)
{
	uint64_t crc = ~(uint64_t)0;
	size_t i;
	int bit;

	for (i = 0; i < len; i++) {
		crc ^= p[i];
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^
			      (crc & 1 ? UINT64_C(0xc96c5795d7870f42) : 0);
	}
	return ~crc;
}

static void test_as_in_the_manual(void **state)
{
	uint8_t want[B], block[B];
	size_t i, j, stripe, row;
	const uint8_t *p, *parity;
	struct one o;

	(void)state;
	assert_int_equal(sum_of((const uint8_t *)"123456789", 9),
			 UINT64_C(0x995dc9bbdf1939fa));
	make(&o, 205 * B - 9, 4);
	assert_int_equal(o.nstripes, 3);
	p = o.object.data;
	parity = p + o.npieces * B;
	assert_memory_equal(p, "vmbackup\1\0\23\0\0\0\0\0\1\2\3", 19);
	assert_int_equal(get_le64(p + 128), o.len);
	assert_int_equal(get_le64(p + B - 8), sum_of(p, B - 8));
	assert_memory_equal(p, p + o.object.len - o.npieces * B, o.npieces * B);
	for (row = 0; row < o.m; row++)
		for (stripe = 0; stripe < 3; stripe++) {
			memset(want, 0, B);
			for (j = 0; j < o.k; j++) {
				size_t at = j * 3 + stripe;
				uint8_t c = invert((uint8_t)((o.k + row) ^ j));

				memset(block, 0, B);
				if (at < o.nblocks)
					memcpy(block, o.data + at * B,
					       MIN(B, o.len - at * B));
				for (i = 0; i < 64; i++)
					want[i] ^= multiply(c, block[i]);
				if (at < o.nblocks && row == 0)
					assert_int_equal(
						get_le64(p + 144 + 8 * at),
						sum_of(block, B));
			}
			assert_memory_equal(
				want, parity + (row * 3 + stripe) * B, 64);
		}
	release(&o);
}

static void test_bounds(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	struct one o;

	(void)state;
	make(&o, 3 * B, 50);
	assert_int_equal(parity_make(o.name, o.data, o.len, 0, vault_id, &b),
			 -EINVAL);
	assert_int_equal(parity_make(o.name, o.data, o.len, 51, vault_id, &b),
			 -EINVAL);
	assert_int_equal(parity_make("x", o.data, o.len, 5, vault_id, &b),
			 -EINVAL);
	assert_int_equal(parity_make(o.name, o.data, 0, 5, vault_id, &b),
			 -EINVAL);
	assert_int_equal(parity_object_name("x", 0, name), -EINVAL);
	assert_int_equal(parity_object_name(o.name, 3, name), 0);
	assert_memory_equal(name, "parity/", 7);
	assert_memory_equal(name + 7, o.name + 35, 2);
	assert_string_equal(name + strlen(name) - 2, "-3");
	assert_true(name_is_object(name));
	assert_int_equal(parity_object_name(o.name, 0, name), 0);
	assert_true(name_is_object(name));
	assert_string_equal(name + 10, o.name);
	name[7] ^= 1;
	assert_false(name_is_object(name));
	release(&o);
}

/* ---- in a store ---- */

static struct backend *store_of(const struct one *o, char pack[OBJECT_NAME_MAX],
				char parity[OBJECT_NAME_MAX])
{
	struct backend *b = backend_mem_new();

	assert_non_null(b);
	assert_int_equal(parity_object_name(o->name, 0, parity), 0);
	snprintf(pack, OBJECT_NAME_MAX, "pack/%.190s", parity + 7);
	assert_int_equal(backend_mem_set(b, pack, o->data, o->len), 0);
	assert_int_equal(
		backend_mem_set(b, parity, o->object.data, o->object.len), 0);
	return b;
}

/* A disk cannot read the first block of a pack, and says so of each request that it is
 * part of; then of all of them. */
static void test_unreadable(void **state)
{
	char pack[OBJECT_NAME_MAX], parity[OBJECT_NAME_MAX];
	struct parity_mended m;
	struct backend *b;
	struct one o;
	unsigned int i;

	(void)state;
	make(&o, 64 * B, 5);
	b = store_of(&o, pack, parity);
	/* All, in one request and again, then halves of it down to the block. */
	for (i = 0; i < 8; i++)
		backend_mem_fail(b, BACKEND_MEM_GET, "pack/", 1, -EIO, 0);
	assert_int_equal(parity_fetch(b, o.name, &m), 0);
	assert_int_equal(backend_mem_failures(b), 8);
	assert_true(m.is_proven);
	assert_int_equal(m.nlost, 1);
	assert_memory_equal(m.bytes, o.data, o.len);
	parity_release(&m);

	backend_mem_fail(b, BACKEND_MEM_GET, "pack/", 1, -EIO,
			 BACKEND_MEM_STICKY);
	assert_int_equal(parity_fetch(b, o.name, &m), 0);
	assert_false(m.is_proven);
	assert_int_equal(m.nmade, 0);
	parity_release(&m);
	/* That nobody answers says nothing about the pack. */
	backend_mem_heal(b);
	backend_mem_fail(b, BACKEND_MEM_GET, "pack/", 1, -EHOSTUNREACH, 0);
	assert_int_equal(parity_fetch(b, o.name, &m), -EHOSTUNREACH);
	backend_close(b);
	release(&o);
}

/* Parts of a damaged pack; what it costs is known after the first. */
static void test_reader(void **state)
{
	char pack[OBJECT_NAME_MAX], parity[OBJECT_NAME_MAX];
	struct backend_mem_counts n;
	struct parity_reader *p;
	uint8_t got[3 * B], *data;
	struct backend *b;
	struct one o;
	size_t len;

	(void)state;
	make(&o, 64 * B + 5, 5);
	b = store_of(&o, pack, parity);
	data = backend_mem_data(b, pack, &len);
	lose(data, len, 10, 2);
	lose(data, len, 64, 1);
	p = parity_reader_new(b);
	assert_non_null(p);
	assert_int_equal(parity_read(p, o.name, 9 * B + 9, got, sizeof(got)),
			 0);
	assert_memory_equal(got, o.data + 9 * B + 9, sizeof(got));
	backend_mem_reset_counts(b);
	assert_int_equal(parity_read(p, o.name, 64 * B - 3, got, 8), 0);
	assert_memory_equal(got, o.data + 64 * B - 3, 8);
	/* Lost blocks are not read. */
	backend_mem_fail(b, BACKEND_MEM_GET, "pack/", 1, -EIO, 0);
	assert_int_equal(parity_read(p, o.name, 10 * B, got, 2 * B), 0);
	assert_memory_equal(got, o.data + 10 * B, 2 * B);
	backend_mem_get_counts(b, NULL, &n);
	assert_int_equal(n.calls[BACKEND_MEM_GET], 2);
	assert_int_equal(parity_read(p, o.name, o.len - 1, got, 2), -EBADMSG);
	assert_int_equal(parity_read(p, o.name, UINT64_MAX, got, 2), -EBADMSG);
	parity_reader_free(p);

	/* Without parity a pack is not read for it, and each number is asked for once. */
	assert_int_equal(backend_delete(b, parity), 0);
	p = parity_reader_new(b);
	assert_non_null(p);
	backend_mem_reset_counts(b);
	assert_int_equal(parity_read(p, o.name, 0, got, 9), -EBADMSG);
	assert_int_equal(parity_read(p, o.name, 0, got, 9), -EBADMSG);
	backend_mem_get_counts(b, "pack", &n);
	assert_int_equal(n.calls[BACKEND_MEM_GET], 0);
	backend_mem_get_counts(b, "parity", &n);
	assert_int_equal(n.calls[BACKEND_MEM_GET], PARITY_NUMBER_MAX + 1);
	parity_reader_free(p);
	backend_close(b);
	release(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bursts),
		cmocka_unit_test(test_both_lost),
		cmocka_unit_test(test_object_lost),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_flips),
		cmocka_unit_test(test_as_in_the_manual),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
