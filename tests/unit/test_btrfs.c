/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The btrfs reader on hand-made images: what mkfs and the kernel do not write.
 * (tests/guest/btrfs.sh is about what they do.)
 *
 * An image has one chunk of 1 MiB at the logical address BASE, with two copies;
 * and four leaves in it: chunks, roots, files, checksums.
 */
#include "config.h"

#include "fs/guest/btrfs/internal.h"
#include "fs/guest/lru.h"
#include "tests/unit/support.h"

#include <errno.h>
#include <sys/stat.h>

#include "fs/guest/readers.h"
#include "store/base/log.h"

static struct lru *memory;

#define NODE 4096u
#define BASE (1u << 20)
#define COPY (2u << 20) /* where the second one begins */
#define SIZE (3u << 20)
#define SUPER (64u << 10)
#define HEADER 101u
#define DATA                                                                   \
	(BASE + (64u << 10)) /* two sectors with checksums, then two without */

enum leaves { CHUNKS, ROOTS, FILES, SUMS, LEAVES };

struct image {
	uint8_t bytes[SIZE];
	uint32_t n[LEAVES], end[LEAVES]; /* items; where their data begin */
};

static uint8_t *leaf_at(struct image *m, int leaf)
{
	return m->bytes + BASE + (size_t)leaf * NODE;
}

static void add(struct image *m, int leaf, uint64_t id, uint8_t type,
		uint64_t off, const void *data, uint32_t len)
{
	uint8_t *p = leaf_at(m, leaf), *item = p + HEADER + 25 * m->n[leaf];

	m->end[leaf] -= len;
	put_le64(item, id);
	item[8] = type;
	put_le64(item + 9, off);
	put_le32(item + 17, m->end[leaf] - HEADER);
	put_le32(item + 21, len);
	memcpy(p + m->end[leaf], data, len);
	put_le32(p + 0x60, ++m->n[leaf]);
}

static void sum(uint8_t *p, size_t len)
{
	put_le32(p, ~btrfs_crc32c(UINT32_MAX, p + 32, len - 32));
}

/* Checksums, and the second copy. */
static void seal(struct image *m)
{
	int i;

	for (i = 0; i < LEAVES; i++)
		sum(leaf_at(m, i), NODE);
	sum(m->bytes + SUPER, 4096);
	memcpy(m->bytes + COPY, m->bytes + BASE, SIZE - COPY);
}

static uint32_t put_name(uint8_t *p, uint64_t id, uint8_t key_type,
			 const char *name, const char *value, uint8_t type)
{
	size_t n = strlen(name), v = strlen(value);

	memset(p, 0, 30);
	put_le64(p, id);
	p[8] = key_type;
	put_le16(p + 25, (uint16_t)v);
	put_le16(p + 27, (uint16_t)n);
	p[29] = type;
	memcpy(p + 30, name, n);
	memcpy(p + 30 + n, value, v);
	return (uint32_t)(30 + n + v);
}

static void add_inode(struct image *m, uint64_t id, uint32_t mode,
		      uint64_t size, uint64_t flags)
{
	uint8_t i[160] = { 0 };

	put_le64(i + 16, size);
	put_le32(i + 40, 1);
	put_le32(i + 52, mode);
	put_le64(i + 64, flags);
	add(m, FILES, id, BTRFS_INODE_ITEM, 0, i, sizeof(i));
}

static void put_extent(uint8_t *x, uint64_t disk, uint64_t len)
{
	memset(x, 0, 53);
	put_le64(x + 8, len);
	x[20] = 1;
	put_le64(x + 21, disk);
	put_le64(x + 29, len);
	put_le64(x + 45, len);
}

