/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Arrays of Linux MD RAID out of hand-built members: whole ones, and those
 * whose members are spare, old, half rebuilt, missing or damaged. */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/guest/volumes/internal.h"
#include "store/base/bytes.h"

#define SIZE (256u << 10) /* of a member */
#define DATA_OFF 16 /* sectors */
#define MEMBERS_MAX 4
#define CHUNK 8 /* sectors */
#define PER_MEMBER 100 /* sectors that the array uses */

static uint8_t disks[MEMBERS_MAX][SIZE];

static void seal_1(uint8_t *s)
{
	uint64_t sum = 0;
	unsigned int i, len = 256 + 2 * get_le32(s + 220);

	put_le32(s + 216, 0);
	for (i = 0; i + 4 <= len; i += 4)
		sum += get_le32(s + i);
	if (len - i == 2)
		sum += get_le16(s + i);
	put_le32(s + 216, (uint32_t)sum + (uint32_t)(sum >> 32));
}

/* Each sector of a member's data says whose it is, and which. */
static void put_data(uint8_t *disk, unsigned int number, unsigned int off)
{
	unsigned int i;

	for (i = 0; i < PER_MEMBER; i++)
		snprintf((char *)disk + (off + i) * 512, 16, "%u:%u", number,
			 i);
}

/* Member @number, which has that role, of @n. Return its superblock. */
static uint8_t *put_1(unsigned int number, uint32_t level, unsigned int n,
		      uint64_t place)
{
	uint8_t *disk = disks[number], *s = disk + place;
	unsigned int i;

	memset(disk, 0, SIZE);
	put_data(disk, number, DATA_OFF);
	put_le32(s, 0xa92b4efc);
	put_le32(s + 4, 1);
	memset(s + 16, 0x5a, 16);
	put_le32(s + 72, level);
	put_le64(s + 80, PER_MEMBER);
	put_le32(s + 88, CHUNK);
	put_le32(s + 92, n);
	put_le64(s + 128, DATA_OFF);
	put_le64(s + 136, PER_MEMBER + number);
	put_le64(s + 144, place / 512);
	put_le32(s + 160, number);
	put_le64(s + 200, 70); /* events */
	put_le32(s + 220, 5);
	for (i = 0; i < 5; i++)
		put_le16(s + 256 + 2 * i, (uint16_t)(i < n ? i : 0xffff));
	seal_1(s);
	return s;
}

static void put_0_role(uint8_t *s, unsigned int number, uint32_t state)
{
	uint8_t *d = s + (128 + 32 * number) * 4;

	put_le32(d, number);
	put_le32(d + 12, number);
	put_le32(d + 16, state);
}

static void seal_0(uint8_t *s)
{
	uint64_t sum = 0;
	unsigned int i;

	put_le32(s + 38 * 4, 0);
	for (i = 0; i < 4096; i += 4)
		sum += get_le32(s + i);
	put_le32(s + 38 * 4, (uint32_t)sum + (uint32_t)(sum >> 32));
}

static uint8_t *put_0(unsigned int number, uint32_t level, unsigned int n)
{
	uint8_t *disk = disks[number], *s = disk + SIZE - 65536;
	unsigned int i;

	memset(disk, 0, SIZE);
	put_data(disk, number, 0);
	put_le32(s, 0xa92b4efc);
	put_le32(s + 8, 90);
	put_le32(s + 5 * 4, 0x11);
	put_le32(s + 7 * 4, level);
	put_le32(s + 8 * 4, PER_MEMBER / 2); /* KiB */
	put_le32(s + 10 * 4, n);
	put_le32(s + 13 * 4, 0x22);
	put_le64(s + 39 * 4, 70);
	put_le32(s + 65 * 4, CHUNK * 512);
	for (i = 0; i < n; i++)
		put_0_role(s, i, 6); /* active, in sync */
	memcpy(s + 992 * 4, s + (128 + 32 * number) * 4, 128);
	seal_0(s);
	return s;
}

/* ---- what comes out ---- */

/* The one array that is told of. */
static struct {
	unsigned int n;
	char *data; /* owned; NULL: it cannot be had */
	uint64_t len;
	char why[512], note[512];
	size_t named, nparts;
	char member[MEMBERS_MAX][512]; /* why each is not used */
} told;

