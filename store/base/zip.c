/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Compression of one frame at a time. Contexts are kept: setting one up costs
 * more than compressing a small frame.
 *
 * What is decompressed is authentic, but may have been written by somebody
 * else's program: the size that the frame claims must be the one that the
 * caller knows, and is the bound of all memory used. (Decompression in one call
 * writes into the caller's memory alone; a frame's window size, however
 * large, is never allocated.)
 */
#include "config.h"

#include "store/base/zip.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <zstd.h>
#include <zstd_errors.h>

#include "store/base/bytes.h"

struct zip {
	int level, c_level; /* as asked for; what @c is set to */
	ZSTD_CCtx *c; /* owned; made on first use */
	ZSTD_DCtx *d; /* owned; made on first use */
};

struct zip *zip_new(int level)
{
	struct zip *z = calloc(1, sizeof(*z));

	if (z)
		z->level = level;
	return z;
}

void zip_free(struct zip *z)
{
	if (!z)
		return;
	ZSTD_freeCCtx(z->c);
	ZSTD_freeDCtx(z->d);
	free(z);
}

void zip_set_level(struct zip *z, int level)
{
	z->level = level;
}

size_t zip_bound(size_t len)
{
	return ZSTD_compressBound(len);
}

static int make_cctx(struct zip *z)
{
	if (z->c && z->c_level == z->level)
		return 0;
	if (!z->c)
		z->c = ZSTD_createCCtx();
	if (!z->c)
		return -ENOMEM;
	if (!ZSTD_isError(ZSTD_CCtx_setParameter(z->c, ZSTD_c_compressionLevel,
						 z->level))) {
		z->c_level = z->level;
		return 0;
	}
	ZSTD_freeCCtx(z->c);
	z->c = NULL;
	return -EIO;
}

ssize_t zip_compress(struct zip *z, const void *in, size_t len, void *out,
		     size_t out_cap)
{
	size_t n;
	int r;

	if (z->level == 0 || len == 0)
		return 0;
	r = make_cctx(z);
	if (r < 0)
		return r;
	n = ZSTD_compress2(z->c, out, out_cap, in, len);
	if (ZSTD_isError(n)) {
		switch (ZSTD_getErrorCode(n)) {
		case ZSTD_error_dstSize_tooSmall:
			return 0;
		case ZSTD_error_memory_allocation:
			return -ENOMEM;
		default:
			return -EIO;
		}
	}
	return n > len - len * 3 / 100 ? 0 : (ssize_t)n;
}

static int make_dctx(struct zip *z)
{
	if (!z->d)
		z->d = ZSTD_createDCtx();
	return z->d ? 0 : -ENOMEM;
}

int zip_decompress(struct zip *z, const void *in, size_t len, void *out,
		   size_t out_len)
{
	size_t n;

	/* Neither skippable frames nor the formats before zstd 0.8. */
	if (len < 4 || get_le32(in) != ZSTD_MAGICNUMBER)
		return -EBADMSG;
	if (ZSTD_getFrameContentSize(in, len) != out_len)
		return -EBADMSG;
	/* An error is a size that no input has. */
	if (ZSTD_findFrameCompressedSize(in, len) != len)
		return -EBADMSG;
	if (make_dctx(z) < 0)
		return -ENOMEM;
	n = ZSTD_decompressDCtx(z->d, out, out_len, in, len);
	if (ZSTD_isError(n) &&
	    ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation)
		return -ENOMEM;
	return n == out_len ? 0 : -EBADMSG;
}

ssize_t zip_decompress_max(struct zip *z, const void *in, size_t len, void *out,
			   size_t cap)
{
	size_t n;

	if (len < 4 || get_le32(in) != ZSTD_MAGICNUMBER)
		return -EBADMSG;
	n = ZSTD_findFrameCompressedSize(in, len);
	if (ZSTD_isError(n))
		return -EBADMSG;
	if (make_dctx(z) < 0)
		return -ENOMEM;
	n = ZSTD_decompressDCtx(z->d, out, cap, in, n);
	if (!ZSTD_isError(n))
		return (ssize_t)n;
	return ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation ? -ENOMEM
								    : -EBADMSG;
}

struct unzip {
	ZSTD_DCtx *d; /* owned */
};

int unzip_new(const void *head, size_t len, uint64_t plain_len,
	      struct unzip **out)
{
	struct unzip *u;

	*out = NULL;
	if (len < 4 || get_le32(head) != ZSTD_MAGICNUMBER ||
	    ZSTD_getFrameContentSize(head, len) != plain_len)
		return -EBADMSG;
	u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	u->d = ZSTD_createDCtx();
	if (!u->d || ZSTD_isError(ZSTD_DCtx_setParameter(
			     u->d, ZSTD_d_windowLogMax, UNZIP_WINDOW_LOG))) {
		unzip_free(u);
		return -ENOMEM;
	}
	*out = u;
	return 0;
}

int unzip_some(struct unzip *u, const uint8_t **in, size_t *len, void *out,
	       size_t cap, size_t *n_out)
{
	ZSTD_inBuffer from = { *in, *len, 0 };
	ZSTD_outBuffer to = { out, cap, 0 };
	size_t n = ZSTD_decompressStream(u->d, &to, &from);

	*in += from.pos;
	*len -= from.pos;
	*n_out = to.pos;
	if (!ZSTD_isError(n))
		return n == 0;
	return ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation ? -ENOMEM
								    : -EBADMSG;
}

void unzip_free(struct unzip *u)
{
	if (!u)
		return;
	ZSTD_freeDCtx(u->d);
	free(u);
}

static pthread_key_t thread_key;
static pthread_once_t thread_once = PTHREAD_ONCE_INIT;
static int thread_error; /* of making the key */

static void free_thread_zip(void *z)
{
	zip_free(z);
}

static void make_thread_key(void)
{
	thread_error = pthread_key_create(&thread_key, free_thread_zip);
}

struct zip *zip_thread(void)
{
	struct zip *z;

	pthread_once(&thread_once, make_thread_key);
	if (thread_error)
		return NULL;
	z = pthread_getspecific(thread_key);
	if (z)
		return z;
	z = zip_new(1);
	if (z && pthread_setspecific(thread_key, z) != 0) {
		zip_free(z);
		return NULL;
	}
	return z;
}
