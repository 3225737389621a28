/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef STORE_BASE_HEX_H
#define STORE_BASE_HEX_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>

/* Write 2 * @len lower-case digits and a NUL to @out. */
void hex_encode(const uint8_t *data, size_t len, char *out);
/* Read exactly 2 * @len lower-case digits from @text (need not end there).
 * Return 0, or -EINVAL where another character stands. */
MUST_CHECK int hex_decode(const char *text, size_t len, uint8_t *out);
/* Return whether @text begins with so many lower-case digits. */
bool hex_is(const char *text, size_t digits);

#endif
