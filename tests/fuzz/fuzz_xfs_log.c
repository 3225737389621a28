/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The operations in records of the log of XFS, replayed onto a volume of 24 MiB.
 * The first byte: 1 for version 5, 2 for blocks of 4 KiB. Then records: 4 bytes of length, as many of
 * operations, to the end.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include "fs/guest/xfs/log_internal.h"
#include "store/base/bytes.h"

#define VOLUME (24u << 20)
#define RECORDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* As corpus_xfs.py makes images. */
static struct xfs_super super(bool v5, bool large)
{
	uint8_t log = large ? 12 : 10;
	struct xfs_super s = {
		.v5 = v5,
		.ftype = v5,
		.log_v2 = true,
		.block_size = 1u << log,
		.sector_size = 512,
		.inode_size = 512,
		.block_log = log,
		.inode_log = 9,
		.inopb_log = (uint8_t)(log - 9),
		.agblk_log = large ? 13 : 15,
		.blocks = VOLUME >> log,
		.ag_blocks = VOLUME >> log,
		.ag_count = 1,
		.root = 128,
		.inode_align = 4,
	};

	return s;
}

static void pass(const uint8_t *data, size_t len, xfs_trans_fn *fn,
		 struct xfs_replay *replay)
{
	struct xfs_gather g = { .fn = fn, .arg = replay };
	struct xfs_record rec = { .nops = UINT32_MAX };
	unsigned int n;

	for (n = 1; n <= RECORDS_MAX && len >= 4; n++) {
		rec.lsn = (uint64_t)1 << 32 | n;
		rec.len = MIN(get_le32(data), len - 4);
		rec.ops = data + 4;
		/* There is no count: it ends where no operation is left. */
		(void)!xfs_gather_record(&g, &rec);
		len -= 4 + rec.len;
		data += 4 + rec.len;
	}
	xfs_gather_release(&g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t head[256 << 10];
	struct xfs_super sb;
	struct xfs_replay replay = { .sb = &sb };
	struct blocks *b;
	size_t i;

	if (!len)
		return 0;
	sb = super(data[0] & 1, data[0] & 2);
	/* Inodes everywhere, so that those of the log find some. */
	for (i = 0; i < sizeof(head); i += 512) {
		head[i] = 'I';
		head[i + 1] = 'N';
		head[i + 4] = sb.v5 ? 3 : 2;
	}
	if (blocks_memory(head, sizeof(head), VOLUME, &b) < 0)
		return 0;
	if (xfs_overlay_new(b, &replay.overlay) == 0) {
		pass(data + 1, len - 1, xfs_replay_cancels, &replay);
		pass(data + 1, len - 1, xfs_replay_apply, &replay);
	}
	xfs_overlay_free(replay.overlay);
	xfs_replay_release(&replay);
	blocks_put(b);
	return 0;
}
