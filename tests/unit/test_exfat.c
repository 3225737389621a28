/* SPDX-License-Identifier: GPL-3.0-or-later */
/* exFAT made by hand: sets, valid lengths, checksums, and what is broken. */
#include "config.h"

#include "fs/guest/lru.h"
#include "tests/unit/support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/guest/guest.h"
#include "store/base/bytes.h"

static struct lru *memory;

#define SECTOR 512
#define TABLE (24 * SECTOR)
#define HEAP (32 * SECTOR)
#define CLUSTERS 100
#define SIZE (HEAP + CLUSTERS * SECTOR)

static uint8_t image[SIZE];
static unsigned int used; /* slots of the root: clusters 2, 3 */
static struct guest *guest;

static void set_next(unsigned int cluster, uint32_t next)
{
	put_le32(image + TABLE + 4 * cluster, next);
}

static void seal_boot(void)
{
	uint32_t sum = 0;
	unsigned int i;

	for (i = 0; i < 11 * SECTOR; i++)
		if (i != 106 && i != 107 && i != 112)
			sum = (sum << 31 | sum >> 1) + image[i];
	for (i = 0; i < SECTOR; i += 4)
		put_le32(image + 11 * SECTOR + i, sum);
	memcpy(image + 12 * SECTOR, image, 12 * SECTOR);
}

static int setup(void **state)
{
	(void)state;
	memset(image, 0, sizeof(image));
	memcpy(image,
	       "\xeb\x76\x90"
	       "EXFAT   ",
	       11);
	put_le32(image + 80, TABLE / SECTOR);
	put_le32(image + 84, 1);
	put_le32(image + 88, HEAP / SECTOR);
	put_le32(image + 92, CLUSTERS);
	put_le32(image + 96, 2);
	put_le32(image + 100, 0xcafe1234);
	put_le16(image + 104, 0x100);
	image[108] = 9;
	image[110] = 1;
	put_le16(image + 510, 0xaa55);
	seal_boot();
	set_next(2, 3);
	set_next(3, 0xffffffff);
	used = 0;
	support_log_capture();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	guest_close(guest);
	guest = NULL;
	return 0;
}

static void seal_set(uint8_t *set)
{
	unsigned int n = 32u * (1u + set[1]), i;
	uint16_t sum = 0;

	for (i = 0; i < n; i++)
		if (i != 2 && i != 3)
			sum = (uint16_t)((sum << 15 | sum >> 1) + set[i]);
	put_le16(set + 2, sum);
}

static uint8_t *put_set(const char *name, uint16_t attrs, bool contiguous,
			uint32_t first, uint64_t size, uint64_t valid)
{
	uint8_t *set = image + HEAP + 32 * used;
	size_t n = strlen(name), i;

	set[0] = 0x85;
	set[1] = (uint8_t)(1 + (n + 14) / 15);
	put_le16(set + 4, attrs);
	set[32] = 0xc0;
	set[33] = contiguous ? 3 : 1;
	set[35] = (uint8_t)n;
	put_le64(set + 40, valid);
	put_le32(set + 52, first);
	put_le64(set + 56, size);
	for (i = 0; i < n; i++) {
		set[64 + i / 15 * 32] = 0xc1;
		put_le16(set + 64 + i / 15 * 32 + 2 + i % 15 * 2,
			 (uint8_t)name[i]);
	}
	seal_set(set);
	used += 1u + set[1];
	return set;
}

static int open_image(void)
{
	struct blocks *b;
	struct buf why = BUF_INIT;
	int r;

	assert_ok(blocks_memory(image, sizeof(image), SIZE, &b));
	r = guest_open("exfat", b, memory, &why, &guest);
	blocks_put(b);
	buf_release(&why);
	return r;
}

static uint64_t node_of(const char *name)
{
	uint64_t node;

	assert_ok(guest_lookup(guest, guest->root, name, &node));
	return node;
}

static int read_file(const char *name, uint8_t *out, size_t len)
{
	size_t got;
	int r = guest_read(guest, node_of(name), 0, out, len, &got);

	return r < 0 ? r : (int)got;
}

