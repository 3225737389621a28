/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The journal of ext3 and ext4: the input is one, of blocks of 1 KiB (its last
 * may be short), and the volume that it is to be laid over. What it says must
 * be sorted, unique and inside, and the volume so made readable.
 */
#include "config.h"

#include <stdlib.h>

#include "fs/guest/ext/overlay.h"

#define BLOCK 1024
#define FS_BLOCKS 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(const struct journal_log *log, uint64_t size)
{
	size_t i;

	for (i = 0; i < log->n; i++)
		if (log->patches[i].block >= FS_BLOCKS ||
		    log->patches[i].at + BLOCK > size ||
		    (i > 0 &&
		     log->patches[i].block <= log->patches[i - 1].block))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	/* In two pieces, and not in their order. */
	struct journal_run runs[2] = { { 0, 8, 64 * BLOCK },
				       { 8, 56, 8 * BLOCK } };
	struct journal_place place = { .runs = runs,
				       .nruns = 2,
				       .block_size = BLOCK,
				       .fs_blocks = FS_BLOCKS };
	static uint8_t volume[72 * BLOCK];
	struct blocks *b = NULL, *over = NULL;
	struct journal_log log;
	uint8_t all[3 * BLOCK];
	uint64_t off;

	memset(volume, 0, sizeof(volume));
	memcpy(volume + 64 * BLOCK, data, MIN(len, (size_t)8 * BLOCK));
	if (len > 8 * BLOCK)
		memcpy(volume + 8 * BLOCK, data + 8 * BLOCK,
		       MIN(len - 8 * BLOCK, (size_t)56 * BLOCK));
	if (blocks_memory(volume, sizeof(volume), FS_BLOCKS * BLOCK, &b) < 0)
		return 0;
	place.b = b;
	if (journal_read(&place, &log) == 0) {
		check(&log, b->size);
		if (overlay_new(b, BLOCK, &log, &over) == 0)
			for (off = 0; off + sizeof(all) <= b->size; off += 700)
				if (blocks_read(over, off, all, sizeof(all)) <
				    0)
					abort();
	}
	journal_release(&log);
	blocks_put(over);
	blocks_put(b);
	return 0;
}