static int take(void *arg, const struct md_array *a)
{
	size_t i;

	(void)arg;
	told.n++;
	assert_true(!a->blocks || !a->why[0]);
	assert_true(a->blocks || a->why[0]);
	snprintf(told.why, sizeof(told.why), "%s", a->why);
	snprintf(told.note, sizeof(told.note), "%s", a->note);
	told.nparts = a->nparts;
	told.named = a->named;
	for (i = 0; i < a->nparts; i++)
		snprintf(told.member[a->parts[i].tag], 512, "%s",
			 a->parts[i].why ? a->parts[i].why : "");
	if (a->blocks) {
		free(told.data); /* of another array */
		told.len = a->blocks->size;
		told.data = malloc((size_t)told.len);
		assert_ok(
			blocks_read(a->blocks, 0, told.data, (size_t)told.len));
	}
	return 0;
}

/* Find what members @from to @n make; bits of @absent are not there. */
static void assemble(unsigned int n, unsigned int absent)
{
	struct buf why = BUF_INIT;
	struct md_set *s;
	struct blocks *b;
	unsigned int i;

	free(told.data);
	memset(&told, 0, sizeof(told));
	assert_ok(md_new(&s));
	for (i = 0; i < n; i++) {
		if (absent >> i & 1)
			continue;
		assert_ok(blocks_memory(disks[i], SIZE, SIZE, &b));
		assert_ok(md_add(s, b, i, &why));
		blocks_put(b);
	}
	assert_ok(md_each(s, take, NULL));
	md_free(s);
	buf_release(&why);
}

/* Expect sector @at of the array to be sector @which of member @number. */
static void expect(unsigned int at, unsigned int number, unsigned int which)
{
	char text[16];

	snprintf(text, sizeof(text), "%u:%u", number, which);
	assert_non_null(told.data);
	assert_true((at + 1) * 512 <= told.len);
	assert_string_equal(told.data + at * 512, text);
}

static int teardown(void **state)
{
	(void)state;
	free(told.data);
	told.data = NULL;
	return 0;
}

static void test_places(void **state)
{
	static const uint64_t places[] = { 0, 4096, SIZE - 16 * 512 };
	struct buf why = BUF_INIT;
	struct md_set *s;
	struct blocks *b;
	size_t i, len;
	uint8_t *super;

	(void)state;
	assert_ok(md_new(&s));
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		super = put_1(0, 1, 1, places[i]);
		assemble(1, 0);
		assert_int_equal(told.n, 1);
		assert_int_equal(told.len, PER_MEMBER * 512);
		expect(0, 0, 0);
		expect(99, 0, 99);
		assert_string_equal(told.note, "");
		/* It says that it lies elsewhere. */
		put_le64(super + 144, places[i] / 512 + 1);
		seal_1(super);
		assert_ok(blocks_memory(disks[0], SIZE, SIZE, &b));
		assert_result(md_add(s, b, 0, &why), -EOPNOTSUPP);
		blocks_put(b);
	}
	super = put_1(0, 1, 1, 4096);
	for (len = 0; len < 4096 + 266; len += 13) { /* cut */
		assert_ok(blocks_memory(disks[0], len, len, &b));
		assert_true(md_add(s, b, 0, &why) < 0);
		blocks_put(b);
	}
	put_le64(super + 136, SIZE / 512); /* its data end behind it */
	seal_1(super);
	assert_ok(blocks_memory(disks[0], SIZE, SIZE, &b));
	assert_result(md_add(s, b, 0, &why), -EBADMSG);
	blocks_put(b);
	md_free(s);
	buf_release(&why);
}

/* Any changed byte is damage, not another array. */
static void test_checksums(void **state)
{
	struct buf why = BUF_INIT;
	struct md_set *s;
	struct blocks *b;
	uint8_t *super;
	size_t i;

	(void)state;
	assert_ok(md_new(&s));
	for (i = 8; i < 266; i += 5) {
		if (i >= 144 && i < 152)
			continue; /* its place */
		super = put_1(0, 1, 1, 4096);
		super[i] ^= 4;
		assert_ok(blocks_memory(disks[0], SIZE, SIZE, &b));
		assert_result(md_add(s, b, 0, &why), -EBADMSG);
		blocks_put(b);
	}
	for (i = 12; i < 4096; i += 97) {
		super = put_0(0, 1, 1);
		super[i] ^= 4;
		assert_ok(blocks_memory(disks[0], SIZE, SIZE, &b));
		assert_result(md_add(s, b, 0, &why), -EBADMSG);
		blocks_put(b);
	}
	md_free(s);
	buf_release(&why);
}

