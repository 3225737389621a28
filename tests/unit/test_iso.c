/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ISO 9660 made by hand: files of several records, Rock Ridge, what is broken. */
#include "config.h"

#include "fs/guest/lru.h"
#include "tests/unit/support.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/guest/guest.h"
#include "store/base/bytes.h"

static struct lru *memory;

#define SECTOR 2048
#define ROOT 18
#define SIZE (40 * SECTOR)

static uint8_t image[SIZE];
static size_t end; /* of the root */
static struct guest *guest;

static size_t put_record(uint8_t *at, const char *name, size_t n,
			 unsigned int flags, uint32_t sector, uint32_t size,
			 const void *use, size_t use_len)
{
	size_t name_end = 33 + n + !(n & 1), len = name_end + use_len;

	len += len & 1;
	at[0] = (uint8_t)len;
	put_le32(at + 2, sector);
	put_le32(at + 10, size);
	at[25] = (uint8_t)flags;
	at[32] = (uint8_t)n;
	memcpy(at + 33, name, n);
	if (use_len)
		memcpy(at + name_end, use, use_len);
	return len;
}

static uint8_t *put_file(const char *name, unsigned int flags, uint32_t sector,
			 uint32_t size, const void *use, size_t use_len)
{
	uint8_t *at = image + ROOT * SECTOR + end;

	end += put_record(at, name, strlen(name), flags, sector, size, use,
			  use_len);
	return at;
}

/* What makes a symbolic link; SL with @flags and one component follow. */
static size_t put_link(uint8_t *use)
{
	memset(use, 0, 36);
	memcpy(use, "PX\x24\x01", 4);
	put_le32(use + 4, S_IFLNK | 0777);
	put_le32(use + 12, 1);
	return 36;
}

static void begin(bool rock)
{
	uint8_t use[64] = "SP\x07\x01\xbe\xef";

	memset(image, 0, sizeof(image));
	memcpy(image + 16 * SECTOR,
	       "\x01"
	       "CD001\x01",
	       7);
	put_le16(image + 16 * SECTOR + 128, SECTOR);
	put_record(image + 16 * SECTOR + 156, "", 1, 2, ROOT, SECTOR, NULL, 0);
	memcpy(image + 17 * SECTOR,
	       "\xff"
	       "CD001\x01",
	       7);
	memcpy(use + 7, "PX\x24\x01", 4);
	put_le32(use + 11, S_IFDIR | 0750);
	end = put_record(image + ROOT * SECTOR, "", 1, 2, ROOT, SECTOR, use,
			 rock ? 43 : 0);
	end += put_record(image + ROOT * SECTOR + end, "\x01", 1, 2, ROOT,
			  SECTOR, NULL, 0);
	support_log_capture();
}

static void open_image(void)
{
	struct blocks *b;
	struct buf why = BUF_INIT;

	assert_ok(blocks_memory(image, sizeof(image), SIZE, &b));
	assert_ok(guest_open("iso9660", b, memory, &why, &guest));
	blocks_put(b);
	buf_release(&why);
}

static int teardown(void **state)
{
	(void)state;
	guest_close(guest);
	guest = NULL;
	return 0;
}

static uint64_t node_of(const char *name)
{
	uint64_t node;

	assert_ok(guest_lookup(guest, guest->root, name, &node));
	return node;
}

static void test_sections(void **state)
{
	struct guest_attr a;
	uint8_t out[8192];
	size_t got;

	(void)state;
	begin(false);
	put_file("BIG.;1", 0x80, 30, 2048, NULL, 0);
	put_file("BIG.;1", 0x80, 25, 2048, NULL, 0);
	put_file("BIG.;1", 0, 31, 5, NULL, 0);
	put_file("A.TXT;12", 0, 31, 5, NULL, 0);
	put_file("TORN.;1", 0x80, 30, 2048, NULL, 0);
	put_file("PAST.;1", 0, 39, 4097, NULL, 0);
	put_file("..", 0, 30, 1, NULL, 0);
	memset(image + 30 * SECTOR, 'a', SECTOR);
	memset(image + 25 * SECTOR, 'b', SECTOR);
	memset(image + 31 * SECTOR, 'c', SECTOR);
	open_image();
	assert_ok(guest_getattr(guest, node_of("BIG"), &a));
	assert_int_equal(a.size, 4101);
	assert_int_equal(a.mode, S_IFREG | 0555);
	assert_ok(guest_read(guest, node_of("BIG"), 0, out, sizeof(out), &got));
	assert_int_equal(got, 4101);
	assert_int_equal(out[2047], 'a');
	assert_int_equal(out[2048], 'b');
	assert_int_equal(out[4096], 'c');
	node_of("A.TXT");
	assert_result(guest_read(guest, node_of("PAST"), 0, out, 9, &got),
		      -EBADMSG);
	assert_said("past the end");
	assert_result(guest_getattr(guest, node_of("TORN"), &a), -EBADMSG);
	assert_result(guest_getattr(guest, GUEST_NODE_MAX - 1, &a), -ENOENT);
}

