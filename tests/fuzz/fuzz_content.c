/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Encoded content; the first eight bytes are the file's size. */
#include "config.h"

#include "store/base/bytes.h"
#include "store/content.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 8)
		return 0;
	(void)content_allocated(data + 8, len - 8);
	(void)!content_check(data + 8, len - 8, get_le64(data));
	return 0;
}