/* A mirror of two whose second member is not good: why, and in which way. */
static void test_bad_members(void **state)
{
	uint8_t *s;

	(void)state;
	/* Whole: it is named after the first, and nothing is to be told. */
	put_1(0, 1, 2, 4096);
	put_1(1, 1, 2, 4096);
	assemble(2, 0);
	assert_int_equal(told.n, 1);
	assert_int_equal(told.named, 0);
	assert_string_equal(told.note, "");
	assert_string_equal(told.member[1], "");
	expect(5, 0, 5);
	/* The other one is not in the point: it may be the newer. */
	assemble(2, 2);
	assert_non_null(strstr(told.note, "1 of 2 members"));
	/* One event less is what a crash leaves; more is a thrown out one. */
	s = put_1(0, 1, 2, 4096);
	put_le64(s + 200, 69);
	seal_1(s);
	assemble(2, 0);
	assert_int_equal(told.named, 0);
	put_le64(s + 200, 60);
	seal_1(s);
	s = put_1(1, 1, 2, 4096);
	put_le16(s + 256, 0xfffe); /* it knows that the other one failed */
	seal_1(s);
	assemble(2, 0);
	assert_int_equal(told.named, 1);
	assert_non_null(strstr(told.member[0], "left behind"));
	assert_string_equal(told.note, "");
	expect(5, 1, 5);
	/* Or, once it failed, it just was not asked any more. */
	put_1(1, 1, 2, 4096);
	assemble(2, 0);
	assert_int_equal(told.named, 1);
	assert_non_null(strstr(told.member[0], "left behind"));
	s = put_1(1, 1, 2, 4096);
	put_le16(s + 256, 0xfffe);
	seal_1(s);
	/* Also where the events happen to be the same. */
	put_1(0, 1, 2, 4096);
	put_le64(s + 200, 71);
	seal_1(s);
	assemble(2, 0);
	assert_int_equal(told.named, 1);
	assert_non_null(strstr(told.member[0], "left behind"));
	/* A spare, one that is being rebuilt, and one that replaces another. */
	put_le16(s + 256, 0xffff);
	seal_1(s);
	assemble(2, 0);
	assert_non_null(strstr(told.member[0], "a spare"));
	put_1(1, 1, 2, 4096);
	s = put_1(0, 1, 2, 4096);
	put_le32(s + 8, 2);
	put_le64(s + 152, 40);
	seal_1(s);
	assemble(2, 0);
	assert_int_equal(told.named, 1);
	assert_non_null(strstr(told.member[0], "rebuilt"));
	put_le32(s + 8, 16);
	seal_1(s);
	assemble(2, 0);
	assert_non_null(strstr(told.member[0], "rebuilt"));
	/* None of them is good. */
	assemble(2, 2);
	assert_null(told.data);
	assert_non_null(strstr(told.why, "not enough"));
	/* Two disks that are one. */
	put_1(0, 1, 2, 4096);
	memcpy(disks[1], disks[0], SIZE);
	assemble(2, 0);
	assert_non_null(strstr(told.member[1], "a copy"));
	/* The whole array changes its form. */
	s = put_1(1, 1, 2, 4096);
	put_le32(s + 8, 4);
	put_le64(s + 200, 71);
	seal_1(s);
	assemble(2, 0);
	assert_null(told.data);
	assert_non_null(strstr(told.why, "reshaped"));
}