static void test_files(void **state)
{
	struct guest_attr a;
	uint8_t out[2000], *set;

	(void)state;
	memset(image + HEAP + 8 * SECTOR, 'a', 3 * SECTOR);
	put_set("first", 0, true, 0, 0, 0);
	set = put_set("valid", 1, true, 10, 1100, 600);
	/* 2020-02-29 13:14:14 + 1.23 s, two hours east of UTC. */
	put_le32(set + 12,
		 (40u << 9 | 2 << 5 | 29) << 16 | (13 << 11 | 14 << 5 | 7));
	set[21] = 123;
	set[23] = 0x80 | 8;
	seal_set(set);
	put_set("a name of three pieces of a set", 0, false, 20, 513, 513);
	set_next(20, 12);
	set_next(12, 0xffffffff);
	memset(image + HEAP + 18 * SECTOR, 'b', SECTOR);
	put_set("another one", 0, true, 0, 0, 0);
	/* This one crosses into the root's second cluster. */
	assert_true(used < 16);
	put_set("the end is in the next cluster", 0, true, 0, 0, 0);
	assert_true(used > 16);
	assert_ok(open_image());
	assert_string_equal(guest->info.uuid, "CAFE-1234");
	assert_ok(guest_getattr(guest, node_of("valid"), &a));
	assert_int_equal(a.mode, S_IFREG | 0555);
	assert_int_equal(a.allocated, 1536);
	assert_int_equal(a.mtime.sec, 1582982055 - 7200);
	assert_int_equal(a.mtime.nsec, 230000000);
	assert_int_equal(read_file("valid", out, sizeof(out)), 1100);
	assert_int_equal(out[599], 'a');
	assert_int_equal(out[600], 0);
	assert_int_equal(out[1099], 0);
	assert_int_equal(read_file("a name of three pieces of a set", out,
				   sizeof(out)),
			 513);
	assert_int_equal(out[511], 'b');
	assert_int_equal(out[512], 'a');
	assert_int_equal(read_file("another one", out, 9), 0);
	assert_int_equal(read_file("the end is in the next cluster", out, 9),
			 0);
}

/* A directory of two clusters of which the table says nothing. */
static void test_contiguous_directory(void **state)
{
	char name[] = "file-0";
	uint64_t dir, node;
	size_t i;

	(void)state;
	put_set("dir", 0x10, true, 30, 2 * SECTOR, 2 * SECTOR);
	used = 28 * SECTOR / 32;
	for (i = 0; i < 8; i++) {
		put_set(name, 0, true, 0, 0, 0);
		name[5]++;
	}
	assert_true(used > 29 * SECTOR / 32);
	assert_ok(open_image());
	dir = node_of("dir");
	assert_ok(guest_lookup(guest, dir, "file-0", &node));
	assert_ok(guest_lookup(guest, dir, "file-7", &node));
	assert_int_equal(guest_lookup(guest, dir, "file-8", &node), -ENOENT);
}

static void test_broken(void **state)
{
	struct guest_attr a;
	uint64_t node;
	uint8_t out[10];

	(void)state;
	put_set("sum", 0, true, 10, 5, 5)[2] ^= 1;
	put_set("giant", 0, true, 10, UINT64_MAX, 5);
	put_set("valid", 0, true, 10, 5, 6);
	put_set("outside", 0, true, 101, 1000, 5);
	put_set("..", 0, true, 10, 5, 5);
	put_set("a/b", 0, true, 10, 5, 5);
	put_set("good", 0, true, 10, 5, 5);
	/* A file without its other slots, at the end. */
	image[HEAP + 32 * used] = 0x85;
	image[HEAP + 32 * used + 1] = 200;
	assert_ok(open_image());
	assert_result(guest_getattr(guest, node_of("sum"), &a), -EBADMSG);
	assert_said("checksum");
	assert_result(guest_getattr(guest, node_of("giant"), &a), -EBADMSG);
	assert_result(guest_getattr(guest, node_of("valid"), &a), -EBADMSG);
	assert_int_equal(read_file("outside", out, 9), -EBADMSG);
	assert_int_equal(read_file("good", out, 9), 5);
	assert_result(guest_lookup(guest, guest->root, "a/b", &node), -ENOENT);
	assert_result(guest_lookup(guest, guest->root, "no", &node), -EBADMSG);
	assert_said("cannot be");
	assert_result(guest_getattr(guest, 3, &a), -ENOENT);
	assert_result(guest_getattr(guest, GUEST_NODE_MAX - 1, &a), -ENOENT);
}

