/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/bytes.h"

void buf_release(struct buf *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

int buf_reserve(struct buf *b, size_t len)
{
	size_t want, cap;
	uint8_t *data;

	if (b->failed)
		return -ENOMEM;
	if (__builtin_add_overflow(b->len, len, &want))
		goto fail;
	if (want <= b->cap)
		return 0;
	cap = b->cap ? b->cap : 64;
	while (cap < want)
		if (__builtin_mul_overflow(cap, 2, &cap))
			goto fail;
	data = realloc(b->data, cap);
	if (!data)
		goto fail;
	b->data = data;
	b->cap = cap;
	return 0;
fail:
	b->failed = true;
	return -ENOMEM;
}

void buf_put(struct buf *b, const void *data, size_t len)
{
	if (len == 0 || buf_reserve(b, len) < 0)
		return;
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

void buf_put_u8(struct buf *b, uint8_t v)
{
	buf_put(b, &v, 1);
}

void buf_put_le16(struct buf *b, uint16_t v)
{
	uint8_t raw[2];

	put_le16(raw, v);
	buf_put(b, raw, sizeof(raw));
}

void buf_put_le32(struct buf *b, uint32_t v)
{
	uint8_t raw[4];

	put_le32(raw, v);
	buf_put(b, raw, sizeof(raw));
}

void buf_put_le64(struct buf *b, uint64_t v)
{
	uint8_t raw[8];

	put_le64(raw, v);
	buf_put(b, raw, sizeof(raw));
}

void buf_put_varint(struct buf *b, uint64_t v)
{
	uint8_t raw[10];
	size_t n = 0;

	while (v >= 0x80) {
		raw[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	raw[n++] = (uint8_t)v;
	buf_put(b, raw, n);
}

void buf_put_svarint(struct buf *b, int64_t v)
{
	buf_put_varint(b, ((uint64_t)v << 1) ^ (uint64_t)(v < 0 ? -1 : 0));
}

void buf_put_bytes(struct buf *b, const void *data, size_t len)
{
	buf_put_varint(b, len);
	buf_put(b, data, len);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || buf_reserve(b, (size_t)n + 1) < 0) {
		b->failed = true;
		return;
	}
	va_start(ap, fmt);
	vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

int buf_error(const struct buf *b)
{
	return b->failed ? -ENOMEM : 0;
}

void reader_init(struct reader *r, const void *data, size_t len)
{
	r->p = data;
	r->end = len ? r->p + len : r->p; /* NULL + 0 is undefined */
	r->bad = false;
}

size_t reader_left(const struct reader *r)
{
	return r->bad ? 0 : (size_t)(r->end - r->p);
}

const uint8_t *reader_get(struct reader *r, size_t len)
{
	const uint8_t *p = r->p;

	if (r->bad || (size_t)(r->end - r->p) < len) {
		r->bad = true;
		return NULL;
	}
	r->p += len;
	return p;
}

uint8_t reader_u8(struct reader *r)
{
	const uint8_t *p = reader_get(r, 1);

	return p ? *p : 0;
}

uint16_t reader_le16(struct reader *r)
{
	const uint8_t *p = reader_get(r, 2);

	return p ? get_le16(p) : 0;
}

uint32_t reader_le32(struct reader *r)
{
	const uint8_t *p = reader_get(r, 4);

	return p ? get_le32(p) : 0;
}

uint64_t reader_le64(struct reader *r)
{
	const uint8_t *p = reader_get(r, 8);

	return p ? get_le64(p) : 0;
}

static uint64_t long_varint(struct reader *r)
{
	uint64_t v = 0;
	unsigned int shift;

	for (shift = 0; shift < 64; shift += 7) {
		uint8_t byte = reader_u8(r);

		if (r->bad)
			return 0;
		if (shift == 63 && byte > 1)
			break;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (byte & 0x80)
			continue;
		if (byte == 0 && shift > 0)
			break;
		return v;
	}
	r->bad = true;
	return 0;
}

/* Most are small, and an entry has a dozen. */
uint64_t reader_varint(struct reader *r)
{
	if (!r->bad && r->p < r->end && *r->p < 0x80)
		return *r->p++;
	return long_varint(r);
}

int64_t reader_svarint(struct reader *r)
{
	uint64_t v = reader_varint(r);

	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

uint64_t reader_varint_max(struct reader *r, uint64_t max)
{
	uint64_t v = reader_varint(r);

	if (v > max) {
		r->bad = true;
		return 0;
	}
	return v;
}

const uint8_t *reader_bytes(struct reader *r, size_t max, size_t *len_out)
{
	size_t len = (size_t)reader_varint_max(r, max);

	*len_out = r->bad ? 0 : len;
	return r->bad ? NULL : reader_get(r, len);
}

bool reader_done(const struct reader *r)
{
	return !r->bad && r->p == r->end;
}