static int count_entry(void *arg, const char *name, size_t len, uint64_t node,
		       unsigned int type, uint64_t cookie)
{
	unsigned int *n = arg;

	(void)name;
	(void)len;
	(void)node;
	(void)type;
	(void)cookie;
	++*n;
	return 0;
}

/* Zeros end the records of a sector. */
static void test_behind_the_end(void **state)
{
	unsigned int n = 0;
	uint8_t *one;

	(void)state;
	begin(false);
	put_file("ONE.;1", 0, 31, 5, NULL, 0);
	one = put_file("TWO.;1", 0, 31, 5, NULL, 0);
	put_file("THREE.;1", 0, 31, 5, NULL, 0);
	open_image();
	assert_ok(guest_readdir(guest, guest->root, 0, count_entry, &n));
	assert_int_equal(n, 3);
	guest_close(guest);
	one[0] = 0;
	n = 0;
	open_image();
	assert_result(guest_readdir(guest, guest->root, 0, count_entry, &n),
		      -EBADMSG);
	assert_int_equal(n, 1);
	assert_said("behind the last one");
}

static void test_rock(void **state)
{
	uint8_t use[120];
	struct guest_attr a;
	struct buf target = BUF_INIT;
	unsigned int entries = 0;
	size_t n;

	(void)state;
	begin(true);
	n = put_link(use);
	memcpy(use + n,
	       "SL\x0e\x01\x00\x08\x00\x01\x02"
	       "ab\x00\x01"
	       "c",
	       14);
	put_file("LINK.;1", 0, 0, 0, use, n + 14);
	n = put_link(use);
	memcpy(use + n,
	       "SL\x09\x01\x00\x00\x40"
	       "ab",
	       9);
	put_file("BADLINK.;1", 0, 0, 0, use, n + 9);
	/* A continuation that continues with itself. */
	n = put_link(use);
	memset(use + n, 0, 28);
	memcpy(use + n, "CE\x1c\x01", 4);
	put_le32(use + n + 4, 20);
	put_le32(use + n + 20, 28);
	memcpy(image + 20 * SECTOR, use + n, 28);
	put_file("LOOP.;1", 0, 0, 0, use, n + 28);
	open_image();
	assert_ok(guest_getattr(guest, guest->root, &a));
	assert_int_equal(a.mode, S_IFDIR | 0750);
	assert_ok(guest_getattr(guest, node_of("LINK"), &a));
	assert_int_equal(a.mode, S_IFLNK | 0777);
	assert_int_equal(a.size, 4);
	assert_ok(guest_readlink(guest, node_of("LINK"), &target));
	assert_int_equal(target.len, 4);
	assert_memory_equal(target.data, "/abc", 4);
	assert_result(guest_readlink(guest, node_of("BADLINK"), &target),
		      -EBADMSG);
	assert_result(guest_getattr(guest, node_of("LOOP"), &a), -EBADMSG);
	assert_said("continues without end");
	/* It has another name, maybe, than is shown. */
	assert_result(guest_readdir(guest, guest->root, 0, count_entry,
				    &entries),
		      -EBADMSG);
	assert_int_equal(entries, 3);
	buf_release(&target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_sections, teardown),
		cmocka_unit_test_teardown(test_behind_the_end, teardown),
		cmocka_unit_test_teardown(test_rock, teardown),
	};
	int r;

	memory = lru_new(1 << 20);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	lru_free(memory);
	return r;
}
