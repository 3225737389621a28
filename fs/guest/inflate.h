/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Decompression of what guests' filesystems compressed, into memory of a known
 * size: the only user of zlib and LZO (and, through zip.h, of zstd here). Safe
 * from any thread; the input may be anything.
 */
#ifndef FS_GUEST_INFLATE_H
#define FS_GUEST_INFLATE_H

#include "store/base/attrs.h"

#include <stddef.h>
#include <sys/types.h>

/*
 * Each decompresses to @out, at most @cap bytes. What stands in @in behind the
 * end of the compressed data is passed over. Return the number of bytes,
 * -EBADMSG (damaged, or more than @cap; silent) or -ENOMEM.
 */

/* One zlib stream (RFC 1950). */
MUST_CHECK ssize_t inflate_zlib(const void *in, size_t len, void *out,
				size_t cap);
/* One zstd frame. */
MUST_CHECK ssize_t inflate_zstd(const void *in, size_t len, void *out,
				size_t cap);
/*
 * LZO1X as btrfs cuts it in pieces: the length of all (4 bytes, with itself),
 * then for each piece its length (4 bytes, never across a sector's end: there
 * zeros stand before it) and a block that gives @sector bytes, the last one
 * maybe less.
 */
MUST_CHECK ssize_t inflate_lzo_pieces(const void *in, size_t len, size_t sector,
				      void *out, size_t cap);

#endif
