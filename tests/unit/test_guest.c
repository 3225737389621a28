/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The guards and caches before the readers, over a reader made of nothing. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/base/log.h"

#undef fail /* cmocka has one, too */
#include <cmocka.h>

#include "fs/guest/guest_internal.h"
#include "fs/guest/map.h"

#define ROOT 2
#define OTHER 5000 /* the same once more */
#define COUNT 3000
#define ROOM (1u << 20) /* bytes that are kept */

static unsigned int readdirs, files, bad_mode;
static bool bad_names; /* a directory begins with some */
static unsigned int damage_at; /* readdir ends there, with damage_is */
static int damage_is;

static int f_getattr(struct guest *g, uint64_t node, struct guest_attr *out)
{
	(void)g;
	out->mode = bad_mode	   ? 0644
		    : node == ROOT ? S_IFDIR | 0755
				   : S_IFREG | 0644;
	out->size = 6;
	return 0;
}

static int f_readdir(struct guest *g, uint64_t dir, uint64_t cookie,
		     guest_dir_fn *fn, void *arg)
{
	static const char *const bad[] = { "", ".", "..", "a/b" };
	char name[32];
	uint64_t i;
	int r = 0;

	(void)g;
	if (dir != ROOT && dir != OTHER)
		return -ENOTDIR;
	readdirs++;
	if (bad_names && !cookie) {
		for (i = 0; i < ARRAY_SIZE(bad) && r == 0; i++)
			r = fn(arg, bad[i], strlen(bad[i]), 5, DT_REG, 1);
		if (r == 0)
			r = fn(arg, "nul\0nul", 7, 5, DT_REG, 1);
		if (r == 0)
			r = fn(arg, "no-node", 7, 0, DT_REG, 1);
	}
	for (i = cookie; i < COUNT && r == 0; i++) {
		if (damage_at && i == damage_at)
			return damage_is;
		snprintf(name, sizeof(name), "file-%u", (unsigned int)i);
		r = fn(arg, name, strlen(name), 100 + i, DT_REG, i + 1);
	}
	return r;
}

static int f_readlink(struct guest *g, uint64_t node, struct buf *out)
{
	(void)g;
	buf_put(out, node == 3 ? "a\0b" : "abc", 3);
	return 0;
}

/* Two files of a filesystem that lies in pieces. */
#define BIG 50
#define MIDDLE 51
#define PIECE 512
static const uint64_t pieces[] = { 200000, 20000 };
static struct blocks *holder;
static uint64_t ranges;

static int f_walk(struct guest *g, uint64_t node, struct map *m)
{
	uint64_t n = pieces[node - BIG], i = map_from(m) / PIECE;
	int r = 0;

	(void)g;
	for (; i < n && r == 0; i++) {
		ranges++;
		r = map_add(m, i * PIECE, PIECE, (n - i) * 2 * PIECE, false);
	}
	return r;
}

static int f_file(struct guest *g, uint64_t node, struct guest_file **out)
{
	struct map *m;
	int r;

	if (node == ROOT)
		return -EINVAL;
	files++;
	if (node == BIG || node == MIDDLE) {
		m = map_new(holder, pieces[node - BIG] * PIECE);
		r = f_walk(g, node, m);
		return r < 0 ? r : map_file(m, g, node, PIECE, f_walk, out);
	}
	return map_memory_file("abcdef", 6, 6, out);
}

static int f_xattrs(struct guest *g, uint64_t node, guest_xattr_fn *fn,
		    void *arg)
{
	static char big[GUEST_XATTR_MAX + 1];
	int r = 0;

	(void)g;
	if (node == ROOT)
		return 0;
	r |= fn(arg, "user.b", "second", 6);
	r |= fn(arg, "user.a", NULL, 0);
	r |= fn(arg, "user.b", "again", 5);
	r |= fn(arg, "", "x", 1);
	r |= fn(arg, "user.big", big, sizeof(big));
	return r;
}

static const struct guest_ops fake = {
	.name = "fake",
	.getattr = f_getattr,
	.readdir = f_readdir,
	.readlink = f_readlink,
	.file = f_file,
	.xattrs = f_xattrs,
};

static struct guest_common common;
static struct guest guest = { .ops = &fake, .root = ROOT, .common = &common };

static void setup_room(size_t room)
{
	guest.memory = lru_new(room);
	assert_non_null(guest.memory);
	lru_part_init(&common.files, guest.memory, &guest_file_lru);
	lru_part_init(&common.dirs, guest.memory, &guest_dir_lru);
	lru_part_init(&common.windows, guest.memory, &map_window_lru);
}