static void add_roots(struct image *m)
{
	uint8_t r[239] = { 0 }, b[64];
	int leaf;

	for (leaf = FILES; leaf <= SUMS; leaf++) {
		if (leaf == SUMS) /* the guest mounts subvolume 999 */
			add(m, ROOTS, BTRFS_ROOT_DIR, BTRFS_DIR_ITEM,
			    btrfs_crc32c(~UINT32_C(1), "default", 7), b,
			    put_name(b, 999, BTRFS_ROOT_ITEM, "default", "",
				     2));
		put_le64(r + 160, 1);
		put_le64(r + 168, 256);
		put_le64(r + 176, BASE + (uint64_t)leaf * NODE);
		put_le32(r + 216, 1);
		add(m, ROOTS, leaf == FILES ? BTRFS_FS_TREE : BTRFS_CSUM_TREE,
		    BTRFS_ROOT_ITEM, 0, r, sizeof(r));
	}
}

static void put_chunk(uint8_t *c)
{
	memset(c, 0, 112);
	put_le64(c, 1u << 20);
	put_le64(c + 24, 1u << 5 | 7); /* DUP */
	put_le16(c + 44, 2);
	put_le64(c + 48, 1);
	put_le64(c + 56, BASE);
	put_le64(c + 80, 1);
	put_le64(c + 88, COPY);
}

static void put_super(struct image *m)
{
	uint8_t *s = m->bytes + SUPER, *a = s + 0x32b;

	put_le64(s + 0x30, SUPER);
	memcpy(s + 0x40, "_BHRfS_M", 8);
	put_le64(s + 0x48, 1);
	put_le64(s + 0x50, BASE + ROOTS * NODE);
	put_le64(s + 0x58, BASE + CHUNKS * NODE);
	put_le64(s + 0x88, 1);
	put_le32(s + 0x90, NODE);
	put_le32(s + 0x94, NODE);
	put_le32(s + 0xa0, 17 + 112);
	put_le64(s + 0xa4, 1);
	put_le64(s + 0xc9, 1);
	put_le64(a, BTRFS_CHUNK_ID);
	a[8] = BTRFS_CHUNK_ITEM;
	put_le64(a + 9, BASE);
	put_chunk(a + 17);
}

static void add_files(struct image *m)
{
	uint8_t b[256], x[53];
	uint32_t n;

	add_inode(m, 256, S_IFDIR | 0755, 0, 0);
	/* Two names under the hash of the second; two attributes in one. */
	n = put_name(b, 1, 1, "user.a", "1", 8);
	n += put_name(b + n, 1, 1, "user.b", "22", 8);
	add(m, FILES, 256, BTRFS_XATTR_ITEM, 7, b, n);
	n = put_name(b, 300, BTRFS_INODE_ITEM, "other", "", 1);
	n += put_name(b + n, 257, BTRFS_INODE_ITEM, "file", "", 1);
	add(m, FILES, 256, BTRFS_DIR_ITEM,
	    btrfs_crc32c(~UINT32_C(1), "file", 4), b, n);
	n = put_name(b, 257, BTRFS_INODE_ITEM, "file", "", 1);
	add(m, FILES, 256, BTRFS_DIR_INDEX, 2, b, n);
	b[29] = 0; /* malformed: its name's length */
	put_le16(b + 27, 300);
	add(m, FILES, 256, BTRFS_DIR_INDEX, 3, b, n);
	n = put_name(b, 999, BTRFS_ROOT_ITEM, "lost", "", 2);
	add(m, FILES, 256, BTRFS_DIR_INDEX, 4, b, n);
	n = put_name(b, 5, BTRFS_INODE_ITEM, "low", "", 1);
	add(m, FILES, 256, BTRFS_DIR_INDEX, 5, b, n);
	/* 8 KiB with checksums, a hole, 4 KiB without. */
	add_inode(m, 257, S_IFREG | 0644, 16384, 0);
	put_extent(x, DATA, 8192);
	add(m, FILES, 257, BTRFS_EXTENT_DATA, 0, x, sizeof(x));
	put_extent(x, DATA + 8192, 4096);
	add(m, FILES, 257, BTRFS_EXTENT_DATA, 12288, x, sizeof(x));
	/* The same place as of a file that has no checksums. */
	add_inode(m, 258, S_IFREG | 0644, 4096, BTRFS_INODE_NODATASUM);
	put_extent(x, DATA + 8192, 4096);
	add(m, FILES, 258, BTRFS_EXTENT_DATA, 0, x, sizeof(x));
}

