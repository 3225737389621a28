/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Compression: the only user of zstd. */
#ifndef STORE_BASE_ZIP_H
#define STORE_BASE_ZIP_H

#include "store/base/attrs.h"

#include <stdint.h>
#include <sys/types.h>

struct zip;

/* Return a compressor and decompressor for one thread, for zip_free(); or NULL
 * (no memory). @level is zstd's, 1 to 19, or negative to be faster; with 0 it
 * stores. */
MUST_CHECK struct zip *zip_new(int level);
void zip_free(struct zip *z);
/* Compress at @level from now on. */
void zip_set_level(struct zip *z, int level);
/* Return the room that zip_compress() may need for @len bytes. */
size_t zip_bound(size_t len);
/*
 * Compress to @out. Return the compressed size, or 0 where the result would
 * save less than 3 % (store it raw), or -ENOMEM/-EIO.
 */
MUST_CHECK ssize_t zip_compress(struct zip *z, const void *in, size_t len,
				void *out, size_t out_cap);
/*
 * Decompress one whole frame to exactly @out_len bytes. Return 0, -EBADMSG
 * (not one zstd frame of exactly that content size) or -ENOMEM. @z may be of
 * any level.
 */
MUST_CHECK int zip_decompress(struct zip *z, const void *in, size_t len,
			      void *out, size_t out_len);
/*
 * Decompress the one frame at the start of @in to at most @cap bytes; its
 * content size need not be in it, and what follows it is passed over. Return
 * the size, -EBADMSG (no zstd frame, or of more than @cap) or -ENOMEM.
 */
MUST_CHECK ssize_t zip_decompress_max(struct zip *z, const void *in, size_t len,
				      void *out, size_t cap);
/*
 * Decompression of one frame in pieces, in little memory. unzip_new() takes the
 * first bytes of the frame, 18 of them or all that there are; *out is for
 * unzip_free(). Return 0, -EBADMSG (no zstd frame, or one of another size than
 * @plain_len, or with a window of over 2^UNZIP_WINDOW_LOG bytes) or -ENOMEM.
 */
#define UNZIP_WINDOW_LOG 23
struct unzip;
MUST_CHECK int unzip_new(const void *head, size_t len, uint64_t plain_len,
			 struct unzip **out);
/*
 * Take bytes from *in, of which there are *len, and give at most @cap: how many
 * to *n_out. Both *in and *len then tell what is left, and nothing was given
 * only where more is needed. Return 0, 1 (that was the end of the frame),
 * -EBADMSG or -ENOMEM.
 */
MUST_CHECK int unzip_some(struct unzip *u, const uint8_t **in, size_t *len,
			  void *out, size_t cap, size_t *n_out);
void unzip_free(struct unzip *u);
/* Return the calling thread's own one, of level 1, which is made at its first
 * use and freed when the thread ends; or NULL (no memory). */
MUST_CHECK struct zip *zip_thread(void);

#endif