struct listing {
	unsigned int n, max;
	uint64_t cookie;
	char names[64];
};

static int keep_entry(void *arg, const char *name, size_t len, uint64_t node,
		      unsigned int type, uint64_t cookie)
{
	struct listing *l = arg;

	(void)len;
	(void)node;
	(void)type;
	l->cookie = cookie;
	snprintf(l->names + strlen(l->names),
		 sizeof(l->names) - strlen(l->names), "%s,", name);
	return ++l->n == l->max;
}

/* The names in the root, listed whole or one a call, and how that ends. */
static int list_root(unsigned int max, struct listing *out)
{
	int r;

	memset(out, 0, sizeof(*out));
	do {
		out->n = 0;
		out->max = max;
		r = guest_readdir(guest, guest->root, out->cookie, keep_entry,
				  out);
	} while (r == 1);
	return r;
}

/* However a file's set is broken, the others are listed, and that one is missed
 * at the end. */
static void test_broken_sets(void **state)
{
	static const struct {
		unsigned int slot, byte;
		uint8_t value;
	} damages[] = {
		{ 0, 0, 0x05 }, /* the first slot is as if deleted */
		{ 0, 0, 0x84 }, { 0, 0, 0xc5 }, { 0, 0, 0xa5 }, { 0, 0, 0x00 },
		{ 0, 1, 1 },	{ 0, 1, 0 },	{ 0, 1, 3 },	{ 0, 1, 0xff },
		{ 1, 0, 0x41 }, { 1, 0, 0xc1 }, { 1, 0, 0x00 }, { 1, 3, 0 },
		{ 1, 3, 200 },	{ 2, 0, 0x41 }, { 2, 0, 0xc2 }, { 2, 0, 0x00 },
		{ 2, 0, 0x85 },
	};
	struct listing l;
	unsigned int max;
	uint8_t *set;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(damages); i++) {
		for (max = 1; max < 9; max += 7) {
			teardown(state);
			setup(state);
			put_set("one", 0, true, 10, 5, 5);
			set = put_set("precious.doc", 0, true, 11, 5, 5);
			put_set("two", 0, true, 12, 5, 5);
			assert_ok(open_image());
			assert_ok(list_root(max, &l));
			assert_string_equal(l.names, "one,precious.doc,two,");
			guest_close(guest);
			set[32 * damages[i].slot + damages[i].byte] =
				damages[i].value;
			assert_ok(open_image());
			assert_result(list_root(max, &l), -EBADMSG);
			assert_true(strncmp(l.names, "one,", 4) == 0);
			assert_null(strstr(l.names, "precious"));
			if (damages[i].value || damages[i].byte)
				assert_non_null(strstr(l.names, "two,"));
		}
	}
	/* A cookie that was never given may lead into a set. */
	teardown(state);
	setup(state);
	put_set("one", 0, true, 10, 5, 5);
	put_set("two", 0, true, 12, 5, 5);
	assert_ok(open_image());
	l = (struct listing){ .max = 9 };
	assert_ok(guest_readdir(guest, guest->root, 2, keep_entry, &l));
	assert_string_equal(l.names, "two,");
	assert_ok(list_root(9, &l));
}

static void test_boot(void **state)
{
	(void)state;
	put_set("good", 0, true, 10, 5, 5);
	image[200] ^= 1; /* the copy is whole */
	assert_ok(open_image());
	assert_said("its copy is taken");
	guest_close(guest);
	guest = NULL;
	image[12 * SECTOR + 200] ^= 1;
	assert_int_equal(open_image(), -EBADMSG);
	image[109] = 17; /* over 32 MiB a cluster */
	seal_boot();
	assert_int_equal(open_image(), -EBADMSG);
	image[109] = 0;
	put_le32(image + 96, 102);
	seal_boot();
	assert_int_equal(open_image(), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_contiguous_directory,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken_sets, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_boot, setup, teardown),
	};
	int r;

	memory = lru_new(1 << 20);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	lru_free(memory);
	return r;
}
