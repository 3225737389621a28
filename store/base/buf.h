/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A growable byte buffer, and a reader that cannot pass its end.
 *
 * Both have a sticky failure: a chain of puts (or gets) is written without
 * looking, and the outcome is asked for once, at its end.
 */
#ifndef STORE_BASE_BUF_H
#define STORE_BASE_BUF_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>

struct buf {
	uint8_t *data; /* owned; NULL while cap is 0 */
	size_t len;
	size_t cap;
	bool failed; /* an allocation failed; later puts do nothing */
};

#define BUF_INIT                                                               \
	{                                                                      \
		NULL, 0, 0, false                                              \
	}

/* Free the bytes and empty the buffer; it can be used again. */
void buf_release(struct buf *b);
#define AUTO_BUF CLEANUP(buf_release)
/* Forget the bytes, keep the memory. Clears a failure. */
void buf_clear(struct buf *b);
/* Make room for @len more bytes. Return 0, or -ENOMEM (and the buffer
 * fails). */
int buf_reserve(struct buf *b, size_t len);
/* Append. On no memory the buffer fails; ask buf_error(). */
void buf_put(struct buf *b, const void *data, size_t len);
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_le16(struct buf *b, uint16_t v);
void buf_put_le32(struct buf *b, uint32_t v);
void buf_put_le64(struct buf *b, uint64_t v);
/* Append a number as LEB128: seven bits a byte, the least significant first, in
 * the shortest form. */
void buf_put_varint(struct buf *b, uint64_t v);
/* Append a signed number as a varint, zigzag: the sign is its lowest bit. */
void buf_put_svarint(struct buf *b, int64_t v);
/* Append a varint length, then the bytes. */
void buf_put_bytes(struct buf *b, const void *data, size_t len);
PRINTF(2, 3) void buf_printf(struct buf *b, const char *fmt, ...);
/* Return 0, or -ENOMEM when any put failed. */
MUST_CHECK int buf_error(const struct buf *b);

struct reader {
	const uint8_t *p; /* borrowed */
	const uint8_t *end;
	bool bad; /* something did not fit; all later gets return zeros */
};

void reader_init(struct reader *r, const void *data, size_t len);
size_t reader_left(const struct reader *r);
uint8_t reader_u8(struct reader *r);
uint16_t reader_le16(struct reader *r);
uint32_t reader_le32(struct reader *r);
uint64_t reader_le64(struct reader *r);
/* Read a varint. One over 64 bits, or not in its shortest form, makes the
 * reader bad. */
uint64_t reader_varint(struct reader *r);
int64_t reader_svarint(struct reader *r);
/* Read a varint that must be at most @max. */
uint64_t reader_varint_max(struct reader *r, uint64_t max);
/* Return @len bytes in place, borrowed from the input; NULL when bad. */
const uint8_t *reader_get(struct reader *r, size_t len);
/* Read a varint length of at most @max, and return that many bytes in place;
 * NULL when bad. */
const uint8_t *reader_bytes(struct reader *r, size_t max, size_t *len_out);
/* Return whether nothing went wrong and nothing is left. */
bool reader_done(const struct reader *r);

#endif
