/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Blocks with others laid over some of them, which stand elsewhere in the
 * same volume: a filesystem as its journal makes it. Nothing of the content is
 * kept in memory; immutable as all struct blocks.
 */
#ifndef FS_GUEST_EXT_OVERLAY_H
#define FS_GUEST_EXT_OVERLAY_H

#include "fs/guest/ext/journal.h"

/* @b is held; @log's patches are taken over on success. Return 0 or -ENOMEM. */
MUST_CHECK int overlay_new(struct blocks *b, uint32_t block_size,
			   struct journal_log *log, struct blocks **out);

#endif
