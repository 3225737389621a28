/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bytes as text: what is UTF-8, and base64 for what is not. */
#ifndef STORE_BASE_TEXT_H
#define STORE_BASE_TEXT_H

#include "store/base/buf.h"

#include <stdbool.h>

/*
 * Return the length of the UTF-8 character at the start of @len bytes; 0 where
 * there is none: overlong forms, surrogates and what is past U+10FFFF are not.
 */
size_t text_utf8_len(const void *data, size_t len);
/* Is all of it UTF-8? */
bool text_is_utf8(const void *data, size_t len);
/* Is all of it UTF-8 without control characters (C0, DEL, C1)? */
bool text_is_plain(const void *data, size_t len);
/* Append text, with U+FFFD for each control character and each byte that is no
 * text. */
void text_put_plain(struct buf *out, const void *data, size_t len);

/* Append base64, padded. */
void text_put_base64(struct buf *out, const void *data, size_t len);
/*
 * Append the bytes that @text stands for: exactly @len characters of padded
 * base64, in its one form. Return 0, -EINVAL or -ENOMEM.
 */
MUST_CHECK int text_get_base64(struct buf *out, const char *text, size_t len);

#endif