static struct image *image_new(void)
{
	struct image *m = calloc(1, sizeof(*m));
	uint8_t sums[8], chunk[112];
	uint64_t i;

	assert_non_null(m);
	for (i = 0; i < LEAVES; i++) {
		put_le64(leaf_at(m, (int)i) + 0x30, BASE + i * NODE);
		put_le64(leaf_at(m, (int)i) + 0x50, 1);
		m->end[i] = NODE;
	}
	put_super(m);
	put_chunk(chunk);
	add(m, CHUNKS, BTRFS_CHUNK_ID, BTRFS_CHUNK_ITEM, BASE, chunk, 112);
	add_roots(m);
	add_files(m);
	for (i = 0; i < 16384; i++)
		m->bytes[DATA + i] = (uint8_t)(i * 7 + i / 256);
	for (i = 0; i < 2; i++)
		put_le32(sums + 4 * i,
			 ~btrfs_crc32c(UINT32_MAX, m->bytes + DATA + i * NODE,
				       NODE));
	add(m, SUMS, BTRFS_EXTENT_CSUM_ID, BTRFS_EXTENT_CSUM, DATA, sums, 8);
	seal(m);
	return m;
}

/* Open it; where that fails there is a reason. */
static int image_open(struct image *m, struct guest **out)
{
	struct buf why AUTO_BUF = BUF_INIT;
	struct blocks *b;
	int r;

	*out = NULL;
	assert_ok(blocks_memory(m->bytes, SIZE, SIZE, &b));
	r = guest_open("btrfs", b, memory, &why, out);
	blocks_put(b);
	if (r < 0)
		assert_true(why.len > 0);
	return r;
}

static struct guest *image_take(struct image *m)
{
	struct guest *g;

	assert_ok(image_open(m, &g));
	free(m);
	return g;
}

static int read_of(struct guest *g, uint64_t node, uint64_t off, uint8_t *out,
		   size_t len)
{
	size_t got;
	int r = guest_read(g, node, off, out, len, &got);

	if (r == 0)
		assert_int_equal(got, len);
	return r;
}

/* ---- the tests ---- */

static void test_sums(void **state)
{
	static const uint8_t blake_abc[32] = {
		0xbd, 0xdd, 0x81, 0x3c, 0x63, 0x42, 0x39, 0x72,
		0x31, 0x71, 0xef, 0x3f, 0xee, 0x98, 0x57, 0x9b,
		0x94, 0x96, 0x4e, 0x3b, 0xb1, 0xcb, 0x3e, 0x42,
		0x72, 0x62, 0xc8, 0xc0, 0x68, 0xd5, 0x23, 0x19,
	};
	uint8_t digest[32];

	(void)state;
	assert_int_equal(~btrfs_crc32c(UINT32_MAX, "123456789", 9),
			 UINT32_C(0xe3069283));
	/* How names are hashed. */
	assert_int_equal(btrfs_crc32c(~UINT32_C(1), "default", 7),
			 UINT32_C(2378154706));
	assert_int_equal(btrfs_xxhash64("", 0), UINT64_C(0xef46db3751d8e999));
	assert_int_equal(btrfs_xxhash64("abc", 3),
			 UINT64_C(0x44bc2cf5ad770999));
	btrfs_blake2b("abc", 3, digest);
	assert_memory_equal(digest, blake_abc, 32);
}

struct listing {
	unsigned int n;
	uint64_t lost;
};

static int on_entry(void *arg, const char *name, size_t len, uint64_t node,
		    unsigned int type, uint64_t cookie)
{
	struct listing *l = arg;

	(void)type;
	l->n++;
	if (len == 4 && memcmp(name, "lost", 4) == 0)
		l->lost = node;
	else
		assert_int_equal(cookie, 2);
	return 0;
}