static int setup(void **state)
{
	(void)state;
	setup_room(ROOM);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lru_part_release(&common.files);
	lru_part_release(&common.dirs);
	lru_part_release(&common.windows);
	lru_free(guest.memory);
	node_set_release(&common.spoiled);
	common.any_spoiled = common.all_spoiled = false;
	return 0;
}

static void quiet(void *arg, enum log_level level, const char *text)
{
	(void)arg;
	(void)level;
	(void)text;
}

static int count(void *arg, const char *name, size_t len, uint64_t node,
		 unsigned int type, uint64_t cookie)
{
	(void)type, (void)cookie;
	assert_true(entry_name_ok(name, len) && node != 0);
	return ++*(unsigned int *)arg == 5 ? 7 : 0;
}

static void test_directories(void **state)
{
	uint64_t node;
	unsigned int n = 10, i;
	char name[300];

	(void)state;
	assert_int_equal(guest_readdir(&guest, ROOT, 0, count, &n), 0);
	assert_int_equal(n, 10 + COUNT);
	n = 0;
	assert_int_equal(guest_readdir(&guest, ROOT, 10, count, &n), 7);
	readdirs = 0;
	for (i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "file-%u", i);
		assert_int_equal(guest_lookup(&guest, ROOT, name, &node), 0);
		assert_int_equal(node, 100 + i);
	}
	assert_int_equal(guest_lookup(&guest, ROOT, "none", &node), -ENOENT);
	assert_int_equal(guest_lookup(&guest, ROOT, "a/b", &node), -ENOENT);
	assert_int_equal(guest_lookup(&guest, ROOT, "no-node", &node), -ENOENT);
	assert_int_equal(readdirs, 1);
	assert_int_equal(guest_lookup(&guest, 9, "x", &node), -ENOTDIR);
	memset(name, 'n', 256);
	name[256] = '\0';
	assert_int_equal(guest_lookup(&guest, ROOT, name, &node),
			 -ENAMETOOLONG);
}

/* What is passed over is missed at the end, wherever a listing begins, and of
 * other names nobody knows. */
static void test_spoiled_directory(void **state)
{
	unsigned int few = 0, n = 10;
	uint64_t node, dir;

	(void)state;
	log_set(LOG_LEVEL_WARN, quiet, NULL);
	assert_int_equal(guest_readdir(&guest, ROOT, 1000, count, &n), 0);
	bad_names = true;
	assert_int_equal(guest_readdir(&guest, ROOT, 0, count, &few), 7);
	n = 10;
	assert_int_equal(guest_readdir(&guest, ROOT, few, count, &n), -EBADMSG);
	assert_int_equal(n - 10, COUNT - few);
	assert_int_equal(guest_lookup(&guest, ROOT, "file-1", &node), 0);
	assert_int_equal(guest_lookup(&guest, ROOT, "none", &node), -EBADMSG);
	bad_names = false;
	/* Where very many are, all are taken for it. */
	for (dir = OTHER + 1; dir < OTHER + GUEST_SPOILED_MAX; dir++)
		guest_dir_spoil(&guest, dir, "as told");
	assert_int_equal(guest_readdir(&guest, OTHER, 0, count, &n), 0);
	guest_dir_spoil(&guest, dir, "as told");
	assert_int_equal(guest_readdir(&guest, OTHER, 0, count, &n), -EBADMSG);
}

/* What came before a damage is found; of the rest nobody knows. */
static void test_damaged_directory(void **state)
{
	static const int errors[] = { -EBADMSG, -EIO };
	uint64_t node;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		teardown(NULL);
		setup(NULL);
		damage_at = 100;
		damage_is = errors[i];
		readdirs = 0;
		assert_int_equal(guest_lookup(&guest, ROOT, "file-0", &node),
				 0);
		assert_int_equal(node, 100);
		assert_int_equal(guest_lookup(&guest, ROOT, "file-99", &node),
				 0);
		assert_int_equal(node, 199);
		assert_int_equal(guest_lookup(&guest, ROOT, "file-100", &node),
				 errors[i]);
		assert_int_equal(guest_lookup(&guest, ROOT, "none", &node),
				 errors[i]);
		/* What is damaged stays so; the other is tried again. */
		if (errors[i] == -EBADMSG)
			assert_int_equal(readdirs, 1);
		damage_at = 0;
		if (errors[i] == -EIO)
			assert_int_equal(guest_lookup(&guest, ROOT, "file-100",
						      &node),
					 0);
	}
}

