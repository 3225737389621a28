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
#include "fs/guest/volumes/lvm_group_internal.h"
#include "store/base/bytes.h"

#define SIZE 65536

static struct blocks *image(const uint8_t *bytes, size_t len)
{
	struct blocks *b;

	assert_int_equal(blocks_memory(bytes, len, SIZE, &b), 0);
	return b;
}

static void put_gpt(uint8_t *disk, size_t sector, uint64_t lba, uint64_t table)
{
	uint8_t *h = disk + lba * sector, *e = disk + table * sector;

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
	put_gpt(disk, 512, 1, 2);
	for (len = 0; len <= 1536; len++) {
		b = image(disk, len);
		r = gpt_read(b, &t);
		assert_true(r == 0 || r == -ENOENT || r == -EBADMSG);
		/* What follows the used entry is zeros, cut or not. */
		if (len < 1024 + 128 + 41)
			assert_int_not_equal(r, 0);
		blocks_put(b);
	}
	put_gpt(disk, 512, 127, 100);
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

/* Sectors of 4096 bytes: the table, then only its copy at the end. */
static void test_gpt_4096(void **state)
{
	static uint8_t disk[SIZE];
	static struct table t;
	struct blocks *b;
	int i;

	(void)state;
	put_gpt(disk, 4096, 1, 2);
	put_gpt(disk, 4096, SIZE / 4096 - 1, SIZE / 4096 - 2);
	for (i = 0; i < 2; i++) {
		b = image(disk, SIZE);
		assert_int_equal(gpt_read(b, &t), 0);
		assert_int_equal(t.n, 1);
		assert_int_equal(t.parts[0].number, 2);
		assert_int_equal(t.parts[0].off, 40 * 4096);
		assert_int_equal(t.parts[0].len, 10 * 4096);
		blocks_put(b);
		memset(disk + 4096, 0, 4096);
	}
	memset(disk + SIZE - 4096, 0, 4096);
	b = image(disk, SIZE);
	assert_int_equal(gpt_read(b, &t), -ENOENT);
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

/* ---- members of MD RAID ---- */

#define MD_DATA 16 /* sectors */

/* The superblock at @place; a filesystem's bytes are behind it. */
static void put_md(uint8_t *disk, uint64_t place, uint32_t level)
{
	uint8_t *s = disk + place;

	put_le32(s, 0xa92b4efc);
	put_le32(s + 4, 1);
	put_le32(s + 72, level);
	put_le64(s + 80, 100); /* of the array: less than there is */
	put_le64(s + 128, MD_DATA);
	put_le64(s + 136, SIZE / 512 - MD_DATA);
	put_le64(s + 144, place / 512);
	memcpy(disk + MD_DATA * 512, "the data", 8);
}

static void test_md(void **state)
{
	static const uint64_t places[] = { 0, 4096, SIZE - 16 * 512 };
	static uint8_t disk[SIZE];
	struct blocks *b, *data;
	struct buf why = BUF_INIT;
	char text[8];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		memset(disk, 0, SIZE);
		put_md(disk, places[i], 1);
		b = image(disk, SIZE);
		assert_int_equal(md_open(b, &why, &data), 0);
		assert_int_equal(data->size, 100 * 512);
		assert_int_equal(blocks_read(data, 0, text, 8), 0);
		assert_memory_equal(text, "the data", 8);
		blocks_put(data);
		blocks_put(b);
		/* It says that it lies elsewhere. */
		disk[places[i] + 144] ^= 1;
		b = image(disk, SIZE);
		assert_int_equal(md_open(b, &why, &data), -EOPNOTSUPP);
		blocks_put(b);
	}
	assert_int_equal(why.failed, 0);
	buf_clear(&why);
	memset(disk, 0, SIZE);
	put_md(disk, 4096, 5);
	b = image(disk, SIZE);
	assert_int_equal(md_open(b, &why, &data), -EOPNOTSUPP);
	buf_put_u8(&why, 0);
	assert_non_null(strstr((char *)why.data, "level 5"));
	put_md(disk, 4096, 1);
	put_le64(disk + 4096 + 80, SIZE / 512);
	put_le64(disk + 4096 + 136, SIZE / 512); /* behind the end */
	blocks_put(b);
	b = image(disk, SIZE);
	assert_int_equal(md_open(b, &why, &data), -EBADMSG);
	blocks_put(b);
	for (i = 0; i < 4096 + 256; i += 13) { /* cut */
		b = image(disk, i);
		assert_true(md_open(b, &why, &data) < 0);
		blocks_put(b);
	}
	buf_release(&why);
}

/* ---- what is found, and why it cannot be read ---- */

#define DISK_SIZE (64u << 20)

/* Expect one volume of @type, whose reason has @words. */
static void expect_whole(const uint8_t *disk, size_t len, const char *type,
			 const char *words)
{
	struct discover_disk d = { .name = "vda" };
	struct volume_set *set;

	assert_int_equal(blocks_memory(disk, len, DISK_SIZE, &d.blocks), 0);
	assert_int_equal(discover_volumes(&d, 1, NULL, &set), 0);
	assert_int_equal(set->n, 1);
	assert_string_equal(set->volumes[0].name, "vda");
	assert_string_equal(set->volumes[0].type, type);
	assert_non_null(set->volumes[0].reason);
	assert_non_null(strstr(set->volumes[0].reason, words));
	volume_set_free(set);
	blocks_put(d.blocks);
}

static int read_damage(struct blocks *b, uint64_t off, void *out, size_t len)
{
	(void)b;
	(void)off;
	(void)out;
	(void)len;
	return -EBADMSG;
}

static void free_nothing(struct blocks *b)
{
	(void)b;
}

/* A disk that is damaged in the vault hides no other one. */
static void test_unreadable_disk(void **state)
{
	static const struct blocks_ops ops = { .read = read_damage,
					       .free = free_nothing };
	static uint8_t swap[8192];
	struct blocks damaged;
	struct discover_disk d[2] = { { "vda", &damaged }, { "vdb", NULL } };
	struct volume_set *set;

	(void)state;
	put_le32(swap + 1024, 1);
	put_le32(swap + 1028, 100);
	memcpy(swap + 4086, "SWAPSPACE2", 10);
	blocks_init(&damaged, &ops, DISK_SIZE);
	assert_int_equal(
		blocks_memory(swap, sizeof(swap), DISK_SIZE, &d[1].blocks), 0);
	assert_int_equal(discover_volumes(d, 2, NULL, &set), 0);
	assert_int_equal(set->n, 2);
	assert_string_equal(set->volumes[0].name, "vda");
	assert_non_null(strstr(set->volumes[0].reason, "damaged in the vault"));
	assert_string_equal(set->volumes[1].name, "vdb");
	assert_string_equal(set->volumes[1].type, "swap");
	volume_set_free(set);
	blocks_put(d[1].blocks);
}

static void test_reasons(void **state)
{
	static uint8_t disk[1u << 20];

	(void)state;
	expect_whole(disk, sizeof(disk), "", "no filesystem");
	put_le32(disk + 1024, 0xf2f52010);
	put_le16(disk + 1028, 1);
	put_le32(disk + 1024 + 16, 12); /* of 4 KiB */
	expect_whole(disk, sizeof(disk), "f2fs", ".raw");
	memset(disk, 0, sizeof(disk));
	memcpy(disk + 32768, "JFS1", 4);
	put_le32(disk + 32768 + 4, 1);
	put_le32(disk + 32768 + 16, 4096); /* bytes and bits of a block */
	put_le16(disk + 32768 + 20, 12);
	put_le16(disk + 32768 + 22, 3);
	put_le32(disk + 32768 + 24, 512); /* of a sector */
	put_le16(disk + 32768 + 28, 9);
	expect_whole(disk, sizeof(disk), "jfs", ".raw");
	memset(disk, 0, sizeof(disk));
	put_le32(disk + 1024, 1);
	put_le32(disk + 1028, 100);
	memcpy(disk + 4086, "SWAPSPACE2", 10);
	expect_whole(disk, sizeof(disk), "swap", "holds no files");
}

/* A mirror's member: what it holds is a volume beside it. */
static void test_mirror(void **state)
{
	static uint8_t disk[1u << 20];
	struct discover_disk d = { .name = "vda" };
	struct volume_set *set;
	uint64_t sum = 0;
	size_t i;

	(void)state;
	put_md(disk, 4096, 1);
	put_le64(disk + 4096 + 80, 1000);
	put_le64(disk + 4096 + 136, 1000);
	for (i = 0; i < 256; i += 4)
		sum += get_le32(disk + 4096 + i);
	put_le32(disk + 4096 + 216, (uint32_t)sum + (uint32_t)(sum >> 32));
	put_le32(disk + MD_DATA * 512 + 1024, 1);
	put_le32(disk + MD_DATA * 512 + 1028, 100);
	memcpy(disk + MD_DATA * 512 + 4086, "SWAPSPACE2", 10);
	assert_int_equal(
		blocks_memory(disk, sizeof(disk), DISK_SIZE, &d.blocks), 0);
	assert_int_equal(discover_volumes(&d, 1, NULL, &set), 0);
	assert_int_equal(set->n, 2);
	assert_string_equal(set->volumes[0].type, "linux_raid_member");
	assert_non_null(strstr(set->volumes[0].reason, "vda_md beside it"));
	assert_string_equal(set->volumes[1].name, "vda_md");
	assert_string_equal(set->volumes[1].type, "swap");
	assert_int_equal(set->volumes[1].blocks->size, 1000 * 512);
	volume_set_free(set);
	blocks_put(d.blocks);
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
		cmocka_unit_test(test_gpt_4096),
		cmocka_unit_test(test_mbr),
		cmocka_unit_test(test_md),
		cmocka_unit_test(test_unreadable_disk),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_mirror),
		cmocka_unit_test(test_lvm_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