static void test_levels(void **state)
{
	unsigned int i;
	uint8_t *s;

	(void)state;
	/* Linear: member @i has 100 + @i sectors, in whole chunks 96. */
	for (i = 0; i < 3; i++)
		put_1(i, UINT32_MAX, 3, 4096);
	assemble(3, 0);
	assert_int_equal(told.len, 3 * 96 * 512);
	expect(0, 0, 0);
	expect(96, 1, 0);
	expect(2 * 96 + 95, 2, 95);
	assemble(3, 2);
	assert_null(told.data);
	assert_non_null(strstr(told.why, "2 of 3"));
	/* RAID0. */
	for (i = 0; i < 3; i++)
		put_1(i, 0, 3, 4096);
	assemble(3, 0);
	assert_int_equal(told.len, 3 * 96 * 512);
	expect(7, 0, 7);
	expect(8, 1, 0);
	expect(16, 2, 0);
	expect(24, 0, 8);
	/* The last one is shorter: a second zone is dealt over the others. */
	for (i = 0; i < 3; i++) {
		s = put_1(i, 0, 3, 4096);
		put_le64(s + 136, i == 2 ? 48 : 96);
		put_le32(s + 76, 2);
		seal_1(s);
	}
	assemble(3, 0);
	assert_int_equal(told.len, (2 * 96 + 48) * 512);
	expect(3 * 48 - 1, 2, 47);
	expect(3 * 48, 0, 48);
	expect(3 * 48 + 8, 1, 48);
	for (i = 0; i < 3; i++) {
		s = disks[i] + 4096;
		put_le32(s + 76, 0); /* which of the two layouts? */
		seal_1(s);
	}
	assemble(3, 0);
	assert_null(told.data);
	assert_non_null(strstr(told.why, "several sizes"));
	/* RAID10 with two near copies, whole and with one of each pair. */
	for (i = 0; i < 4; i++) {
		s = put_1(i, 10, 4, 4096);
		put_le32(s + 76, 0x102);
		seal_1(s);
	}
	assemble(4, 0);
	assert_int_equal(told.len, 2 * 96 * 512);
	expect(0, 0, 0);
	expect(8, 2, 0);
	expect(16, 0, 8);
	assemble(4, 1 | 8);
	expect(0, 1, 0);
	expect(8, 2, 0);
	assert_non_null(strstr(told.note, "2 of 4"));
	assemble(4, 1 | 2);
	assert_null(told.data);
	for (i = 0; i < 4; i++) {
		put_le32(disks[i] + 4096 + 76, 0x201); /* far copies */
		seal_1(disks[i] + 4096);
	}
	assemble(4, 0);
	assert_non_null(strstr(told.why, "near copies"));
	put_1(0, 5, 3, 4096);
	assemble(1, 0);
	assert_null(told.data);
	assert_non_null(strstr(told.why, "level 5"));
}

static void test_version_0(void **state)
{
	uint8_t *s;

	(void)state;
	put_0(0, 1, 2);
	put_0(1, 1, 2);
	assemble(2, 0);
	assert_int_equal(told.n, 1);
	assert_int_equal(told.len, PER_MEMBER * 512);
	expect(3, 0, 3);
	s = put_0(1, 1, 2);
	put_0_role(s, 0, 9); /* the other one is faulty, and removed */
	put_le64(s + 39 * 4, 80);
	seal_0(s);
	assemble(2, 0);
	assert_int_equal(told.named, 1);
	assert_non_null(strstr(told.member[0], "left behind"));
	expect(3, 1, 3);
	put_0(0, 0, 2);
	put_0(1, 0, 2);
	assemble(2, 0);
	/* All that lies before the superblocks. */
	assert_int_equal(told.len, 2 * (SIZE - 65536));
	expect(8, 1, 0);
	expect(16, 0, 8);
}

/* Members of several arrays, each told of once. */
static void test_sets(void **state)
{
	uint8_t *s;

	(void)state;
	put_1(0, 1, 2, 4096);
	s = put_1(1, 1, 2, 4096);
	s[16] ^= 1;
	seal_1(s);
	put_1(2, 1, 3, 4096);
	assemble(3, 0);
	assert_int_equal(told.n, 2);
	/* A hostile number of members, and of none. */
	s = put_1(0, 0, 5, 4096);
	put_le32(s + 92, UINT32_MAX);
	seal_1(s);
	assemble(1, 0);
	assert_null(told.data);
	assert_int_equal(told.nparts, 1); /* its volume gets a reason */
	put_le32(s + 92, 0);
	seal_1(s);
	assemble(1, 0);
	assert_null(told.data);
	assert_int_equal(told.nparts, 1);
	put_le32(s + 92, 1);
	put_le32(s + 88, 0);
	seal_1(s);
	assemble(1, 0);
	assert_null(told.data);
	put_le32(s + 88, UINT32_MAX);
	seal_1(s);
	assemble(1, 0);
	assert_true(told.n == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_places, teardown),
		cmocka_unit_test_teardown(test_checksums, teardown),
		cmocka_unit_test_teardown(test_bad_members, teardown),
		cmocka_unit_test_teardown(test_levels, teardown),
		cmocka_unit_test_teardown(test_version_0, teardown),
		cmocka_unit_test_teardown(test_sets, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
