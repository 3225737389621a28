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
#include "fs/guest/volumes/finder_internal.h"
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
		r = gpt_read(b, 0, &t);
		assert_true(r == 0 || r == -ENOENT || r == -EBADMSG);
		/* What follows the used entry is zeros, cut or not. */
		if (len < 1024 + 128 + 41)
			assert_int_not_equal(r, 0);
		blocks_put(b);
	}
	put_gpt(disk, 512, 127, 100);
	for (len = 0; len < 3; len++) {
		b = image(disk, SIZE);
		assert_int_equal(gpt_read(b, 0, &t), 0);
		assert_int_equal(t.n, 1);
		assert_int_equal(t.parts[0].number, 2);
		assert_int_equal(t.parts[0].off, 40 * 512);
		assert_int_equal(t.parts[0].len, 10 * 512);
		blocks_put(b);
		disk[512 * (1 + len) + 40] ^= 1; /* header, then entries */
	}
	disk[127 * 512 + 30] ^= 1;
	b = image(disk, SIZE);
	assert_int_equal(gpt_read(b, 0, &t), -EBADMSG);
	blocks_put(b);
}

/* More partitions than are looked at: those that are, and that there are more. */
static void test_gpt_many(void **state)
{
	static uint8_t disk[2 * SIZE + 2048];
	static struct table t;
	uint8_t *h = disk + 512, *e = disk + 1024;
	struct blocks *b;
	uint32_t n, i;

	(void)state;
	for (n = TABLE_MAX; n <= TABLE_MAX + 1; n++) {
		put_gpt(disk, 512, 1, 2);
		for (i = 0; i < n; i++) {
			memset(e + i * 128, 0x11, 16);
			put_le64(e + i * 128 + 32, 400 + i);
			put_le64(e + i * 128 + 40, 400 + i);
		}
		put_le32(h + 80, n);
		put_le32(h + 88, crc32_ieee(e, n * 128));
		put_le32(h + 16, 0);
		put_le32(h + 16, crc32_ieee(h, 92));
		assert_int_equal(
			blocks_memory(disk, sizeof(disk), sizeof(disk), &b), 0);
		assert_int_equal(gpt_read(b, 0, &t), 0);
		assert_int_equal(t.n, TABLE_MAX);
		assert_int_equal(t.cut, n > TABLE_MAX);
		blocks_put(b);
	}
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
		assert_int_equal(gpt_read(b, 0, &t), 0);
		assert_int_equal(t.n, 1);
		assert_int_equal(t.parts[0].number, 2);
		assert_int_equal(t.parts[0].off, 40 * 4096);
		assert_int_equal(t.parts[0].len, 10 * 4096);
		blocks_put(b);
		memset(disk + 4096, 0, 4096);
	}
	memset(disk + SIZE - 4096, 0, 4096);
	b = image(disk, SIZE);
	assert_int_equal(gpt_read(b, 0, &t), -ENOENT);
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
		assert_int_equal(mbr_read(b, 0, &t), len < 512 ? -ENOENT : 0);
		blocks_put(b);
	}
	b = image(disk, SIZE);
	assert_int_equal(mbr_read(b, 0, &t), 0);
	assert_int_equal(t.n, 3);
	assert_int_equal(t.parts[2].number, 6);
	assert_int_equal(t.parts[2].off, 31 * 512);
	assert_false(t.cut);
	blocks_put(b);
	/* A chain that comes back ends, and keeps what came before. */
	put_entry(disk + 30 * 512, 1, 0x05, 0, 6);
	b = image(disk, SIZE);
	assert_int_equal(mbr_read(b, 0, &t), 0);
	assert_int_equal(t.n, 3);
	assert_true(t.cut);
	blocks_put(b);
	disk[446] = 0x12; /* code, not a table */
	b = image(disk, SIZE);
	assert_int_equal(mbr_read(b, 0, &t), -ENOENT);
	blocks_put(b);
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
	struct discover_disk d[2] = { { "vda", &damaged, 512 },
				      { "vdb", NULL, 512 } };
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

/* ---- members of a mirror ---- */

#define MD_DATA 16 /* sectors */

