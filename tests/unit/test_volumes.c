/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables and groups out of hand-built bytes, and the same cut and damaged. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/guest/crc32.h"
#include "fs/guest/lvm_group_internal.h"
#include "store/base/bytes.h"

#define SIZE 65536

static struct blocks *image(const uint8_t *bytes, size_t len)
{
	struct blocks *b;

	assert_int_equal(blocks_memory(bytes, len, SIZE, &b), 0);
	return b;
}

static void put_gpt(uint8_t *disk, uint64_t lba, uint64_t table)
{
	uint8_t *h = disk + lba * 512, *e = disk + table * 512;

	memset(e, 0, 512);
	memset(e + 128, 0x11, 16);
	put_le64(e + 128 + 32, 40);
	put_le64(e + 128 + 40, 49);
	memset(h, 0, 512);
	memcpy(h, "EFI PART", 8);
	put_le32(h + 8, 0x10000);
	put_le32(h + 12, 92);
	put_le64(h + 24, lba);
	put_le64(h + 72, table);
	put_le32(h + 80, 4);
	put_le32(h + 84, 128);
	put_le32(h + 88, crc32_ieee(e, 512));
	put_le32(h + 16, crc32_ieee(h, 92));
}

static void test_gpt(void **state)
{
	static uint8_t disk[SIZE];
	static struct table t;
	struct blocks *b;
	size_t len;
	int r;

	(void)state;
	put_gpt(disk, 1, 2);
	for (len = 0; len <= 1536; len++) {
		b = image(disk, len);
		r = gpt_read(b, &t);
		assert_true(r == 0 || r == -ENOENT || r == -EBADMSG);
		/* What follows the used entry is zeros, cut or not. */
		if (len < 1024 + 128 + 41)
			assert_int_not_equal(r, 0);
		blocks_put(b);
	}
	put_gpt(disk, 127, 100);
	for (len = 0; len < 3; len++) {
		b = image(disk, SIZE);
		assert_int_equal(gpt_read(b, &t), 0);
		assert_int_equal(t.n, 1);
		assert_int_equal(t.parts[0].number, 2);
		assert_int_equal(t.parts[0].off, 40 * 512);
		assert_int_equal(t.parts[0].len, 10 * 512);
		blocks_put(b);
		disk[512 * (1 + len) + 40] ^= 1; /* header, then entries */
	}
	disk[127 * 512 + 30] ^= 1;
	b = image(disk, SIZE);
	assert_int_equal(gpt_read(b, &t), -EBADMSG);
	blocks_put(b);
}

static void put_entry(uint8_t *sector, int i, uint8_t type, uint32_t start,
		      uint32_t count)
{
	uint8_t *e = sector + 446 + i * 16;

	e[4] = type;
	put_le32(e + 8, start);
	put_le32(e + 12, count);
	sector[510] = 0x55;
	sector[511] = 0xaa;
}

static void test_mbr(void **state)
{
	static uint8_t disk[SIZE];
	static struct table t;
	struct blocks *b;
	size_t len;

	(void)state;
	put_entry(disk, 0, 0x83, 10, 5);
	put_entry(disk, 2, 0x05, 20, 50);
	put_entry(disk + 20 * 512, 0, 0x83, 1, 4);
	put_entry(disk + 20 * 512, 1, 0x05, 10, 6);
	put_entry(disk + 30 * 512, 0, 0x83, 1, 3);
	for (len = 0; len <= 31 * 512; len += 7) {
		b = image(disk, len);
		assert_int_equal(mbr_read(b, &t), len < 512 ? -ENOENT : 0);
		blocks_put(b);
	}
	b = image(disk, SIZE);
	assert_int_equal(mbr_read(b, &t), 0);
	assert_int_equal(t.n, 3);
	assert_int_equal(t.parts[2].number, 6);
	assert_int_equal(t.parts[2].off, 31 * 512);
	blocks_put(b);
	/* A chain that comes back ends, and keeps what came before. */
	put_entry(disk + 30 * 512, 1, 0x05, 0, 6);
	b = image(disk, SIZE);
	assert_int_equal(mbr_read(b, &t), 0);
	assert_int_equal(t.n, 3);
	blocks_put(b);
	disk[446] = 0x12; /* code, not a table */
	b = image(disk, SIZE);
	assert_int_equal(mbr_read(b, &t), -ENOENT);
	blocks_put(b);
}

#define ID "aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa"
static const char text[] =
	"vg { id = \"" ID "\" seqno = 3 # a remark\n"
	"extent_size = 8 physical_volumes { pv0 { id = \"" ID "\"\n"
	"pe_start = 16 pe_count = 10 } }\n"
	"logical_volumes { lv { status = [\"READ\", \"VISIBLE\"]\n"
	"segment_count = 1 segment1 { start_extent = 0 extent_count = 2\n"
	"type = \"striped\" stripe_count = 1 stripes = [ \"pv0\", 1 ] } } } }";

static int take_lv(void *arg, const char *vg, const char *lv,
		   struct blocks *blocks, const char *why)
{
	unsigned int *n = arg;

	assert_string_equal(vg, "vg");
	assert_string_equal(lv, "lv");
	assert_null(why);
	assert_int_equal(blocks->size, 8192);
	++*n;
	return 0;
}

static int take_any(void *arg, const char *vg, const char *lv,
		    struct blocks *blocks, const char *why)
{
	(void)arg, (void)vg, (void)lv;
	assert_true(!blocks != !why);
	return 0;
}

/* Run a text as a group's. Return what parsing returned. */
static int run_text(const char *s, size_t len, lvm_fn *fn, void *arg)
{
	struct lvm_set *set;
	struct blocks *b = image((const uint8_t *)"", 0);
	char *copy = malloc(len + 1);
	int r;

	memcpy(copy, s, len);
	assert_int_equal(lvm_new(&set), 0);
	set->groups = calloc(1, sizeof(*set->groups));
	set->pvs = calloc(1, sizeof(*set->pvs));
	set->npvs = 1;
	set->pvs[0].b = b;
	memset(set->pvs[0].id, 'a', LVM_ID_LEN);
	set->ngroups = 1;
	r = lvm_text_parse(copy, len, &set->groups[0].text);
	if (r == 0)
		r = lvm_group_init(&set->groups[0]);
	if (r == 0)
		assert_int_equal(lvm_each(set, fn, arg), 0);
	lvm_free(set);
	return r;
}

static void test_lvm_text(void **state)
{
	size_t len = sizeof(text) - 1, i;
	char copy[sizeof(text)];
	unsigned int n = 0;

	(void)state;
	assert_int_equal(run_text(text, len, take_lv, &n), 0);
	assert_int_equal(n, 1);
	for (i = 0; i < len; i++)
		assert_int_equal(run_text(text, i, take_any, NULL), -EBADMSG);
	for (i = 0; i < len; i++) {
		memcpy(copy, text, sizeof(text));
		copy[i] ^= 0x13;
		(void)!run_text(copy, len, take_any, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gpt),
		cmocka_unit_test(test_mbr),
		cmocka_unit_test(test_lvm_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
