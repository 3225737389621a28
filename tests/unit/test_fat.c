/* SPDX-License-Identifier: GPL-3.0-or-later */
/* FAT12 made by hand: names, and what is broken. */
#include "config.h"

#include "fs/guest/lru.h"
#include "tests/unit/support.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/guest/guest.h"
#include "store/base/bytes.h"
#include "store/base/stop.h"

static struct lru *memory;

#define SECTOR 512
#define ROOT_SLOTS 64
#define TABLE SECTOR
#define ROOT (3 * SECTOR)
#define HEAP (ROOT + ROOT_SLOTS * 32)
#define CLUSTERS 200
#define SIZE (HEAP + CLUSTERS * SECTOR)

static uint8_t image[SIZE];
static unsigned int used; /* slots of the root */
static struct guest *guest;

static int setup(void **state)
{
	(void)state;
	memset(image, 0, sizeof(image));
	memcpy(image, "\xeb\x3c\x90mkfs.fat", 11);
	put_le16(image + 11, SECTOR);
	image[13] = 1;
	put_le16(image + 14, 1);
	image[16] = 1;
	put_le16(image + 17, ROOT_SLOTS);
	put_le16(image + 19, SIZE / SECTOR);
	image[21] = 0xf8;
	put_le16(image + 22, 2);
	image[38] = 0x29;
	put_le32(image + 39, 0x12345678);
	memcpy(image + 43, "BOOT LABEL ", 11);
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

static void set_next(unsigned int cluster, unsigned int next)
{
	uint8_t *p = image + TABLE + cluster + cluster / 2;

	if (cluster & 1)
		put_le16(p, (uint16_t)((get_le16(p) & 0xf) | next << 4));
	else
		put_le16(p, (uint16_t)((get_le16(p) & 0xf000) | next));
}

static uint8_t *put_slot(const char *name, uint8_t attrs, unsigned int first,
			 uint32_t size)
{
	uint8_t *slot = image + ROOT + 32 * used++;

	memcpy(slot, name, 11);
	slot[11] = attrs;
	put_le16(slot + 26, (uint16_t)first);
	put_le32(slot + 28, size);
	return slot;
}

static uint8_t sum_of(const char *name)
{
	uint8_t sum = 0;
	int i;

	for (i = 0; i < 11; i++)
		sum = (uint8_t)((sum << 7 | sum >> 1) + (uint8_t)name[i]);
	return sum;
}

/* The pieces of @name for the short name @of. */
static void put_long(const uint16_t *name, size_t n, uint8_t sum)
{
	static const uint8_t at[] = { 1,  3,  5,  7,  9,  14, 16,
				      18, 20, 22, 24, 28, 30 };
	size_t pieces = (n + 12) / 13, i, j, k;
	uint8_t *slot;

	for (i = pieces; i > 0; i--) {
		slot = image + ROOT + 32 * used++;
		slot[0] = (uint8_t)(i | (i == pieces ? 0x40 : 0));
		slot[11] = 0x0f;
		slot[13] = sum;
		for (j = 0; j < 13; j++) {
			k = (i - 1) * 13 + j;
			put_le16(slot + at[j], k < n	? name[k]
					       : k == n ? 0
							: 0xffff);
		}
	}
}

static void open_image(void)
{
	struct blocks *b;
	struct buf why = BUF_INIT;

	assert_ok(blocks_memory(image, sizeof(image), SIZE, &b));
	assert_ok(guest_open("vfat", b, memory, &why, &guest));
	blocks_put(b);
	buf_release(&why);
}

static uint64_t node_of(const char *name)
{
	uint64_t node;

	assert_ok(guest_lookup(guest, guest->root, name, &node));
	return node;
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

static int take_one(void *arg, const char *name, size_t len, uint64_t node,
		    unsigned int type, uint64_t cookie)
{
	(void)count_entry(arg, name, len, node, type, cookie);
	return 1;
}

/* The root has more than can be listed. */
static unsigned int count_spoiled(uint64_t cookie)
{
	unsigned int n = 0;

	assert_result(guest_readdir(guest, guest->root, cookie, count_entry,
				    &n),
		      -EBADMSG);
	return n;
}

static unsigned int count_root(uint64_t cookie)
{
	unsigned int n = 0;

	assert_ok(guest_readdir(guest, guest->root, cookie, count_entry, &n));
	return n;
}

static void test_short_names(void **state)
{
	(void)state;
	put_slot("LABEL IN RO", 0x08, 0, 0);
	put_slot("PLAIN   TXT", 0x20, 0, 0);
	put_slot("LOWER   TXT", 0x20, 0, 0)[12] = 0x18;
	put_slot("BASE    TXT", 0x20, 0, 0)[12] = 0x08;
	put_slot("NOEXT      ", 0x21, 0, 0);
	put_slot("\x05RST       ", 0x20, 0, 0);
	put_slot("\x8eRGER   TXT", 0x20, 0, 0)[12] = 0x08;
	put_slot("\xe5"
		 "ELETED    ",
		 0x20, 0, 0);
	put_slot("A/B        ", 0x20, 0, 0);
	open_image();
	assert_string_equal(guest->info.label, "LABEL IN RO");
	assert_string_equal(guest->info.uuid, "1234-5678");
	assert_int_equal(count_spoiled(0), 6);
	assert_int_equal(count_spoiled(9), 0);
	node_of("PLAIN.TXT");
	node_of("lower.txt");
	node_of("base.TXT");
	node_of("\xcf\x83RST"); /* 0xe5: a small sigma */
	node_of("\xc3\xa4rger.TXT");
	assert_said("cannot be: what is damaged is left out");
}

/* A slot of zeros ends a directory; Linux would go on behind it. */
static void test_behind_the_end(void **state)
{
	(void)state;
	put_slot("ONE     TXT", 0x20, 0, 0);
	used++;
	put_slot("\xe5WO     TXT", 0x20, 0, 0);
	open_image();
	assert_int_equal(count_root(0), 1);
	guest_close(guest);
	put_slot("THREE   TXT", 0x20, 0, 0);
	open_image();
	assert_int_equal(count_spoiled(0), 1);
	assert_said("behind its end");
}

static void test_attrs(void **state)
{
	struct guest_attr a;
	uint8_t *slot;

	(void)state;
	slot = put_slot("TIMES      ", 0x21, 2, 513);
	put_le16(slot + 22, 13 << 11 | 14 << 5 | 7);
	put_le16(slot + 24, 40 << 9 | 2 << 5 | 29); /* 2020-02-29 */
	set_next(2, 3);
	set_next(3, 0xfff);
	open_image();
	assert_ok(guest_getattr(guest, node_of("TIMES"), &a));
	assert_int_equal(a.mode, S_IFREG | 0555);
	assert_int_equal(a.size, 513);
	assert_int_equal(a.allocated, 1024);
	assert_int_equal(a.mtime.sec, 1582982054);
	assert_ok(guest_getattr(guest, guest->root, &a));
	assert_int_equal(a.mode, S_IFDIR | 0755);
	assert_result(guest_getattr(guest, 2, &a), -ENOENT);
	assert_result(guest_getattr(guest, GUEST_NODE_MAX - 1, &a), -ENOENT);
}

static void test_long_names(void **state)
{
	static const uint16_t emoji[] = { 'e', 0xd83d, 0xde00, '!' };
	static const uint16_t lone[] = { 0xd83d, 'x' };
	static const uint16_t slash[] = { 'a', '/', 'b' };
	static const uint16_t dots[] = { '.', '.' };
	uint16_t full[255];
	unsigned int n = 0;
	size_t i;

	(void)state;
	put_long(emoji, 4, sum_of("EMOJI      "));
	put_slot("EMOJI      ", 0x20, 0, 0);
	put_long(lone, 2, sum_of("LONE       "));
	put_slot("LONE       ", 0x20, 0, 0);
	put_long(emoji, 4, sum_of("OTHER      "));
	put_slot("WRONGSUM   ", 0x20, 0, 0);
	put_long(slash, 3, sum_of("SLASH      "));
	put_slot("SLASH      ", 0x20, 0, 0);
	put_long(dots, 2, sum_of("DOTS       "));
	put_slot("DOTS       ", 0x20, 0, 0);
	for (i = 0; i < 255; i++)
		full[i] = 'n';
	put_long(full, 255, sum_of("FULL       "));
	put_slot("FULL       ", 0x20, 0, 0);
	for (i = 0; i < 100; i++)
		full[i] = 0x65e5; /* three bytes each */
	put_long(full, 100, sum_of("WIDE       "));
	put_slot("WIDE       ", 0x20, 0, 0);
	put_long(full, 20, sum_of("MISSING    "));
	used--; /* the piece 1 */
	put_slot("MISSING    ", 0x20, 0, 0);
	open_image();
	/* Begun between two pieces of a name that is whole. */
	assert_int_equal(guest_readdir(guest, guest->root, 20, take_one, &n),
			 1);
	assert_int_equal(count_root(1000), 0);
	/* Two are broken; the second one comes first where it begins there. */
	assert_int_equal(count_spoiled(40), 1);
	assert_int_equal(count_spoiled(0), 8);
	node_of("e\xf0\x9f\x98\x80!");
	node_of("\xed\xa0\xbdx");
	node_of("WRONGSUM");
	node_of("SLASH");
	node_of("DOTS");
	node_of("WIDE");
	node_of("MISSING");
	/* Behind the first one: its cookie is 2. */
	assert_int_equal(count_spoiled(2), 7);
}

static int read_file(const char *name, uint8_t *out, size_t len)
{
	size_t got;
	int r = guest_read(guest, node_of(name), 0, out, len, &got);

	return r < 0 ? r : (int)got;
}

static void test_chains(void **state)
{
	uint8_t out[4096];

	(void)state;
	put_slot("PIECES     ", 0x20, 2, 1030);
	set_next(2, 9);
	set_next(9, 5);
	set_next(5, 0xff8);
	memset(image + HEAP, 'a', 512);
	memset(image + HEAP + 7 * 512, 'b', 512);
	memset(image + HEAP + 3 * 512, 'c', 512);
	put_slot("SHORT      ", 0x20, 2, 1537);
	put_slot("CIRCLE     ", 0x20, 20, 5000);
	set_next(20, 21);
	set_next(21, 22);
	set_next(22, 21);
	put_slot("OUTSIDE    ", 0x20, 30, 600);
	set_next(30, 0xff0);
	put_slot("FREE       ", 0x20, 31, 600);
	put_slot("NOTHING    ", 0x20, 0, 1);
	put_slot("GIANT      ", 0x20, 2, 0xffffffff);
	open_image();
	assert_int_equal(read_file("PIECES", out, sizeof(out)), 1030);
	assert_int_equal(out[511], 'a');
	assert_int_equal(out[512], 'b');
	assert_int_equal(out[1024], 'c');
	assert_int_equal(read_file("SHORT", out, 10), -EBADMSG);
	assert_said("more than its clusters hold");
	assert_int_equal(read_file("CIRCLE", out, 10), -EBADMSG);
	assert_said("circle");
	assert_int_equal(read_file("OUTSIDE", out, 10), -EBADMSG);
	assert_int_equal(read_file("FREE", out, 10), -EBADMSG);
	assert_int_equal(read_file("NOTHING", out, 10), -EBADMSG);
	assert_int_equal(read_file("GIANT", out, 10), -EBADMSG);
}

static void test_circular_directory(void **state)
{
	unsigned int n = 0, i;
	uint64_t node;

	(void)state;
	put_slot("DIR        ", 0x10, 40, 0);
	set_next(40, 41);
	set_next(41, 40);
	for (i = 0; i < 32; i++)
		memcpy(image + HEAP + 38 * 512 + 32 * i, "FILE       ", 11);
	open_image();
	node = node_of("DIR");
	assert_result(guest_readdir(guest, node, 0, count_entry, &n), -EBADMSG);
	assert_true(n <= 64);
	assert_result(guest_readdir(guest, node_of("DIR"), 1u << 30,
				    count_entry, &n),
		      0);
}

static void test_boot(void **state)
{
	static const struct {
		unsigned int at;
		uint8_t value;
	} rows[] = { { 11, 1 }, { 12, 3 },   { 13, 0 },	  { 13, 3 }, { 14, 0 },
		     { 16, 0 }, { 16, 255 }, { 22, 250 }, { 20, 0 } };
	struct blocks *b;
	struct buf why = BUF_INIT;
	struct guest *g;
	size_t i, len;
	uint8_t old;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		old = image[rows[i].at];
		image[rows[i].at] = rows[i].value;
		if (rows[i].at == 20) /* fewer sectors than its parts */
			image[19] = 5;
		assert_ok(blocks_memory(image, sizeof(image), SIZE, &b));
		assert_result(guest_open("vfat", b, memory, &why, &g),
			      -EBADMSG);
		blocks_put(b);
		image[rows[i].at] = old;
	}
	for (len = 0; len < HEAP; len += 97) {
		assert_ok(blocks_memory(image, len, len, &b));
		assert_result(guest_open("vfat", b, memory, &why, &g),
			      -EBADMSG);
		blocks_put(b);
	}
	buf_release(&why);
}

/* ---- FAT32 of 16 million clusters, made up as it is read ---- */

#define GIANT_CLUSTERS (16u << 20)
#define GIANT_TABLE (32u * SECTOR)
#define GIANT_HEAP (GIANT_TABLE + (GIANT_CLUSTERS + 2) * UINT64_C(4) + 504)
#define GIANT_DIRS 14 /* the root's first cluster is full of them */

static struct giant {
	struct blocks b;
	struct stop stop;
	unsigned int reads;
	unsigned int stop_at; /* the read that asks for an end; 0: none */
} giant;

static void put_giant_boot(uint8_t *boot)
{
	memcpy(boot, "\xeb\x3c\x90mkfs.fat", 11);
	put_le16(boot + 11, SECTOR);
	boot[13] = 1;
	put_le16(boot + 14, GIANT_TABLE / SECTOR);
	boot[16] = 1;
	put_le32(boot + 32, (uint32_t)(GIANT_HEAP / SECTOR + GIANT_CLUSTERS));
	put_le32(boot + 36, (uint32_t)((GIANT_HEAP - GIANT_TABLE) / SECTOR));
	put_le32(boot + 44, 2);
}

/* Directories that all share one chain, and a file of 4 GiB - 1 along it. */
static void put_giant_root(uint8_t *dir)
{
	unsigned int i;

	for (i = 0; i <= GIANT_DIRS; i++) {
		uint8_t *slot = dir + 32 * i;

		memcpy(slot, "DIR-?      ", 11);
		slot[4] = (uint8_t)('A' + i);
		slot[11] = i < GIANT_DIRS ? 0x10 : 0x20;
		put_le16(slot + 26, 3);
		if (i == GIANT_DIRS)
			put_le32(slot + 28, UINT32_MAX);
	}
	dir[15 * 32] = 0xe5; /* the directory goes on */
}

static uint8_t giant_byte(uint64_t at, const uint8_t *boot, const uint8_t *root)
{
	uint32_t next;

	if (at < SECTOR)
		return boot[at];
	if (at >= GIANT_HEAP) /* behind the root: deleted entries */
		return at < GIANT_HEAP + SECTOR ? root[at - GIANT_HEAP] : 0xe5;
	if (at < GIANT_TABLE)
		return 0;
	next = (uint32_t)((at - GIANT_TABLE) / 4 + 1);
	return (uint8_t)(next >> 8 * (at % 4));
}

static int giant_read(struct blocks *b, uint64_t off, void *out, size_t len)
{
	static uint8_t boot[SECTOR], root[SECTOR];
	uint8_t *to = out;
	size_t i;

	(void)b;
	put_giant_boot(boot);
	put_giant_root(root);
	for (i = 0; i < len; i++)
		to[i] = giant_byte(off + i, boot, root);
	if (++giant.reads == giant.stop_at)
		giant.stop.asked = 7;
	return 0;
}

static void giant_free(struct blocks *b)
{
	(void)b;
}

static void open_giant(unsigned int stop_at)
{
	static const struct blocks_ops ops = { .read = giant_read,
					       .free = giant_free };
	struct buf why = BUF_INIT;

	blocks_init(&giant.b, &ops,
		    GIANT_HEAP + UINT64_C(512) * GIANT_CLUSTERS);
	assert_ok(guest_open("vfat", &giant.b, memory, &why, &guest));
	buf_release(&why);
	giant.reads = 0;
	giant.stop_at = stop_at;
	giant.stop.asked = 0;
	giant.stop.serving = 7;
}

/*
 * A hostile image: to look at a directory costs what a directory may at most
 * be long, not what its chain is, for the chain of all clusters is 64 MiB of
 * table for each of them.
 */
static void test_giant(void **state)
{
	struct guest_attr a;
	char name[] = "DIR-A";
	uint64_t node;

	(void)state;
	open_giant(0);
	for (; name[4] < 'A' + GIANT_DIRS; name[4]++) {
		node = node_of(name);
		giant.reads = 0;
		assert_ok(guest_getattr(guest, node, &a));
		assert_int_equal(a.mode, S_IFDIR | 0755);
		assert_int_equal(a.size, 16 << 20);
		assert_true(giant.reads < 20);
	}
}

/* Whatever is at it when the request is asked to end, ends with that read. */
static void test_stop(void **state)
{
	struct guest_attr a;
	unsigned int n = 0;
	uint64_t dir, file;
	uint8_t out[10];
	size_t len;
	int what, r;

	(void)state;
	for (what = 0; what < 3; what++) {
		open_giant(0);
		dir = node_of("DIR-A");
		file = node_of("DIR-O");
		giant.reads = 0;
		giant.stop_at = 3;
		assert_null(stop_obey(&giant.stop));
		if (what == 0)
			r = guest_getattr(guest, dir, &a);
		else if (what == 1)
			r = guest_readdir(guest, dir, 0, count_entry, &n);
		else
			r = guest_read(guest, file, 0, out, 1, &len);
		(void)stop_obey(NULL);
		assert_int_equal(r, -ECANCELED);
		assert_int_equal(giant.reads, 3);
		assert_int_equal(n, 0);
		/* It is nobody's fault: the next one who asks gets it. */
		giant.stop_at = 0;
		assert_ok(guest_getattr(guest, dir, &a));
		guest_close(guest);
		guest = NULL;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_behind_the_end, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_short_names, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_attrs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_names, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_chains, setup, teardown),
		cmocka_unit_test_setup_teardown(test_circular_directory, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_boot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_giant, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
	};
	int r;

	memory = lru_new(1 << 20);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	lru_free(memory);
	return r;
}