static int on_xattr(void *arg, const char *name, const void *value, size_t len)
{
	unsigned int *n = arg;

	assert_memory_equal(name, *n ? "user.b" : "user.a", 7);
	assert_int_equal(len, *n + 1);
	assert_memory_equal(value, *n ? "22" : "1", len);
	++*n;
	return 0;
}

static void test_names(void **state)
{
	struct guest *g = image_take(image_new());
	struct listing l = { .n = 0 };
	struct guest_attr attr;
	unsigned int n = 0;
	uint64_t node;

	(void)state;
	assert_ok(guest_lookup(g, g->root, "file", &node));
	assert_int_equal(node, 257);
	assert_result(guest_lookup(g, g->root, "none", &node), -ENOENT);
	assert_result(guest_lookup(g, 257, "none", &node), -ENOTDIR);
	/* What is damaged is missed, but the rest is told. */
	assert_result(guest_readdir(g, g->root, 0, on_entry, &l), -EBADMSG);
	assert_int_equal(l.n, 2);
	assert_result(guest_readdir(g, g->root, 1000, on_entry, &l), -EBADMSG);
	assert_int_equal(l.n, 2);
	assert_ok(g->ops->xattrs(g, g->root, on_xattr, &n));
	assert_int_equal(n, 2);
	/* A subvolume that is not in it. */
	assert_ok(guest_getattr(g, l.lost, &attr));
	assert_int_equal(attr.mode, S_IFDIR | 0755);
	l.n = 0;
	assert_ok(guest_readdir(g, l.lost, 0, on_entry, &l));
	assert_int_equal(l.n, 0);
	assert_result(guest_getattr(g, 300, &attr), -ENOENT);
	assert_result(guest_getattr(g, UINT64_C(1) << 45, &attr), -ENOENT);
	guest_close(g);
}

static void test_data(void **state)
{
	struct image *m = image_new();
	static uint8_t out[16384];
	struct guest *g;

	(void)state;
	/* The first copies of a sector and of a node are damaged. */
	m->bytes[DATA + 5000] ^= 1;
	leaf_at(m, FILES)[200] ^= 1;
	assert_ok(image_open(m, &g));
	assert_ok(read_of(g, 257, 0, out, 12288));
	assert_memory_equal(out, m->bytes + COPY + (DATA - BASE), 8192);
	assert_int_equal(out[8192], 0);
	assert_ok(read_of(g, 257, 4999, out, 2));
	assert_int_equal(out[1], m->bytes[DATA + 5000] ^ 1);
	/* No checksum: an error, or none is wanted. */
	assert_result(read_of(g, 257, 12288, out, 4096), -EBADMSG);
	assert_ok(read_of(g, 258, 0, out, 4096));
	assert_memory_equal(out, m->bytes + DATA + 8192, 4096);
	guest_close(g);
	/* Both copies. */
	m->bytes[COPY + (DATA - BASE) + 5000] ^= 2;
	g = image_take(m);
	assert_result(read_of(g, 257, 0, out, 8192), -EBADMSG);
	assert_ok(read_of(g, 257, 0, out, 4096));
	guest_close(g);
}

static void test_seek(void **state)
{
	struct guest *g = image_take(image_new());
	uint64_t at;

	(void)state;
	assert_ok(guest_seek(g, 257, 0, true, &at));
	assert_int_equal(at, 8192);
	assert_ok(guest_seek(g, 257, 9000, false, &at));
	assert_int_equal(at, 12288);
	assert_ok(guest_seek(g, 257, 12288, true, &at));
	assert_int_equal(at, 16384);
	guest_close(g);
}

