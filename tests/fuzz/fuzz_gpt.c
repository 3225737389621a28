/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GPT partition tables, on an image (image.h). */
#include "config.h"

#include <stdlib.h>

#include "fs/guest/volumes/internal.h"
#include "store/base/log.h"
#include "tests/fuzz/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void quiet(void *arg, enum log_level level, const char *text)
{
	(void)arg;
	(void)level;
	(void)text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct table t;
	struct blocks *b;

	log_set(LOG_LEVEL_ERROR, quiet, NULL);
	if (fuzz_image(data, len, &b) < 0)
		return 0;
	if (gpt_read(b, len % 2 ? 4096 : 0, &t) == 0 && t.n > TABLE_MAX)
		abort();
	blocks_put(b);
	return 0;
}