/* A member of a mirror of two, with swap space in it. */
static void put_mirror(uint8_t *disk, unsigned int number, uint64_t events)
{
	uint8_t *s = disk + 4096;
	uint64_t sum = 0;
	size_t i;

	memset(disk, 0, 1u << 20);
	put_le32(s, 0xa92b4efc);
	put_le32(s + 4, 1);
	put_le32(s + 72, 1);
	put_le64(s + 80, 1000);
	put_le32(s + 92, 2);
	put_le64(s + 128, MD_DATA);
	put_le64(s + 136, 1000);
	put_le64(s + 144, 8);
	put_le32(s + 160, number);
	put_le64(s + 200, events);
	put_le32(s + 220, 2);
	put_le16(s + 258, 1);
	for (i = 0; i < 260; i += 4)
		sum += get_le32(s + i);
	put_le32(s + 216, (uint32_t)sum + (uint32_t)(sum >> 32));
	put_le32(disk + MD_DATA * 512 + 1024, 1);
	put_le32(disk + MD_DATA * 512 + 1028, 100);
	memcpy(disk + MD_DATA * 512 + 4086, "SWAPSPACE2", 10);
}

/* Find the volumes of one or two disks of which two MiB are given. */
static struct volume_set *discover(const uint8_t *a, const uint8_t *b,
				   size_t len)
{
	struct discover_disk d[2] = { { .name = "vda" }, { .name = "vdb" } };
	struct volume_set *set;

	assert_int_equal(blocks_memory(a, len, DISK_SIZE, &d[0].blocks), 0);
	if (b)
		assert_int_equal(blocks_memory(b, len, DISK_SIZE, &d[1].blocks),
				 0);
	assert_int_equal(discover_volumes(d, b ? 2 : 1, NULL, &set), 0);
	blocks_put(d[0].blocks);
	blocks_put(d[1].blocks);
	return set;
}

static const struct volume *find(const struct volume_set *set, const char *name)
{
	size_t i;

	for (i = 0; i < set->n; i++)
		if (strcmp(set->volumes[i].name, name) == 0)
			return &set->volumes[i];
	return NULL;
}

/* A mirror is one volume, whatever its members; an old one is none. */
static void test_mirror(void **state)
{
	static uint8_t disks[2][1u << 20];
	struct volume_set *set;
	const struct volume *v;

	(void)state;
	put_mirror(disks[0], 0, 7);
	put_mirror(disks[1], 1, 7);
	set = discover(disks[0], disks[1], 1u << 20);
	assert_int_equal(set->n, 3);
	v = find(set, "vda_md");
	assert_non_null(v);
	assert_string_equal(v->type, "swap");
	assert_string_equal(v->state, "");
	assert_int_equal(v->blocks->size, 1000 * 512);
	assert_string_equal(set->volumes[0].type, "linux_raid_member");
	assert_non_null(strstr(set->volumes[0].reason, "vda_md beside it"));
	assert_non_null(strstr(set->volumes[1].reason, "vda_md beside it"));
	volume_set_free(set);
	put_mirror(disks[0], 0, 3);
	set = discover(disks[0], disks[1], 1u << 20);
	assert_int_equal(set->n, 3);
	assert_non_null(find(set, "vdb_md"));
	assert_non_null(strstr(set->volumes[0].reason, "left behind"));
	assert_non_null(strstr(set->volumes[0].reason, "vdb_md"));
	volume_set_free(set);
	set = discover(disks[0], NULL, 1u << 20);
	v = find(set, "vda_md");
	assert_non_null(v);
	assert_string_equal(v->state, "raid-members-missing");
	volume_set_free(set);
}

/* ---- devices of a btrfs ---- */

static void put_btrfs(struct volume *v, uint8_t device, uint64_t generation)
{
	static uint8_t bytes[65536 + 4096];
	uint8_t *s = bytes + 65536;

	memset(s + 32, 7, 16);
	put_le64(s + 72, generation);
	put_le64(s + 136, 2);
	memset(s + 267, device, 16);
	blocks_put(v->blocks);
	assert_int_equal(
		blocks_memory(bytes, sizeof(bytes), 1 << 20, &v->blocks), 0);
	snprintf(v->type, sizeof(v->type), "btrfs");
	v->state[0] = v->note[0] = '\0';
}

/* The kernel takes the newest; what is older than it is told of. */
static void test_btrfs_devices(void **state)
{
	struct volume volumes[2] = { { .name = (char *)"vda" },
				     { .name = (char *)"vdb" } };
	struct volume_set set = { .volumes = volumes, .n = 2 };

	(void)state;
	put_btrfs(&volumes[0], 1, 10);
	put_btrfs(&volumes[1], 2, 10);
	assert_int_equal(btrfs_mark_stale(&set), 0);
	assert_string_equal(volumes[0].state, "");
	assert_string_equal(volumes[1].state, "");
	put_btrfs(&volumes[0], 1, 8);
	assert_int_equal(btrfs_mark_stale(&set), 0);
	assert_string_equal(volumes[0].state, "stale");
	assert_non_null(strstr(volumes[0].note, "vdb is of 10"));
	assert_string_equal(volumes[1].state, "");
	/* A copy of the device is a filesystem of its own. */
	put_btrfs(&volumes[0], 2, 8);
	assert_int_equal(btrfs_mark_stale(&set), 0);
	assert_string_equal(volumes[0].state, "devices-missing");
	assert_string_equal(volumes[1].state, "devices-missing");
	set.n = 1;
	put_btrfs(&volumes[0], 1, 8);
	assert_int_equal(btrfs_mark_stale(&set), 0);
	assert_string_equal(volumes[0].state, "devices-missing");
	blocks_put(volumes[0].blocks);
	blocks_put(volumes[1].blocks);
}