static void test_extents(void **state)
{
	static const struct {
		uint8_t at, value; /* of the first extent's item */
		int want;
	} cases[] = {
		{ 17, 1, -EOPNOTSUPP }, /* encrypted */
		{ 18, 1, -EOPNOTSUPP }, /* otherwise encoded */
		{ 16, 4, -EOPNOTSUPP }, /* compressed, but how? */
		{ 16, 1, -EBADMSG }, /* by zlib: it is not */
		{ 20, 3, -EBADMSG }, /* of no type */
		{ 20, 0, -EBADMSG }, /* inline, but too short */
		{ 21, 1, -EBADMSG }, /* not at a sector */
		{ 27, 1, -EBADMSG }, /* in no chunk */
		{ 38, 0x20, -EBADMSG }, /* begins behind what it is of */
		{ 46, 0x40, -EBADMSG }, /* reaches behind that */
		{ 52, 0xff, -EBADMSG }, /* ends where nothing can */
		{ 30, 0, -EBADMSG }, /* of no length on the disk */
	};
	const uint32_t item = 10; /* the first EXTENT_DATA: see below */
	uint8_t out[64], *p, *key;
	struct image *m;
	struct guest *g;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		m = image_new();
		key = leaf_at(m, FILES) + HEADER;
		while (key[8] != BTRFS_EXTENT_DATA)
			key += 25;
		assert_true(key < leaf_at(m, FILES) + HEADER + 25 * item);
		p = leaf_at(m, FILES) + HEADER + get_le32(key + 17);
		p[cases[i].at] = cases[i].value;
		seal(m);
		g = image_take(m);
		assert_result(read_of(g, 257, 0, out, sizeof(out)),
			      cases[i].want);
		guest_close(g);
	}
}

/* 100 times 'x' and then zeros, a sector in all: by zlib; by zstd; and by LZO
 * in one piece. */
static const uint8_t zlib_sector[] = {
	0x78, 0xda, 0xed, 0xc1, 0x41, 0x11, 0x00, 0x00, 0x0c, 0x02,
	0xa0, 0xc5, 0x36, 0xfe, 0x52, 0x78, 0x7e, 0x80, 0xa4, 0xef,
	0x00, 0x00, 0x00, 0x80, 0xa9, 0x07, 0x2b, 0x1b, 0x2e, 0xe1,
};
static const uint8_t zstd_sector[] = {
	0x28, 0xb5, 0x2f, 0xfd, 0x60, 0x00, 0x0f, 0x6d, 0x00, 0x00, 0x18, 0x78,
	0x78, 0x00, 0x02, 0x00, 0x98, 0x07, 0xbe, 0xf8, 0x09, 0x60, 0x01,
};
static const uint8_t lzo_sector[] = {
	0x39, 0x00, 0x00, 0x00, 0x31, 0x00, 0x00, 0x00, 0x02, 0x78, 0x78, 0x78,
	0x78, 0x78, 0x20, 0x3e, 0x11, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x7a,
	0x00, 0x00, 0x0c, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x11, 0x00, 0x00,
};

/*
 * Kernels since 6.10 or so compress the whole sector that inline bytes stand
 * in: more comes out than the extent says.
 */
static void test_inline_sector(void **state)
{
	static const struct {
		const uint8_t *body;
		uint32_t len;
	} bodies[] = {
		{ zlib_sector, sizeof(zlib_sector) },
		{ lzo_sector, sizeof(lzo_sector) },
		{ zstd_sector, sizeof(zstd_sector) },
	};
	uint8_t x[128], out[100], want[100];
	struct image *m;
	struct guest *g;
	size_t i;

	(void)state;
	memset(want, 'x', sizeof(want));
	for (i = 0; i < ARRAY_SIZE(bodies); i++) {
		m = image_new();
		add_inode(m, 259, S_IFREG | 0644, sizeof(want), 0);
		memset(x, 0, sizeof(x));
		put_le64(x + 8, sizeof(want));
		x[16] = (uint8_t)(i + 1);
		memcpy(x + 21, bodies[i].body, bodies[i].len);
		add(m, FILES, 259, BTRFS_EXTENT_DATA, 0, x, 21 + bodies[i].len);
		seal(m);
		g = image_take(m);
		assert_ok(read_of(g, 259, 0, out, sizeof(out)));
		assert_memory_equal(out, want, sizeof(want));
		assert_ok(read_of(g, 259, 90, out, 10));
		guest_close(g);
	}
}

