/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Records of the log of XFS. The first word of each of their blocks is its
 * cycle, and what was there stands in the header (and, over 32 KiB, in further
 * headers behind it), so that a record that is not written to the end shows.
 */
#include "config.h"

#include <errno.h>

#include "fs/guest/xfs/log_internal.h"
#include "store/base/bytes.h"

enum {
	RECORD_MAGIC = (int)0xfeedbabe,
	RECORD_CRC = 32,
	RECORD_CYCLES = 44, /* offset of the words */
	RECORD_FORMAT = 300,
	RECORD_UUID = 304,
	RECORD_SIZE = 320,
	FORMAT_LINUX_LE = 1,
	CYCLES = 64, /* of one header */
	EXT_LEN = 260, /* of a further header, for the checksum */
	OP_LEN = 12,
	OP_FLAGS = 9,
	OP_UNMOUNT = 0x20,
};

void xfs_record_release(struct xfs_record *r)
{
	free(r->space);
	r->space = NULL;
}

int xfs_log_read(const struct xfs_log *l, uint32_t blk, uint32_t n, void *out)
{
	uint32_t here;
	uint8_t *p = out;
	int r;

	for (; n; n -= here, blk += here, p += (size_t)here * LOG_BLOCK) {
		blk %= l->size;
		here = MIN(n, l->size - blk);
		r = blocks_read(l->b, l->at + (uint64_t)blk * LOG_BLOCK, p,
				(size_t)here * LOG_BLOCK);
		if (r < 0)
			return r;
	}
	return 0;
}

bool xfs_log_is_header(const uint8_t *block)
{
	return be32(block) == (uint32_t)RECORD_MAGIC;
}

uint32_t xfs_log_cycle(const uint8_t *block)
{
	return be32(block + (xfs_log_is_header(block) ? 4 : 0));
}

/* How many headers a record has that may be of @size bytes. */
static uint32_t headers_of(const uint8_t *p)
{
	uint32_t size = be32(p + RECORD_SIZE);
	uint32_t each = CYCLES * LOG_BLOCK;

	if (!(be32(p + 8) & 2) || size <= each)
		return 1;
	return MIN(size, LOG_RECORD_MAX) / each +
	       (MIN(size, LOG_RECORD_MAX) % each != 0);
}

static bool header_decode(const struct xfs_log *l, const uint8_t *p,
			  struct xfs_record *r)
{
	uint32_t version = be32(p + 8), data;

	r->len = be32(p + 12);
	r->lsn = be64(p + 16);
	r->tail_lsn = be64(p + 24);
	r->nops = be32(p + 40);
	memcpy(r->uuid, p + RECORD_UUID, XFS_UUID_LEN);
	if (!xfs_log_is_header(p) || (version != 1 && version != 2) ||
	    be32(p + RECORD_FORMAT) != FORMAT_LINUX_LE || !r->len ||
	    r->len > LOG_RECORD_MAX ||
	    r->lsn != ((uint64_t)be32(p + 4) << 32 | r->blk))
		return false;
	data = (uint32_t)((r->len + LOG_BLOCK - 1) / LOG_BLOCK);
	r->total = headers_of(p) + data;
	/* mkfs.xfs writes one long record of which one block counts. */
	return r->total <= l->size &&
	       (data <= headers_of(p) * CYCLES || r->nops == 1);
}

/* Two widths of the header are about: its padding depends on the machine. */
static bool crc_is(const uint8_t *p, size_t width, uint32_t headers, size_t len)
{
	static const uint8_t zeros[4];
	uint32_t crc, i;

	crc = xfs_crc_update(UINT32_MAX, p, RECORD_CRC);
	crc = xfs_crc_update(crc, zeros, sizeof(zeros));
	crc = xfs_crc_update(crc, p + RECORD_CRC + 4, width - RECORD_CRC - 4);
	for (i = 1; i < headers; i++)
		crc = xfs_crc_update(crc, p + i * LOG_BLOCK, EXT_LEN);
	crc = ~xfs_crc_update(crc, p + headers * LOG_BLOCK, len);
	return crc == get_le32(p + RECORD_CRC);
}

static bool crc_ok(const struct xfs_log *l, const struct xfs_record *r,
		   uint32_t headers)
{
	/* Where even a right one would be no proof there is none. */
	if (!l->sb->v5 && !get_le32(r->space + RECORD_CRC))
		return true;
	if (xfs_crc_ignored())
		return true;
	/* As many further headers are summed up as the operations need. */
	headers = MIN(headers, (uint32_t)((r->len + CYCLES * LOG_BLOCK - 1) /
					  (CYCLES * LOG_BLOCK)));
	return crc_is(r->space, 328, headers, r->len) ||
	       crc_is(r->space, 324, headers, r->len);
}

/* Are all blocks of it of its time round? */
static bool cycles_ok(const struct xfs_log *l, const struct xfs_record *r)
{
	uint32_t cycle = (uint32_t)(r->lsn >> 32), i, want, have;

	for (i = 1; i < r->total; i++) {
		want = r->blk + i >= l->size ? cycle + 1 : cycle;
		if (want == (uint32_t)RECORD_MAGIC)
			want++;
		have = xfs_log_cycle(r->space + (size_t)i * LOG_BLOCK);
		if (have != want)
			return false;
	}
	return true;
}

/* Put back what the cycles stand in the place of. */
static void unpack(struct xfs_record *r, uint32_t headers)
{
	uint8_t *p = r->space + (size_t)headers * LOG_BLOCK;
	const uint8_t *word;
	uint32_t i, n = MIN(r->total - headers, headers * CYCLES);

	for (i = 0; i < n; i++) {
		word = i < CYCLES ? r->space + RECORD_CYCLES
				  : r->space + i / CYCLES * LOG_BLOCK + 4;
		memcpy(p + (size_t)i * LOG_BLOCK, word + i % CYCLES * 4, 4);
	}
	r->ops = p;
}

int xfs_record_read(const struct xfs_log *l, uint32_t blk, struct xfs_record *r)
{
	uint32_t headers;
	int err;

	if (!r->space)
		r->space = malloc(LOG_SPACE);
	if (!r->space)
		return -ENOMEM;
	r->blk = blk % l->size;
	err = xfs_log_read(l, r->blk, 1, r->space);
	if (err < 0)
		return err;
	if (!header_decode(l, r->space, r))
		return -EBADMSG;
	headers = headers_of(r->space);
	err = xfs_log_read(l, r->blk, r->total, r->space);
	if (err < 0)
		return err;
	if (!cycles_ok(l, r) || !crc_ok(l, r, headers))
		return -EBADMSG;
	unpack(r, headers);
	return 0;
}

bool xfs_record_unmount(const struct xfs_record *r)
{
	return r->nops == 1 && r->len >= OP_LEN &&
	       r->ops[OP_FLAGS] & OP_UNMOUNT;
}