/* ---- what tells a format and lies further inside ---- */

static void test_far(void **state)
{
	const size_t far = 20u << 20;
	uint8_t *disk = calloc(1, far + 8192);
	struct volume_set *set;
	size_t i;

	(void)state;
	assert_non_null(disk);
	/* NTFS whose MFT lies 20 MiB inside. */
	memcpy(disk, "\xeb\x52\x90NTFS    ", 11);
	put_le16(disk + 11, 512);
	disk[13] = 8;
	disk[21] = 0xf8;
	put_le64(disk + 40, DISK_SIZE / 512 - 1);
	put_le64(disk + 48, far / 4096);
	put_le64(disk + 56, 2);
	disk[64] = 0xf6; /* records of 1 KiB */
	disk[68] = 1;
	put_le16(disk + 510, 0xaa55);
	for (i = 0; i < 4; i++) {
		uint8_t *record = disk + far + 1024 * i;

		memcpy(record, "FILE", 4);
		put_le16(record + 20, 56);
		put_le32(record + 56, UINT32_MAX);
	}
	set = discover(disk, NULL, far + 8192);
	assert_int_equal(set->n, 1);
	assert_string_equal(set->volumes[0].type, "ntfs");
	assert_null(set->volumes[0].reason);
	volume_set_free(set);
	put_le64(disk + 48, UINT64_MAX / 4);
	set = discover(disk, NULL, far + 8192);
	assert_string_equal(set->volumes[0].type, "");
	volume_set_free(set);
	/* BitLocker, whose metadata do. */
	memset(disk, 0, 512);
	memcpy(disk, "\xeb\x58\x90-FVE-FS-", 11);
	put_le16(disk + 11, 512);
	put_le64(disk + 176, far);
	memcpy(disk + far, "-FVE-FS-", 8);
	put_le16(disk + far + 10, 2);
	set = discover(disk, NULL, far + 8192);
	assert_string_equal(set->volumes[0].type, "BitLocker");
	assert_non_null(strstr(set->volumes[0].reason, "BitLocker"));
	volume_set_free(set);
	free(disk);
}

/* What the type of a partition tells where nothing is found in it. */
static void test_words(void **state)
{
	static uint8_t disk[1u << 20];
	struct volume_set *set;

	(void)state;
	put_entry(disk, 0, 0x42, 100, 100);
	put_entry(disk, 1, 0x83, 300, 100);
	put_entry(disk, 2, 0x83, 500, 1000);
	put_le32(disk + 501 * 512, 0x82564557);
	set = discover(disk, NULL, sizeof(disk));
	assert_int_equal(set->n, 3);
	assert_non_null(strstr(set->volumes[0].reason, "dynamic disk"));
	assert_non_null(strstr(set->volumes[1].reason, "no filesystem"));
	assert_non_null(strstr(set->volumes[2].reason, "BSD disklabel"));
	volume_set_free(set);
}

/* An MBR counts in the disk's sectors. */
static void test_mbr_4096(void **state)
{
	static uint8_t disk[SIZE];
	static struct table t;
	struct blocks *b;

	(void)state;
	put_entry(disk, 0, 0x83, 2, 1);
	put_entry(disk, 1, 0x05, 4, 10);
	put_entry(disk + 4 * 4096, 0, 0x83, 1, 2);
	b = image(disk, SIZE);
	assert_int_equal(mbr_read(b, 4096, &t), 0);
	assert_int_equal(t.n, 2);
	assert_int_equal(t.parts[0].off, 2 * 4096);
	assert_int_equal(t.parts[0].len, 4096);
	assert_int_equal(t.parts[1].off, 5 * 4096);
	assert_int_equal(t.parts[1].len, 2 * 4096);
	blocks_put(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gpt),
		cmocka_unit_test(test_gpt_many),
		cmocka_unit_test(test_gpt_4096),
		cmocka_unit_test(test_mbr),
		cmocka_unit_test(test_unreadable_disk),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_mirror),
		cmocka_unit_test(test_btrfs_devices),
		cmocka_unit_test(test_far),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_mbr_4096),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
