/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading metadata and proving it: CRC-32C, eight bytes at a time, and the
 * headers by which version 5 tells of each block of metadata what it is, where
 * it lies and whose it is.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>

#include "fs/guest/xfs/internal.h"
#include "store/base/bytes.h"
#include "store/base/log.h"

static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;
static bool ignored;

static void table_make(void)
{
	uint32_t v;
	unsigned int i, j;

	for (i = 0; i < 256; i++) {
		v = i;
		for (j = 0; j < 8; j++)
			v = v & 1 ? v >> 1 ^ 0x82f63b78u : v >> 1;
		table[0][i] = v;
	}
	for (i = 0; i < 256; i++)
		for (j = 1; j < 8; j++)
			table[j][i] = table[j - 1][i] >> 8 ^
				      table[0][table[j - 1][i] & 0xff];
}

uint32_t xfs_crc_update(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t a, b;

	pthread_once(&table_once, table_make);
	for (; len >= 8; len -= 8, p += 8) {
		a = crc ^ get_le32(p);
		b = get_le32(p + 4);
		crc = table[7][a & 0xff] ^ table[6][a >> 8 & 0xff] ^
		      table[5][a >> 16 & 0xff] ^ table[4][a >> 24] ^
		      table[3][b & 0xff] ^ table[2][b >> 8 & 0xff] ^
		      table[1][b >> 16 & 0xff] ^ table[0][b >> 24];
	}
	for (; len; len--, p++)
		crc = crc >> 8 ^ table[0][(crc ^ *p) & 0xff];
	return crc;
}

uint32_t xfs_crc(const uint8_t *data, size_t len, size_t hole)
{
	static const uint8_t zeros[4];
	uint32_t crc;

	crc = xfs_crc_update(UINT32_MAX, data, hole);
	crc = xfs_crc_update(crc, zeros, sizeof(zeros));
	hole += sizeof(zeros);
	return ~xfs_crc_update(crc, data + hole, len - hole);
}

void xfs_crc_ignore(bool ignore)
{
	ignored = ignore;
}

bool xfs_crc_ignored(void)
{
	return ignored;
}

bool xfs_crc_ok(const uint8_t *data, size_t len, size_t hole)
{
	return ignored || xfs_crc(data, len, hole) == get_le32(data + hole);
}

const struct xfs_header xfs_header_dir = { "directory", 4, 8, 24, 40 };
const struct xfs_header xfs_header_da = { "index", 12, 16, 32, 48 };
const struct xfs_header xfs_header_bmap = { "extent tree", 64, 24, 40, 56 };
const struct xfs_header xfs_header_remote = { "value", 12, 40, 16, 32 };

int xfs_check(struct xfs *x, const struct xfs_header *h, const uint8_t *p,
	      size_t len, uint64_t at, uint64_t ino)
{
	/* A replayed block has the checksum of before; and the owner may
	 * change in one without all of the tree's blocks being logged. */
	bool replayed = x->overlay && xfs_overlay_has(x->overlay, at, len);

	if (!x->sb.v5)
		return 0;
	if (!replayed && !xfs_crc_ok(p, len, h->crc))
		return fail(-EBADMSG,
			    "xfs: inode %" PRIu64 ": the checksum of"
			    " its %s block at byte %" PRIu64 " is wrong",
			    ino, h->name, at);
	if (be64(p + h->where) != at >> 9 ||
	    memcmp(p + h->uuid, x->sb.meta_uuid, XFS_UUID_LEN) != 0 ||
	    (be64(p + h->owner) != ino &&
	     !(x->overlay && h == &xfs_header_bmap)))
		return fail(-EBADMSG,
			    "xfs: inode %" PRIu64 ": the block at"
			    " byte %" PRIu64 " is not its %s block",
			    ino, at, h->name);
	return 0;
}

int xfs_read(struct xfs *x, uint64_t at, void *out, size_t len,
	     const char *what, uint64_t ino)
{
	int r = blocks_read(x->meta, at, out, len);

	if (r == -ERANGE)
		return fail(-EBADMSG,
			    "xfs: inode %" PRIu64 ": %s at byte"
			    " %" PRIu64 " is behind the end of the volume",
			    ino, what, at);
	return r;
}