static void test_files(void **state)
{
	char out[8];
	uint64_t at;
	size_t n;

	(void)state;
	files = 0;
	assert_int_equal(guest_read(&guest, 100, 2, out, 8, &n), 0);
	assert_int_equal(n, 4);
	assert_memory_equal(out, "cdef", 4);
	assert_int_equal(guest_read(&guest, 100, 6, out, 8, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(guest_seek(&guest, 100, 0, true, &at), 0);
	assert_int_equal(at, 6);
	assert_int_equal(guest_seek(&guest, 100, 6, false, &at), -ENXIO);
	assert_int_equal(files, 1);
	assert_int_equal(guest_read(&guest, ROOT, 0, out, 8, &n), -EINVAL);
	assert_int_equal(guest_read(&guest, 0, 0, out, 8, &n), -ENOENT);
	for (at = 0; at < 50; at++)
		assert_int_equal(guest_read(&guest, 200 + at, 0, out, 1, &n),
				 0);
	assert_int_equal(guest_read(&guest, 249, 0, out, 1, &n), 0);
	assert_int_equal(files, 51);
	/* So many that not all can be kept. */
	for (at = 0; at < 2 * ROOM / LRU_LEAST; at++) {
		assert_int_equal(guest_read(&guest, 1000 + at, 0, out, 1, &n),
				 0);
		assert_in_range(lru_bytes(guest.memory), 1, ROOM);
	}
	files = 0;
	assert_int_equal(guest_read(&guest, 100, 0, out, 1, &n), 0);
	assert_int_equal(files, 1);
}

/* Two files in very many pieces, read by turns: what was found out of one
 * stays while the other is read. */
static void test_fragmented(void **state)
{
	uint8_t out[16];
	uint64_t i, total = pieces[0] + pieces[1];
	size_t n;

	(void)state;
	teardown(NULL);
	setup_room(24 << 20);
	assert_int_equal(blocks_memory("", 0, 1 << 30, &holder), 0);
	files = 0;
	ranges = 0;
	for (i = 0; i < 20000; i++) {
		uint64_t node = BIG + i % 2;
		uint64_t at = i * 7919 % pieces[node - BIG] * PIECE;

		assert_int_equal(guest_read(&guest, node, at, out, 16, &n), 0);
		assert_int_equal(n, 16);
	}
	assert_int_equal(files, 2);
	assert_in_range(ranges, total, total + (64 << 10) + 100);
	blocks_put(holder);
}

static void test_inodes(void **state)
{
	struct buf b = BUF_INIT;
	struct guest_attr attr;
	struct reader r;
	struct xattr x;

	(void)state;
	assert_int_equal(guest_getattr(&guest, ROOT, &attr), 0);
	bad_mode = 1;
	assert_int_equal(guest_getattr(&guest, ROOT, &attr), -EBADMSG);
	bad_mode = 0;
	assert_int_equal(guest_readlink(&guest, 3, &b), -EBADMSG);
	assert_int_equal(b.len, 0);
	assert_int_equal(guest_readlink(&guest, 4, &b), 0);
	assert_int_equal(b.len, 3);
	buf_clear(&b);
	assert_int_equal(guest_xattrs(&guest, ROOT, &b), 0);
	assert_int_equal(b.len, 0);
	assert_int_equal(guest_xattrs(&guest, 4, &b), 1); /* two left out */
	assert_int_equal(xattrs_check(b.data, b.len), 0);
	assert_int_equal(xattrs_begin(&r, b.data, b.len), 2);
	assert_true(xattrs_next(&r, &x) && xattrs_next(&r, &x));
	assert_memory_equal(x.value, "second", 6);
	buf_release(&b);
}

static void test_open(void **state)
{
	static const uint8_t zeros[4096];
	struct lru *memory = lru_new(ROOM);
	struct buf why = BUF_INIT;
	struct blocks *b;
	struct guest *g;

	(void)state;
	assert_int_equal(blocks_memory(zeros, 4096, 1 << 20, &b), 0);
	assert_false(guest_knows("f2fs"));
	assert_true(guest_knows("ext4"));
	assert_int_equal(guest_open("f2fs", b, memory, &why, &g), -EOPNOTSUPP);
	assert_true(why.len > 0);
	buf_clear(&why);
	assert_true(guest_open("xfs", b, memory, &why, &g) < 0);
	assert_true(why.len > 0);
	assert_null(g);
	guest_close(NULL);
	lru_free(memory);
	buf_release(&why);
	blocks_put(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_directories, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_spoiled_directory, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_damaged_directory, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fragmented, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_inodes, setup, teardown),
		cmocka_unit_test(test_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
