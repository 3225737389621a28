/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Encoded content; the first eight bytes are the file's size. */
#include "config.h"

#include "store/base/bytes.h"
#include "store/content.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct content_ref c;

	if (len < 8)
		return 0;
	c = (struct content_ref){ .data = data + 8,
				  .len = len - 8,
				  .size = get_le64(data) };
	(void)content_allocated(&c);
	(void)!content_check(&c);
	return 0;
}
