/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One entry, and its list of extended attributes: what decodes encodes again
 * to the same bytes. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "store/content.h"
#include "store/entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf again = BUF_INIT;
	struct reader r;
	struct content_ref content;
	struct entry_extra known;
	struct entry e;

	(void)!xattrs_check(data, len);
	reader_init(&r, data, len);
	if (entry_get(&r, &e) < 0)
		return 0;
	content = entry_content(&e);
	(void)content_allocated(&content);
	entry_extra_get(&e, &known);
	if (known.birth.nsec > 999999999)
		abort();
	entry_put(&again, &e);
	if (buf_error(&again) == 0 &&
	    (again.len != e.raw_len ||
	     memcmp(again.data, e.raw, again.len) != 0))
		abort();
	buf_release(&again);
	return 0;
}