/* The note names the subvolume that the guest mounts, also beside a log. */
static void test_notes(void **state)
{
	struct image *m = image_new();
	struct guest *g;

	(void)state;
	assert_ok(image_open(m, &g));
	assert_string_equal(g->info.state, "");
	assert_non_null(strstr(g->info.note, "subvolume 999"));
	guest_close(g);
	put_le64(m->bytes + SUPER + 0x60, BASE);
	seal(m);
	g = image_take(m);
	assert_string_equal(g->info.state, "log-not-replayed");
	assert_non_null(strstr(g->info.note, "subvolume 999"));
	assert_non_null(strstr(g->info.note, "as of the last commit"));
	guest_close(g);
}

/* Damage a leaf or the superblock and seal again. */
static int open_with(size_t at, uint64_t value)
{
	struct image *m = image_new();
	struct guest *g;
	int r;

	put_le64(m->bytes + at, value);
	seal(m);
	r = image_open(m, &g);
	guest_close(g);
	free(m);
	return r;
}

static void test_hostile(void **state)
{
	const size_t root = BASE + ROOTS * NODE, chunks = BASE;

	(void)state;
	assert_int_equal(open_with(SUPER + 0xbc, 1u << 12), -EOPNOTSUPP);
	assert_int_equal(open_with(SUPER + 0xc4, 9), -EOPNOTSUPP);
	assert_int_equal(open_with(SUPER + 0x40, 0), -EBADMSG);
	/* Trees: outside, too high, of another time, themselves. */
	assert_int_equal(open_with(SUPER + 0x50, BASE * 9), -EBADMSG);
	assert_int_equal(open_with(SUPER + 0xc6, 1u << 24 | 200), -EBADMSG);
	assert_int_equal(open_with(SUPER + 0x48, 2), -EBADMSG);
	assert_int_equal(open_with(root + 0x60, 1u << 30), -EBADMSG);
	assert_int_equal(open_with(root + HEADER, 1000), -EBADMSG);
	assert_int_equal(open_with(root + HEADER + 17, UINT64_MAX), -EBADMSG);
	assert_int_equal(open_with(root + 0x64, 1), -EBADMSG);
	/* A chunk of no length, of too many stripes; the array cut off. */
	assert_int_equal(open_with(chunks + NODE - 112, 0), -EBADMSG);
	assert_int_equal(open_with(chunks + NODE - 112 + 44, 9), -EBADMSG);
	assert_int_equal(open_with(SUPER + 0xa0, 60), -EBADMSG);
	assert_int_equal(open_with(SUPER + 0xa0, UINT64_C(1) << 32), -EBADMSG);
	assert_int_equal(open_with(SUPER + 0xa0, 1u << 20), -EBADMSG);
	/* Another device's; RAID0 of two stripes. */
	assert_int_equal(open_with(SUPER + 0xc9, 2), -EOPNOTSUPP);
	assert_int_equal(open_with(chunks + NODE - 112 + 24, 1u << 3),
			 -EOPNOTSUPP);
}

static void test_truncated(void **state)
{
	struct image *m = image_new();
	struct buf why AUTO_BUF = BUF_INIT;
	struct blocks *b;
	struct guest *g;
	size_t size;

	(void)state;
	for (size = 0; size < COPY; size += 2048) {
		assert_ok(blocks_memory(m->bytes, size, size, &b));
		if (guest_open("btrfs", b, memory, &why, &g) == 0) {
			assert_true(size >= BASE + (ROOTS + 1) * NODE);
			guest_close(g);
		}
		blocks_put(b);
	}
	free(m);
}

static void quiet(void *arg, enum log_level level, const char *text)
{
	(void)arg;
	(void)level;
	(void)text;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_seek),
		cmocka_unit_test(test_extents),
		cmocka_unit_test(test_inline_sector),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_truncated),
	};
	int r;

	log_set(LOG_LEVEL_ERROR, quiet, NULL);
	memory = lru_new(1 << 20);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	lru_free(memory);
	return r;
}
