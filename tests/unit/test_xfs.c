/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The decoders of the XFS reader, on hand-made bytes. (tests/guest/xfs.sh is
 * about what mkfs and the kernel write.) */
#include "config.h"

#include "fs/guest/xfs/internal.h"
#include "tests/unit/support.h"

#include <errno.h>

static void test_crc(void **state)
{
	uint8_t zeros[32] = { 0 };

	(void)state;
	/* RFC 3720, B.4 */
	assert_int_equal(~xfs_crc_update(UINT32_MAX, zeros, sizeof(zeros)),
			 0x8a9136aa);
	assert_int_equal(~xfs_crc_update(UINT32_MAX, "123456789", 9),
			 0xe3069283);
	assert_int_equal(xfs_crc(zeros, sizeof(zeros), 8), 0x8a9136aa);
}

static void test_hash(void **state)
{
	(void)state;
	assert_int_equal(xfs_hash("", 0), 0);
	assert_int_equal(xfs_hash(".", 1), 0x2e);
	assert_int_equal(xfs_hash("..", 2), 0x172e);
	assert_int_equal(xfs_hash("abcde", 5), 0x1c58f263);
}

static void test_extent(void **state)
{
	/* unwritten; off 3; block 0x123456789ab; 7 blocks */
	uint64_t block = 0x123456789ab;
	struct xfs_extent e;
	uint8_t p[16];

	(void)state;
	put_be64(p, UINT64_C(1) << 63 | 3u << 9 | block >> 43);
	put_be64(p + 8, block << 21 | 7);
	xfs_extent_decode(p, &e);
	assert_true(e.unwritten);
	assert_true(e.off == 3 && e.block == block && e.len == 7);
}

static int add_length(void *arg, const struct xfs_extent *e)
{
	uint64_t *blocks = arg;

	*blocks += e->len;
	return 0;
}

/* Two pieces of a file share 60 of the volume's 100 blocks (a reflink). */
static void test_shared_blocks(void **state)
{
	struct xfs x = { .sb = { .blocks = 100,
				 .ag_blocks = 100,
				 .ag_count = 1,
				 .agblk_log = 7 } };
	struct xfs_inode i = { .ino = 99 };
	uint64_t blocks = 0;
	uint8_t p[32];

	(void)state;
	put_be64(p, 0);
	put_be64(p + 8, UINT64_C(10) << 21 | 60);
	put_be64(p + 16, UINT64_C(60) << 9);
	put_be64(p + 24, UINT64_C(10) << 21 | 60);
	i.fork = (struct xfs_fork){ .data = p,
				    .len = sizeof(p),
				    .format = XFS_FORMAT_EXTENTS,
				    .nextents = 2 };
	assert_int_equal(xfs_fork_walk(&x, &i, &i.fork, 0, add_length, &blocks),
			 0);
	assert_int_equal(blocks, 120);
}

static void test_acl(void **state)
{
	uint8_t p[4 + 24] = { 0 };
	static const uint8_t want[] = { 2,   0,	  0, 0, 1, 0, 6,    0, 255, 255,
					255, 255, 2, 0, 4, 0, 0xe8, 3, 0,   0 };
	struct buf b AUTO_BUF = BUF_INIT;
	size_t len;

	(void)state;
	put_be32(p, 2);
	put_be32(p + 4, 1);
	put_be16(p + 12, 6);
	put_be32(p + 16, 2);
	put_be32(p + 20, 1000);
	put_be16(p + 24, 4);
	for (len = 0; len < sizeof(p); len++)
		assert_int_equal(xfs_acl_decode(p, len, &b), -EBADMSG);
	assert_int_equal(b.len, 0);
	assert_int_equal(xfs_acl_decode(p, sizeof(p), &b), 0);
	assert_int_equal(b.len, sizeof(want));
	assert_memory_equal(b.data, want, sizeof(want));
}

static void test_overlay(void **state)
{
	struct xfs_overlay *o;
	struct blocks *b, *view;
	uint8_t got[6000];

	(void)state;
	assert_int_equal(blocks_memory("base", 4, 10000, &b), 0);
	assert_int_equal(xfs_overlay_new(b, &o), 0);
	assert_int_equal(xfs_overlay_write(o, 4094, "over", 4), 0);
	assert_int_equal(xfs_overlay_write(o, 9998, "over", 4), -ERANGE);
	assert_true(xfs_overlay_has(o, 0, 1));
	assert_false(xfs_overlay_has(o, 8192, 100));
	view = xfs_overlay_blocks(o);
	assert_int_equal(blocks_read(view, 0, got, sizeof(got)), 0);
	assert_memory_equal(got, "base", 4);
	assert_memory_equal(got + 4094, "over", 4);
	assert_int_equal(got[4098], 0);
	blocks_put(view);
	blocks_put(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_extent),
		cmocka_unit_test(test_acl),
		cmocka_unit_test(test_shared_blocks),
		cmocka_unit_test(test_overlay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
